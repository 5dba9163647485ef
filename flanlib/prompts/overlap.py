"""Whether two examples share text: exactly, or by long runs of words.

Datasets are built from one another (ReCoRD from CNN/DailyMail, QNLI from
SQuAD, WNLI and DPR from Winograd schemas), so keeping datasets apart does
not keep texts apart.

Source
------
Brown et al. 2020 (arXiv 2005.14165), appendix C: overlap of 13 words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from flanlib.rows.adapters import Example

GRAM = 13
SHORTEST = 8

_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    """Text without differences of case, width, accents' form and spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def text(example: Example) -> str:
    """What an example says apart from its answer, whatever its fields' names.

    Equal for two examples exactly when their normalised field values are the
    same, in any order.
    """
    values = (normalise(value) for name, value in example.fields.items() if name != "answer")
    return "\n".join(sorted(filter(None, values)))


def grams(value: str) -> Iterator[int]:
    """Hashes of all runs of 13 words; of the whole text if it has 8 to 12.

    Hashes hold within one process only. Words are lower-case letters and
    digits: punctuation and capitals do not hide a copy.

    Parameters
    ----------
    value
        A text.
    """
    words = _WORD.findall(value.lower())
    if len(words) >= GRAM:
        return map(hash, zip(*(words[i:] for i in range(GRAM)), strict=False))
    return iter((hash(tuple(words)),) if len(words) >= SHORTEST else ())


class Texts:
    """Texts of evaluation and dev rows, which tuning examples may not repeat."""

    def __init__(self) -> None:
        self._scored: dict[int, str] = {}
        self._dev: set[int] = set()
        self._grams: set[int] = set()

    def add(self, examples: Iterable[Example], *, dev: bool = False) -> int:
        """Remember examples; return how many they were.

        Parameters
        ----------
        dev
            Whether they are dev rows; else rows that are scored.
        """
        n = 0
        for example in examples:
            n += 1
            said = text(example)
            if said and dev:
                self._dev.add(hash(said))
            elif said:
                self._scored.setdefault(hash(said), f"{example.task}, row {example.id}")
            for value in example.fields.values():
                self._grams.update(grams(value))
        return n

    def scored(self, example: Example) -> str | None:
        """Task and row of the evaluation row that an example repeats, if any."""
        return self._scored.get(hash(text(example))) if self._scored else None

    def resembles(self, example: Example) -> bool:
        """Whether an example repeats a dev row, or a field shares a run of words."""
        if self._dev and hash(text(example)) in self._dev:
            return True
        if not self._grams:
            return False
        return any(not self._grams.isdisjoint(grams(v)) for v in example.fields.values())

    def repeats(self, example: Example) -> bool:
        """Whether an example says exactly what a dev or evaluation row says."""
        said = hash(text(example))
        return said in self._scored or said in self._dev
