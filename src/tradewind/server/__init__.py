"""The shared server: HTTP in front of the same engine that solo use runs."""
