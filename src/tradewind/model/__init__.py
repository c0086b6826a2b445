"""Nouns: frozen values without a clock, without input or output."""
