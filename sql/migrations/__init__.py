"""How the tables came to be as they are: one module in `versions` per version, run in order by Alembic.

Migrations are written out and frozen: they import nothing of `sql.schema`, which speaks of the newest version only.
A new one gets the next number as its `revision`, the one before as its `down_revision`, and a place at the end of
`sql.migrate.VERSIONS`. There is no way down: restore a backup.
"""
