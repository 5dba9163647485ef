"""BLEU and ROUGE: sums of shared n-grams, as sacrebleu and rouge_score count them."""

import re
import reprlib
from collections.abc import Sequence
from functools import cache

import numpy as np

from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task
from flanlib.evaluation import tokens
from flanlib.evaluation.sums import Counts, means

_ENDS = re.compile(r"(?<=[.!?]) +|(?<=[。！？।॥؟۔។။]) *")
ROUGE = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}
Row = tuple[str, str, str, Sequence[str]]  # template, example, answer written, references


def bleu(task: Task, rows: Sequence[Row]) -> Counts:
    """Corpus BLEU, in the task's tokenizer.

    Parameters
    ----------
    rows
        Every answer under every template.

    Raises
    ------
    DataError
        If the references are in a script that the tokenizer does not part into words.
    """
    import sacrebleu

    named = tokens.bleu_tokenizer(task)
    whole = sacrebleu.BLEU(tokenize=named)
    single = sacrebleu.BLEU(tokenize=named, effective_order=True)
    known = [whole.tokenizer(r) for r in sorted({r for *_, texts in rows for r in texts})]
    if not named.endswith("mecab") and tokens.unsplit(" ".join(known).split()) > 0.5:
        raise DataError(
            f"task {task.key}: the references are in a script without spaces, which BLEU's"
            f" tokenizer {named} takes for single words; set bleu_tokenizer in the catalogue:"
            " zh for Chinese, ja-mecab or char for Japanese, char for others"
        )
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
            correct=row[:4], total=row[4:8], sys_len=row[8], ref_len=row[9], smooth_method="exp"
        ).score
        for row in flat
    ]
    return np.array(values).reshape(sums.shape[:-1])


@cache
def scorer_of(kind: str):
    """The scorer of rouge_score with this project's words.

    Parameters
    ----------
    kind
        As rouge_score has it, such as `rougeL`.
    """
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=tokens.Words())


def rouge(task: Task, kind: str, rows: Sequence[Row]) -> Counts:
    """Best f-measure over references; sentences on lines for rougeLsum.

    Parameters
    ----------
    kind
        As rouge_score has it, such as `rougeL`.
    rows
        Every answer under every template.

    Raises
    ------
    DataError
        If no reference of an example has a word.
    """
    split = _sentences if kind == "rougeLsum" else str
    scorer, shares = scorer_of(kind), {}
    for template, example, prediction, references in rows:
        usable = [r for r in references if tokens.has_words(r)]
        if not usable:
            raise DataError(
                f"task {task.key}, example {example}: no reference has a word for ROUGE to count;"
                f" found {reprlib.repr(references)}; leave the row out, or choose another metric"
            )
        found = [scorer.score(split(r), split(prediction))[kind].fmeasure for r in usable]
        shares[template, example] = max(found)
    return means(
        task,
        shares,
        f"rouge_score {kind} f-measure, stemmed, best over references; words by Unicode, single"
        " signs in scripts without spaces",
    )


@cache
def _sentences(text: str) -> str:
    if "\n" in text:
        return text
    return "\n".join(_ENDS.split(text))
