"""A study run by run: what is listed, done once, resumed, and put together."""

import json
from dataclasses import replace

import pytest
from records import scored
from toy_collection import SIZES, reword

from flanlib.commands import cli
from flanlib.core import paths
from flanlib.core.errors import DataError, MissingResultError, ParameterError, StaleResultError
from flanlib.reporting import batch
from flanlib.results import store
from flanlib.studies import profiles, study, sweep
from flanlib.studies.profiles import Settings


@pytest.fixture
def seeds(toys):
    """The toy study for two seeds; a run's work is a record made up on the spot."""
    return [study.open_study(held_out="food, weather", seed=seed) for seed in (1, 2)]


class Worked(list):
    """Titles of the jobs that it was given to do, in order."""

    def __call__(self, job):
        self.append(job.title)
        return scored(job)


@pytest.fixture
def worked():
    return Worked()


def lines_of(seeds, **wanted):
    """Lines of the grid that have these values."""
    return [
        line
        for line in sweep.grid(seeds)
        if all(line[name] == value for name, value in wanted.items())
    ]


def test_seeds_share_the_base(seeds):
    assert len(lines_of(seeds, arm="base")) == 2 and len(lines_of(seeds, arm="tuned")) == 4
    (one,) = lines_of(seeds, arm="tuned", held_out="food", seed=2)
    assert one["tasks"] == ["soup", "bread"] and one["scores"] == 2 and one["recorded"] == 0
    assert one["model"] == "tiny" and one["needs"] == "" and len(one["run"]) == 12


def test_what_studies_ask_of_a_run_can_be_told_apart(seeds, monkeypatch):
    def asked(study):
        return {line["run"]: line["asks"] for line in sweep.grid([study]) if line["arm"] == "base"}

    one, two = (asked(study) for study in seeds)
    assert one == two and len(set(one.values())) == 2
    more = replace(profiles.PROFILES["micro"], max_examples=4)
    monkeypatch.setitem(profiles.PROFILES, "micro", more)
    three = asked(study.open_study(held_out="food, weather"))
    assert set(three) == set(one) and not set(three.values()) & set(one.values())


def test_a_run_is_done_once(seeds, worked, tmp_path):
    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=2)
    first = sweep.work(seeds, line["run"], tmp_path / "mine", worked)
    assert (first["scores"], first["computed"]) == (2, 2)
    assert sweep.work(seeds, line["run"], tmp_path / "mine", worked)["computed"] == 0
    assert len(worked) == 1 and "food" in worked[0] and "seed 2" in worked[0]
    assert store.load(seeds[0].at) == [], "records stay in the run's own folder"


def test_only_what_is_missing_is_scored(seeds, worked, tmp_path):
    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=2)
    sweep.work(seeds, line["run"], tmp_path / "mine", worked)
    path = tmp_path / "mine" / "tuned.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert sweep.work(seeds, line["run"], tmp_path / "mine", worked)["computed"] == 1


def test_what_the_study_has_on_record_is_not_done_again(seeds, worked, tmp_path):
    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=1)
    sweep.work(seeds, line["run"], act=worked)
    assert lines_of(seeds, run=line["run"])[0]["recorded"] == 2
    assert sweep.work(seeds, line["run"], tmp_path / "mine", worked)["computed"] == 0
    assert len(worked) == 1 and len(store.load(tmp_path / "mine")) == 2
    assert set(store.groups(tmp_path / "mine")) == {
        record.data for record in store.load(tmp_path / "mine")
    }


def test_adapters_are_where_every_command_looks_for_them(seeds, tmp_path):
    found = []

    def idle(job):
        found.append(job)
        return 0.0

    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=1)
    with pytest.raises(MissingResultError):
        sweep.work(seeds, line["run"], tmp_path / "mine", idle)
    assert [(job.runs, job.at) for job in found] == [(paths.RUNS, tmp_path / "mine")]


def test_merging_adds_up_to_the_study(seeds, worked, tmp_path):
    folders = []
    for line in sweep.grid(seeds):
        folders.append(tmp_path / "records" / line["run"])
        sweep.work(seeds, line["run"], folders[-1], worked)
    with pytest.raises(MissingResultError, match=r"(?s)1 results .*toys/rain"):
        path = folders[0] / "tuned.jsonl"
        whole = path.read_text()
        path.write_text("".join(whole.splitlines(keepends=True)[1:]))
        sweep.merge(seeds, folders)
    path.write_text(whole)
    assert sweep.merge(seeds, folders)["new"] == 1, "the others were kept"
    assert sweep.merge(seeds, folders)["new"] == 0
    assert all(line["recorded"] == line["scores"] for line in sweep.grid(seeds))
    known = store.groups(seeds[0].at)
    assert {record.data for record in store.load(seeds[0].at)} == set(known)


def altered(folder, by):
    """Every value on record in a folder moved, as if somebody had written it."""
    for path in folder.glob("[!e]*.jsonl"):
        found = [json.loads(line) for line in path.read_text().splitlines()]
        for one in found:
            one["value"] += by
            one["templates"] = {key: value + by for key, value in one["templates"].items()}
        path.write_text("".join(json.dumps(one) + "\n" for one in found))


def test_what_was_altered_or_is_of_other_rows_is_not_merged(seeds, worked, tmp_path):
    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=1)
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        sweep.work(seeds, line["run"], folder, worked)
    altered(other, 20.0)
    with pytest.raises(DataError, match=r"(?s)mine, .*other: .*toys/\w+, .*value, .* 50.0 .* 70.0"):
        sweep.merge(seeds, [mine, other])
    assert store.load(seeds[0].at) == []
    with pytest.raises(MissingResultError):
        sweep.merge(seeds, [mine])
    before = store.load(seeds[0].at)
    with pytest.raises(DataError, match="value"):
        sweep.merge(seeds, [other])
    assert store.load(seeds[0].at) == before and len(before) == 2
    parts = [(task, "eval", 6) for task in SIZES] + [(task, "train", SIZES[task]) for task in SIZES]
    texts = {(t, f"{split}-{i}"): f"{t} {split} {i}!" for t, split, n in parts for i in range(n)}
    reword(seeds[0].catalogue.root, texts)
    with pytest.raises(StaleResultError, match=r"(?s)mine: .*rows scored.*nothing was merged"):
        sweep.merge(seeds, [mine])
    assert sweep.work(seeds, line["run"], act=worked)["computed"] == 2, "stale records give way"
    with pytest.raises(StaleResultError):
        sweep.merge(seeds, [mine])
    now = store.load(seeds[0].at)
    assert len(now) == 2 and not {r.data for r in now} & {r.data for r in before}


def test_records_without_their_examples_are_not_merged(seeds, worked, tmp_path):
    (line,) = lines_of(seeds, arm="tuned", held_out="food", seed=1)
    sweep.work(seeds, line["run"], tmp_path / "mine", worked)
    (tmp_path / "mine" / "examples.jsonl").unlink()
    with pytest.raises(DataError, match=r"examples\.jsonl: no line for digest"):
        sweep.merge(seeds, [tmp_path / "mine"])
    assert store.load(seeds[0].at) == []


def test_mistakes_are_named(seeds, tmp_path):
    with pytest.raises(ParameterError, match="'0123': `flanlib grid`"):
        sweep.work(seeds, "0123", tmp_path)
    with pytest.raises(MissingResultError, match="nowhere"):
        sweep.merge(seeds, [tmp_path / "nowhere"])
    with pytest.raises(ParameterError, match="fig3_taxonomy: computes nothing"):
        batch.studies(Settings(), ["fig3"])


def test_the_verbs(real, tmp_path, capsys):
    def run(*words):
        status = cli.main([*map(str, words), "--only", "fig5", "--held-out", "food"])
        return status, capsys.readouterr().out

    status, out = run("grid")
    head, *rows = out.splitlines()
    assert status == 0 and head.split()[:2] == ["run", "arm"] and len(rows) == 2
    ids = [row.split()[0] for row in rows]
    _, out = run("grid", "--format", "json")
    assert [line["run"] for line in json.loads(out)] == ids
    assert run("merge")[0] == 3
    for one in ids:
        status, out = run("work", one, "--records", tmp_path / one)
        assert status == 0 and json.loads(out)["run"] == one
    assert run("merge", *(tmp_path / one for one in ids))[0] == 0
    assert run("work", "ffffffffffff")[0] == 2
