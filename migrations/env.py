"""alembic's entry: the connection comes from ``syncd.store.schema``."""

from alembic import context

from syncd.store.schema import VERSION_TABLE
from syncd.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
context.run_migrations()
