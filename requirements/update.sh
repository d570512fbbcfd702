#!/usr/bin/env bash
# Writes the lock files of this folder anew from pyproject.toml and build.in (needs uv).
# Give `--upgrade` to take newer versions; without it, only what must change changes.
# Run again afterwards: `python3 start.py test`.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # NAME ARGUMENTS...: one lock file for every platform and Python, with hashes, naming no index
    local name=$1
    shift
    uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --custom-compile-command "requirements/update.sh" \
        --output-file "requirements/$name.lock" "$@" "${upgrade[@]}"
}

upgrade=("$@")
compile build requirements/build.in
# The engine is built from source in a step of its own (start.py), so it has a lock of its own.
grep -o '"llama-cpp-python[^"]*"' pyproject.toml | tr -d '"' | compile engine - --no-deps
compile app pyproject.toml --no-emit-package llama-cpp-python --constraint requirements/engine.lock
compile dev --group dev --constraint requirements/app.lock
