"""What each example contributes to a metric, and how sums become percent.

A metric of ranked options is a branch of `of_options`; a comparison of one written
answer is a line of `COMPARISONS` in `answers`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from flanlib.core.errors import DataError, ParameterError
from flanlib.data.adapters import Example, answer_text
from flanlib.data.catalogue import Task
from flanlib.data.metric_names import QUESTION, wrong_metric
from flanlib.evaluation import ngrams
from flanlib.evaluation.answers import COMPARISONS, SIGNATURES, number
from flanlib.evaluation.sums import Counts, mean_of_sums, means


def of_options(
    metric: str, task: Task, table: pd.DataFrame, known: Mapping[str, Example], value: pd.Series
) -> Counts:
    """Counts of a rank table.

    Parameters
    ----------
    table
        From `score.rank`: columns template, example, option, gold.
    known
        Example id -> example; needed by metrics that read texts or groups.
    value
        One number per row of the table; the largest of an example is chosen.

    Raises
    ------
    ParameterError
        If the metric does not exist for ranked options.
    """
    if wrong := wrong_metric(metric, "rank"):
        raise ParameterError(f"task {task.key}: {wrong}")
    work = table[["template", "example", "option", "gold"]].assign(value=value)
    work = work.sort_values("option", kind="stable", ignore_index=True)
    best = work.loc[work.groupby(["template", "example"], sort=False)["value"].idxmax()]
    rows = list(best[["template", "example", "option", "gold"]].itertuples(index=False, name=None))
    if metric == "accuracy":
        return means(task, {(t, e): float(o == g) for t, e, o, g in rows})
    if metric in ("f1", "macro_f1"):
        return _f1(rows, int(table["option"].max()) + 1, positive=metric == "f1")
    if metric.startswith("multirc"):
        return _multirc(task, rows, known, metric)
    if metric != "pearson" and metric not in COMPARISONS:
        raise _uncounted(task, metric, "a branch in `of_options`")
    return _option_texts(metric, task, rows, known)


def of_texts(metric: str, task: Task, table: pd.DataFrame) -> Counts:
    """Counts of a table of written answers.

    Parameters
    ----------
    table
        From `score.generate`: columns template, example, prediction, references.

    Raises
    ------
    ParameterError
        If the metric does not exist for written answers.
    """
    if wrong := wrong_metric(metric, "generate"):
        raise ParameterError(f"task {task.key}: {wrong}")
    columns = table[["template", "example", "prediction", "references"]]
    known = _spans if metric.startswith("drop_") else _texts
    rows = [(t, e, p, known(r)) for t, e, p, r in columns.itertuples(index=False, name=None)]
    if metric == "bleu":
        return ngrams.bleu(task, rows)
    if metric == "pearson":
        pairs = {(t, e): (number(p), number(r[0])) for t, e, p, r in rows}
        return _pearson(task, pairs)
    if metric in ngrams.ROUGE:
        return ngrams.rouge(task, ngrams.ROUGE[metric], rows)
    if metric not in COMPARISONS:
        raise _uncounted(task, metric, "a branch in `of_texts`")
    shares = {(t, e): COMPARISONS[metric](p, r) for t, e, p, r in rows}
    return means(task, shares, SIGNATURES[metric])


def _uncounted(task: Task, metric: str, place: str) -> ParameterError:
    return ParameterError(
        f"task {task.key}: metric {metric!r} is named in METRICS of flanlib/data/metric_names.py,"
        f" but nothing counts it; give it {place} of flanlib/evaluation/counts.py, or a line in"
        " COMPARISONS of flanlib/evaluation/answers.py"
    )


def _spans(references: Sequence) -> list[str | tuple[str, ...]]:
    return [r if isinstance(r, str) else tuple(r) for r in references]


def _texts(references: Sequence) -> list[str]:
    return [answer_text(r) for r in _spans(references)]


def _f1(rows: list[tuple], n_labels: int, *, positive: bool) -> Counts:
    """F1 of label 1, or the mean over labels of F1."""
    found = (
        Counts(_f1_of_one, signature="F1 of option 1; 0 where it is neither right nor chosen")
        if positive
        else Counts(_f1_of_all, signature="mean F1 over options that are right or chosen")
    )
    for template, example, option, gold in rows:
        vector = np.zeros((n_labels, 3))
        vector[option, 1] += 1
        vector[gold, 2] += 1
        vector[gold, 0] += option == gold
        found.vectors[template, example] = vector[1] if positive else vector.ravel()
        found.each[template, example] = 100.0 * (option == gold)
    return found


def _f1_of_all(sums: np.ndarray) -> np.ndarray:
    parts = sums.reshape(*sums.shape[:-1], -1, 3)
    shares, seen = _f1_of_one(parts), (parts[..., 1] + parts[..., 2]) > 0
    return (shares * seen).sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1)


def _f1_of_one(sums: np.ndarray) -> np.ndarray:
    right, said, true = sums[..., 0], sums[..., 1], sums[..., 2]
    return 100 * 2 * right / np.maximum(said + true, 1)


def _multirc(task: Task, rows: list[tuple], known: Mapping[str, Example], metric: str) -> Counts:
    """F1 over all answers ("f1"), or share of questions all right ("em").

    A question is what examples with one paragraph and question share.
    """
    if metric == "multirc_f1":
        return _f1(rows, 2, positive=True)
    questions: dict[tuple[str, tuple], list[tuple[str, bool]]] = {}
    for template, example, option, gold in rows:
        fields = _example(task, known, example).fields
        question = (template, tuple(fields.get(name) for name in QUESTION))
        questions.setdefault(question, []).append((example, option == gold))
    found = Counts(mean_of_sums)
    for (template, _), parts in questions.items():
        right = float(all(ok for _, ok in parts))
        for example, _ in parts:
            found.vectors[template, example] = np.array([right, 1.0]) / len(parts)
            found.each[template, example] = 100 * right
    return found


def _option_texts(metric: str, task: Task, rows, known: Mapping[str, Example]) -> Counts:
    if metric == "pearson":
        pairs = {}
        for template, example, option, gold in rows:  # a further answer is the score as given
            source = _example(task, known, example)
            given = [source.options[gold], *_texts(source.answers[1:])][-1]
            pairs[template, example] = number(source.options[option]), number(given)
        return _pearson(task, pairs)
    shares = {}
    for template, example, option, _ in rows:
        source = _example(task, known, example)
        answers = _texts(source.answers)
        shares[template, example] = COMPARISONS[metric](source.options[option], answers)
    return means(task, shares, SIGNATURES[metric])


def _example(task: Task, known: Mapping[str, Example], key: str) -> Example:
    if key not in known:
        raise DataError(
            f"task {task.key}: the metric compares texts; give `examples`, example {key!r} is"
            " not among them"
        )
    return known[key]


def _pearson(task: Task, pairs: Mapping[tuple[str, str], tuple]) -> Counts:
    """Correlation of numbers; an answer without a number counts as 0.

    Numbers are centred and scaled first, which changes no correlation, so that
    large ones lose nothing and overflow nothing.
    """
    for (_, example), (_, true) in pairs.items():
        if true is None:
            raise DataError(f"task {task.key}, example {example}: the reference is no number")
    said, true = (_scaled([x or 0.0 for x in side]) for side in zip(*pairs.values(), strict=True))
    if not true.any():
        raise DataError(
            f"task {task.key}: all references are one number, so that Pearson's correlation is"
            " undefined; score examples with different references, or choose another metric"
        )
    found = Counts(_correlation)
    for (key, (answer, reference)), x, y in zip(pairs.items(), said, true, strict=True):
        found.vectors[key] = np.array([1.0, x, y, x * x, y * y, x * y])
        found.each[key] = 100.0 * ((answer or 0.0) == reference)
    templates = {template: set() for template, _ in pairs}
    for (template, _), x in zip(pairs, said, strict=True):
        templates[template].add(x)
    constant = sum(len(values) == 1 for values in templates.values())
    found.signature = "Pearson; no number is read as 0; 1,200 as 1200" + (
        f"; undefined, and counted as 0, under {constant} of {len(templates)} templates, whose"
        " answers are all the same"
        if constant
        else ""
    )
    return found


def _scaled(numbers: Sequence[float]) -> np.ndarray:
    """Numbers less their mean, the farthest being 1 or -1; zeros where all are the same."""
    values = np.array(numbers, dtype=float)
    values /= max(np.abs(values).max(), np.finfo(float).tiny)
    if (values == values[0]).all():
        return np.zeros_like(values)
    values -= values.mean()
    return values / np.abs(values).max()


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Percent; 0 where one side does not vary, up to rounding."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    left, right = n * xx - x * x, n * yy - y * y
    varied = (left > 1e-13 * n * xx) & (right > 1e-13 * n * yy)
    spread = np.sqrt(np.where(varied, left * right, 1.0))
    return np.clip(np.where(varied, 100 * (n * xy - x * y) / spread, 0.0), -100, 100)
