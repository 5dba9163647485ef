"""Whether a gain is real: option order, calibration, label bias, agreement between seeds.

Everything is computed from records. All tables have the columns of `effects`,
`group` naming the question. Shared text is counted in `leaks`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from flanlib.core import resampling
from flanlib.core.errors import MissingResultError
from flanlib.core.resampling import DRAWS
from flanlib.evaluation.choices import BINS, error_of
from flanlib.results import estimates, schema
from flanlib.results.effects import ALL, COLUMNS, Estimand
from flanlib.results.estimates import Estimate, Estimates, Groups, Labelled, Measure, by
from flanlib.results.schema import Record

# Groups of the table: one for each question.
ORDER, CALIBRATION, RELIABILITY = "option order", "calibration", "reliability"
LABEL_BIAS, AGREEMENT = "label bias", "agreement between seeds"
STATISTICS = {
    CALIBRATION: "calibration error",
    RELIABILITY: "accuracy",
    LABEL_BIAS: LABEL_BIAS,
    AGREEMENT: AGREEMENT,
}
GIVEN, REVERSED = "given", "reversed"
FEWEST = 10  # examples that a point of the reliability curve rests on


def order(records: Iterable[Record], groups: Groups) -> pd.DataFrame:
    """Score with options in the given and in reversed order, and the paired difference.

    x is `given` or `reversed`.

    Raises
    ------
    MissingResultError
        If there are no records.
    """
    plain = list(records)
    if not plain:
        raise MissingResultError(
            "no record of a task with options, which is what the audit is about; choose clusters"
            " that have some with held_out"
        )
    labelled = [
        (Estimand(r.factors.arm, REVERSED if r.scoring.reversed_options else GIVEN), r)
        for r in plain
    ]
    arms = dict.fromkeys(name.arm for name, _ in labelled)
    pairs = [(Estimand(arm, REVERSED), Estimand(arm, GIVEN)) for arm in arms]
    return estimates.table(labelled, groups, pairs).assign(group=ORDER, source="recorded")


def calibration(records: Iterable[Record]) -> pd.DataFrame:
    """Expected calibration error, percent: base, tuned, and the difference.

    Value and interval are of the bins that a record holds, and those of the
    reliability curve. The interval is over examples, each counted once however
    many templates it was asked in, and over seeds.
    """

    def error(record: Record) -> float:
        return error_of(record.responses["reliability"])

    measure = _over_seeds(error, _error_draws)
    return _measured(CALIBRATION, _given(records), measure, "base")


def label_bias(records: Iterable[Record]) -> pd.DataFrame:
    """How far the answers chosen are from the right ones' shares, percent.

    Total variation distance: the share of answers that would have to be
    others for each option to be chosen as often as it is right.
    """

    def distance(record: Record) -> float:
        chosen, gold = (np.array(record.responses[name]) for name in ("chosen", "gold"))
        return float(np.abs(chosen - gold).sum() / 2)

    return _measured(LABEL_BIAS, _given(records), _over_seeds(distance, _bias_draws), "base")


def seeds(records: Iterable[Record], groups: Groups) -> pd.DataFrame:
    """Share of examples on which two tuning seeds agree, percent.

    An example's outcome is whether most templates get it right. Arms are
    `tuned`, `chance` (what seeds as good as these, but independent, would
    share) and their difference; no rows where there is one seed.
    """
    tuned = _given(r for r in records if r.factors.arm == "tuned")
    return _measured(AGREEMENT, tuned, lambda found: _agreement(found, groups), "chance")


def reliability(records: Iterable[Record]) -> pd.DataFrame:
    """Accuracy against confidence, over all tasks, templates and seeds.

    Bins with fewer than `FEWEST` examples are left out.

    Returns
    -------
    x is the mean confidence of a bin, `value` the share right, in percent,
    `n` prompts; the interval (Wilson) counts each example once.
    """
    found = []
    for arm, mine in by(_given(records), lambda r: r.factors.arm).items():
        bins: dict[int, list[tuple[int, float, float, float]]] = {}
        n_seeds = len({r.factors.seed for r in mine})
        for record in mine:
            for n, confidence, right in record.responses["reliability"]:
                once = n / (len(record.templates) * n_seeds)
                place = min(int(confidence * BINS // 100), BINS - 1)
                bins.setdefault(place, []).append((n, confidence, right, once))
        for _, parts in sorted(bins.items()):
            n, confidence, right, once = np.array(parts).T
            if once.sum() < FEWEST:
                continue
            share = float(np.average(right, weights=n))
            low, high = wilson(share, float(once.sum()))
            mean = f"{np.average(confidence, weights=n):.2f}"
            of = (RELIABILITY, STATISTICS[RELIABILITY], arm, "", mean, "", ALL, "")
            seeds = 0 if arm == "base" else n_seeds
            found.append((*of, share, low, high, int(n.sum()), seeds, "recorded"))
    return pd.DataFrame(found, columns=COLUMNS)


def wilson(percent: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share of independent trials.

    Parameters
    ----------
    percent
        The share, from 0 to 100.

    Returns
    -------
    Its ends, in percent.
    """
    p, z = percent / 100, 1.959964
    middle, scale = (p + z * z / (2 * n)), 1 + z * z / n
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * float((middle - half) / scale), 100 * float((middle + half) / scale)


def _measured(
    group: str, records: Sequence[Record], measure: Measure, against: str
) -> pd.DataFrame:
    """A measure per dataset, cluster and over all, and what the tuned model adds to `against`."""
    statistic = STATISTICS[group]
    labelled = [(Estimand(r.factors.arm, statistic=statistic), r) for r in records]
    pair = Estimand("tuned", statistic=statistic), Estimand(against, statistic=statistic)
    every = estimates.averages(labelled, measure, [pair])
    return estimates.frame(every).assign(group=group, source="recorded")


def _error_draws(record: Record, rng: np.random.Generator) -> np.ndarray:
    prompts, confidence, right = np.array(record.responses["reliability"]).T
    drawn = rng.multinomial(record.n, prompts / prompts.sum(), size=DRAWS)
    hits = rng.binomial(drawn, right / 100)
    return 100 * np.abs(hits - drawn * confidence / 100).sum(axis=1) / record.n


def _bias_draws(record: Record, rng: np.random.Generator) -> np.ndarray:
    chosen, gold = (np.array(record.responses[name]) for name in ("chosen", "gold"))
    drawn = rng.multinomial(record.n, chosen / chosen.sum(), size=DRAWS)
    return np.abs(100 * drawn / record.n - gold).sum(axis=1) / 2


def _over_seeds(value: Callable, draw: Callable) -> Measure:
    """Means over seeds, which are resampled, the same draw for every task.

    Draws over examples are centred, since noise alone makes both measures
    larger. All seeds answer the same examples, so a draw takes its noise from
    one of them. Arms are drawn apart: records keep no measure per example, so
    the interval of a difference is wider than a paired one.
    """

    def measure(members: Labelled) -> Estimates:
        found = {}
        for name, pairs in by(members, lambda pair: pair[0]).items():
            mine = sorted((record for _, record in pairs), key=lambda r: r.factors.seed)
            values = np.array([value(r) for r in mine])
            noise = np.stack([draw(r, resampling.generator(f"{name.arm} {r.task}")) for r in mine])
            noise -= noise.mean(axis=1, keepdims=True)
            picks = resampling.of_seeds([r.factors.seed for r in mine])
            drawn = values[picks].mean(axis=1) + noise[picks[:, 0], np.arange(DRAWS)]
            found[name] = estimates.over_seeds(mine, values, np.clip(drawn, 0, 100))
        return found

    return measure


def _agreement(members: Labelled, groups: Groups) -> Estimates:
    """Agreement of all pairs of seeds, examples resampled by their group."""
    records = [record for _, record in members]
    if len(records) < 2:
        return {}
    right = np.array([np.asarray(r.scores) > 50 for r in records], dtype=float)
    codes, weights = resampling.of_groups(records[0].task, groups[records[0].data])
    draws = np.vstack([np.ones(len(codes)), weights[:, codes]])
    draws = draws / draws.sum(axis=1, keepdims=True)
    shares = draws @ right.T
    equal, chance = [], []
    for one, other in combinations(range(len(records)), 2):
        equal.append(draws @ (right[one] == right[other]))
        p, q = shares[:, one], shares[:, other]
        chance.append(p * q + (1 - p) * (1 - q))
    means = {"chance": 100 * np.mean(chance, axis=0), "tuned": 100 * np.mean(equal, axis=0)}
    return {
        Estimand(arm, statistic=AGREEMENT): Estimate(float(m[0]), m[1:], records[0].n, len(records))
        for arm, m in means.items()
    }


def _given(records: Iterable[Record]) -> list[Record]:
    """Records whose options stood as given; `MissingResultError` if one says not how it answers."""
    found = [r for r in records if not r.scoring.reversed_options]
    if silent := [r for r in found if not r.responses]:
        raise MissingResultError(
            f"{len(silent)} records have no `responses`, the first being"
            f" {schema.describe(silent[0].cell)}; delete their lines and compute them again"
        )
    return found
