"""Metrics with standard errors and intervals, from tables of scores.

Every metric is a function of sums over examples: each example contributes a
short vector of counts, and a formula turns summed vectors into a percentage.
Resampling examples then means resampling vectors, for accuracy and BLEU
alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flanlib.core import resampling
from flanlib.core.errors import DataError
from flanlib.data.adapters import Example, answer_text
from flanlib.data.catalogue import Task
from flanlib.evaluation import counts
from flanlib.evaluation.choices import Choice, compared

OF_LABELS = ("f1", "macro_f1", "multirc_f1")  # what F1 is of


@dataclass(frozen=True)
class Evaluation:
    """One task's metric, and what its intervals are made from.

    Attributes
    ----------
    value
        Percent, the mean over templates.
    stderr, low, high
        Standard error and ends of the 95 % interval over groups of examples,
        percent; NaN where there is one group only.
    chance
        Percent that guessing among the options gets.
    n
        Examples.
    templates
        Template id -> percent.
    examples
        Ids, in order.
    scores
        Per example in `examples` order: percent, mean over templates.
    signature
        How the metric was computed, where a library says.
    """

    task: str
    metric: str
    value: float
    stderr: float
    low: float
    high: float
    chance: float
    n: int
    templates: dict[str, float]
    examples: tuple[str, ...]
    scores: tuple[float, ...]
    signature: str = ""


def evaluate(
    task: Task,
    table: pd.DataFrame,
    *,
    examples: Sequence[Example] = (),
    choice: Choice = "sum",
    in_turn: bool = False,
) -> Evaluation:
    """A task's metric over all templates of a score table.

    Parameters
    ----------
    table
        From `score.rank` or `score.generate`, every template with the same
        examples.
    examples
        Give groups for the intervals, and texts to the metrics that compare
        the chosen option's words (`record_*`, `pearson`, `multirc_*`).
    choice
        What makes an option the answer: its log-likelihood, the same per
        token or per byte, or less its log-likelihood without the question.
    in_turn
        Whether each example was asked in some templates only, all templates
        taking turns; without it, a template that lacks examples is an error.

    Raises
    ------
    DataError
        If a template lacks examples, or an example of the table is unknown.
    ParameterError
        If the metric does not exist for this kind of task.
    """
    metric = task.metric
    known = {example.id: example for example in examples}
    ids, names = _grid(task, table, known, in_turn)
    if "ll" in table:
        cells = counts.of_options(metric, task, table, known, compared(table, choice))
        chance = _chance(table, metric)
    else:
        cells, chance = counts.of_texts(metric, task, table), 0.0
    blank = np.zeros_like(next(iter(cells.vectors.values())))
    array = np.stack([np.stack([cells.vectors.get((t, e), blank) for e in ids]) for t in names])
    groups = tuple((known[i].group or i) if i in known else i for i in ids)
    per_template = cells.finish(array.sum(axis=1))
    each = np.array([[cells.each.get((t, e), np.nan) for e in ids] for t in names])
    drawn = draws(task.key, array, groups, cells.finish, asked=~np.isnan(each))
    low, high = resampling.interval(drawn)
    return Evaluation(
        task=task.key,
        metric=metric,
        value=float(per_template.mean()),
        stderr=float(drawn.std(ddof=1)),
        low=low,
        high=high,
        chance=chance,
        n=len(ids),
        templates=dict(zip(names, map(float, per_template), strict=True)),
        examples=ids,
        scores=tuple(np.nanmean(each, axis=0).tolist()),
        signature=cells.signature,
    )


def check(task: Task, examples: Sequence[Example]) -> None:
    """Refuse examples whose answers a task's metric cannot count, before anything is written.

    Raises
    ------
    DataError
        If a reference is nothing that the metric can compare with.
    ParameterError
        If the metric needs packages that are not installed.
    """
    if task.kind == "generate":
        rows = [("", e.id, answer_text(e.answers[0]), e.answers) for e in examples]
        columns = ["template", "example", "prediction", "references"]
        counts.of_texts(task.metric, task, pd.DataFrame(rows, columns=columns))


def _grid(task: Task, table: pd.DataFrame, known: Mapping[str, Example], in_turn: bool):
    """Example ids in order and template ids in order; the table must be full unless in turn."""
    cells = table[["template", "example"]].drop_duplicates()
    names = tuple(dict.fromkeys(cells["template"]))
    ids = tuple(dict.fromkeys(cells["example"]))
    if not ids:
        raise DataError(f"task {task.key}: the score table is empty")
    if known:
        if unknown := [i for i in ids if i not in known]:
            raise DataError(
                f"task {task.key}: the score table has example {unknown[0]!r}, which is not among"
                f" the {len(known)} examples given"
            )
        ids = tuple(i for i in known if i in set(ids))
    if not in_turn and len(cells) != len(names) * len(ids):
        have = cells.groupby("template").size().reindex(names)
        short = have.index[have < len(ids)][0]
        raise DataError(
            f"task {task.key}: template {short!r} has {have[short]} of {len(ids)} examples;"
            " score the missing ones"
        )
    return ids, names


def _chance(table: pd.DataFrame, metric: str) -> float:
    """Percent that options drawn evenly get: of a correlation 0, of F1 that of expected counts."""
    asked = table.groupby(["template", "example"], sort=False)["gold"]
    share = float((1 / asked.size()).mean())
    if metric == "pearson":
        return 0.0
    if metric not in OF_LABELS:
        return 100 * share
    gold = asked.first().value_counts(normalize=True)
    labels = [1] if metric != "macro_f1" else range(int(table["option"].max()) + 1)
    true = gold.reindex(labels, fill_value=0.0)
    return float((100 * 2 * true * share / (true + share)).mean())


def draws(
    task: str,
    array: np.ndarray,
    groups: Sequence[str],
    finish: Callable[[np.ndarray], np.ndarray],
    *,
    asked: np.ndarray,
) -> np.ndarray:
    """A metric in each draw of its task's examples, which `resampling` draws by their group.

    A draw that has no example of a template is the mean over the others, and one in
    which no example counts is left out.

    Parameters
    ----------
    array
        Counts, shape (templates, examples, K).
    groups
        Of each example.
    finish
        Sums over examples, shape (..., K), to percent.
    asked
        bool, shape (templates, examples): which examples were asked in which
        templates.

    Returns
    -------
    float64 array, shape (DRAWS,) less what is left out, percent; NaN when there are
    fewer than two groups.
    """
    codes, weights = resampling.of_groups(task, groups)
    if weights.shape[1] < 2:
        return np.full(resampling.DRAWS, np.nan)
    summed = _by_group(array, codes, weights.shape[1])
    of_template = _by_group(asked[..., None], codes, weights.shape[1])[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = finish(np.einsum("dg,tgk->dtk", weights, summed, optimize=True))
    asked_of = weights @ of_template.T  # (DRAWS, templates): examples
    found = np.where(asked_of > 0, found, np.nan)
    found = found[~np.isnan(found).all(axis=-1)]
    return np.nanmean(found, axis=-1) if len(found) else np.full(resampling.DRAWS, np.nan)


def _by_group(array: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    summed = np.zeros((array.shape[0], n, array.shape[2]))
    np.add.at(summed, (slice(None), codes), array)
    return summed
