"""`make fuzz`: a million broken reports through decoder and suite, and how many came out at the other end.

`python -m fuzz` (with `tests` on the path) makes the inputs from a seed and their index, checks them in two processes,
prints what became of them, and ends with 1 when one raised, broke a law of `fuzz.laws` or got no outcome. Such inputs
are written to files, and made again, with their traceback, by `--seed SEED --index INDEX`.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from tempfile import gettempdir

from fuzz.blocks import Failure, Tally, body_of, prepare, run_block

_BLOCK = 5_000
_SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Broken reports through decoder and suite.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many (default: 1,000,000)")
    parser.add_argument("--seed", type=int, default=None, help="what they are made from (default: another each time)")
    parser.add_argument("--index", type=int, default=None, help="make this one input only")
    parser.add_argument("--processes", type=int, default=2, help="side by side (default: 2)")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()), help="where inputs that fail are written")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else secrets.randbits(32)
    started = time.monotonic()
    if given.index is not None:
        _keep(given.folder, seed, given.index)
        tally = run_block(seed, given.index, 1)
    else:
        tally = _campaign(seed, given.inputs, given.processes)
    for failure in tally.failures[:_SHOWN]:
        _tell(failure, seed, given.folder)
    _print(tally, seed, time.monotonic() - started)
    return 1 if tally.failures or tally.without_outcome else 0


def _campaign(seed: int, inputs: int, processes: int) -> Tally:
    tally = Tally()
    prepare()  # before the fork, so that every process has it; Great Expectations cannot be imported in a spawned one
    started = time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        blocks = {
            pool.submit(run_block, seed, first, min(_BLOCK, inputs - first)): first
            for first in range(0, inputs, _BLOCK)
        }
        for done in as_completed(blocks):
            try:
                tally.add(done.result())
            except BrokenProcessPool:
                first = blocks[done]
                told = f"a process died; the inputs from {first} to {first + _BLOCK - 1} are among those it may be"
                tally.failures.append(Failure(first, True, told))
                break
            rate = tally.inputs / (time.monotonic() - started)
            _say(f"{tally.inputs:,} of {inputs:,} inputs, {rate:,.0f}/s, {len(tally.failures)} failures")
    return tally


def _tell(failure: Failure, seed: int, folder: Path) -> None:
    path = _keep(folder, seed, failure.index)
    _say(f"\nInput {failure.index}, kept in {path}; again with: python -m fuzz --seed {seed} --index {failure.index}")
    _say(failure.told)


def _keep(folder: Path, seed: int, index: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fuzz-{seed}-{index}.json"
    path.write_bytes(body_of(seed, index))
    return path


def _print(tally: Tally, seed: int, seconds: float) -> None:
    raised = sum(failure.exception for failure in tally.failures)
    _write(f"inputs               {tally.inputs:>11,}")
    _write("outcomes")
    _write_counts(tally.outcomes)
    _write("warnings")
    _write_counts(tally.warnings)
    _write(f"uncaught exceptions  {raised:>11,}")
    _write(f"broken laws          {len(tally.failures) - raised:>11,}")
    _write(f"without outcome      {tally.without_outcome:>11,}")
    _write(f"slowest decode       {tally.slowest[0] * 1000:>8,.0f} ms (input {tally.slowest[1]})")
    _write(f"took                 {seconds:>9,.0f} s")
    _write(f"seed                 {seed:>11}")


def _write_counts(counts: Mapping[str, int]) -> None:
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        _write(f"  {name:<50} {count:>11,}")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
