# Sourced by the other scripts: a virtual environment with textvae and one extra ("" for none).
# Usage: . scripts/install.sh EXTRA
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -x .venv/bin/python ]; then
    "${PYTHON:-python3}" -m venv .venv
fi
installed=".venv/installed-${1:-core}"
if ! cat constraints.txt pyproject.toml | cmp -s - "$installed"; then
    echo "installing about 1 GB into .venv" >&2
    # torch first and pinned: its newest version may need another CUDA; for the CPU build alone install that before
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' constraints.txt)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${1:+[$1]}"
    cat constraints.txt pyproject.toml > "$installed"
fi
PATH="$PWD/.venv/bin:$PATH"
