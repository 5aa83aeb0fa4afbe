#!/usr/bin/env bash
# Install what the tests need into .venv, then run lint, types, import contracts, documents and tests. Everything beyond, such as -m slow, goes to pytest.
. "$(dirname "$0")/install.sh" dev
ruff check .
ruff format --check .
mypy
lint-imports
mkdocs build --strict --quiet --site-dir site
if [ $# -eq 0 ]; then set -- -m "not slow" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder; fi # a gigabyte of memory each
python -m pytest "$@"
