"""Spark's Python daemon with what a task needs imported first, so that every worker is forked with it loaded.

Named in `spark.python.daemon.module`. Without it each new worker would spend its first two or three seconds importing
(SciPy and scikit-learn above all), again and again: Spark ends workers that had nothing to do for a minute. Great
Expectations is not among it; only the driver needs that.
"""

from __future__ import annotations

import importlib

import pyspark.daemon

if __name__ == "__main__":
    importlib.import_module("streaming.task")
    pyspark.daemon.manager()
