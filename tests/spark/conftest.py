"""One Spark session for all Spark tests, the stream's own: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from streaming.session import spark_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    home = tmp_path_factory.mktemp("spark")
    with spark_session("local[2]", home, f"sqlite:///{home / 'unused.db'}") as session:
        yield session
