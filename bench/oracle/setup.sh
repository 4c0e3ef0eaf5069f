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

# boxmot's C++ ByteTrack comes as source
if [ ! -e "$ROOT/boxmot/.native" ]; then
    if "$ROOT/boxmot/bin/boxmot" build --tracker bytetrack >"$ROOT/boxmot/native.log" 2>&1; then
        touch "$ROOT/boxmot/.native"
    else
        echo "oracle: no C++ ByteTrack of boxmot, benchmarks leave it out: it needs cmake, a C++ compiler, OpenCV and" >&2
        echo "oracle: Eigen (Debian: libopencv-dev libeigen3-dev); see $ROOT/boxmot/native.log" >&2
    fi
fi
