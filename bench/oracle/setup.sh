#!/bin/sh
# Makes the environments of the reference implementations, apart from the project's own: .oracle/trackers (roboflow,
# Apache-2.0), .oracle/boxmot (AGPL-3.0), .oracle/pyxtrackers and .oracle/motrics (MIT). uv where it is installed,
# venv + pip otherwise.
#
#     sh bench/oracle/setup.sh [NAME...]      all, or those named; boxmot brings torch and takes gigabytes
set -eu
[ $# -gt 0 ] || set -- trackers boxmot pyxtrackers motrics
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

make_native() { # boxmot's C++ ByteTrack comes as source
    [ -e "$ROOT/boxmot/.native" ] && return
    if "$ROOT/boxmot/bin/boxmot" build --tracker bytetrack >"$ROOT/boxmot/native.log" 2>&1; then
        touch "$ROOT/boxmot/.native"
    else
        echo "oracle: no C++ ByteTrack of boxmot, benchmarks leave it out: it needs cmake, a C++ compiler, OpenCV and" >&2
        echo "oracle: Eigen (Debian: libopencv-dev libeigen3-dev); see $ROOT/boxmot/native.log" >&2
    fi
}

for name; do
    case $name in
        trackers) make_env trackers 'trackers==2.6.1' ;;
        boxmot) make_env boxmot 'boxmot==25.*'; make_native ;;
        pyxtrackers) make_env pyxtrackers 'pyxtrackers==2026.3.3' ;;
        motrics) make_env motrics 'motrics==0.3.0' ;;
        *) echo "oracle: $name: not known; there are: trackers boxmot pyxtrackers motrics" >&2; exit 2 ;;
    esac
done
