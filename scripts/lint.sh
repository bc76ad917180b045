#!/usr/bin/env bash
# Check style, types and import layers; print only what is wrong. $1 is a Python that
# has the "dev" extra.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}
tools=$(dirname "$(command -v "$python")")
# cython-lint looks for its own tools on the path.
PATH=$tools:$PATH
status=0

check() { # name command...
    local name=$1 output
    shift
    if ! output=$("$@" 2>&1); then
        printf '%s\nlint: %s failed\n' "$output" "$name" >&2
        status=1
    fi
}

check "ruff check" "$tools/ruff" check .
check "ruff format" "$tools/ruff" format --check .
check mypy "$python" -m mypy
check lint-imports "$tools/lint-imports" --no-cache
check cython-lint "$tools/cython-lint" bytemlperf/_native
exit "$status"
