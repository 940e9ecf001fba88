"""A Spark that is too old is refused with one sentence, wherever the old one would fail first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventhubs.errors import ConfigurationError
from eventhubs.spark_version import check_spark_version

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("version", ["3.5.1", "4.0.0", "4.1.3", "4.1.0.dev2"])
def test_older_spark_is_refused_naming_both_versions(version: str) -> None:
    with pytest.raises(ConfigurationError, match=f"needs Spark 4.2 or newer, and this is {version}:"):
        check_spark_version(version)


@pytest.mark.parametrize("version", ["4.2.0", "4.2.0.dev1", "4.3.0", "4.10.1", "5.0.0", "unknown"])
def test_newer_spark_is_taken(version: str) -> None:
    check_spark_version(version)


@pytest.mark.parametrize(
    ("version", "modules"),
    [("3.5.1", ["sql"]), ("4.1.0", ["sql", "sql/datasource"])],
    ids=["3.5 has no Python data sources", "4.1 has no admission control"],
)
def test_import_under_an_older_spark_says_so(tmp_path: Path, version: str, modules: list[str]) -> None:
    """With a package that is pyspark by name and version only: it lacks what that version lacks."""
    sql = tmp_path / "pyspark" / "sql"
    sql.mkdir(parents=True)
    (sql.parent / "__init__.py").write_text(f"__version__ = {version!r}\n")
    (sql / "__init__.py").touch()
    names = "BinaryType = LongType = MapType = StringType = StructField = StructType = TimestampType = "
    (sql / "types.py").write_text(names + "lambda *_: None\n")
    if "sql/datasource" in modules:
        classes = ["DataSource", "DataSourceReader", "DataSourceStreamReader", "InputPartition"]
        (sql / "datasource.py").write_text("\n".join(f"class {name}: ..." for name in classes))
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", "import eventhubs.spark"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"ConfigurationError: The eventhubs source needs Spark 4.2 or newer, and this is {version}" in done.stderr
