"""What leaves the house: exports, tables of costs."""
