"""Whether a gain is real: option order, calibration, label bias, agreement between seeds.

Everything is computed from records. All tables have the columns of an axis,
`group` naming the question; cluster `all` is the mean over clusters, an empty
dataset that over datasets. Shared text is counted in `leaks`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from flanlib.core.errors import MissingResultError
from flanlib.evaluation.choices import BINS, error_of
from flanlib.results import estimates, schema
from flanlib.results.estimates import ALL, DRAWS, Estimate, by, generator, seed_draws
from flanlib.results.schema import Record

COLUMNS = "group arm x cluster dataset value low high n seeds source".split()
CHANGE = "reversed - given"
# Groups of the table: one for each question.
ORDER, CALIBRATION, RELIABILITY = "option order", "calibration", "reliability"
LABEL_BIAS, AGREEMENT = "label bias", "agreement between seeds"
FEWEST = 10  # examples that a point of the reliability curve rests on
Measure = Callable[[Sequence[Record]], dict[str, Estimate]]


def order(records: Iterable[Record], groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Score with options in the given and in reversed order, and the paired difference.

    x is `given`, `reversed`, or `reversed - given`, in percent points.

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
    scores = estimates.table(plain, groups, naming=lambda r: f"{r.factors.arm}\t{_x(r)}")
    swaps = estimates.table(_swaps(plain), groups, naming=lambda r: f"{r.factors.arm}\t{CHANGE}")
    table = pd.concat([scores, swaps], ignore_index=True)
    names = table["arm"].str.split("\t", expand=True)
    return _frame(ORDER, table.assign(arm=names[0], x=names[1]).to_dict("records"))


def calibration(records: Iterable[Record]) -> pd.DataFrame:
    """Expected calibration error, percent: base, tuned, and the difference.

    Value and interval are of the bins that a record holds, and those of the
    reliability curve. The interval is over examples, each counted once however
    many templates it was asked in, and over seeds.
    """
    return _measured(CALIBRATION, records, _calibration)


def label_bias(records: Iterable[Record]) -> pd.DataFrame:
    """How far the answers chosen are from the right ones' shares, percent.

    Total variation distance: the share of answers that would have to be
    others for each option to be chosen as often as it is right.
    """
    return _measured(LABEL_BIAS, records, _label_bias)


def seeds(records: Iterable[Record], groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Share of examples on which two tuning seeds agree, percent.

    An example's outcome is whether most templates get it right. Arms are
    `tuned`, `chance` (what seeds as good as these, but independent, would
    share) and their difference; no rows where there is one seed.
    """
    tuned = [r for r in records if r.factors.arm == "tuned"]
    return _measured(AGREEMENT, tuned, lambda found: _seeds(found, groups))


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
            for n, sure, right in record.answering["sure"]:
                once = n / (len(record.templates) * n_seeds)
                place = min(int(sure * BINS // 100), BINS - 1)
                bins.setdefault(place, []).append((n, sure, right, once))
        for _, parts in sorted(bins.items()):
            n, sure, right, once = np.array(parts).T
            if once.sum() < FEWEST:
                continue
            share = float(np.average(right, weights=n))
            low, high = wilson(share, float(once.sum()))
            mean = f"{np.average(sure, weights=n):.2f}"
            row = {"cluster": ALL, "dataset": "", "arm": arm, "x": mean, "value": share}
            seeds = 0 if arm == "base" else n_seeds
            found.append({**row, "low": low, "high": high, "n": int(n.sum()), "seeds": seeds})
    return _frame(RELIABILITY, found)


def wilson(percent: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share of independent trials.

    Parameters
    ----------
    percent
        The share, from 0 to 100.
    n
        Trials.

    Returns
    -------
    Its ends, in percent.
    """
    p, z = percent / 100, 1.959964
    middle, scale = (p + z * z / (2 * n)), 1 + z * z / n
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * float((middle - half) / scale), 100 * float((middle + half) / scale)


def _measured(group: str, records: Iterable[Record], measure: Measure) -> pd.DataFrame:
    """A measure per dataset, cluster and over all, and the difference of its two arms."""
    rows, whole = [], []
    for cluster, members in by(_given(records), lambda r: r.cluster).items():
        datasets = {
            dataset: _mean([measure(part) for part in by(mine, lambda r: r.task).values()])
            for dataset, mine in by(members, lambda r: r.dataset).items()
        }
        whole.append(_mean(list(datasets.values())))
        for dataset, arms in {**datasets, "": whole[-1]}.items():
            rows += _rows(cluster, dataset, arms)
    return _frame(group, rows + (_rows(ALL, "", _mean(whole)) if len(whole) > 1 else []))


def _rows(cluster: str, dataset: str, arms: dict[str, Estimate]) -> list[dict]:
    names = list(arms)
    if len(names) == 2:
        arms = {**arms, f"{names[1]} - {names[0]}": arms[names[1]].minus(arms[names[0]])}
    return [
        {
            **{"cluster": cluster, "dataset": dataset, "arm": arm, "x": "", "value": e.value},
            **{"low": e.interval[0], "high": e.interval[1], "n": e.n, "seeds": e.seeds},
        }
        for arm, e in arms.items()
    ]


def _mean(parts: Sequence[dict[str, Estimate]]) -> dict[str, Estimate]:
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: estimates.mean([part[name] for part in parts]) for name in shared}


def _calibration(records: Sequence[Record]) -> dict[str, Estimate]:
    return _by_arm(records, lambda r: error_of(r.answering["sure"]), _calibration_draws)


def _calibration_draws(record: Record, rng: np.random.Generator) -> np.ndarray:
    prompts, sure, right = np.array(record.answering["sure"]).T
    drawn = rng.multinomial(record.n, prompts / prompts.sum(), size=DRAWS)
    hits = rng.binomial(drawn, right / 100)
    return 100 * np.abs(hits - drawn * sure / 100).sum(axis=1) / record.n


def _label_bias(records: Sequence[Record]) -> dict[str, Estimate]:
    def distance(record: Record) -> float:
        chosen, gold = (np.array(record.answering[name]) for name in ("chosen", "gold"))
        return float(np.abs(chosen - gold).sum() / 2)

    return _by_arm(records, distance, _label_bias_draws)


def _label_bias_draws(record: Record, rng: np.random.Generator) -> np.ndarray:
    chosen, gold = (np.array(record.answering[name]) for name in ("chosen", "gold"))
    drawn = rng.multinomial(record.n, chosen / chosen.sum(), size=DRAWS)
    return np.abs(100 * drawn / record.n - gold).sum(axis=1) / 2


def _swaps(records: Sequence[Record]) -> list[Record]:
    """Reversed less given as records, so that both examples and seeds are paired."""
    given = {(r.run_id, r.task): r for r in _given(records)}
    pairs = [(r, given[r.run_id, r.task]) for r in records if r.scoring.turned]
    return [
        replace(
            new,
            value=new.value - old.value,
            templates={k: v - old.templates[k] for k, v in new.templates.items()},
            scores=tuple(a - b for a, b in zip(new.scores, old.scores, strict=True)),
        )
        for new, old in pairs
    ]


def _by_arm(records: Sequence[Record], value: Callable, draw: Callable) -> dict[str, Estimate]:
    """Means over seeds, which are resampled, the same draw for every task.

    Draws over examples are centred, since noise alone makes both measures
    larger. All seeds answer the same examples, so a draw takes its noise from
    one of them. Arms are drawn apart: records keep no measure per example, so
    the interval of a difference is wider than a paired one.
    """
    found = {}
    for arm, plain in sorted(by(records, lambda r: r.factors.arm).items()):
        mine = sorted(plain, key=lambda r: r.factors.seed)
        values = np.array([value(r) for r in mine])
        noise = np.stack([draw(r, generator(f"{arm} {r.task}")) for r in mine])
        noise -= noise.mean(axis=1, keepdims=True)
        picks = seed_draws([r.factors.seed for r in mine])
        drawn = values[picks].mean(axis=1) + noise[picks[:, 0], np.arange(DRAWS)]
        n_seeds = 0 if arm == "base" else len(mine)
        found[arm] = Estimate(float(values.mean()), np.clip(drawn, 0, 100), mine[0].n, n_seeds)
    return found


def _seeds(records: Sequence[Record], groups: Mapping[str, Sequence[str]]) -> dict[str, Estimate]:
    """Agreement of all pairs of seeds, examples resampled by their group."""
    if len(records) < 2:
        return {}
    right = np.array([np.asarray(r.scores) > 50 for r in records], dtype=float)
    codes, names = pd.factorize(np.asarray(groups[records[0].data], dtype=object))
    even = np.full(len(names), 1 / len(names))
    weights = generator(records[0].task).multinomial(len(names), even, size=DRAWS)
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
        arm: Estimate(float(m[0]), m[1:], records[0].n, len(records)) for arm, m in means.items()
    }


def _given(records: Iterable[Record]) -> list[Record]:
    """Records whose options stood as given; `MissingResultError` if one says not how it answers."""
    found = [r for r in records if not r.scoring.turned]
    if silent := [r for r in found if not r.answering]:
        raise MissingResultError(
            f"{len(silent)} records have no `answering`, the first being"
            f" {schema.describe(silent[0].cell)}; delete their lines and compute them again"
        )
    return found


def _x(record: Record) -> str:
    return "reversed" if record.scoring.turned else "given"


def _frame(group: str, rows: Iterable[dict]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS).assign(group=group, source="recorded")
