"""What each example contributes to a metric, and how sums become percent."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import pandas as pd

from flanlib.catalogue import Task
from flanlib.errors import DataError, ParameterError
from flanlib.rows.adapters import Example
from flanlib.scoring.answers import COMPARISONS, number

Finish = Callable[[np.ndarray], np.ndarray]
ROUGE = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
OF_OPTIONS = (
    "accuracy",
    "f1",
    "macro_f1",
    "pearson",
    "multirc_f1",
    "multirc_em",
    "record_em",
    "record_f1",
)
OF_TEXTS = (*COMPARISONS, *ROUGE, "bleu", "pearson")


@dataclass
class Counts:
    """Per (template, example): a vector of counts, and a score by itself.

    Attributes
    ----------
    finish
        Sums over examples, shape (..., K), to percent.
    vectors
        float64 arrays, shape (K,), summed before `finish`.
    each
        Percent of the example alone; for sums like BLEU, its best reading.
    """

    finish: Finish
    vectors: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    each: dict[tuple[str, str], float] = field(default_factory=dict)
    signature: str = ""


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
    if metric not in OF_OPTIONS:
        raise ParameterError(
            f"task {task.key}: no metric {metric!r} for ranked options; there are {OF_OPTIONS}"
        )
    work = table[["template", "example", "option", "gold"]].assign(value=value)
    best = work.loc[work.groupby(["template", "example"], sort=False)["value"].idxmax()]
    rows = list(best[["template", "example", "option", "gold"]].itertuples(index=False, name=None))
    if metric == "accuracy":
        return _means({(t, e): float(o == g) for t, e, o, g in rows})
    if metric in ("f1", "macro_f1"):
        return _f1(rows, int(table["option"].max()) + 1, positive=metric == "f1")
    if metric.startswith("multirc"):
        return _multirc(task, rows, known, metric)
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
    if metric not in OF_TEXTS:
        raise ParameterError(
            f"task {task.key}: no metric {metric!r} for written answers; there are {OF_TEXTS}"
        )
    columns = table[["template", "example", "prediction", "references"]]
    rows = list(columns.itertuples(index=False, name=None))
    if metric == "bleu":
        return _bleu(task, rows)
    if metric == "pearson":
        pairs = {(t, e): (number(p), number(r[0])) for t, e, p, r in rows}
        return _pearson(task, pairs)
    if metric in ROUGE:
        compare = partial(_rouge, ROUGE[metric])
        signature = f"rouge_score {ROUGE[metric]} f-measure, stemmed, best over references"
    else:
        compare, signature = COMPARISONS[metric], ""
    found = _means({(t, e): compare(p, r) for t, e, p, r in rows})
    found.signature = signature
    return found


def _means(shares: Mapping[tuple[str, str], float]) -> Counts:
    return Counts(
        _mean,
        {key: np.array([share, 1.0]) for key, share in shares.items()},
        {key: 100 * share for key, share in shares.items()},
    )


def _mean(sums: np.ndarray) -> np.ndarray:
    return 100 * sums[..., 0] / sums[..., 1]


def _f1(rows: list[tuple], n_labels: int, *, positive: bool) -> Counts:
    """F1 of label 1, or the mean over labels of F1."""
    found = Counts(_f1_of_one if positive else _f1_of_all)
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
        question = (template, (fields.get("paragraph"), fields.get("question")))
        questions.setdefault(question, []).append((example, option == gold))
    found = Counts(_mean)
    for (template, _), parts in questions.items():
        right = float(all(ok for _, ok in parts))
        for example, _ in parts:
            found.vectors[template, example] = np.array([right, 1.0]) / len(parts)
            found.each[template, example] = 100 * right
    return found


def _option_texts(metric: str, task: Task, rows, known: Mapping[str, Example]) -> Counts:
    if metric == "pearson":
        texts = {(t, e): (_example(task, known, e).options, o, g) for t, e, o, g in rows}
        return _pearson(task, {k: (number(x[o]), number(x[g])) for k, (x, o, g) in texts.items()})
    shares = {}
    for template, example, option, _ in rows:
        source = _example(task, known, example)
        shares[template, example] = COMPARISONS[metric](source.options[option], source.answers)
    return _means(shares)


def _example(task: Task, known: Mapping[str, Example], key: str) -> Example:
    if key not in known:
        raise DataError(
            f"task {task.key}: the metric compares texts; give `examples`, example {key!r} is"
            " not among them"
        )
    return known[key]


def _pearson(task: Task, pairs: Mapping[tuple[str, str], tuple]) -> Counts:
    """Correlation of numbers; an answer without a number counts as 0."""
    found = Counts(_correlation, signature="Pearson; no number is read as 0")
    for (template, example), (said, true) in pairs.items():
        if true is None:
            raise DataError(f"task {task.key}, example {example}: the reference is no number")
        x, y = said or 0.0, true
        found.vectors[template, example] = np.array([1.0, x, y, x * x, y * y, x * y])
        found.each[template, example] = 100.0 * (x == y)
    return found


def _correlation(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
    return 100 * np.divide(n * xy - x * y, spread, out=np.zeros_like(n), where=spread > 0)


def _bleu(task: Task, rows: list[tuple]) -> Counts:
    import sacrebleu

    whole, single = sacrebleu.BLEU(), sacrebleu.BLEU(effective_order=True)
    n_references = {len(references) for *_, references in rows}
    found = Counts(_bleu_of_sums)
    for template, example, prediction, references in rows:
        score = whole.corpus_score([prediction], [[r] for r in references])
        lengths = [score.sys_len, score.ref_len]
        found.vectors[template, example] = np.array([*score.counts, *score.totals, *lengths], float)
        found.each[template, example] = single.sentence_score(prediction, list(references)).score
    signature = str(whole.get_signature())
    many = f"nrefs:{max(n_references)}" if len(n_references) == 1 else "nrefs:var"
    found.signature = "|".join(
        many if part.startswith("nrefs:") else part for part in signature.split("|")
    )
    return found


def _bleu_of_sums(sums: np.ndarray) -> np.ndarray:
    import sacrebleu

    flat = np.rint(sums.reshape(-1, 10)).astype(int).tolist()
    values = [
        sacrebleu.BLEU.compute_bleu(
            correct=row[:4],
            total=row[4:8],
            sys_len=row[8],
            ref_len=row[9],
            smooth_method="exp",
        ).score
        for row in flat
    ]
    return np.array(values).reshape(sums.shape[:-1])


@cache
def _scorer(kind: str):
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=True)


def _rouge(kind: str, prediction: str, references) -> float:
    """Best f-measure over references; sentences on lines for rougeLsum."""
    split = _sentences if kind == "rougeLsum" else str
    scorer = _scorer(kind)
    return max(scorer.score(split(r), split(prediction))[kind].fmeasure for r in references)


@cache
def _sentences(text: str) -> str:
    if "\n" in text:
        return text
    return "\n".join(re.split(r"(?<=[.!?]) +", text))
