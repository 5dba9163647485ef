"""Axes on toys: every plan is tuned and scored once, and read afterwards."""

import shutil
from dataclasses import replace

import pytest

from flanlib.core.config import run_id
from flanlib.core.errors import LeakageError, MissingResultError, ParameterError
from flanlib.results import effects, store
from flanlib.studies import axes, differences, plans, profiles

pytestmark = pytest.mark.usefixtures("real")


def arms(table):
    """(arm, x) of the cluster means."""
    means = table[(table["dataset"] == "") & (table["cluster"] != "all")]
    means = means[means["statistic"] == effects.SCORE]
    return set(zip(means["arm"], means["x"], strict=True))


@pytest.mark.parametrize("stem", plans.PLANS)
def test_an_axis_is_computed_once_and_then_read(stem):
    axis = axes.open_axis(stem)
    with pytest.raises(MissingResultError):
        axis.load()
    table = axis.ensure(jobs=1)
    assert {point.label for point in axis.points()} <= arms(table)
    assert set(table["source"]) == {"recorded"} and table["value"].notna().all()

    def refuse(job):
        raise AssertionError(f"{job.title} was run again")

    assert axis.ensure(1, refuse).equals(table) and axis.load().equals(table)


def test_clusters_come_one_by_one_and_the_last_point_is_the_tuned_model():
    axis = axes.open_axis("fig6_clusters")
    assert axis.held_out == "weather" and axis.tuning_clusters == ("food", "letters")
    points = {p.label: p.cells[0][0] for p in axis.points() if p.group == "weather"}
    assert points["paper's order", "1"].clusters == ("food",)
    assert points["paper's order", "2"] == points["shuffled order", "2"] == axis.tuned()
    drawn = {
        point.cells[0][0].clusters
        for seed in range(9)
        for point in axis.with_seed(seed).points()
        if point.label == ("shuffled order", "1")
    }
    assert drawn == {("food",), ("letters",)}


@pytest.mark.usefixtures("two_groups")
def test_steps_that_every_group_has_are_averaged():
    axis = axes.open_axis("fig6_clusters")
    table = axis.ensure(jobs=1)
    mine = effects.series(table, "paper's order")
    mine = mine[mine["dataset"] == ""]
    means = mine[(mine["group"] == "") & (mine["cluster"] == "all")].set_index("x")["value"]
    assert set(means.index) == {"1", "2", "half", "all"}
    each = mine[mine["group"].isin(axis.clusters)].set_index(["group", "x"])["value"]
    for x, n in (("1", "1"), ("half", "1"), ("2", "2"), ("all", "2")):
        assert means[x] == pytest.approx((each["weather", n] + each["food", n]) / 2)
    own = {"against": "paper's order", "against_x": "1"}
    later = effects.pick(table, "paper's order", "all", **own)
    assert later.value == pytest.approx(means["all"] - means["1"])


def test_a_soft_prompt_on_the_tuned_model_says_which():
    axis = axes.open_axis("fig10_prompt_tuning")
    axis.ensure(jobs=1)
    shared = run_id(axis.tuned(), axis.recipe)
    found = [r for r in store.load(axis.at) if r.factors.arm == "prompt-tuned"]
    assert {r.factors.under for r in found} == {"", shared}
    by_arm = {r.factors.under: r.scores for r in found if not r.factors.n_examples}
    assert len(by_arm) == 2


def test_differences_are_paired_and_named():
    table = axes.open_axis("fig9_few_shot").ensure(jobs=1)

    def found(arm, x, **of):
        return effects.pick(table, arm, x, "weather", **of)

    tuned, base, few, none = (
        found(*of).value for of in (("tuned", "2"), ("base", "2"), ("tuned", "2"), ("tuned", "0"))
    )
    assert found("tuned", "2", against="base").value == pytest.approx(tuned - base)
    assert found("tuned", "2", against="tuned").value == pytest.approx(few - none)
    assert found("tuned", "2", against="tuned").against_x == "0"
    spread = found("tuned", "0", statistic=effects.SPREAD)
    assert spread.value >= 0 and spread.n == found("tuned", "0").n


def test_a_seed_that_is_not_whole_is_not_drawn():
    axis = axes.open_axis("fig11_templates")
    axis.ensure(jobs=1)
    other = axis.with_seed(2)
    other.compute([c for c in other.cells() if c[0].n_templates == 1], axis.at, 1)
    assert axes.open_axis("fig11_templates").seeds == (1,)


def test_several_clusters_are_held_out_together(toys):
    split = toys.catalogue.held_out("weather+food")
    assert [t.key for t in split.tuning] == ["spell"]
    assert {t.cluster for t in split.evaluation} == {"weather", "food"}
    with pytest.raises(LeakageError, match="'sky'"):
        toys.catalogue.held_out("weather+food", ["sky"])


@pytest.fixture
def two_groups(real, monkeypatch):
    micro = replace(
        profiles.PROFILES["micro"], held_out_groups=(("weather",), ("food",)), n_groups=2
    )
    monkeypatch.setitem(profiles.PROFILES, "micro", micro)


@pytest.mark.usefixtures("two_groups")
def test_groups_are_held_out_one_after_the_other_and_drawn_together():
    axis = axes.open_axis("fig8_instructions")
    assert axis.groups == (("weather",), ("food",)) and axis.clusters == ("weather", "food")
    table = axis.ensure(jobs=1)
    means = effects.series(table, "instruction > instruction")
    assert set(means.loc[means["dataset"] == "", "cluster"]) == {"weather", "food", "all"}
    tuned = [r for r in store.load(axis.at) if r.factors.arm == "tuned"]
    assert {(r.factors.held_out, r.cluster) for r in tuned} == {
        ("weather", "weather"),
        ("food", "food"),
    }
    assert set(axis.split()["held_out"]) == {"weather", "food"}
    alone = axis.split("food")
    assert set(alone["held_out"]) == {"food"}
    assert dict(zip(alone["cluster"], alone["role"], strict=True))["food"] == "evaluation"
    assert all(r.tuning["n_tokens"] > 0 and r.tuning["wall_s"] > 0 for r in tuned)


@pytest.mark.usefixtures("two_groups")
def test_a_task_that_two_groups_ask_about_is_asked_once():
    points = axes.open_axis("fig7_scale").points()
    assert {point.group for point in points} == {"held-out", "held-in"}
    for point in points:
        tasks = [cell[3] for cell in point.cells]
        assert len(tasks) == len(set(tasks))
    assert axes.open_axis("fig8_instructions", held_out="food").groups == (("food",),)


def test_a_cluster_in_no_group_is_held_out_alone(real, monkeypatch):
    def groups(*together, **changes):
        micro = replace(profiles.PROFILES["micro"], held_out_groups=together, n_groups=0, **changes)
        monkeypatch.setitem(profiles.PROFILES, "micro", micro)
        return axes.open_axis("fig8_instructions").groups

    assert groups(("sky", "weather")) == (("weather", "sky"), ("food",))
    assert groups(("nli",)) == (("weather",), ("sky",), ("food",))
    assert groups(("nli",), ("food", "sky")) == (("sky", "food"), ("weather",))
    shutil.rmtree(real.catalogue.root / "rows" / "spell")
    assert groups(("sky", "weather", "food"), what_there_is=True) == (
        ("weather",),
        ("sky",),
        ("food",),
    ), "none left"


def test_a_cluster_that_is_not_held_out_is_named():
    with pytest.raises(ParameterError, match="'letters' is not held out here; there are weather"):
        axes.open_axis("fig8_instructions").split("letters")


def test_points_that_share_one_seed_of_two_keep_all_of_theirs():
    axis = axes.open_axis("fig6_clusters")
    axis.ensure(jobs=1)
    axis.with_seed(2).ensure(jobs=1)
    both = axes.open_axis("fig6_clusters")
    (record,) = [
        r
        for p, mine in both.labelled()
        if p.label == ("paper's order", "1") and p.group
        for r in mine
        if r.factors.seed == 1
    ]
    first, second = (plans.Point(arm=arm, x="1", cells=()) for arm in "ab")
    other = replace(
        record,
        factors=replace(record.factors, seed=2),
        value=0.0,
        run_id=run_id(replace(record.factors, seed=2), record.recipe),
        templates=dict.fromkeys(record.templates, 0.0),
    )
    points = [(first, [record, other]), (second, [record])]
    table = differences.table(points, store.groups(axis.at))
    a, b = (effects.pick(table, arm, "1", record.cluster) for arm in "ab")
    assert a.seeds == 2 and b.seeds == 1
    assert a.value == pytest.approx(record.value / 2)


def test_an_unknown_axis_is_refused():
    with pytest.raises(ParameterError, match="fig6_clusters"):
        axes.open_axis("fig6")
