"""The drawing as tests: floors, light imports, one room for each heavy library, both languages, public names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HOME

import audit
from audit.cli import COMMANDS
from audit.say import messages

FLOORS = [
    {"types", "errors"},
    {"__init__", "stats", "document", "numbers", "reference"},
    {"lengths", "templates", "sheet"},
    {"rows"},
    {"schedule", "store", "suite", "data", "measures", "models", "kit", "say"},
    {"cells", "spec"},
    {"execute", "findings", "gate", "report", "plan"},
    {"subjects"},
    {"manifest"},
    {"run", "calibrate"},
    {"again"},
    {"casebook", "card"},
    {"export"},
    {"outlook"},
    {"cli", "commands"},
    {"__main__", "pytest_plugin"},
]
LEVEL = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
PRIVATE = {  # library -> the only places that may import it
    "torch": {"models", "reference"},
    "transformers": {"models", "reference"},
    "textattack": {"kit"},
    "datasets": {"rows"},
    "jinja2": {"report"},
    "vl_convert": {"report"},
    "ray": {"execute"},
    "click": {"cli", "commands"},
    "rich": {"commands"},
}
BUILT = [*sorted((HOME / "audit").rglob("*.py"))]


def room(path: Path) -> str:
    return path.relative_to(HOME / "audit").with_suffix("").parts[0]


def imports(path: Path):
    """(module, names) of every import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", tuple(alias.name for alias in node.names)


@pytest.mark.parametrize("path", BUILT, ids=lambda p: str(p.relative_to(HOME)))
def test_floors(path):
    here = room(path)
    assert here in LEVEL, f"{here} has no floor: draw it in FLOORS"
    for module, names in imports(path):
        top = module.split(".")[0]
        assert top != "suites", "audit never imports a suite"
        assert here in PRIVATE.get(top, {here}), f"{path}: {top} belongs to {PRIVATE[top]}"
        if top != "audit":
            continue
        others = [module.split(".")[1]] if "." in module else [n for n in names if n in LEVEL]
        for other in others:
            assert other == here or LEVEL[other] < LEVEL[here], f"{here} may not import {other}"


def test_suites_import_only_public_names():
    for path in (HOME / "suites").rglob("*.py"):
        for module, names in imports(path):
            if module.split(".")[0] != "audit":
                continue
            if module == "audit":
                assert set(names) <= set(audit.__all__), f"{path} imports {names}"
            else:
                assert module.split(".")[1] in ("kit", "measures"), f"{path} imports {module}"


def test_importing_audit_is_light():
    heavy = "{'torch', 'transformers', 'textattack', 'datasets', 'jinja2', 'numpy', 'pandas', 'pydantic', 'click'}"
    code = f"import sys, audit; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["--help"], ["list", "suites"], ["list", "heads"], ["schema", "run"]])
def test_light_commands_import_no_torch(words):
    code = (
        "import sys\nfrom audit.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as stop: assert stop.code == 0, stop.code\n"
        "print(sorted({'torch', 'transformers', 'textattack', 'datasets', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_public_names_are_sorted_and_exist():
    assert audit.__all__ == sorted(audit.__all__)
    assert all(hasattr(audit, name) for name in audit.__all__)


def test_every_command_exists():
    for name in COMMANDS:
        assert (HOME / "audit" / "commands" / f"{name.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("key", sorted(messages()))
def test_both_languages_have_the_same_holes(key):
    message = messages()[key]
    assert set(message) == {"en", "zh"}
    holes = [sorted(set(re.findall(r"\{[\w.]+\}", message[code]))) for code in ("en", "zh")]
    assert holes[0] == holes[1]


def test_every_package_is_installed_with_its_files():
    import tomllib

    listed = set(tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    kept = subprocess.run(["git", "ls-files", "audit", "suites"], capture_output=True, text=True, cwd=HOME)
    if kept.returncode:
        pytest.skip("not a git checkout")
    folders = {Path(name).parent for name in kept.stdout.split("\n") if name}
    packages = {
        ".".join(f.parts).replace("suites.", "audit_suites.", 1) for f in folders if f.parts and f.parts != ("suites",)
    }
    assert packages <= listed, "name these in pyproject.toml: packages"


def test_modules_say_what_they_are_for():
    for path in BUILT:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} has no docstring"
