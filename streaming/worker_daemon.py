"""Spark's Python daemon with the heavy packages imported first, so that every worker is forked with them loaded.

Named in `spark.python.daemon.module`. Without it each new worker would spend its first seconds importing
Great Expectations before its first report.
"""

from __future__ import annotations

import pyspark.daemon

import streaming.warm

if __name__ == "__main__":
    streaming.warm.import_heavy_packages()
    pyspark.daemon.manager()
