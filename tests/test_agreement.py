"""Recomputed against recorded: what may differ, and what may not."""

from dataclasses import replace

import numpy as np
import pytest
from records import make_record
from scipy import stats

from flanlib.core.config import Factors
from flanlib.core.errors import RunError
from flanlib.results import agreement


def tuned(value, seed=1, task="rte", cluster="nli"):
    factors = Factors(collection="toy", model="m", held_out=cluster, seed=seed)
    return make_record(task, value=value, factors=factors)


def moved(record, by):
    templates = {name: value + by for name, value in record.templates.items()}
    return replace(record, value=record.value + by, templates=templates)


def clusters(*spreads, n=3):
    """Records of clusters of one task each, whose seeds lie a spread apart."""
    return [
        tuned(50.0 + spread * (seed - 2), seed, f"task-{k}", f"cluster-{k}")
        for k, spread in enumerate(spreads)
        for seed in range(1, n + 1)
    ]


def verdict_of(records, by, cluster, seed=1):
    """Whether one seed of a cluster, recomputed, agrees once its record was moved."""
    altered = [
        moved(r, by) if (r.cluster, r.factors.seed) == (cluster, seed) else r for r in records
    ]
    fresh = [r for r in records if (r.cluster, r.factors.seed) == (cluster, seed)]
    return agreement.compare(altered, fresh).iloc[0]


def test_means_are_of_whole_seeds():
    records = clusters(10.0)
    assert agreement.seed_means(records) == {"cluster-0": {1: 40.0, 2: 50.0, 3: 60.0}}


@pytest.mark.parametrize(("by", "agrees"), [(0.0, True), (1.9, True), (2.1, False), (-2.1, False)])
def test_without_seeds_only_numerics_may_differ(by, agrees):
    record = tuned(50.0)
    verdict = agreement.compare([record], [moved(record, by)])
    assert verdict["agrees"].tolist() == [agrees]
    assert verdict["difference"].tolist() == [pytest.approx(by)]


@pytest.mark.parametrize(("by", "agrees"), [(0.0, True), (0.009, True), (0.02, False)])
def test_untuned_models_agree_to_rounding(by, agrees):
    factors = Factors(collection="toy", model="m", held_out="nli", arm="base", seed=0)
    record = make_record(factors=factors)
    assert agreement.compare([record], [moved(record, by)])["agrees"].tolist() == [agrees]


def test_what_is_allowed_is_the_moderated_t_test():
    records = clusters(1.0, 3.0, 3.0, 3.0)
    # Seeds 2 and 3 alone: variance 0.5 (1 df) beside 4.5 (3 df).
    variance = (3 * 4.5 + 1 * 0.5) / 4
    bound = stats.t.ppf(1 - 0.05 / 2, 4) * (2 * variance) ** 0.5
    assert agreement.allowed(records, "cluster-0", {1}) == pytest.approx(bound)
    many = clusters(1.0, *[3.0] * 20)
    bound = stats.t.ppf(1 - 0.05 / 6, 9) * (2 * (8 * 4.5 + 0.5) / 9) ** 0.5
    assert agreement.allowed(many, "cluster-0", {1}, 3) == pytest.approx(bound)


def test_a_quiet_cluster_is_allowed_less_and_an_alteration_is_caught():
    records = clusters(0.5, *[2.0] * 8, 9.0)
    quiet, loud = verdict_of(records, 0.0, "cluster-0"), verdict_of(records, 0.0, "cluster-9")
    assert quiet["agrees"] and loud["agrees"] and quiet["allowed"] < loud["allowed"]
    for cluster in ("cluster-0", "cluster-9"):
        assert not verdict_of(records, 20.0, cluster)["agrees"]
        assert not verdict_of(records, -20.0, cluster)["agrees"]
    assert quiet["allowed"] < 8 and not verdict_of(records, 8.0, "cluster-0")["agrees"]


def test_an_altered_record_cannot_widen_what_it_is_allowed():
    records = clusters(*[2.0] * 10)
    plain = verdict_of(records, 0.0, "cluster-0")["allowed"]
    assert verdict_of(records, 40.0, "cluster-0")["allowed"] == pytest.approx(plain)


def test_seeds_drawn_alike_are_accused_at_about_the_stated_rate():
    rng = np.random.default_rng(0)
    wrong, n = 0, 150
    for _ in range(n):
        records = [
            tuned(50.0 + rng.normal(0, 2), seed, f"task-{k}", f"cluster-{k}")
            for k in range(5)
            for seed in (1, 2, 3)
        ]
        fresh = [
            moved(r, 50.0 + rng.normal(0, 2) - r.value) for r in records if r.factors.seed == 1
        ]
        wrong += not agreement.compare(records, fresh)["agrees"].all()
    assert 0.01 < wrong / n < 0.08


def test_other_examples_never_agree():
    record = tuned(50.0)
    verdict = agreement.compare([record], [replace(record, data="e" * 12)])
    assert verdict["agrees"].tolist() == [False]
    with pytest.raises(RunError, match=r"nli, tuned: recorded 50\.0, recomputed 50\.0"):
        agreement.require(verdict)


def test_unfinished_seeds_are_left_out():
    records = [tuned(50.0), tuned(50.0, task="cb"), tuned(50.0, seed=2)]
    assert {r.factors.seed for r in agreement.whole_seeds(records)} == {1}
