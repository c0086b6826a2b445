"""Budgets, the accounts against them, and what they leave to spend."""
