"""R on simulated series, part by part. A small program stands in for R, which is not on every machine."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spike_simulator import TESTED, run_peers, simulate

# Says of each series, for every week, how many cases it had in its first week; and on which call it was asked.
R = f"""#!{sys.executable}
import sys
from pathlib import Path
_, program, counts, results = sys.argv
calls = Path(__file__).with_name("calls")
calls.write_text((calls.read_text() if calls.exists() else "") + "x")
if Path(__file__).with_name("broken").exists():
    sys.exit("R is broken")
first = Path(counts).read_text().splitlines()[0].split(",")
Path(results).write_text("".join(f"{{n}},nan,0,1,0.5,{{0.5}}\\n" * {TESTED} for n in first))
print("R, of a kind")
"""


@pytest.fixture
def r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder, with a line of marks for its calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "Rscript").write_text(R, encoding="utf-8")
    (folder / "Rscript").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_every_series_has_its_own_results_and_none_is_asked_for_twice(r: Path, tmp_path: Path) -> None:
    simulated = simulate(4, seed=3)
    peers = run_peers(simulated, tmp_path / "kept")
    assert peers is not None
    assert peers.version == "R, of a kind"
    assert peers.points_per_second == 2.0
    np.testing.assert_array_equal(peers.ears["C1"], np.tile(simulated.cases[:, :1], (1, TESTED)))
    assert np.isnan(peers.ears["C2"]).all()
    calls = (r / "calls").read_text(encoding="utf-8")
    assert len(calls) == 2  # 112 series, 70 at once
    again = run_peers(simulated, tmp_path / "kept")
    assert again is not None
    np.testing.assert_array_equal(again.ears["C1"], peers.ears["C1"])
    assert (r / "calls").read_text(encoding="utf-8") == calls


def test_what_was_ended_goes_on(r: Path, tmp_path: Path) -> None:
    simulated, kept = simulate(4, seed=3), tmp_path / "kept"
    run_peers(simulated, kept)
    next(kept.glob("r-*.csv")).unlink()
    run_peers(simulated, kept)
    assert len((r / "calls").read_text(encoding="utf-8")) == 3


def test_r_that_fails_says_why_at_once(r: Path, tmp_path: Path) -> None:
    (r / "broken").touch()
    with pytest.raises(RuntimeError, match="R is broken"):
        run_peers(simulate(20, seed=3), tmp_path / "kept")
    assert len((r / "calls").read_text(encoding="utf-8")) == 1


def test_without_r_there_are_no_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert run_peers(simulate(1, seed=3), tmp_path) is None
