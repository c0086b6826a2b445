"""The only memory."""
