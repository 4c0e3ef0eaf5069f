#!/bin/sh
# Makes the environment $VENV with the exact versions of constraints.txt: uv where it is installed, venv + pip otherwise.
set -eu
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}
EXTRAS=${EXTRAS:-test,lint}

fail() { echo "setup: $1" >&2; exit 2; }

install() {
    if command -v uv >/dev/null 2>&1; then
        [ -x "$VENV/bin/python" ] || uv venv --quiet --python "$PYTHON" "$VENV"
        uv pip install --quiet --compile-bytecode --python "$VENV/bin/python" -c constraints.txt -e ".[$EXTRAS]"
    else
        [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$EXTRAS]"
    fi
}

if [ ! -x "$VENV/bin/python" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || fail "no $PYTHON here; install Python 3.11, 3.12 or 3.13, or name one: make setup PYTHON=/path/to/python"
    "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
        fail "$("$PYTHON" --version) is not supported; install Python 3.11, 3.12 or 3.13 and run: make setup PYTHON=python3.12"
    command -v uv >/dev/null 2>&1 || "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "this Python has no venv; install it (Debian, Ubuntu: apt install python3-venv) or install uv"
fi

echo "setup: installing into $VENV (PyTorch is large: several minutes the first time)" >&2
install || fail "installation failed; the lines above say why; once mended, run make setup again"
if [ -f scripts/compile_kernels.py ]; then
    echo "setup: compiling kernels for this machine (a minute or two)" >&2
    "$VENV/bin/python" scripts/compile_kernels.py || echo "setup: not compiled; the first command that needs them does it" >&2
fi
touch "$VENV/.ready"
