#!/bin/sh
# Every test, in three processes side by side: the official SDK and Spark's start spend most of their time waiting.
# Arguments go to all of them.
set -eu

# The JVMs of tests live for seconds: one compiler and one collector's thread do.
export SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"

logs="$(mktemp -d)"
running=""
trap 'kill $running 2>/dev/null || true; rm -rf "$logs"' EXIT INT TERM

waiting="$(ls tests/contract/test_hub_*.py tests/contract/test_receiver*.py tests/contract/test_sender.py)"
others="$(ls tests/contract/test_*.py | grep -v -e /test_hub_ -e /test_receiver -e /test_sender.py)"

.venv/bin/pytest $waiting tests/unit "$@" >"$logs/1" 2>&1 &
first=$!
.venv/bin/pytest $others tests/e2e "$@" >"$logs/2" 2>&1 &
second=$!
running="$first $second"

status=0
.venv/bin/pytest tests/spark tests/faults "$@" || status=$?
wait "$first" || status=$?
wait "$second" || status=$?
cat "$logs/1" "$logs/2"
exit "$status"
