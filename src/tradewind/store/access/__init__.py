"""People, their membership and what they did, as rows."""
