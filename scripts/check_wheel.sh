#!/usr/bin/env bash
# Build the wheel, install it into a clean environment, run README's Python there, and type-check a file that uses it.
. "$(dirname "$0")/install.sh" dev
root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$scratch" .
"${PYTHON:-python3}" -m venv "$scratch/venv"
install="$scratch/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$install "$(grep '^torch==' constraints.txt)"
$install -c constraints.txt "$scratch"/textvae-*.whl mypy
cd "$scratch"
ln -s "$root/data" data
python - "$root/README.md" > user.py << 'PYTHON'
import re
import sys

print("\n".join(re.findall(r"^```python\n(.*?)^```", open(sys.argv[1], encoding="utf-8").read(), re.M | re.S)))
PYTHON
venv/bin/python user.py
venv/bin/python -m mypy user.py
echo 'reveal_type(vae.encode("a")); reveal_type(index.search("a"))' >> user.py
venv/bin/python -m mypy user.py
