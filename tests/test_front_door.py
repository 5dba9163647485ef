"""What `import flanlib` gives, and that it works from a wheel outside a checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flanlib
from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.data.source import ListRows
from flanlib.data.sources import examples, rows_of
from flanlib.models import rehearsal

ROOT = Path(__file__).resolve().parents[1]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "flanlib", "data/flan", "data/micro")
PAIR = {"premise": "A dog sleeps.", "hypothesis": "A dog runs.", "label": 1}


def block():
    """The code of docs/python.md."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(.*?)```", text, re.S)[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which a wheel was installed, built from a copy of the sources."""
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("installed")
    for name in (*BUILT_FROM, "data/published", "data/models.yaml"):
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (copy / name).parent.mkdir(exist_ok=True)
        copied(ROOT / name, copy / name)
    pip = [sys.executable, "-m", "pip"]
    quiet = ["-q", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", *quiet, "-w", copy / "dist", copy], check=True)
    (wheel,) = (copy / "dist").glob("flanlib-*.whl")
    subprocess.run([*pip, "install", *quiet, "--target", folder, wheel], check=True)
    return folder


def outside(installed, where, *words):
    """Run Python in a folder that is no checkout, with the installed package."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("FLANLIB_")}
    settings = {**own, "PYTHONPATH": str(installed), "HOME": str(where), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=where, env=settings, capture_output=True, text=True
    )


def test_ten_lines_tune_and_evaluate_from_a_wheel(installed, tmp_path):
    rehearsal.random_neox(tmp_path / "tiny")
    code = block().replace("HuggingFaceTB/SmolLM2-135M", str(tmp_path / "tiny"))
    assert len(block().strip().splitlines()) <= 10
    (tmp_path / "ten.py").write_text(code.replace("steps=20", "steps=2"))
    done = outside(installed, tmp_path, "ten.py")
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+\.\d+ \{'", done.stdout) and done.stdout.count("': ") >= 6
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()


def test_an_installed_package_says_where_to_get_what_is_tracked(installed, tmp_path):
    listed = outside(installed, tmp_path, "-m", "flanlib", "list")
    assert listed.returncode == 0 and "flan" in listed.stdout and "micro" in listed.stdout
    words = ("-m", "flanlib", "score", "--model", "micro-2m", "--tasks", "rte", "--out", "o")
    missing = outside(installed, tmp_path, *words)
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1
    assert "clone the repository and set FLANLIB_ROOT" in missing.stderr
    figure = outside(installed, tmp_path, "-m", "flanlib", "figures", "--only", "fig5")
    assert figure.returncode != 0 and "FLANLIB_ROOT" in figure.stderr
    assert not (installed / "flanlib" / "shipped" / "results").exists()


def test_names_are_there_without_torch():
    code = (
        "import sys, flanlib\n"
        "assert set(flanlib.__all__) <= set(dir(flanlib))\n"
        "for name in flanlib.__all__:\n"
        "    if name != 'tune': getattr(flanlib, name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert callable(flanlib.tune) and flanlib.tune is flanlib.tune
    with pytest.raises(AttributeError, match="no attribute 'tuned'"):
        _ = flanlib.tuned


def test_rows_given_as_they_are_keep_their_order_and_others_are_cut():
    rows = [{**PAIR, "premise": f"Dog {n} sleeps.", "label": n % 2} for n in range(40)]
    flan = flanlib.load_collection("flan", rows={"rte": {"train": rows[:30], "eval": rows[30:]}})
    found = list(examples(flan, "rte", "eval"))
    assert [e.fields["premise"] for e in found] == [row["premise"] for row in rows[30:]]
    assert [e.id for e in found[:2]] == ["eval-0", "eval-1"]
    assert len(list(examples(flan, "rte", "train", limit=7))) == 7
    with pytest.raises(MissingResultError, match="no rows for dev in the rows given, which has"):
        list(examples(flan, "rte", "dev"))
    with pytest.raises(MissingResultError, match="task cb: no rows among those given"):
        list(examples(flan, "cb", "eval"))

    makers = flanlib.load_collection("flan", rows={"rte": {"train": rows, "validation": rows[:4]}})
    train = [e.fields["premise"] for e in examples(makers, "rte", "train")]
    assert sorted(train) != train and len(list(examples(makers, "rte", "eval"))) == 4
    assert dict(rows_of(makers, "rte", "eval"))["validation-0"] == rows[0]


def test_rows_in_another_form_are_refused():
    for rows, said in (
        ({"rte": [PAIR]}, "rows of task rte: found no splits; give a dict"),
        ({"rte": {"training": [PAIR]}}, "rows of task rte: found 'training'"),
    ):
        with pytest.raises(ParameterError, match=said):
            flanlib.load_collection("flan", rows=rows)
    both = flanlib.load_collection("flan", rows={"rte": {"eval": [PAIR], "test": [PAIR]}})
    with pytest.raises(DataError, match="has eval, test; keep dev and eval, or validation and"):
        list(examples(both, "rte", "eval"))
    wrong = flanlib.load_collection("flan", rows={"rte": {"eval": [{"premise": "A dog."}]}})
    with pytest.raises(DataError, match="eval row 0: task rte, row eval-0: no column 'hypothesis"):
        list(examples(wrong, "rte", "eval"))


def test_a_source_of_two_methods_is_enough():
    class Doubled:
        def splits(self, task):
            return ["eval"]

        def rows(self, task, split):
            return iter([PAIR, PAIR])

    assert isinstance(Doubled(), flanlib.RowSource) and isinstance(ListRows({}), flanlib.RowSource)
    flan = flanlib.load_collection("flan")
    assert len(list(examples(flan, "rte", "eval", rows=Doubled()))) == 2


def test_rows_beside_the_catalogue_are_the_collections_own(tmp_path):
    shutil.copytree(ROOT / "data" / "flan", tmp_path / "own")
    (tmp_path / "own" / "rows" / "rte").mkdir(parents=True)
    (tmp_path / "own" / "rows" / "rte" / "eval.jsonl").write_text(
        '{"premise": "A dog.", "hypothesis": "A cat.", "label": 0}\n'
    )
    own = flanlib.load_collection(tmp_path / "own")
    assert [e.fields["premise"] for e in examples(own, "rte", "eval")] == ["A dog."]
    with pytest.raises(MissingResultError, match="flanlib fetch --task cb"):
        list(examples(own, "cb", "eval"))
