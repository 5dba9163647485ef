"""Comparing a written answer with the accepted ones, as each benchmark does.

Every function returns a share between 0 and 1, the best over references
unless it says otherwise. Equal names mean equal comparisons: a benchmark that
normalises in a way of its own has a comparison of its own.

Source
------
SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), TriviaQA (Joshi et al. 2017),
NQ-open (Lee et al. 2019, whose evaluation is that of ORQA and EfficientQA),
DROP (Dua et al. 2019), CoQA (Reddy et al. 2019), QuAC (Choi et al. 2018) and
ReCoRD (Zhang et al. 2018), each by its published evaluation script.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from flanlib.data.layouts import CANNOT_ANSWER

Spans = str | Sequence[str]
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
SPACED = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
AGREED = 0.4  # QuAC leaves out questions on which its annotators agree less


def normalise(text: str) -> str:
    """SQuAD: lower case, no punctuation, no articles, single spaces.

    Examples
    --------
    >>> normalise("The  quick, brown fox!")
    'quick brown fox'
    """
    return _plain(text.lower().translate(PUNCTUATION))


def normalise_trivia_qa(text: str) -> str:
    """TriviaQA: as SQuAD, but punctuation and quotation marks become spaces.

    Examples
    --------
    >>> normalise_trivia_qa("Rock ‘n’ Roll"), normalise_trivia_qa("Spider-Man")
    ('rock n roll', 'spider man')
    """
    return _plain(text.lower().translate(SPACED))


def normalise_nq_open(text: str) -> str:
    """NQ-open: as SQuAD, after canonical decomposition (NFD)."""
    return normalise(unicodedata.normalize("NFD", text))


def exact(prediction: str, references: Sequence[str]) -> float:
    """Equal after SQuAD's normalisation, and however accents are composed.

    A comparison of this project. Where normalisation leaves nothing of a
    reference (a bare article or sign), the texts themselves are compared.
    """
    said, found = _composed(prediction), normalise(_composed(prediction))
    wanted = [(r, normalise(r)) for r in map(_composed, references)]
    return float(any(found == w if w else said.strip() == r.strip() for r, w in wanted))


def exact_text(prediction: str, references: Sequence[str]) -> float:
    """Equal as it stands, but for spaces around it."""
    return float(any(prediction.strip() == r.strip() for r in references))


def squad_exact(prediction: str, references: Sequence[str]) -> float:
    """SQuAD exact match; of ReCoRD as well."""
    return _equal(normalise, prediction, references)


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """SQuAD token F1, by version 2.0: two texts without a token agree.

    Examples
    --------
    >>> token_f1("the red fox", ["a fox"])
    0.6666666666666666
    """
    return max(_f1(normalise, prediction, r, blank=1.0) for r in references)


def record_f1(prediction: str, references: Sequence[str]) -> float:
    """ReCoRD token F1, by SQuAD 1.1: 0 where no token is shared."""
    return max(_f1(normalise, prediction, r) for r in references)


def trivia_qa_exact(prediction: str, references: Sequence[str]) -> float:
    """TriviaQA exact match."""
    return _equal(normalise_trivia_qa, prediction, references)


def trivia_qa_f1(prediction: str, references: Sequence[str]) -> float:
    """TriviaQA token F1; 0 where no token is shared."""
    return max(_f1(normalise_trivia_qa, prediction, r) for r in references)


def nq_open_exact(prediction: str, references: Sequence[str]) -> float:
    """NQ-open exact match."""
    return _equal(normalise_nq_open, prediction, references)


def coqa_exact(prediction: str, references: Sequence[str]) -> float:
    """CoQA exact match: the mean over annotators left out of the best of the others."""
    return _one_left_out([_equal(normalise, prediction, [r]) for r in references])


def coqa_f1(prediction: str, references: Sequence[str]) -> float:
    """CoQA token F1: the mean over annotators left out of the best of the others."""
    return _one_left_out([_f1(normalise, prediction, r, blank=1.0) for r in references])


def quac_f1(prediction: str, references: Sequence[str]) -> float | None:
    """QuAC token F1: the mean over annotators left out of the best of the others.

    Where half of the annotators or more say that the question cannot be
    answered, that is the one reference, and only its words are right;
    elsewhere such answers are left out.

    Returns
    -------
    None where the annotators' own F1 is below 0.4: the official script leaves
    such a question out.
    """
    answered = [r for r in references if r != CANNOT_ANSWER]
    if 2 * len(answered) <= len(references):
        return float(normalise(prediction) == normalise(CANNOT_ANSWER))
    if normalise(prediction) == normalise(CANNOT_ANSWER):
        prediction = ""
    others = [answered[:i] + answered[i + 1 :] for i in range(len(answered))]
    humans = [record_f1(r, rest) for r, rest in zip(answered, others, strict=True) if rest]
    if humans and float(np.mean(humans)) < AGREED:
        return None
    return _one_left_out([_f1(normalise, prediction, r) for r in answered])


def drop_exact(prediction: Spans, references: Sequence[Spans]) -> float:
    """DROP: the same set of spans, and as many.

    Parameters
    ----------
    prediction
        What a model wrote, one span as it stands; or a list of spans.
    references
        Each annotator's answer: its span, or the list of its spans.
    """
    said = [_drop_normalise(span) for span in _spans(prediction)]
    wanted = [[_drop_normalise(span) for span in _spans(r)] for r in references]
    return float(any(set(said) == set(w) and len(said) == len(w) for w in wanted))


def drop_f1(prediction: Spans, references: Sequence[Spans]) -> float:
    """DROP: F1 of optimally aligned spans; a span with numbers has to share one.

    Parameters
    ----------
    prediction
        What a model wrote, one span as it stands; or a list of spans.
    references
        Each annotator's answer: its span, or the list of its spans.
    """
    return max(_aligned_f1(_spans(prediction), _spans(r)) for r in references)


def edit_similarity(prediction: str, references: Sequence[str]) -> float:
    """One minus Levenshtein distance over the longer length, in characters."""
    return max(_similarity(prediction, r) for r in references)


COMPARISONS: dict[str, Callable[..., float | None]] = {
    "exact_match": exact,
    "exact_text": exact_text,
    "squad_em": squad_exact,
    "squad_f1": token_f1,
    "trivia_qa_em": trivia_qa_exact,
    "trivia_qa_f1": trivia_qa_f1,
    "nq_open_em": nq_open_exact,
    "drop_em": drop_exact,
    "drop_f1": drop_f1,
    "coqa_em": coqa_exact,
    "coqa_f1": coqa_f1,
    "quac_f1": quac_f1,
    "record_em": squad_exact,
    "record_f1": record_f1,
    "edit_similarity": edit_similarity,
}
SIGNATURES = {
    "exact_match": "SQuAD normalisation after NFC; the texts themselves where it leaves nothing",
    "exact_text": "equal as they stand, but for spaces around them",
    "squad_em": "SQuAD",
    "squad_f1": "SQuAD 2.0",
    "trivia_qa_em": "TriviaQA 1.0",
    "trivia_qa_f1": "TriviaQA 1.0",
    "nq_open_em": "NQ-open (ORQA), NFD",
    "drop_em": "DROP; an answer is one span, as the official script takes a text",
    "drop_f1": "DROP; an answer is one span, as the official script takes a text",
    "coqa_em": "CoQA 1.0, one annotator left out in turn",
    "coqa_f1": "CoQA 1.0, one annotator left out in turn",
    "quac_f1": "QuAC 0.2, one annotator left out in turn; questions with human F1 below 0.4 not counted",
    "record_em": "ReCoRD",
    "record_f1": "ReCoRD",
    "edit_similarity": "1 - Levenshtein distance in characters / longer length",
}

_MINUS = str.maketrans(dict.fromkeys("−－﹣–‐‑", "-") | {"٫": ".", "٬": ","})
_PARTS = {"comma": ",", "apart": "\u00a0\u2009\u202f'’", "point": "."}
_NUMBER = re.compile(
    r"(?P<minus>(?<![\w.,)\]])-)?[$€£¥]?(?:"
    r"(?P<comma>[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?!\d|,\d))"  # 1,200 and 12,345.67
    rf"|(?P<apart>[1-9]\d{{0,2}}(?:[{_PARTS['apart']}]\d{{3}})+(?:[.,]\d+)?(?!\d))"  # 1'200.5
    r"|(?P<point>[1-9]\d{0,2}(?:(?:\.\d{3}){2,}(?:,\d+)?|(?:\.\d{3})+,\d+)(?!\d|[.,]\d))"  # 1.200,5
    r"|(?P<other>\d+,\d+(?!\d|[.,]\d)|\d+(?:\.\d+)?|(?<!\w)\.\d+)"  # 4,5 and 2.5 and .5
    r")(?P<power>[eE][-+]?\d+(?!\w))?"
)


def number(text: str) -> float | None:
    """The first number in a text, as written.

    Commas before groups of three digits part thousands, a single other comma
    is a decimal one; spaces that do not break, thin ones and apostrophes part
    thousands as well, and so do several points. A minus or dash before the
    number counts unless it stands behind a word or another number.

    Returns
    -------
    None where there is none, or one too large to count with.

    Examples
    --------
    >>> [number(t) for t in ("1,200", "12,345.67", "4,5", ".5", "1e3", "−3", "1.200,5", "none")]
    [1200.0, 12345.67, 4.5, 0.5, 1000.0, -3.0, 1200.5, None]
    """
    found = _NUMBER.search(text.translate(_MINUS))
    if found is None:
        return None
    kind = next(name for name in ("comma", "apart", "point", "other") if found[name])
    digits = found[kind].translate(dict.fromkeys(map(ord, _PARTS.get(kind, ""))))
    value = float(digits.replace(",", ".") + (found["power"] or ""))
    if not np.isfinite(value):
        return None
    return -value if found["minus"] else value


def _plain(text: str) -> str:
    """Without articles, and with single spaces."""
    return " ".join(ARTICLES.sub(" ", text).split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _equal(form: Callable[[str], str], prediction: str, references: Sequence[str]) -> float:
    found = form(prediction)
    return float(any(found == form(r) for r in references))


def _f1(form: Callable[[str], str], prediction: str, reference: str, blank: float = 0.0) -> float:
    """Token F1; `blank` where neither text has a token."""
    found, wanted = form(prediction).split(), form(reference).split()
    if not found and not wanted:
        return blank
    shared = sum((Counter(found) & Counter(wanted)).values())
    return _harmonic(shared / len(found), shared / len(wanted)) if shared else 0.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision or recall else 0.0


def _one_left_out(scores: Sequence[float]) -> float:
    """Mean over references left out of the best of the others; a single one's own score."""
    if len(scores) == 1:
        return scores[0]
    bests = [max([*scores[:i], *scores[i + 1 :]]) for i in range(len(scores))]
    return sum(bests) / len(bests)


def _spans(answer: Spans) -> list[str]:
    return [answer] if isinstance(answer, str) else list(answer)


def _drop_normalise(span: str) -> str:
    return " ".join(filter(None, map(_drop_word, re.split("[ -]", span))))


def _drop_word(word: str) -> str:
    """A word without case, punctuation or articles; a number in one spelling."""
    word = word.lower()
    if not _is_number(word):
        word = word.translate(PUNCTUATION)
    return _plain(str(float(word)) if _is_number(word) else word)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _aligned_f1(said: list[str], wanted: list[str]) -> float:
    """Mean over the longer list of F1 of pairs, to two places as DROP does."""
    left, right = ([set(_drop_normalise(s).split()) for s in spans] for spans in (wanted, said))
    scores = np.array([[_set_f1(b, a) for b in right] for a in left])
    rows, columns = linear_sum_assignment(-scores)
    best = np.zeros(max(len(left), len(right)))
    best[rows] = scores[rows, columns]
    return round(float(best.mean()), 2)


def _set_f1(said: set[str], wanted: set[str]) -> float:
    numbers = set(filter(_is_number, wanted))
    if numbers and not numbers & said:
        return 0.0
    shared = len(said & wanted)
    return _harmonic(shared / len(said) if said else 1.0, shared / len(wanted) if wanted else 1.0)


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
