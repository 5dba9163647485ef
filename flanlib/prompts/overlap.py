"""Whether two examples share text: exactly, or by long runs of words.

Datasets are built from one another (ReCoRD from CNN/DailyMail, QNLI from
SQuAD, WNLI and DPR from Winograd schemas), so keeping datasets apart does
not keep texts apart.

Texts are compared after one normalisation: compatibility forms (NFKC), case
folded, without format characters, variation selectors and control characters, runs
of white space as one space. Accents stay: a word with another accent is another word.
A run is as long as 13 words. In scripts without spaces between words signs are counted:
1.5 Chinese signs stand for a word, and 3 Japanese kana or letters of Thai, Lao,
Khmer, Burmese, Tibetan and their kin, with the marks on them; so 20 or 39 of them make
a run, and a text in several scripts is measured sign by sign and word by word. In 79
programs' messages, 13 words are shared with another program by 1.4 percent of the
English ones, and 20 signs by 1.0 percent of their Chinese translations (8 signs: 5.7
percent), which have 1.7 signs for an English word.

Not seen: letters of one script that look like those of another (Cyrillic а for Latin
a), translations, simplified for traditional signs, an undotted Turkish ı for i, and
a format character in the place of a space.

Source
------
Brown et al. 2020 (arXiv 2005.14165), appendix C: overlap of 13 words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate

from flanlib.data.adapters import Example

GRAM = 13
SHORTEST = 8
WORD, SIGN, LETTER = 6, 4, 2
"""Weights of a word, of a Chinese sign, and of a sign of the other scripts without spaces."""


_IDEOGRAPHIC = (  # Han, Yi, Tangut, Nushu
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u303c\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    r"\uf900-\ufaff\U00016fe0-\U00018cff\U0001b170-\U0001b2ff\U00020000-\U0003ffff"
)
_ALPHABETIC = (  # Thai to Burmese, Khmer, Tai Le to Lue, Tham, Balinese, Javanese, Tai Viet, kana
    r"\u0e00-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff"
    r"\uaa60-\uaadf\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\U0001b000-\U0001b16f"
)
_WORD = re.compile(r"\w+", re.ASCII)
_ASCII_CONTROLS = {n: None for n in (*range(32), 127) if not chr(n).isspace()}


@lru_cache(maxsize=64)
def normalise(text: str) -> str:
    """Text without differences of case, width, accents' form, spacing and unseen characters.

    What it becomes is kept for a while, as each is asked for several times.
    """
    if text.isascii():
        return " ".join(text.translate(_ASCII_CONTROLS).lower().split())
    text = unicodedata.normalize("NFKC", _patterns()["unseen"].sub("", text))
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).split())


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What is not seen, words, and units of text with signs; made when first needed."""
    marks, unseen = [], [*_ASCII_CONTROLS, 0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0]  # and fillers
    unseen += [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)]
    for code in range(128, 0x20000):
        kind = unicodedata.category(chr(code))
        if kind == "Cf" or (kind == "Cc" and not chr(code).isspace()):
            unseen.append(code)
        elif kind[0] == "M" and code not in unseen:
            marks.append(code)
    mark, signs = _ranges(marks), _IDEOGRAPHIC + _ALPHABETIC
    return {
        "unseen": re.compile(f"[{_ranges(sorted({*unseen}))}]"),
        "word": re.compile(f"[\\w{mark}]+"),
        "sign": re.compile(f"(?=\\w)[{signs}]"),
        "ideograph": re.compile(f"[{_IDEOGRAPHIC}]"),
        "unit": re.compile(f"(?=\\w)[{signs}][{mark}]*|(?:(?![{signs}])[\\w{mark}])+"),
    }


def _ranges(codes: list[int]) -> str:
    """Ascending code points as the inside of a regular expression's brackets."""
    starts = [c for n, c in enumerate(codes) if not n or codes[n - 1] != c - 1]
    ends = [c for n, c in enumerate(codes) if n + 1 == len(codes) or codes[n + 1] != c + 1]
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in zip(starts, ends, strict=True))


def text(example: Example) -> str:
    """What an example says apart from its answer, whatever its fields' names.

    Equal for two examples exactly when their normalised field values are the
    same, in any order.
    """
    values = (normalise(value) for name, value in example.fields.items() if name != "answer")
    return "\n".join(sorted(filter(None, values)))


def grams(value: str) -> Iterator[int]:
    """Hashes of all runs as long as 13 words; of the whole text if it is as long as 8 to 12.

    Hashes hold within one process only. Words are letters, their marks and
    digits: punctuation and capitals do not hide a copy.
    """
    said = normalise(value)
    if said.isascii():
        return _runs_of_words(_WORD.findall(said))
    patterns = _patterns()
    if not patterns["sign"].search(said):
        return _runs_of_words(patterns["word"].findall(said))
    return _runs_of_units(patterns["unit"].findall(said))


def _runs_of_words(words: list[str]) -> Iterator[int]:
    if len(words) >= GRAM:
        return map(hash, zip(*(words[i:] for i in range(GRAM)), strict=False))
    return iter((hash(tuple(words)),) if len(words) >= SHORTEST else ())


def _runs_of_units(units: list[str]) -> Iterator[int]:
    """Of words and signs: each run is the shortest from its start that weighs 13 words."""
    ends = [0, *accumulate(map(_weight, units))]
    if ends[-1] < GRAM * WORD:
        if ends[-1] >= SHORTEST * WORD:
            yield hash(tuple(units))
        return
    end = 0
    for start, before in enumerate(ends):
        while ends[end] - before < GRAM * WORD:
            end += 1
            if end == len(ends):
                return
        yield hash(tuple(units[start:end]))


@lru_cache(maxsize=65_536)
def _weight(unit: str) -> int:
    patterns = _patterns()
    if not patterns["sign"].match(unit):
        return WORD
    return SIGN if patterns["ideograph"].match(unit) else LETTER


class Texts:
    """Texts of evaluation and dev rows, which tuning examples may not repeat."""

    def __init__(self) -> None:
        self._scored: dict[int, str] = {}
        self._dev: set[int] = set()
        self._grams: set[int] = set()

    def add(self, examples: Iterable[Example], *, dev: bool = False) -> int:
        """Remember examples, of rows that are scored or of `dev`; return how many they were."""
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
