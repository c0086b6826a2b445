"""One door per infrastructure."""
