"""Notebooks: thin, typed, stripped; a wrong parameter starts no kernel."""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pytest

from flanlib import figures
from flanlib.core import paths
from flanlib.core.errors import ParameterError, RunError
from flanlib.reporting import notebook
from flanlib.studies import profiles

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
FIGURES = [path for path in NOTEBOOKS if path.stem.startswith("fig")]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
STEMS = [path.stem for path in NOTEBOOKS]


@pytest.fixture(params=NOTEBOOKS, ids=STEMS)
def book(request):
    return nbformat.read(request.param, as_version=4)


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def write(path, *cells):
    book = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    for n, source in enumerate(cells):
        book.cells.append(nbformat.v4.new_code_cell(source))
        if n == 0:
            book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, path)
    return path


def test_one_notebook_per_figure():
    assert sorted(figures.STEMS) == [path.stem for path in FIGURES]


def test_notebooks_are_thin(book):
    assert len(book.cells) <= 12
    assert book.cells[0].cell_type == "markdown" and book.cells[0].source.startswith("# ")
    for cell in code(book):
        assert len(cell.source.splitlines()) <= 12
        nodes = list(ast.walk(ast.parse(cell.source)))
        banned = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.comprehension)
        assert not any(isinstance(node, banned) for node in nodes), cell.source
        assert "plt." not in cell.source and "matplotlib" not in cell.source
        words = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        assert not any("\\" in word or word.startswith(("/", "..")) for word in words)


def test_notebooks_carry_no_outputs(book):
    assert all(not cell.outputs and cell.execution_count is None for cell in code(book))
    assert book.metadata.kernelspec.name == "python3"
    nbformat.validate(book)


def test_second_code_cell_checks_the_parameters(book):
    first, second = code(book)[:2]
    assert first.metadata.tags == ["parameters"]
    names = [node.target.id for node in ast.parse(first.source).body]
    assert re.search(r"open_(study|axis|bench)\(|open_for\(", second.source)
    shared = [name for name in names if name in profiles.Settings.__dataclass_fields__]
    assert all(f"{name}={name}," in second.source for name in shared)
    assert all(any(n in cell.source for cell in code(book)[1:]) for n in names)


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_notebooks_of_figures_take_the_same_steps_in_the_same_words(path):
    """Open, compute what is missing, collect, publish; figures that compute nothing leave that out."""
    stem, book = path.stem, nbformat.read(path, as_version=4)
    lines = [line for cell in code(book)[1:] for line in cell.source.splitlines()]
    used = [line for line in lines if re.match(r"(from|import|this|table)\b|publish", line)]
    computes = stem not in ("fig1_pipeline", *figures.WITHOUT_RECORDS)
    calls = [
        re.match(r"(table = )?(this\.(?!grid|split|prov)\w+|\w+\.collect|publish)?", s)[0]
        for s in used
    ]
    steps = ["this.ensure"] * computes + [f"table = {stem}.collect", "publish"]
    assert used[:2] == [
        f"from flanlib.figures import {stem}, open_for, publish",
        "this = open_for(",
    ]
    assert [one for one in calls if one] == [
        *steps,
        *["this.agreement"] * (stem.startswith("fig5_")),
    ]


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_parameters_agree_with_the_settings(path):
    for name, parameter in notebook.parameters(path).items():
        assert parameter.meaning == profiles.MEANINGS[name]
        field = profiles.Settings.__dataclass_fields__.get(name)
        if field is not None:
            usual = figures.USUAL.get(path.stem, {}).get(name, field.default)
            told = f"{name}: the notebook's default is not that of USUAL in flanlib/figures"
            assert ast.literal_eval(parameter.default) == usual, told


@pytest.mark.parametrize("path", NOTEBOOKS, ids=STEMS)
def test_papermill_lists_every_parameter(path):
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--help-notebook", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    listed = done.stdout + done.stderr
    for name, parameter in notebook.parameters(path).items():
        assert f"{name}: {parameter.type}" in listed
    flat = " ".join(listed.split())
    assert all(p.meaning in flat for p in notebook.parameters(path).values())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sead": 1}, r"'sead' \(did you mean 'seed'\?\); there are profile, collection"),
        ({"seed": "١"}, r"'seed' is int .*found '١'"),
        ({"seed": "1_0"}, r"'seed' is int"),
        ({"seed": "9" * 5_000}, r"'seed' is int"),
        ({"seed": 10**5_000}, r"seed: a number of 16610 bits is not a whole number from 0"),
        ({"seed": 2**32}, r"seed: 4294967296 is not"),
        ({"seed": "-1"}, r"seed: -1 is not"),
        ({"seed": "one"}, r"'seed' is int .*found 'one'"),
        ({"seed": 1.5}, r"'seed' is int"),
        ({"seed": True}, r"'seed' is int"),
        ({"model": 7}, r"'model' is str"),
        ({"profile": "large"}, "micro"),
        ({"held_out": "cooking"}, "'cooking' is no cluster"),
    ],
)
def test_wrong_parameters_start_no_kernel(given, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        notebook.run("fig5_zero_shot_gains", tmp_path / "new" / "out.ipynb", given)
    assert not (tmp_path / "new").exists()  # it is made for the copy that a kernel fills


def test_text_is_read_as_the_declared_type(tmp_path):
    path = write(
        tmp_path / "x.ipynb",
        "n: int = 1  # count\nrate: float = 0.1  # share\nyes: bool = False  # flag\n"
        'name: str = "a"  # name',
    )
    found = notebook.check(path, {"n": "7", "rate": "1e-4", "yes": "true", "name": "07"})
    assert found == {"n": 7, "rate": 1e-4, "yes": True, "name": "07"}
    assert notebook.check(path, {"rate": 2}) == {"rate": 2.0}
    with pytest.raises(ParameterError, match="'yes' is bool"):
        notebook.check(path, {"yes": "maybe"})


def test_an_untyped_parameter_is_refused(tmp_path):
    path = write(tmp_path / "x.ipynb", "n = 1  # count")
    with pytest.raises(ParameterError, match="annotate it"):
        notebook.parameters(path)


def test_a_notebook_without_kernel_is_refused(tmp_path):
    path = write(tmp_path / "x.ipynb", "n: int = 1  # count")
    book = nbformat.read(path, as_version=4)
    del book.metadata["kernelspec"]
    nbformat.write(book, path)
    with pytest.raises(ParameterError, match="kernelspec"):
        notebook.parameters(path)


def test_an_unknown_notebook_names_those_there_are():
    with pytest.raises(ParameterError, match="fig5_zero_shot_gains"):
        notebook.find("fig77")


def test_a_run_passes_parameters_and_shows_stderr(tmp_path, capsys):
    path = write(
        tmp_path / "x.ipynb",
        "n: int = 1  # count",
        "import sys\nprint('half way', file=sys.stderr)\nprint(n + 1)",
    )
    out = notebook.run(path, tmp_path / "deep" / "out.ipynb", {"n": "41"})
    cells = json.loads(out.read_text())["cells"]
    assert any("42" in str(cell.get("outputs")) for cell in cells)
    assert "half way" in capsys.readouterr().err


def test_a_failed_run_keeps_the_notebook_with_the_error_on_top(tmp_path):
    path = write(tmp_path / "x.ipynb", "n: int = 1  # count", "1 / 0", "'not reached'")
    with pytest.raises(RunError, match=r"ZeroDivisionError.*out\.ipynb"):
        notebook.run(path, tmp_path / "out.ipynb")
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "error" in book.cells[0].source.lower()


def test_a_dead_kernel_is_told(tmp_path):
    path = write(tmp_path / "x.ipynb", "n: int = 1  # count", "import os\nos._exit(9)")
    with pytest.raises(RunError, match="kernel died"):
        notebook.run(path, tmp_path / "out.ipynb")
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "kernel died" in book.cells[0].source
