"""Run by Alembic, with the connection and inside the transaction of ``tradewind.store.migrate``."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # Alembic believes SQLite can't roll back a changed table. It can, once Python's sqlite3 leaves BEGIN to us.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
