"""Run by Alembic, with the connection and inside the transaction of ``tradewind.store.sql.migrate``."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
