"""Budgets, what is set aside of them and what was used, as rows."""
