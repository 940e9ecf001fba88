#!/bin/sh
# Every test, in two processes side by side: the official SDK and Spark's start spend most of their time waiting.
# Arguments go to both.
set -eu

log="$(mktemp)"
.venv/bin/pytest tests/contract "$@" >"$log" 2>&1 &
contract=$!
trap 'kill "$contract" 2>/dev/null || true; rm -f "$log"' EXIT INT TERM

status=0
.venv/bin/pytest tests/unit tests/spark tests/faults tests/e2e "$@" || status=$?
wait "$contract" || status=$?
cat "$log"
exit "$status"
