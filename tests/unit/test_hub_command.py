from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventhubs.amqp import SASL_HEADER
from eventhubs.hub.store import stored_partitions
from reactionwatch.cli import app

START = "import sys; from reactionwatch.cli import main; sys.argv = ['reactionwatch', *sys.argv[1:]]; main()"


def serve(folder: Path, *options: str, **variables: str) -> str:
    """Run the command until it is ready, then stop it as Ctrl-C does; give all it said."""
    with subprocess.Popen(
        [sys.executable, "-c", START, "hub", "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={"REACTIONWATCH_DATA_DIR": str(folder), "PATH": "", "PYTHONPATH": str(Path.cwd()), **variables},
    ) as process:
        assert process.stderr is not None
        said = ""
        while "Connection string" not in said and (line := process.stderr.readline()):
            said += line
        port = re.search(r"localhost:(\d+)", said)
        if port is not None:
            with socket.create_connection(("127.0.0.1", int(port[1]))) as connection:
                connection.sendall(SASL_HEADER)
                assert connection.recv(8) == SASL_HEADER
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    return said


def test_it_says_where_it_is_and_keeps_the_partitions_it_has(tmp_path: Path) -> None:
    said = serve(tmp_path, "--partitions", "6", "--retention", "7d", "--consumer-group", "officers")
    assert re.search(r"ready on port \d+ with hubs reports, alerts", said)
    assert "SharedAccessKeyName=local;SharedAccessKey=local;UseDevelopmentEmulator=true" in said
    assert "It keeps 0 events in reports, 0 events in alerts." in said

    assert "ready" in serve(tmp_path)
    assert (stored_partitions(tmp_path / "hub", "Reports"), stored_partitions(tmp_path / "hub", "alerts")) == (6, 2)
    assert "cannot be opened with 5" in serve(tmp_path, "--partitions", "5")


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_key_that_is_given_is_used_and_not_shown(tmp_path: Path, by_variable: bool) -> None:
    keys = ("mine=s3cret=", "reader:listen+send=0ther")
    given = () if by_variable else ("--key", keys[0], "--key", keys[1])
    said = serve(tmp_path, *given, **({"REACTIONWATCH_HUB_KEYS": " ".join(keys)} if by_variable else {}))

    assert "SharedAccessKeyName=mine;SharedAccessKey=<its secret>;" in said
    assert "s3cret" not in said
    assert "0ther" not in said


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--key", "s3cret"), "a key looks like"),
        (("--key", "name="), "a key looks like"),
        (("--key", "name:fly=s3cret"), "a key looks like"),
        (("--key", "a name=s3cret"), "not the name of a key"),
        (("--retention", "soon"), "a time looks like"),
        (("--retention", "0h"), "a time looks like"),
        (("--partitions", "33"), "--partitions"),
    ],
)
def test_options_that_make_no_sense_are_refused_without_repeating_secrets(
    options: tuple[str, ...], problem: str
) -> None:
    result = CliRunner().invoke(app, ["hub", *options])

    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())
    assert "s3cret" not in result.output
