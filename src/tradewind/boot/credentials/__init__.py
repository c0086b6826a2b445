"""Credentials on their way: what is taken from the caller, and the doors by which a machine's libraries find it."""
