import ast
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix() for name in ("benchmarks", "scripts") for path in ROOT.glob(f"{name}/**/*.py")
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_name_what_the_library_has(program):
    for node in ast.walk(ast.parse((ROOT / program).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "textvae":
            module = import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or import_module(f"{node.module}.{name.name}")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "patch":
            target = ast.literal_eval(node.args[0])
            with patch(target):
                pass


def test_some_programs_replace_parts_of_the_library():
    assert any("patch(" in (ROOT / program).read_text() for program in PROGRAMS)
