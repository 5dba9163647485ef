"""Cleaners: what a copy of a dataset left in its text and nobody wrote there.

A task names those it needs; they apply in order to fields, options and
answers. The invisible, which no reader sees, is removed from every text.
"""

import html
import re
from collections.abc import Callable, Iterable

# No pattern begins with `\s*`: every place of a run of white space would be tried,
# which costs the square of its length. Text is split at what is sure, and the
# parts are stripped.
_UNSEEN = re.compile("[\\x80-\\x9f\\u200b\\u2060\\ufeff]")
_TWICE = re.compile(
    "[\\xc2-\\xdf][\\x80-\\x9f]"
    "|[\\xe0-\\xef](?:[\\x80-\\x9f][\\x80-\\xbf]|[\\xa0-\\xbf][\\x80-\\x9f])"
)


def visible(text: str) -> str:
    """Text without the invisible characters that a copy left in it.

    Bytes of UTF-8 taken for characters are put together again; Windows
    characters taken for control characters are written as meant; zero-width
    spaces (U+200B), word joiners (U+2060) and byte-order marks (U+FEFF) go.
    Everything else that is not seen says something and reaches the tokenizer
    as it stands: joiners of emoji and scripts (U+200C, U+200D), soft hyphens,
    marks of direction, NUL, `\\r\\n`, line and paragraph separators. Around a
    cell, before this, white space is stripped (`columns.text_of`).
    """
    if text.isascii() or not _UNSEEN.search(text):
        return text
    return _UNSEEN.sub(_meant, _TWICE.sub(_decoded, text))


def _decoded(match: re.Match) -> str:
    try:
        return match[0].encode("latin-1").decode()
    except UnicodeDecodeError:
        return match[0]


def _meant(match: re.Match) -> str:
    if ord(match[0]) > 0x9F:
        return ""
    return match[0].encode("latin-1").decode("cp1252", errors="ignore")


_LOST = re.compile(r" ?(?<!&)(#\d{2,4}|\b(?:quot|amp|lt|gt|nbsp));")


def entities(text: str) -> str:
    """Character references, whole or with the ampersand lost, and tags."""
    text = html.unescape(_LOST.sub(r"&\1;", text))
    return re.sub(r"</?[a-zA-Z][^<>]{0,200}>", " ", text).replace("\\$", "$").strip()


def _bytes(text: str) -> str:
    wrapped = re.fullmatch(r"""b(['"])(.*)\1""", text.strip(), flags=re.DOTALL)
    return (wrapped[2].replace("\\n", "\n") if wrapped else text).strip()


_STAMP = re.compile(
    r".{0,300}?(?:UPDATED|PUBLISHED): ?\.? ?.{0,40}?\d{4} ?\.?(?: ?\| ?\.)? ?", re.DOTALL
)
_PLACE = re.compile(r"^(?:.{0,60}?\(\s?[A-Z][\w. ]{1,24}?\s?\)\s?--?\s|\(\s?CNN\s?\)\s*(?:--\s*)?)")


def _dateline(text: str) -> str:
    begin = 0
    while found := _STAMP.match(text, begin):
        begin = found.end()
    return _PLACE.sub("", text[begin:], count=1).strip()


def _quoted(text: str) -> str:
    """A cell of a CSV file: quotes doubled, and all of it in quotes."""
    if '""' in text and len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text.replace('""', '"')


_HOW = re.compile(r"\[(?:header|title|step|substeps)\]")


def _wikihow(text: str) -> str:
    """Sections in one line; a heading ends like a sentence."""
    parts = _parts(_HOW.split(text))
    ended = [part if part[-1] in ".,:;!?)\"'" else f"{part}." for part in parts[:-1]]
    return " ".join([*ended, *parts[-1:]])


def _parts(found: Iterable[str]) -> list[str]:
    """Stripped parts, without the empty ones."""
    return [part for text in found if (part := text.strip())]


_BREAK = re.compile(r"<br ?/?>")


def stripped_lines(text: str) -> str:
    """Lines that say something, without white space around them; a line feed ends one.

    Examples
    --------
    >>> stripped_lines(" a  b \\n \\n c")
    'a  b\\nc'
    """
    return "\n".join(_parts(text.split("\n")))


def _chat(text: str) -> str:
    """A chat's messages; a file that was sent is named, as in [photo]."""
    return re.sub(r"<file_(\w+)>", _sent, text.replace("\r\n", "\n")).strip()


def _sent(match: re.Match) -> str:
    return "[file]" if match[1] == "other" else f"[{match[1].lower()}]"


_NOTICE = re.compile(
    r"(?:Media playback is (?:not supported|unsupported) on (?:this|your) device"
    r"|These are external links and will open in a new window)\.?\s*"
)


CLEANERS: dict[str, Callable[[str], str]] = {
    "breaks": lambda text: "\n".join(_parts(_BREAK.split(text))),
    "bytes": _bytes,
    "chat": _chat,
    "dateline": _dateline,
    "entities": entities,
    "escapes": lambda text: (
        text.replace("\\n", "\n").replace('\\"', '"').replace('""', '"').strip()
    ),
    "notices": lambda text: _NOTICE.sub("", text).strip(),
    "quoted": _quoted,
    "quotes": lambda text: text.replace("``", '"').replace("''", '"'),
    "unescape": html.unescape,
    "spaces": lambda text: re.sub(r" {2,}", " ", text),
    "underscores": lambda text: text.replace("_", " "),
    "wikihow": _wikihow,
}
