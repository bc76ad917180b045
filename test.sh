#!/usr/bin/env bash
# Test bytemlperf from a checkout: bash test.sh [pytest arguments]
#
# Makes .venv-test beside this file on first use, with everything the tests need. Without
# arguments it checks style, types and layers first; with arguments it only runs pytest.
set -euo pipefail
program=test.sh
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"

ensure_venv "$root/.venv-test" 4096 --editable '.[test,dev]' \
    --requirement bytemlperf/backends/CPU/requirements.txt \
    --requirement bytemlperf/backends/OPENVINO/requirements.txt
cd "$root"
if [ $# -eq 0 ]; then
    bash scripts/lint.sh "$root/.venv-test/bin/python"
fi
exec "$root/.venv-test/bin/python" -m pytest "$@"
