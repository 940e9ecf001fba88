"""The commands, one module a room: they read settings, call the rooms, and show what came of it.

Rooms that bring Spark, scikit-learn or MLflow are imported inside the commands, so that `--help` answers at once.
"""
