#!/usr/bin/env bash
# Run bytemlperf from a checkout: bash run.sh --tasks all --hardware_type CPU
#
# Makes .venv beside this file on first use, with Python >= 3.11 found as python3 or
# given as PYTHON, and again when the build files or the native sources have changed.
set -euo pipefail
program=run.sh
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/venv.sh
source "$root/scripts/venv.sh"

ensure_venv "$root/.venv" 1024 --editable '.[report]'
# -P: this checkout's package, whatever folder the command is given in.
exec "$root/.venv/bin/python" -P -m bytemlperf "$@"
