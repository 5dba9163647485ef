"""Lock, pyproject, environment.yml and the command line agree."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if "==" in line
)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted():
    extras = PROJECT["optional-dependencies"]
    return [Requirement(text) for text in [*PROJECT["dependencies"], *extras["dev"]]]


def test_lock_is_exact_and_free_of_local_builds():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line
    assert list(PINS) == sorted(PINS)


@pytest.mark.parametrize("requirement", wanted(), ids=lambda r: r.name)
def test_lock_satisfies_pyproject(requirement):
    assert requirement.specifier.contains(PINS[canonical(requirement.name)])


def test_peers_are_not_locked():
    for text in ("lm_eval", "trl", "snakemake"):
        assert canonical(text) not in PINS


@pytest.mark.parametrize("name", ["torch", "transformers", "peft", "bitsandbytes", "numpy"])
def test_environment_is_the_locked_one(name):
    assert metadata.version(name).partition("+")[0] == PINS[name]


def test_conda_takes_python_and_the_same_lock():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, rest = content["dependencies"]
    assert pip == "pip" and rest == {"pip": ["-r requirements.lock"]}
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert python == f"python={minimum}"


def test_what_is_imported_is_required():
    """Third-party modules imported in flanlib are in pyproject."""
    import ast
    import sys

    required = {canonical(r.name) for r in wanted()}
    provides = metadata.packages_distributions()
    for path in (ROOT / "flanlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for top in {name.split(".")[0] for name in names}:
                if top == "flanlib" or top in sys.stdlib_module_names:
                    continue
                found = {canonical(d) for d in provides.get(top, [])}
                assert found & required, f"{path.name} imports {top}, which pyproject lacks"


def test_make_says_what_it_can_do():
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True)
    for verb in ("figures", "test", "lint", "study"):
        assert f"make {verb}" in done.stdout


def test_licence_is_named_everywhere():
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["license"] == "Apache-2.0" and cited["version"] == PROJECT["version"]
