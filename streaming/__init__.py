"""The Spark job: report stage, task write, commit, ticker, progress."""
