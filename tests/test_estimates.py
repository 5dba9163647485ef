"""Cluster means and gains: values by hand, intervals by construction."""

import numpy as np
import pandas as pd
import pytest
from records import make_record

from flanlib.core import resampling
from flanlib.core.config import Factors, Scoring
from flanlib.core.errors import DataError, MissingResultError
from flanlib.results import effects, estimates
from flanlib.results.effects import Estimand

N = 40
BASE, ENDS = Estimand("base"), ["low", "high"]
GROUPS = {"d" * 12: tuple(str(i // 2) for i in range(N))}


def record(task, arm, scores, seed=1, cluster="nli", scoring=None, **changes):
    factors = Factors(collection="toy", model="m", held_out=cluster, arm=arm, seed=seed)
    value = float(np.mean(scores))
    return make_record(
        task, factors=factors, scores=scores, value=value, scoring=scoring, **changes
    )


def table_of(records, groups=GROUPS, pairs=()):
    pairs = [(Estimand(new), Estimand(old)) for new, old in pairs]
    return estimates.table(effects.named(records), groups, pairs)


def pick(table, cluster, dataset, arm, against=""):
    return effects.pick(table, arm, "", cluster, dataset, against=against)


def noise(seed):
    return np.random.default_rng(seed).choice([0.0, 100.0], size=N)


def test_means_over_tasks_then_datasets():
    records = [
        record("a1", "base", [20.0] * N, dataset="a"),
        record("a2", "base", [40.0] * N, dataset="a"),
        record("b", "base", [90.0] * N),
    ]
    table = table_of(records)
    assert pick(table, "nli", "a", "base").value == pytest.approx(30)
    cluster = pick(table, "nli", "", "base")
    assert cluster.value == pytest.approx(60) and cluster.n == 3 * N and cluster.seeds == 0


def test_gain_is_paired():
    base = noise(0)
    tuned = np.minimum(base + 10, 100.0) - 10 * (base == 100)
    records = [record("a", "base", base), record("a", "tuned", tuned)]
    table = table_of(records, pairs=[("tuned", "base")])
    gain = pick(table, "nli", "", "tuned", "base")
    assert gain.value == pytest.approx(tuned.mean() - base.mean())
    alone = pick(table, "nli", "", "base")
    assert gain.high - gain.low < 0.5 * (alone.high - alone.low)
    assert gain.low <= gain.value <= gain.high


def test_interval_width_is_that_of_the_groups():
    scores = np.repeat(noise(1)[: N // 2], 2)
    row = pick(table_of([record("a", "base", scores)]), "nli", "a", "base")
    expected = 2 * 1.96 * scores[::2].std() / np.sqrt(N // 2)
    assert row.high - row.low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    "changes", [{"metric": "bleu"}, {"scoring": Scoring(templates_per_example=2)}]
)
def test_what_is_no_mean_of_the_scores_is_spread_as_its_standard_error_says(changes):
    base, tuned = noise(1), np.minimum(noise(1) + 50, 100.0)
    wide = record("a", "base", base, stderr=1.5, **changes)
    row = pick(table_of([wide]), "nli", "a", "base")
    assert row.high - row.low == pytest.approx(2 * 1.96 * 1.5, rel=0.06)
    assert row.low < wide.value < row.high
    mean = record("a", "base", base, stderr=1.5)  # a mean: its scores say more than its line
    assert row.high - row.low < 0.4 * np.diff(estimates.table([(BASE, mean)], GROUPS).iloc[0][ENDS])
    both = [wide, record("a", "tuned", tuned, stderr=1.5, **changes)]
    gain = pick(table_of(both, pairs=[("tuned", "base")]), "nli", "a", "tuned", "base")
    assert gain.high - gain.low < 0.2, "of the same draws, the two move together"


def test_scores_that_do_not_differ_have_the_spread_of_their_standard_error():
    flat = [record("a", "base", [0.0] * N, stderr=e, metric="pearson") for e in (2.0, 0.0)]
    wide, none = (pick(table_of([r]), "nli", "a", "base") for r in flat)
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * 2.0, rel=0.1)
    assert (none.low, none.high) == (0.0, 0.0)


def test_seeds_widen_the_interval():
    def width(levels):
        records = [record("a", "tuned", [v] * N, seed=s) for s, v in enumerate(levels, 1)]
        row = pick(table_of(records), "nli", "", "tuned")
        assert row.seeds == len(levels)
        return row.high - row.low

    assert width([50.0, 50.0, 50.0]) == pytest.approx(0)
    assert width([40.0, 50.0, 60.0]) > 10


def test_same_records_same_table():
    records = [record("a", "base", noise(2)), record("a", "tuned", noise(3))]
    first = table_of(records)
    second = table_of(records[::-1])
    order = ["cluster", "dataset", "arm"]
    assert first.sort_values(order).values.tolist() == second.sort_values(order).values.tolist()


def test_all_is_the_mean_over_clusters():
    records = [
        record("a", "base", [10.0] * N, cluster="nli"),
        record("b", "base", [30.0] * N, cluster="sentiment"),
        record("b", "tuned", [30.0] * N, cluster="sentiment"),
    ]
    table = table_of(records)
    assert pick(table, "all", "", "base").value == pytest.approx(20)
    assert not len(table[(table.cluster == "all") & (table.arm == "tuned")]), (
        "no mean over clusters where one is missing"
    )


def test_arms_have_names():
    plain = record("a", "base", [0.0] * N)
    assert effects.arm(plain) == "base"
    bare = record("a", "base", [0.0] * N, scoring=Scoring(show_options=False))
    assert effects.arm(bare) == "base-no-options"
    cloze = record("a", "base", [0.0] * N, scoring=Scoring(form="cloze", show_options=False))
    assert effects.arm(cloze) == "base-cloze"


def test_incomplete_seeds_are_named():
    records = [
        record("a", "tuned", [0.0] * N, seed=1),
        record("a", "tuned", [0.0] * N, seed=2),
        record("b", "tuned", [0.0] * N, seed=1),
    ]
    with pytest.raises(MissingResultError, match="b seed 2"):
        table_of(records)


def test_arms_on_different_examples_are_refused():
    records = [
        record("a", "base", [0.0] * N),
        record("a", "tuned", [0.0] * N, data="e" * 12),
    ]
    with pytest.raises(DataError, match="different examples"):
        table_of(records)


def test_one_group_gives_no_interval():
    table = table_of([record("a", "base", noise(4))], {"d" * 12: ("x",) * N})
    assert np.isnan(pick(table, "nli", "a", "base").low)


def test_chance_is_a_mean_over_datasets():
    records = [record("a", "base", [0.0] * N), record("b", "base", [0.0] * N, chance=25.0)]
    assert pick(estimates.chance(records), "nli", "", "chance").value == pytest.approx(37.5)


def test_chance_of_the_mean_is_the_mean_of_chances():
    records = [
        record("a", "base", [0.0] * N),
        record("b", "base", [0.0] * N, cluster="sentiment", chance=20.0),
    ]
    table = estimates.chance(records)
    assert pick(table, "all", "", "chance").value == pytest.approx(35.0)
    alone = estimates.chance(records[:1])
    assert set(alone["cluster"]) == {"nli"}, "one cluster is its own mean"


def test_tuned_arms_of_the_same_seeds_are_paired_by_seed():
    levels = {1: 10.0, 2: 50.0, 3: 90.0}
    records = [
        record("a", arm, np.full(N, level + more), seed=seed)
        for seed, level in levels.items()
        for arm, more in (("tuned", 0.0), ("finetuned", 5.0))
    ]
    table = table_of(records, pairs=[("finetuned", "tuned")])
    more = pick(table, "nli", "", "finetuned", "tuned")
    assert (more.value, more.low, more.high) == pytest.approx((5.0, 5.0, 5.0))
    tuned = pick(table, "nli", "", "tuned")
    assert tuned.high - tuned.low > 30


def test_seeds_are_drawn_alike_for_clusters_and_arms():
    one, same, other = (resampling.of_seeds(seeds) for seeds in ([1, 2, 3], [3, 1, 2], [4, 5, 6]))
    assert (one == same).all() and not (one == other).all()
    assert one.shape == (resampling.DRAWS, 3) and set(one.ravel()) == {0, 1, 2}


def test_what_is_absent_is_named_with_the_nearest_there_is():
    records = [record("a", "base", noise(5)), record("a", "tuned", noise(6))]
    table = table_of(records, pairs=[("tuned", "base")])
    with pytest.raises(MissingResultError, match=r"(?s)arm 'tunde'.*nearest: .*arm 'tuned'"):
        effects.pick(table, "tunde", cluster="nli")
    with pytest.raises(MissingResultError, match="statistic 'difference', arm 'base', against"):
        effects.pick(table, "base", cluster="nli", against="tuned")
    assert effects.pick(table, "base", cluster="nli", against="tuned", optional=True) is None
    twice = pd.concat([table, table])
    with pytest.raises(DataError, match="2 values of statistic 'score', arm 'base'"):
        effects.pick(twice, "base", cluster="nli")
    assert len(effects.series(table, "tuned")) == 2, "its difference is another series"
