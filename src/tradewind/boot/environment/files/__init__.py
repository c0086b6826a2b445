"""Files that people write their software down in, each read into what a machine installs.

What isn't locked yet is locked here, by uv or rattler, on the computer of who asks.
"""
