"""What tests of every floor may ask for."""

from __future__ import annotations

from tests.postgres import empty_postgres_url, postgres, postgres_url
from tests.served import served

__all__ = ["empty_postgres_url", "postgres", "postgres_url", "served"]
