"""What is installed: the modules of the package, its pages, the marker of its types, the licence; no data, no tests."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import textvae

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = {file.relative_to(ROOT).as_posix() for file in (ROOT / "textvae").rglob("*.py")}
SHOWN = {"evaluation/map.html"} | {  # in a browser
    f"server/page/{name}"
    for name in (
        "index.html app.css icon.svg api.js app.js colours.js copy.js diff.js dom.js filter.js find.js map.js "
        "mapping.js mix.js rewrite.js tabs.js vary.js walk.js"
    ).split()
}
FILES = MODULES | {"textvae/py.typed"} | {f"textvae/{name}" for name in SHOWN}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
COPIED = ["textvae", "pyproject.toml", "README.md", "LICENSE", "data", "tests", "results", "docs"]


def files_of_the_package():
    """Return all files below textvae/, without what running Python leaves there."""
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "textvae").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_package_folder_holds_modules_pages_and_the_type_marker_alone():
    assert files_of_the_package() == FILES


def test_the_wheel_is_configured_to_hold_the_package_alone():
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["textvae"]}
    assert PROJECT["project"]["license-files"] == ["LICENSE"]


@pytest.mark.skipif(find_spec("hatchling") is None, reason="needs hatchling")
def test_the_wheel_holds_the_package_and_the_licence_alone(tmp_path):
    source = tmp_path / "source"  # not the checkout, where the build would leave files
    source.mkdir()
    for name in COPIED:
        if (ROOT / name).exists():
            (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        folder = f"textvae-{textvae.__version__}.dist-info"
        assert names == FILES | {f"{folder}/{name}" for name in METADATA}
        assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_pins_are_within_the_ranges_of_the_project():
    from packaging.requirements import Requirement
    from packaging.version import Version

    extras = PROJECT["project"]["optional-dependencies"].values()
    ranges = [Requirement(text) for text in PROJECT["project"]["dependencies"] + [each for e in extras for each in e]]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert [r.name for r in ranges if r.name in pins and Version(pins[r.name]) not in r.specifier] == []
