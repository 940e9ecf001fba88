# Every target sets up what it needs: Python 3.11 or newer and make are all a machine must bring.
# DEMO_ARGS="--seconds 60" goes to the demo, PYTHON=python3.12 picks the interpreter, LOCK_ARGS=--upgrade goes to uv.
# FUZZ_ARGS="--seed 1" goes to the fuzzer.

PYTHON ?=
DEMO_ARGS ?=
FUZZ_ARGS ?=
LOCK_ARGS ?=

# scripts/setup.sh leaves there the home of the Java that it checked; Spark must start that one and no other.
WITH_JAVA = JAVA_HOME="$$(cat .venv/java-home)"
UV_LOCK = uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet $(LOCK_ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test faults fuzz lint bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv what the lock files say, and find (as root on Debian: install) Java
	@PYTHON="$(PYTHON)" sh scripts/setup.sh

demo: setup ## local hub, synthetic reports, stream and alerts, with a live view and a summary
	@$(WITH_JAVA) .venv/bin/reactionwatch demo $(DEMO_ARGS)

test: lint ## lint, types and import contract, then every test
	$(WITH_JAVA) sh scripts/test.sh

faults: setup ## kill, cut off, freeze and starve store and hub for an hour or more, and count what got lost
	PYTHONPATH=.:tests .venv/bin/python -m faults.killing
	PYTHONPATH=.:tests .venv/bin/python -m faults.hub_chaos
	$(WITH_JAVA) REACTIONWATCH_TEST_LONG=1 .venv/bin/pytest \
		tests/faults tests/contract/test_store_histories.py tests/contract/test_store_replay_histories.py \
		tests/contract/test_stream_histories.py tests/contract/test_receiver*.py tests/contract/test_expectations_gx.py \
		tests/contract/test_stream_verdicts.py

fuzz: setup ## a million broken reports through decoder and suite: minutes; how many got no outcome
	PYTHONPATH=.:tests .venv/bin/python -m fuzz $(FUZZ_ARGS)

lint: setup ## formatting, lint rules, types, import contract
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: setup ## run every benchmark
	@for file in benchmarks/bench_*.py; do \
		[ -e "$$file" ] || { echo "There is no benchmarks/bench_*.py."; break; }; \
		name="$$(basename "$$file" .py)"; \
		echo "== $$name"; \
		$(WITH_JAVA) .venv/bin/python -m "benchmarks.$$name" || exit 1; \
	done

lock: ## renew the lock files (needs uv on PATH)
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH; see CONTRIBUTING.md." >&2; exit 1; }
	$(UV_LOCK) locks/build.in -o locks/build.lock
	$(UV_LOCK) --all-extras pyproject.toml -o locks/project.lock

clean: ## remove .venv and the tools' caches; .reactionwatch (your data) stays
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache spark-warehouse
