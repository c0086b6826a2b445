"""What runs on a host that we can start processes on: instances, each with a keeper, and what they leave on disk."""
