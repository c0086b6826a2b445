"""Rides on the Dask scheduler and workers."""
