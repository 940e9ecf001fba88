"""Measurements, each a ratio against a baseline of the same run. `make bench` runs them all.

Their PostgreSQL is the one of the tests.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))
