# Functions that run.sh and test.sh share: make a virtual environment beside the sources,
# once, and again when what decides its content has changed. Sourced, never run.
#
# The package is installed editable, because `python -m` imports a checkout it is started
# in before anything installed: one copy of the sources, and the compiled modules in it.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # program and root are set by the script that sources this

die() {
    echo "$program: $*" >&2
    exit 1
}

# Print the digest of everything that decides what an environment holds: the build and
# dependency files, the native sources, and the installation's own arguments.
digest_of() { # arguments...
    (
        cd "$root" || exit 1
        shopt -s nullglob
        sha256sum pyproject.toml setup.py scripts/venv.sh \
            bytemlperf/_native/*.{pyx,pxd,h} bytemlperf/backends/*/requirements.txt
        printf '%s\n' "${PYTHON:-}" "$@"
    ) | sha256sum | cut -d ' ' -f 1
}

# Print a Python that is new enough: $PYTHON if it is set, else the first on the path.
find_python() {
    local candidate
    local test='import sys; sys.exit(sys.version_info < (3, 11))'
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null || die "PYTHON=$PYTHON does not exist"
        "$PYTHON" -c "$test" || die "needs Python 3.11 or newer; PYTHON is $("$PYTHON" -V)"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$test" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer; python3 is $(python3 -V 2>&1 || true)" \
        "(PYTHON=... names another)"
}

# Say in one line what is missing, before anything is made.
check_machine() { # python needed_mib
    local python=$1 needed_mib=$2 compiler free_mib
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python lacks the venv module: install python3-venv"
    if compgen -G "$root/bytemlperf/_native/*.pyx" >/dev/null; then
        compiler=${CC:-$("$python" -c \
            'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}
        command -v "${compiler%% *}" >/dev/null || command -v cc >/dev/null ||
            die "no C compiler (${compiler%% *}): install gcc or clang"
        "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
            die "$python lacks its C headers: install python3-dev"
    fi
    free_mib=$(df -Pm "$root" | awk 'NR == 2 { print $4 }')
    [ "$free_mib" -ge "$needed_mib" ] ||
        die "no disk space: needs $needed_mib MiB in $root, $free_mib MiB are free"
}

# Run a command with its output in the log; on failure say in one line why.
logged() { # command...
    if "$@" >>"$log" 2>&1; then
        return
    fi
    local why="failed"
    if grep -qE 'No space left on device' "$log"; then
        why="no disk space"
    elif grep -qE 'name resolution|NewConnectionError|Network is unreachable|Max retries' \
        "$log"; then
        why="no network: the package index cannot be reached"
    elif grep -qE "command '.*(cc|gcc|clang)' failed|fatal error:" "$log"; then
        why="the native modules did not compile"
    elif grep -qE 'ResolutionImpossible|No matching distribution' "$log"; then
        why="the packages it needs cannot be had in fitting versions"
    fi
    grep -E 'error|ERROR' "$log" | tail -n 3 >&2 || true
    die "$why; all output: $log"
}

# Make or renew an environment; do nothing, quietly, if it is as it should be.
ensure_venv() { # venv needed_mib pip_arguments...
    local venv=$1 needed_mib=$2
    shift 2
    local stamp wanted python
    stamp="$venv/.stamp"
    wanted=$(digest_of "$@")
    # The compiled modules lie in the sources, where another environment or a debug
    # build may have put others: they have a stamp of their own.
    local native="$root/build/native.stamp"
    is_fresh() {
        [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
            [ "$(cat "$native" 2>/dev/null)" = "$(native_digest)" ] &&
            [ -x "$venv/bin/python" ]
    }
    if is_fresh; then
        return
    fi
    python=$(find_python)
    check_machine "$python" "$needed_mib"
    mkdir -p "$root/build"
    exec 9>"$root/build/venv.lock"
    if command -v flock >/dev/null; then
        flock 9
    fi
    if is_fresh; then
        exec 9>&-
        return
    fi
    log="$root/build/$(basename "$venv").log"
    : >"$log"
    rm -f "$stamp" "$native"
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        echo "$program: making $venv" >&2
        rm -rf "$venv"
        logged "$python" -m venv "$venv"
        echo '*' >"$venv/.gitignore"
    fi
    echo "$program: installing into $venv (once; the first time takes minutes)" >&2
    # Timestamps do not tell a debug build from a release build.
    rm -f "$root"/bytemlperf/_native/*.so "$root"/bytemlperf/_native/*.c
    (cd "$root" && logged "$venv/bin/python" -m pip install --no-input \
        --disable-pip-version-check --progress-bar off "$@") || exit 1
    native_digest >"$native"
    echo "$wanted" >"$stamp"
    exec 9>&-
}

native_digest() {
    (
        cd "$root" || exit 1
        shopt -s nullglob
        sha256sum setup.py bytemlperf/_native/*.{pyx,pxd,h}
        printf '%s\n' bytemlperf/_native/*.so
    ) | sha256sum | cut -d ' ' -f 1
}
