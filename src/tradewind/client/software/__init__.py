"""The caller's software on its way to a cluster, before it starts and while it runs."""
