"""SQLite and PostgreSQL: how they are opened, asked and brought up to date."""
