#!/bin/sh
# Makes .venv what the lock files say, and names the Java that Spark shall use in .venv/java-home.
#
# Run again it takes a second: .venv/installed says what is there (Python and folder; digest of the lock files;
# digest of pyproject.toml). It says "unfinished" from before the first file until the last, so an environment
# that an interrupted run left behind is made anew instead of being trusted.
# Where packages come from is pip's own configuration; nothing here changes it. No compiler is needed.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# --- Java: first, because finding none should not take minutes

# The home of this java, if it is 17 or newer and has the module Spark asks for (some trimmed runtimes have not).
java_home_of() {
    answer=$("$1" --add-modules jdk.incubator.vector -XshowSettings:properties -version 2>&1) || return 1
    version=$(printf '%s\n' "$answer" | sed -n 's/^ *java\.specification\.version = //p')
    [ "${version%%.*}" -ge 17 ] 2>/dev/null || return 1
    printf '%s\n' "$answer" | sed -n 's/^ *java\.home = //p'
}

find_java() {
    for candidate in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        if [ -x "$candidate" ] && java_home_of "$candidate"; then return; fi
    done
    return 1
}

# 17 is what the tests run on; newer Debian and Ubuntu releases carry only later ones.
apt_install_java() {
    say "No Java 17 or newer here; installing one with apt…"
    words=$(mktemp)
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    if apt-get -qq update >"$words" 2>&1; then
        for package in openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; do
            if apt-get -qq install -y --no-install-recommends "$package" >>"$words" 2>&1; then
                rm -f "$words"
                return
            fi
        done
    fi
    cat "$words" >&2
    rm -f "$words"
}

if ! java_home=$(find_java); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt_install_java; fi
    java_home=$(find_java) || die "Spark needs Java 17 or newer (a full runtime): install openjdk-17-jre-headless" \
        "(Debian, Ubuntu) or any JDK from 17 on, and have it on PATH or in JAVA_HOME."
fi

# --- Python and its libraries

# Runs it, since a name on PATH may be a version manager's placeholder with nothing behind it.
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.11 or newer."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "ReactionWatch needs Python 3.11 or newer: install one, or name it as in 'make setup PYTHON=/path/to/python3'."
}

python_tag() { "$1" -c 'import sys; print(sys.implementation.cache_tag)'; }
place_of() { printf '%s in %s\n' "$(python_tag "$1")" "$(pwd -P)"; }
installed() { sed -n "$1p" .venv/installed 2>/dev/null || true; }
digest() {
    "$python" -c 'import hashlib, pathlib, sys
print(hashlib.sha256(b"\0".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])).hexdigest())' "$@"
}

# An environment of the chosen Python, made in this folder (its scripts hold absolute paths), with a working pip.
# One without our record, made by hand, is taken over as it is.
is_reusable() {
    is_new_enough .venv/bin/python || return 1
    .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
    [ "$(python_tag .venv/bin/python)" = "$(python_tag "$python")" ] || return 1
    [ ! -e .venv/installed ] || [ "$(installed 1)" = "$(place_of .venv/bin/python)" ]
}

make_venv() {
    if [ "$python" = .venv/bin/python ]; then python=$(choose_python); fi
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python comes without venv or pip: install them (Debian, Ubuntu: apt-get install python3-venv)."
    say "Making .venv with $("$python" --version)…"
    rm -rf .venv
    mkdir .venv
    echo unfinished >.venv/installed
    "$python" -m venv .venv || die "Making .venv failed; its words are above."
}

# pip's words are shown when it fails and only then; so it must not stop to ask for a password either.
pip_install() {
    words=$(mktemp)
    if ! .venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet "$@" >"$words" 2>&1; then
        cat "$words" >&2
        rm -f "$words"
        die "pip failed; its words are above. The same command again starts over."
    fi
    rm -f "$words"
}

install_libraries() {
    say "Installing $(grep -c '==' locks/project.lock) packages (1.6 GB on disk), two to four minutes…"
    # pyspark is published as source only, and only wheels are taken otherwise; its build is pure Python copying.
    pip_install --only-binary :all: --require-hashes -r locks/build.lock
    pip_install --no-build-isolation --only-binary :all: --no-binary pyspark --require-hashes -r locks/project.lock
}

install_project() {
    say "Installing reactionwatch itself…"
    pip_install --no-build-isolation --no-deps -e .
}

# The environment there keeps its Python unless another one is asked for.
if [ -z "${PYTHON:-}" ] && is_new_enough .venv/bin/python; then
    python=.venv/bin/python
else
    python=$(choose_python)
fi
libraries=$(digest locks/build.lock locks/project.lock)
project=$(digest pyproject.toml)

if ! is_new_enough .venv/bin/python || [ "$(installed 1)" != "$(place_of "$python")" ] ||
    [ "$(installed 2)" != "$libraries" ]; then
    is_reusable || make_venv
    echo unfinished >.venv/installed
    install_libraries
    install_project
elif [ "$(installed 3)" != "$project" ]; then
    install_project
fi
printf '%s\n' "$(place_of .venv/bin/python)" "$libraries" "$project" >.venv/installed
printf '%s\n' "$java_home" >.venv/java-home
say "Ready: $(.venv/bin/python --version), Java in $java_home"
