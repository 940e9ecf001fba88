"""What Alembic runs: views out of the way, migrations, views anew, all in one transaction.

With a connection (always inside a transaction of its caller) it works on that database, without one it prints the
same statements for Azure SQL.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from sql.migrate import VERSION_TABLE
from sql.views import create_views, drop_views

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name="mssql" if connection is None else None,
    output_buffer=context.config.output_buffer,
    version_table=VERSION_TABLE,
    version_table_pk=False,  # one row; with a key, T-SQL would be asked for it by OUTPUT
)
dialect = context.get_context().dialect
if connection is None:
    dialect.default_schema_name = "dbo"  # what a connection would have asked for
with context.begin_transaction():
    for statement in drop_views():
        context.execute(text(statement))
    context.run_migrations()
    for statement in create_views(dialect.name):
        context.execute(text(statement))
