#!/bin/sh
# Makes the environments of the reference implementations, apart from the project's own: .oracle/trackers (roboflow,
# Apache-2.0) and .oracle/boxmot (AGPL-3.0). uv where it is installed, venv + pip otherwise.
set -eu
ROOT=${ORACLE:-.oracle}
PYTHON=${PYTHON:-python3}

make_env() { # name, packages...
    env=$ROOT/$1; shift
    [ -e "$env/.ready" ] && return
    echo "oracle: $* -> $env" >&2
    mkdir -p "$ROOT"
    if command -v uv >/dev/null 2>&1; then
        [ -x "$env/bin/python" ] || uv venv --quiet --python "$PYTHON" "$env"
        uv pip install --quiet --python "$env/bin/python" "$@"
    else
        [ -x "$env/bin/python" ] || "$PYTHON" -m venv "$env"
        "$env/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
    touch "$env/.ready"
}

make_env trackers 'trackers==2.6.1'
make_env boxmot 'boxmot==25.*'
