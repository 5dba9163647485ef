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

# A module imports only from what stands before it, in whatever room it is. A
# new module is put where its imports allow.
ORDER = """
core.errors core.paths core.progress core.naming core.bounds
core.parts core.storage core.folders
core.documents data.keys models.registry core.protocols models.manifest models.weights
prompts.language prompts.prompt
data.cells data.cleaners data.shapes data.settings
core.config
data.metric_names data.catalogue results.published studies.profiles
micro.*
data.columns data.adapters data.files data.classes data.reading data.cuts data.source
data.hub data.sources
prompts.template prompts.templates micro.tokenizer core.tokens
prompts.audit prompts.overlap prompts.stream prompts.mixture prompts.rendering prompts.harness prompts.export commands.listing
models.truncation models.encode training.packing
core.machine models.heads models.joined models.llama core.devices core.threads core.quiet models.rehearsal training.checkpoint training.card models.tensors models.loading models.adapter_config models.adapters models.language_model
models.convert models.fetch
evaluation.tree evaluation.opened evaluation.likelihood evaluation.decoding evaluation.generate
training.folding training.attention training.fused
training.memory training.trainer training.duration training.result training.tune
evaluation.score evaluation.shards evaluation.choices evaluation.answers evaluation.tokens evaluation.counts evaluation.metrics
micro.probes micro.pretrain
core.provenance results.schema results.store evaluation.asking evaluation.illustrations results.contents evaluation.exemplars evaluation.evaluate evaluation.sheets
results.estimates results.ranks results.agreement studies.ledger results.scrutiny studies.leaks
studies.plans studies.differences results.validity studies.coverage
studies.arms studies.runs studies.study studies.sweep studies.axes studies.illustrate
figures.style figures.boxes figures.* figures
reporting.notebook
workbench.answers workbench.explore workbench.widgets
reporting.glossary reporting.reference reporting.costs reporting.calibration reporting.values reporting.main_result reporting.verdicts
reporting.blocks reporting.html reporting.chapters reporting.report
commands.arguments commands.doctor commands.planning commands.verbs commands.verbs_study commands.verbs_pages commands.verbs_sweep commands.cli __main__
""".split()

TORCH_FREE = """
commands.arguments commands.cli commands.verbs commands.verbs_study commands.verbs_pages commands.verbs_sweep commands.doctor
reporting.batch reporting.notebook figures studies.study studies.axes studies.runs results.store results.estimates
studies.ledger results.validity models.weights prompts.rendering prompts.mixture reporting.report studies.sweep prompts.export evaluation.exemplars
evaluation.evaluate evaluation.sheets data.hub
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


def place(name):
    """Where a module stands; what a `*` covers stands together."""
    if name in ORDER:
        return ORDER.index(name)
    parent = name.rpartition(".")[0]
    return ORDER.index(f"{parent}.*") if f"{parent}.*" in ORDER else None


def test_every_module_has_a_place():
    assert [name for name in MODULES if place(name) is None] == []
    assert [name for name in ORDER if "*" not in name and name not in MODULES] == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_leftwards(name):
    together = name not in ORDER
    later = {
        other
        for other in imported(MODULES[name])
        if place(other) > place(name) or (place(other) == place(name) and not together)
    }
    assert later == set(), f"{name} imports {later}, which stand right of it in the order"


def test_no_module_imports_itself_in_the_end():
    left = {name: imported(path) for name, path in MODULES.items()}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    assert not left, f"modules that import each other are among {sorted(left)}"


def test_the_rule_sees_an_import_inside_a_function(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "def f():\n    from flanlib.studies import study\n    import flanlib.micro.world\n"
    )
    assert imported(path) == {"study", "micro.world"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_stay_small(name):
    n = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    limit = LONGEST_PROSE if name.startswith("micro.") else LONGEST
    assert n <= limit, f"{name} has {n} lines; is there a second room in it?"


def test_torch_stays_out():
    code = (
        "import importlib, sys\n"
        f"for name in {TORCH_FREE!r}:\n"
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
