"""Records of other rows, words, metrics, weights or collections are never taken for today's."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from records import scored
from toy_collection import CATALOGUE, reword

from flanlib import figures
from flanlib.commands import verbs_pages
from flanlib.core import paths
from flanlib.core.errors import DataError, MissingResultError, StaleResultError
from flanlib.data import catalogue
from flanlib.prompts import templates
from flanlib.results import store, validity
from flanlib.studies import study, sweep


class Worked(list):
    """Titles of the jobs that it was given to do; their records are made up."""

    def __call__(self, job):
        self.append(job.title)
        return scored(job)


@pytest.fixture
def worked(toys):
    """What does the jobs of a study, whose every cell is on record."""
    base = paths.BUILD / "models" / "tiny"
    base.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"weights")
    done = Worked()
    validity._told.clear()
    opened().ensure(1, done)
    done.clear()
    return done


def opened(**given):
    return study.open_study(held_out="food, weather", **given)


def edit_template(stem):
    path = catalogue.load(opened().settings.collection).root / "templates" / f"{stem}.yaml"
    path.write_text(path.read_text().replace("Way 3:", "Another way:"))
    templates.load.cache_clear()


def edit_catalogue(old, new):
    path = catalogue.load(opened().settings.collection).root / "catalogue.yaml"
    path.write_text(CATALOGUE.replace(old, new, 1))
    catalogue.load.cache_clear()


def change_row(task, row):
    reword(opened().catalogue.root, {(task, row): f"{task} {row} indeed"})


CHANGES = {
    "rows": (
        lambda: change_row("soup", "eval-1"),
        r"the rows scored: task soup",
        {"base": 2, "tuned": 2},  # soup itself, and what it was kept away from
    ),
    "train rows": (
        lambda: change_row("spell", "train-1"),
        r"tasks tuned on: tasks bread, soup, rain",
        {"tuned": 3},
    ),
    "templates": (
        lambda: edit_template("soup"),
        r"(?s)the templates asked: task soup\n.*tasks tuned on: task rain",
        {"base": 2, "tuned": 2},
    ),
    "metric": (
        lambda: edit_catalogue("metric: accuracy", "metric: macro_f1"),
        r"the metric, or the kind of the task: task rain",
        {"base": 2, "tuned": 1},
    ),
    "weights": (
        lambda: (paths.BUILD / "models/tiny/model.safetensors").write_bytes(b"others"),
        r"base model's weights: tasks bread, soup, rain",
        {"base": 5, "tuned": 3},
    ),
}


def test_stale_records_can_be_drawn_marked_and_elsewhere(worked, capsys):
    usual = figures.redraw("fig5_zero_shot_gains", opened())
    lenient = replace(opened(), stale_too=True)
    assert lenient.note == opened().note, "nothing is stale yet"
    edit_template("soup")
    with pytest.raises(StaleResultError, match="flanlib figures --allow-stale"):
        figures.redraw("fig5_zero_shot_gains", opened())
    before = {path: path.read_bytes() for path in usual.files.values()}
    lenient = replace(opened(), stale_too=True)
    assert verbs_pages.figures(lenient.settings, only=("fig5",), allow_stale=True) is None
    made = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert made and all(paths.BUILD / "stale" in path.parents for path in made)
    svg = next(path for path in made if path.suffix == ".svg").read_text()
    said = "STALE: 4 of 9 results, made of other templates, mixture"
    assert re.search("<desc[^>]*>([^.]*)", svg)[1] == said
    csv = next(path for path in made if path.suffix == ".csv")
    assert csv.read_bytes() == before[usual.files["csv"]], "the old values, all of them"
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_named_and_computed_anew(change, worked):
    make, message, stale = CHANGES[change]
    assert opened().load()["source"].eq("recorded").all() and worked == []
    make()
    with pytest.raises(StaleResultError, match=message) as error:
        opened().load()
    text = str(error.value)
    assert (
        "`flanlib run --only fig5 --held-out 'food, weather'`" in text
        and len(text.splitlines()) <= 10
    )
    grid = opened().grid().groupby("arm")[["scores", "recorded"]].sum()
    grid = (grid["scores"] - grid["recorded"]).to_dict()
    assert {arm: n for arm, n in grid.items() if n} == stale
    n = len(store.load(opened().at))
    opened().ensure(1, worked)
    assert worked and len(store.load(opened().at)) == n, "new records take the old ones' place"
    worked.clear()
    opened().ensure(1, worked)
    assert worked == [] and len(opened().load())


def test_an_axis_judges_as_the_study_does(worked):
    from flanlib.studies import axes

    def axis():
        return axes.open_axis("fig9_few_shot", held_out="weather")

    axis().ensure(1, worked)
    worked.clear()
    before = axis().load()
    change_row("rain", "train-1")
    with pytest.raises(StaleResultError, match="tasks tuned on: task rain"):
        axis().load()
    assert axis().seeds == (), "exemplars come from those rows"
    axis().ensure(1, worked)
    assert len(worked) == 3, "whatever is asked with exemplars"
    assert axis().load().equals(before)


def test_a_copy_of_a_collection_has_records_and_grid_of_its_own(worked, tmp_path):
    here = opened()
    other = tmp_path / "else" / "toys"
    shutil.copytree(here.catalogue.root, other)
    there = opened(collection=str(other))
    assert there.catalogue.name == here.catalogue.name and there.at != here.at
    assert {line["recorded"] for line in sweep.grid([there])} == {0}
    before = {p.name: p.read_bytes() for p in here.at.glob("*.jsonl")}
    there.ensure(1, worked)
    assert worked and {p.name: p.read_bytes() for p in here.at.glob("*.jsonl")} == before


def test_what_is_not_at_hand_is_told_once(worked, capsys):
    shutil.rmtree(opened().catalogue.root / "rows")
    for _ in range(2):
        opened().load()
    told = capsys.readouterr().err
    assert told.count("the rows scored; ") == 1 and "records of toys are taken as they" in told


def test_records_have_to_fit_their_examples(worked):
    path = opened().at / "examples.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["ids"], row["groups"] = row["ids"][:-1], row["groups"][:-1]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"examples\.jsonl: 2 examples for digest"):
        opened().load()


def test_recomputed_values_are_drawn_only_where_they_were_computed(worked):
    again = opened(recompute="weather")
    with pytest.raises(MissingResultError, match=r"(?s)toys/rain.*--recompute weather`"):
        again.load()
    again.ensure(1, worked)
    assert again.load().equals(again.table(recomputed=["weather"]))
    sources = again.load().groupby("cluster")["source"].unique().map(list).to_dict()
    assert sources["weather"] == ["recomputed"] and sources["food"] == ["recorded"]
    with pytest.raises(MissingResultError, match="toys/soup"):
        opened(recompute="food").load()
    assert opened().load()["source"].eq("recorded").all()
    assert again.load()["source"].eq("recomputed").any(), "others leave it where it is"
