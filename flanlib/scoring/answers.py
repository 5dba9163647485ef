"""Comparing a written answer with the accepted ones, as each benchmark does.

Every function returns a share between 0 and 1, the best over references.

Source
------
SQuAD (Rajpurkar et al. 2016) normalisation and token F1; DROP (Dua et al.
2019) aligns bags of spans and asks numbers to be equal.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
SPANS = re.compile(r",\s+|\s*;\s*")


def normalise(text: str) -> str:
    """SQuAD: lower case, no punctuation, no articles, single spaces.

    Examples
    --------
    >>> normalise("The  quick, brown fox!")
    'quick brown fox'
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(prediction: str, references: Sequence[str]) -> float:
    """Equal after normalisation to any reference.

    Where normalisation leaves nothing of a reference (a bare article or
    sign), the texts themselves are compared.
    """
    found = normalise(prediction)
    return float(
        any(
            found == normalise(r) if normalise(r) else prediction.strip() == r.strip()
            for r in references
        )
    )


def exact_text(prediction: str, references: Sequence[str]) -> float:
    """Equal as it stands, but for spaces around it."""
    return float(any(prediction.strip() == r.strip() for r in references))


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """SQuAD token F1.

    Examples
    --------
    >>> token_f1("the red fox", ["a fox"])
    0.6666666666666666
    """
    return max(_bag_f1(normalise(prediction).split(), normalise(r).split()) for r in references)


def drop_exact(prediction: str, references: Sequence[str]) -> float:
    """DROP: the same set of spans, and as many."""
    found = [_drop_normalise(span) for span in _spans(prediction)]
    wanted = [[_drop_normalise(span) for span in _spans(r)] for r in references]
    return float(any(set(found) == set(w) and len(found) == len(w) for w in wanted))


def drop_f1(prediction: str, references: Sequence[str]) -> float:
    """DROP: F1 of optimally aligned spans; numbers have to agree."""
    return max(_aligned_f1(_spans(prediction), _spans(r)) for r in references)


def edit_similarity(prediction: str, references: Sequence[str]) -> float:
    """One minus Levenshtein distance over the longer length, in characters."""
    return max(_similarity(prediction, r) for r in references)


COMPARISONS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "exact_match": exact,
    "exact_text": exact_text,
    "squad_em": exact,
    "squad_f1": token_f1,
    "record_em": exact,
    "record_f1": token_f1,
    "drop_em": drop_exact,
    "drop_f1": drop_f1,
    "edit_similarity": edit_similarity,
}


def number(text: str) -> float | None:
    """The first number in a text, or None."""
    found = re.search(r"-?\d+(?:[.,]\d+)?", text)
    return float(found[0].replace(",", ".")) if found else None


def _bag_f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    if not found or not wanted:
        return float(list(found) == list(wanted))
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))


def _spans(text: str) -> list[str]:
    parts = [part for part in SPANS.split(text.strip()) if part]
    return parts or [text]


def _drop_normalise(span: str) -> str:
    words = (normalise(_number_word(word)) for word in re.split(r"[ -]", span.lower()))
    return " ".join(filter(None, words))


def _number_word(word: str) -> str:
    """Numbers in one spelling, so that 3, 3.0 and $3 agree."""
    for text in (word, word.translate(PUNCTUATION)):
        try:
            return str(float(text)).replace(".", "point").replace("-", "minus")
        except ValueError:
            continue
    return word


def _aligned_f1(found: list[str], wanted: list[str]) -> float:
    """Mean over the longer list of F1 of pairs, to two places as DROP does."""
    left = [set(_drop_normalise(span).split()) for span in found]
    right = [set(_drop_normalise(span).split()) for span in wanted]
    scores = np.array([[_set_f1(a, b) for b in right] for a in left])
    rows, columns = linear_sum_assignment(-scores)
    return round(float(scores[rows, columns].sum()) / max(len(left), len(right)), 2)


def _set_f1(found: set[str], wanted: set[str]) -> float:
    numbers = {word for word in wanted if re.fullmatch(r"(minus)?\d+point\d+.*", word)}
    if numbers and not numbers & found:
        return 0.0
    if not found or not wanted:
        return float(found == wanted)
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def _similarity(a: str, b: str) -> float:
    if not a or not b:
        return float(a == b)
    codes = np.fromiter(map(ord, b), dtype=np.int64)
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for n, char in enumerate(a, 1):
        near = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(char)))
        row = np.minimum.accumulate(np.concatenate([[n], near]) - steps) + steps
    return 1 - row[-1] / max(len(a), len(b))
