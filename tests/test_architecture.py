"""The house as designed: imports go one way, rooms stay small, torch stays out."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "flanlib"
LONGEST = 350
LONGEST_PROSE = 750  # the micro world's modules are sentences rather than logic

# A package imports only packages that stand before it.
PACKAGES = """
core data prompts models training evaluation results studies figures reporting workbench commands micro
""".split()

# What may import a package that stands after it, and why.
EXCEPTIONS = {
    "data.source": "micro",  # where its collection is registered: rows of route `micro` come from there
    "commands.verbs_study": "micro",  # the verb `pretrain` calls it, when it is used
}

# Packages of which every module is imported without torch, and modules of the others.
TORCH_FREE = "core data prompts results studies figures reporting commands".split()
TORCH_FREE_MODULES = """
models.weights models.registry models.fetch evaluation.exemplars evaluation.evaluate evaluation.score_tables
""".split()


def modules():
    """Module name below flanlib -> its file."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if name == "figures" or parts[-1] != "__init__":
            found[name] = path
    return found


MODULES = modules()


def imported(path):
    """Modules of flanlib that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flanlib":
            base = node.module.removeprefix("flanlib").lstrip(".")
            names = [f"{base}.{alias.name}".lstrip(".") for alias in node.names]
            found |= {name if name in MODULES else base for name in names}
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "flanlib"]
            found |= {name.removeprefix("flanlib").lstrip(".") for name in names}
    return found - {""}


def package(name):
    """The package that a module is in; `__main__` is part of the command line."""
    return "commands" if name == "__main__" else name.partition(".")[0]


def later(name, path):
    """What a module imports of packages that stand after its own, exceptions apart."""
    place = PACKAGES.index(package(name))
    allowed = (*PACKAGES[: place + 1], EXCEPTIONS.get(name))
    return {other for other in imported(path) if package(other) not in allowed}


def test_every_module_is_in_a_package_and_every_package_is_there():
    assert {package(name) for name in MODULES} == set(PACKAGES)
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(PACKAGES)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_package_imports_only_packages_before_it(name):
    assert later(name, MODULES[name]) == set()


def test_no_exception_is_idle():
    for name, other in EXCEPTIONS.items():
        assert any(package(one) == other for one in imported(MODULES[name])), name


def test_the_rule_sees_a_package_that_stands_later(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "def f():\n    from flanlib.studies import runs\n    import flanlib.core.paths\n"
    )
    assert later("data.files", path) == {"studies.runs"}
    assert later("figures.lines", path) == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_it_must_not_know(name):
    tree = ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    assert "must not" in text or "may know this" in text
    assert len(tree.body) == 1 or name == "figures", "a package is a docstring; names have modules"


def test_no_module_imports_itself_in_the_end():
    left = {name: imported(path) for name, path in MODULES.items()}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    assert not left, f"modules that import each other are among {sorted(left)}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_stay_small(name):
    n = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    limit = LONGEST_PROSE if name.startswith("micro.") else LONGEST
    assert n <= limit, f"{name} has {n} lines; is there a second room in it?"


@pytest.mark.parametrize("name", [*TORCH_FREE, "models and evaluation"])
def test_torch_stays_out(name):
    mine = [one for one in sorted(MODULES) if package(one) == name and one != "__main__"]
    code = (
        "import importlib, sys\n"
        f"for name in {mine or TORCH_FREE_MODULES!r}:\n"
        "    importlib.import_module(f'flanlib.{name}')\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_is_left_unfinished(name):
    text = MODULES[name].read_text(encoding="utf-8")
    for mark in ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"):
        assert mark not in text
    assert ast.get_docstring(ast.parse(text)), f"{name} says nothing about itself"


def test_only_paths_knows_folders():
    """No other module climbs from its own file to the repository."""
    for name, path in MODULES.items():
        if name != "core.paths":
            assert "parents[" not in path.read_text(encoding="utf-8"), name
