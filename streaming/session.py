"""The Spark session: made here when the stream runs on its own, taken as it is on a cluster that brings one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from sql.connection import safe_url
from streaming.errors import SparkSetupError

__all__ = ["spark_session"]

_MINIMUM = (4, 2)


@contextmanager
def spark_session(master: str, log_dir: Path, database_url: str) -> Iterator[SparkSession]:
    """A session fit for the stream: the active one where there is one, else one made here and stopped at the end.

    Raises `SparkSetupError` when Spark is too old, set up unsafely, or finds no Java. What the JVM and its workers
    print goes to `spark.log` in `log_dir`: the terminal belongs to the stream.
    """
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    active = SparkSession.getActiveSession()
    if active is not None:
        _refuse_unsafe(active, database_url)
        yield active
        return
    session = _start(master, log_dir)
    try:
        _refuse_unsafe(session, database_url)
        warming = threading.Thread(target=_warm_up, args=(session,), name="warm-up", daemon=True)
        warming.start()
        yield session
        warming.join()
    finally:
        session.stop()


def _warm_up(session: SparkSession) -> None:
    """Fork every worker once, beside the rest of the start, so that the first reports wait less for imports."""
    slots = session.sparkContext.defaultParallelism
    with contextlib.suppress(PySparkException, Py4JError):  # the session may end before its workers are warm
        session.range(slots, numPartitions=slots).mapInArrow(lambda batches: batches, "id long").collect()


def _start(master: str, log_dir: Path) -> SparkSession:
    log_dir.mkdir(parents=True, exist_ok=True)
    log_file = log_dir / "spark.log"
    on_interrupt = signal.getsignal(signal.SIGINT)
    conf = SparkConf(loadDefaults=False).setAll(list(_configuration(master, log_dir).items()))
    try:
        with log_file.open("ab") as output:
            gateway = launch_gateway(conf, {"stdout": output, "stderr": subprocess.STDOUT})  # type: ignore[no-untyped-call]  # pyspark leaves it untyped
        context = SparkContext(conf=conf, gateway=gateway)
    except (PySparkException, Py4JError, OSError) as error:
        raise SparkSetupError(
            f"Spark did not start ({type(error).__name__}). It needs Java 17 or newer: set JAVA_HOME or put java on "
            f"PATH. What it printed is in {log_file}."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)  # Spark would kill the batch under way instead of ending after it
    context.setLogLevel("ERROR")
    return SparkSession(context)


def _configuration(master: str, log_dir: Path) -> dict[str, str]:
    return {
        "spark.app.name": "reactionwatch",
        "spark.master": master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str((log_dir / "warehouse").resolve()),
        "spark.python.daemon.module": "streaming.worker_daemon",
        "spark.speculation": "false",
        "spark.sql.redaction.options.regex": "(?i)url|connectionstring|secret|password",
    }


def _refuse_unsafe(session: SparkSession, database_url: str) -> None:
    version = tuple(int(part) for part in session.version.split(".")[:2])
    if version < _MINIMUM:
        raise SparkSetupError(f"Spark {session.version} is too old: the data source needs Spark 4.2 or newer.")
    conf = session.sparkContext.getConf()
    if conf.get("spark.speculation", "false") == "true":
        raise SparkSetupError(
            "spark.speculation is on: every report would be judged twice for nothing. Set it to false."
        )
    master = session.sparkContext.master or ""
    if database_url.startswith("sqlite") and not master.startswith("local"):
        raise SparkSetupError(
            f"{safe_url(database_url)} is a file on one machine, but Spark runs on {master}: its executors would each "
            "write their own. Use a database server, or a local master."
        )
