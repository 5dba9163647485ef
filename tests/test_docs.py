"""What the documents tell people to type works."""

import json
import re
import shlex
from pathlib import Path

import pytest

from flanlib.commands import arguments, cli
from flanlib.core import paths
from flanlib.results import store

ROOT = Path(__file__).resolve().parents[1]


def blocks(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands():
    """Every `flanlib ...` line of the documents, without its comment."""
    found = []
    for name in ("README.md", "CONTRIBUTING.md", "docs/python.md", "workflow/README.md"):
        for line in "".join(blocks(name, "sh")).splitlines():
            if line.startswith("flanlib "):
                found.append(shlex.split(line.partition(" #")[0])[1:])
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_parse(words):
    verb, _, space = cli.parsed(words)
    assert verb.__name__.rstrip("_") == space.verb == words[0]


def test_the_replication_has_the_recorded_recipe_and_group():
    """What docs/python.md tells to type is the run that the main result of `small` has on record."""
    from flanlib.core.config import Factors, Recipe, run_id
    from flanlib.studies.study import open_study

    words = next(w for w in commands() if w[0] == "tune" and "smollm2-135m-instruct" in w)

    def kept(factors: Factors, recipe: Recipe, **_):
        return factors, recipe

    _, found, space = cli.parsed(words)
    factors, recipe = arguments.call(kept, found, space)
    small = open_study(profile="small", seed=1)
    assert recipe == small.settings.defaults.recipe and factors == small.tuned_without("nli")
    tuned = {record.run_id for record in store.load(small.at) if record.factors.arm == "tuned"}
    assert run_id(factors, recipe) in tuned
    tasks = {task.key for c in ("nli", "commonsense") for task in small.catalogue.of_cluster(c)}
    scores = [w for w in commands() if w[0] == "score" and "smollm2-135m-instruct" in w]
    for score in scores:
        assert set(score[score.index("--tasks") + 1 : score.index("--max-examples")]) <= tasks


def test_the_replication_asks_as_the_records_were_asked(monkeypatch):
    """The lines that score in docs/python.md are the ways of the main result, each once."""
    from flanlib.core.config import Scoring
    from flanlib.studies.study import open_study

    given, call = [], arguments.call
    monkeypatch.setattr(
        arguments, "call", lambda _, *parsed: call(lambda **one: given.append(one) or 0, *parsed)
    )
    for words in commands():
        if words[0] == "score" and "smollm2-135m-instruct" in words:
            assert cli.main(words) == 0
    names = ("form", "show_options", "chat", "max_examples", "templates_per_example")
    asked = {
        (bool(one["adapter"]), *(one[name] for name in names[:1]),
         one["show_options"] and one["form"] != "cloze", *(one[name] for name in names[2:]))
        for one in given
    }  # fmt: skip
    small = open_study(profile="small", seed=1)
    wanted = {
        (factors.arm == "tuned", *(getattr(scoring, name) for name in names))
        for factors, _, scoring, task in small.cells(["nli"])
        if task == "rte"
    }
    assert asked == wanted and len(given) == len(wanted) == 5
    assert all(one["choice"] == Scoring().choice for one in given)


def test_the_run_of_the_sweep_is_one_of_its_grid():
    from flanlib.reporting import batch
    from flanlib.studies import sweep
    from flanlib.studies.profiles import settings

    work = next(words for words in commands() if words[0] == "work")
    found = sweep.grid(batch.studies(settings(seed=int(work[work.index("--seed") + 1])), ["fig5"]))
    assert work[1] in {line["run"] for line in found}


def test_make_targets_exist():
    text = (ROOT / "Makefile").read_text()
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / name).read_text(), re.M):
            assert re.search(rf"^{target}:", text, re.M), f"{name}: make {target}"


def test_links_lead_somewhere():
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/**/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
            if not target.startswith("figures/") or paths.RESULTS.is_dir():
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_a_collection_of_ones_own_runs_to_scores(tmp_path, monkeypatch, capsys):
    """The worked example of CONTRIBUTING, from its own text."""
    from flanlib.models import rehearsal

    for text in blocks("CONTRIBUTING.md", "yaml"):
        path = tmp_path / text.split("\n", 1)[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rows = {
        "vets": [{"text": f"Visit {n} was fine.", "label": n % 2} for n in range(20)],
        "food": [{"animal": f"cat {n}", "food": f"fish {n}"} for n in range(20)],
    }
    for key, every in rows.items():
        folder = tmp_path / "rows" / key
        folder.mkdir(parents=True)
        for split, part in (("train", every[:15]), ("test", every[15:])):
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    rehearsal.random_neox(tmp_path / "micro-2m")
    monkeypatch.setenv("FLANLIB_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    typed = [words for words in commands() if "./pets" in words]
    assert [words[0] for words in typed] == ["render", "mix", "tune", "score"]
    for words in typed:
        assert cli.main(words) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "scores" / "results.jsonl").read_text())["n"] == 5
