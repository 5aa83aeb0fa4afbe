# Sourced by the other scripts: a virtual environment with textvae and the extras that are asked for.
# Usage: . scripts/install.sh EXTRA[,EXTRA...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -x .venv/bin/python ]; then
    "${PYTHON:-python3}" -m venv .venv
fi
if ! cmp -s constraints.txt .venv/constraints.txt || [ "$(cat .venv/extras 2>/dev/null)" != "$1" ]; then
    # torch first and pinned: a plain `torch` would bring gigabytes of CUDA to a machine without a GPU
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' constraints.txt)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$1]"
    cp constraints.txt .venv/constraints.txt
    printf '%s' "$1" > .venv/extras
fi
PATH="$PWD/.venv/bin:$PATH"
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}" TOKENIZERS_PARALLELISM="${TOKENIZERS_PARALLELISM:-false}"
