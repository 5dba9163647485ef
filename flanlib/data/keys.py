"""What short texts of a catalogue may be: keys, titles, options, places.

A key becomes the name of a folder, a part of a record and a word on the
command line, where `+` and `,` part several of them. Letters of any script are
allowed; signs and names that a file system takes for something else are not.
What a field of a catalogue is held against gives the text back, or raises a
`ValueError` that says what is wrong.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator

from flanlib.core import naming
from flanlib.core.errors import ParameterError

LONGEST_KEY = 64
MOST_BYTES = 120  # of a key in UTF-8: file names have at most 255, and more is added to a key


def key(text: str) -> str:
    """The text, if it can be a key.

    Letters, digits, `_`, `-`, `.` and `$` are; it begins with a letter, a digit or `_`,
    and does not end in `.` or with the suffix of a file that stands beside folders of
    tasks. Names of devices in Windows, such as `con`, are none.

    Examples
    --------
    >>> key("anli_r1"), key("兽医")
    ('anli_r1', '兽医')
    """
    fits = (
        0 < len(text) <= LONGEST_KEY
        and text[0] not in "-.$"
        and not _TAKEN.search(text)
        and all(sign in "_-.$" or unicodedata.category(sign)[0] in "LMN" for sign in text)
        and unicodedata.category(text[0])[0] != "M"
        and len(text.encode()) <= MOST_BYTES
    )
    if not fits:
        raise ValueError(
            f"no key; at most {LONGEST_KEY} letters, digits, _, -, . and $ are, with a letter, a"
            " digit or _ in front, and not what a file system takes for a file or a device"
        )
    if text != unicodedata.normalize("NFC", text):
        raise ValueError("no key: its accents stand apart from their letters (not Unicode NFC)")
    return text


def parted(text: str) -> list[str]:
    """The keys of a text with `+` between; `ParameterError` if one stands twice."""
    parts = text.split("+")
    if twice := [part for part in parts if parts.count(part) > 1 and part]:
        raise ParameterError(f"held out: {twice[0]!r} stands twice in {text!r}; name it once")
    return parts


def clash(names: Iterable[str]) -> str:
    """Two different keys in `names` that some file systems take for one; empty when none are.

    Examples
    --------
    >>> clash(["rte", "wnli", "RTE"])
    "'RTE' and 'rte' differ only in the case of letters; rename one"
    """
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name:
            return f"{name!r} and {other!r} differ only in the case of letters; rename one"
    return ""


def line(text: str) -> str:
    """The text, if it is one line, without control characters; it may be empty."""
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text):
        raise ValueError("has a line break or another control character in it; one line is wanted")
    return text


def option(text: str) -> str:
    """The text, if it can be an answer to choose: one line, no white space around it."""
    if not text.strip():
        raise ValueError("empty; an answer is wanted")
    if line(text) != text.strip():
        raise ValueError("begins or ends with white space; remove it")
    return text


def place(text: str) -> str:
    """The text, if it names something at a hub, without `..` in it; it may be empty."""
    if text and (line(text) != text.strip() or ".." in re.split(r"[/\\]", text)):
        raise ValueError("leads out of its folder; give a name without '..'")
    return text


def within(text: str) -> str:
    """The text, if it names files below a folder: relative, without `..`; `*` may be in it."""
    if not text or text.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:", text):
        raise ValueError("no path below its folder; give a relative one")
    return place(text)


def third(text: str) -> str:
    """The text, if it is like `2/3`, one of as many equal parts; it may be empty."""
    if text and not (re.fullmatch(r"[1-9]/[1-9]", text) and text[0] <= text[2]):
        raise ValueError("no part; wanted is one like 2/3, the second of three")
    return text


def expression(text: str) -> tuple[str, int]:
    """A split of a source, and the size of the cut taken off it; 0 takes all of it.

    `train[:-200]` is what a cut leaves, so that nothing is cut off it.

    Raises
    ------
    ValueError
        If it is not like `train`, `train[-200:]` or `dev_r1[:200]`.

    Examples
    --------
    >>> expression("dev_r1[:200]"), expression("train[:-200]")
    (('dev_r1', 200), ('train', 0))
    """
    if not (match := _EXPRESSION.fullmatch(text)):
        raise ValueError(f"split {text[:80]!r} is not like train or train[-200:]")
    return match[1], int(match[2] or match[3] or 0)


def wrong_source(route: str, config: str, splits: Mapping[str, str]) -> str:
    """What a task's source says that cannot be, field first; empty when nothing is.

    Parameters
    ----------
    route, config, splits
        As in the catalogue's entry.
    """
    for split, text in splits.items():
        place = f"source.splits.{split}"
        if split not in ("train", "dev", "eval"):
            return f"source.splits: no split {naming.shown(split)}; there are train, dev and eval"
        try:
            expression(text)
        except ValueError as error:
            return f"{place}: {error}"
        if split != "train" and "[:-" in text:
            return f"{place}: {text!r} is no cut; wanted is one like train[-200:]"
    if route == "micro" and not re.fullmatch("[0-9]{1,9}", config):
        return (
            f"source.config: found {naming.shown(config)}; route micro wants the seed of its"
            " world, a whole number in quotes such as '1'"
        )
    return ""


_EXPRESSION = re.compile(
    r"(\w+(?:\.\w+)*)"
    r"(?:\[(?:-([1-9][0-9]{0,8}):|:([1-9][0-9]{0,8})|:-[1-9][0-9]{0,8})\])?"
)

_TAKEN = re.compile(
    r"\.$|\.(json|jsonl|md|yaml|parquet|lock)$|^(con|prn|aux|nul|(com|lpt)[1-9])(\.|$)",
    re.IGNORECASE,
)

Key = Annotated[str, AfterValidator(key)]
Stem = Annotated[str, AfterValidator(lambda text: text and key(text))]
Line = Annotated[str, AfterValidator(line)]
Option = Annotated[str, AfterValidator(option)]
Place = Annotated[str, AfterValidator(place)]
Within = Annotated[str, AfterValidator(within)]
Part = Annotated[str, AfterValidator(third)]
