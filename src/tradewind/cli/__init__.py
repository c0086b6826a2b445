"""Nouns and verbs for a terminal."""
