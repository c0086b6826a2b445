"""The client's verbs, by what they are about."""
