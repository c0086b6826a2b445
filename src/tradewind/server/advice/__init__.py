"""The advisor's pages: from what an address says to what a page shows, with no server around."""
