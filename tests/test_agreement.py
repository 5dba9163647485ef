"""Recomputed against recorded: what may differ, and what may not."""

from dataclasses import replace

import pytest
from records import make_record

from flanlib.config import Factors
from flanlib.errors import RunError
from flanlib.studies import agreement


def tuned(value, seed=1, task="rte"):
    factors = Factors(collection="toy", model="m", held_out="nli", seed=seed)
    return make_record(task, value=value, factors=factors)


def moved(record, by):
    templates = {name: value + by for name, value in record.templates.items()}
    return replace(record, value=record.value + by, templates=templates)


def test_spread_is_between_seeds_of_a_cluster():
    records = [tuned(v, seed) for seed, v in enumerate((40.0, 50.0, 60.0), 1)]
    assert agreement.seed_spread(records) == pytest.approx(10)
    assert agreement.seed_spread(records[:1]) == 0


@pytest.mark.parametrize(("by", "agrees"), [(0.0, True), (1.9, True), (2.1, False), (-2.1, False)])
def test_without_seeds_only_numerics_may_differ(by, agrees):
    record = tuned(50.0)
    verdict = agreement.compare([record], [moved(record, by)])
    assert verdict["agrees"].tolist() == [agrees]
    assert verdict["difference"].tolist() == [pytest.approx(by)]


def test_seed_spread_widens_what_is_allowed():
    records = [tuned(v, seed) for seed, v in enumerate((45.0, 50.0, 55.0), 1)]
    verdict = agreement.compare(records, [moved(records[0], 20.0)])
    assert verdict["allowed"].tolist() == [pytest.approx(5 * 3 * 2**0.5)]
    assert verdict["agrees"].tolist() == [True]


def test_other_examples_never_agree():
    record = tuned(50.0)
    verdict = agreement.compare([record], [replace(record, data="e" * 12)])
    assert verdict["agrees"].tolist() == [False]
    with pytest.raises(RunError, match=r"nli, tuned: recorded 50\.0, recomputed 50\.0"):
        agreement.require(verdict)


def test_unfinished_seeds_are_left_out():
    records = [tuned(50.0), tuned(50.0, task="cb"), tuned(50.0, seed=2)]
    assert {r.factors.seed for r in agreement.whole_seeds(records)} == {1}
