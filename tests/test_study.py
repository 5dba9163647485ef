"""The study on toys: computes what is missing once, then only reads."""

from dataclasses import replace

import pytest
from conftest import RECIPE
from records import pretend

from flanlib.core import progress
from flanlib.core.config import Factors, Recipe, Scoring
from flanlib.core.errors import MissingResultError, ParameterError, RunError
from flanlib.results import effects, store
from flanlib.studies import plans, profiles, runs, study


def test_cells_are_base_once_and_tuned_per_cluster(toys):
    cells = toys.cells()
    arms = [(factors.arm, factors.held_out, task) for factors, _, _, task in cells]
    assert arms.count(("tuned", "weather", "rain")) == 1
    assert arms.count(("base", "weather", "rain")) == 2, "with and without OPTIONS, no cloze"
    assert arms.count(("base", "food", "bread")) == 1, "free text has no OPTIONS to leave out"
    assert {factors.seed for factors, *_ in cells if factors.arm == "base"} == {0}


def test_base_runs_outlive_a_change_of_the_tuning_recipe(toys):
    slower = replace(profiles.PROFILES["micro"], recipe=replace(RECIPE, steps=9))
    before = plans.base_run("toys", toys.settings, "food")
    profiles.PROFILES["micro"] = slower
    assert plans.base_run("toys", toys.settings, "food") == before


def test_missing_results_are_named_before_anything_runs(toys):
    with pytest.raises(MissingResultError, match=r"(?s)8 results.*toys/soup, tuned.*toys/rain"):
        toys.load()


def test_ensure_computes_once_then_reads(real):
    table = real.ensure(jobs=1)
    assert set(table["arm"]) >= {"chance", "base", "base-no-options", "tuned"}
    assert set(table.loc[table["against"] != "", "against"]) >= {"base", "base-no-options"}
    assert list(dict.fromkeys(table["cluster"])) == ["weather", "food", "all"]
    food = table[(table["cluster"] == "food") & (table["dataset"] == "")]
    assert (
        effects.pick(table, "tuned", cluster="food").n == 6 and food["source"].eq("recorded").all()
    )
    assert (real.grid()["recorded"] == real.grid()["scores"]).all()
    base, bare = (
        effects.pick(table, arm, "", "food", "bread").value for arm in ("base", "base-no-options")
    )
    assert base == bare

    def refuse(job):
        raise AssertionError(f"{job.title} was run again")

    assert real.ensure(1, refuse).equals(table) and real.load().equals(table)


def test_records_say_where_they_come_from(real):
    real.compute([cell for cell in real.cells(["weather"]) if cell[0].arm == "tuned"], real.at, 1)
    (record,) = store.load(real.at)
    assert record.mixture and record.data and record.phrasing and record.device == "cpu"
    assert record.factors.collection == "toys" and record.n == 3 and record.chance == 50
    assert set(record.templates) == {f"ask-{i}" for i in range(8)}, "inverted ones are not scored"
    assert record.sample["answer"] in ("no", "yes") and "OPTIONS" in record.sample["input"]
    assert real.provenance()["records"].sum() == 1


def test_recomputed_results_agree_and_an_altered_record_does_not(real):
    real.ensure(jobs=1)
    again = study.open_study(held_out="food, weather", recompute="weather")
    table = again.ensure(jobs=1)
    assert set(table[table["source"] == "recomputed"]["cluster"]) == {"weather"}
    verdict = again.agreement()
    assert verdict["agrees"].all() and set(verdict["cluster"]) == {"weather"}
    assert (verdict["difference"].abs() < 1e-9).all()

    path = real.at / "base.jsonl"
    records = [r for r in store.load(real.at) if r.factors.arm == "base"]
    moved = [
        replace(r, value=r.value + 30, templates={k: v + 30 for k, v in r.templates.items()})
        if r.task == "rain" and r.value <= 70
        else r
        for r in records
    ]
    path.unlink()
    store.append(moved, real.at)
    with pytest.raises(RunError, match=r"(?s)do not agree.*weather, base"):
        again.agreement()


def test_a_stopped_seed_is_not_drawn(real):
    real.ensure(jobs=1)
    other = study.open_study(held_out="food, weather", seed=2)
    cells = [c for c in other.cells(["food"]) if c[0].arm == "tuned" and c[3] == "soup"]
    other.compute(cells, other.at, 1)
    table = real.load()
    assert set(table[table["arm"] == "tuned"]["seeds"]) == {1}


def test_jobs_that_die_keep_what_was_recorded(toys):
    def fail(job):
        raise RunError("no memory")

    with pytest.raises(RunError, match="no memory"):
        toys.ensure(1, fail)


def test_jobs_run_in_processes_of_their_own(tmp_path, capfd):
    jobs = [
        runs.Job(
            factors=Factors(held_out=name),
            recipe=Recipe(),
            collection="toys",
            requests=(),
            at=tmp_path,
            runs=tmp_path / "runs",
        )
        for name in ("nli", "sentiment", "misc")
    ]
    runs.run(jobs, 2, pretend)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["misc", "nli", "sentiment"]
    lines = capfd.readouterr().err.splitlines()
    done = [line.split("]")[0] for line in lines if "running" not in line]
    assert done == ["[1/3", "[2/3", "[3/3"]
    assert lines[-1].endswith("all done")


def test_time_left_follows_the_pace():
    now = [0.0]
    board = progress.Board(["a", "b", "c"], [10.0, 10.0, 20.0], clock=lambda: now[0])
    board.start(0)
    assert board.left_s() == pytest.approx(40)
    board.finish(0, 20.0)
    assert board.left_s() == pytest.approx(60), "twice as slow as guessed"
    board.start(1)
    now[0] = 15.0
    assert board.left_s() == pytest.approx(45)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profile": "tiny"}, "micro"),
        ({"sead": 1}, r"sead: .*there are profile"),
        ({"seed": -1}, "seed: -1 is not a whole number from 0 to 4294967295"),
        ({"seed": "one"}, "seed: 'one' is not a whole number"),
        ({"seed": True}, "seed: True is not a whole number"),
        ({"held_out": ","}, "held_out: ',' names no cluster"),
        ({"held_out": "letters"}, r"'letters' is no cluster to hold out; there are weather"),
        ({"recompute": "nowhere"}, r"recompute: 'nowhere'"),
        ({"rows": "/no/such/folder"}, "no folder"),
        ({"profile": "rehearsal"}, "needs a folder of local rows"),
    ],
)
def test_settings_are_refused_with_what_is_allowed(toys, given, message):
    with pytest.raises(ParameterError, match=message):
        study.open_study(**given)


def test_empty_settings_come_from_the_profile(toys):
    settings = profiles.settings()
    assert settings.model == "tiny" and settings.clusters == ("weather", "sky", "food")
    assert (
        settings.recomputed == ()
        and profiles.settings(recompute="all").recomputed == settings.clusters
    )


def test_every_setting_has_a_meaning():
    assert set(profiles.MEANINGS) >= set(profiles.Settings.__dataclass_fields__)
    assert effects.ALL not in profiles.MEANINGS


def test_the_first_guess_of_time_grows_with_the_model(tmp_path):
    def guess(n, arm="tuned"):
        (tmp_path / str(n)).mkdir(exist_ok=True)
        if n:
            (tmp_path / str(n) / "pretraining.json").write_text(f'{{"n_parameters": {n}}}')
        return runs.Job(
            factors=Factors(model=str(tmp_path / str(n)), arm=arm),
            recipe=Recipe(steps=300, examples_per_step=16),
            collection="micro",
            requests=((Scoring(), "rte"),) * 17,
            at=tmp_path,
        ).expected_s

    assert guess(0) == guess(300_000) == guess(2_500_000) < 120
    assert 40 * 60 < guess(135_000_000) < 120 * 60, "tuning and scoring took 60 to 75 minutes"
    assert guess(135_000_000, "base") < guess(135_000_000) / 2
