"""A line to a computer by SSH: opened when needed, kept, opened again, with a program of ours at its other end.

It knows whom to trust, says in words why nobody answers, and how far the clock there is from ours. What is asked over
it is the business of those who hold it.
"""

from tradewind.line.line import Line
from tradewind.line.refusals import NoWay, Places, Silent
from tradewind.line.station import Station

__all__ = ["Line", "NoWay", "Places", "Silent", "Station"]
