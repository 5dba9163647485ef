"""Names that do not exist: which existing one was meant, and short messages.

Every error about an unknown task, cluster, option or file ends the same way:
first the nearest names, then what else there is, in one short line.
"""

import re
import reprlib
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

SHOWN = 16  # names listed whole; of longer lists only the first ones
FEW = 8
NEAREST = 3
ALIKE = 0.6  # least ratio of `difflib.SequenceMatcher` that counts as near
MOST_LINES, MOST_CHARACTERS = 10, 1_200

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def shown(value: object) -> str:
    """A value as messages quote it: its `repr`, shortened, however long it is.

    Examples
    --------
    >>> shown("rte"), len(shown("x" * 1_000))
    ("'rte'", 80)
    """
    try:
        return _REPR.repr(value)
    except ValueError:  # Python writes no numbers of more than 4300 digits
        return f"a number of {value.bit_length()} bits"


def nearest(
    word: str, known: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None
) -> list[str]:
    """Names in `known` that were probably meant by a `word`, the likeliest first.

    Case, hyphens and other signs do not count. A name counts as well by each of
    its other names (`aliases`), whole or by the last part of one with slashes.

    Examples
    --------
    >>> nearest("glue/mrpc", ["rte", "glue_mrpc"], {"glue_mrpc": ["nyu-mll/glue/mrpc"]})
    ['glue_mrpc']
    """
    plain, others = _plain(word), aliases or {}
    scores = {
        name: max(_alike(word, plain, one) for one in (name, *others.get(name, ())))
        for name in known
    }
    best = max(scores.values(), default=0.0)
    least = 1.0 if best >= 1 else max(ALIKE, best - 0.1)
    near = sorted((n for n in scores if scores[n] >= least), key=lambda n: -scores[n])
    return near[:NEAREST]


def alternatives(
    word: str,
    known: Iterable[str],
    aliases: Mapping[str, Iterable[str]] | None = None,
    remedy: str = "",
) -> str:
    """The end of a message about an unknown name, to be put right behind it.

    Parameters
    ----------
    word, known, aliases
        See `nearest`.
    remedy
        Command that lists all names; told where not all are shown, and instead
        of them where some are near.

    Examples
    --------
    >>> print("no form 'clozed'" + alternatives("clozed", ["none", "cloze"]))
    no form 'clozed' (did you mean 'cloze'?); there are none, cloze
    """
    names = list(known)
    near = nearest(word, names, aliases)
    many = len(names) > SHOWN
    start = f" (did you mean {' or '.join(map(repr, near))}?); there are" if near else "; there are"
    if not names:
        return "; there are none"
    if not many:
        return f"{start} {', '.join(names)}"
    if near and remedy:
        return f" (did you mean {' or '.join(map(repr, near))}?); `{remedy}` lists all {len(names)}"
    some = [*near, *(n for n in names if n not in near)][:FEW]
    more = f" (`{remedy}` lists all)" if remedy else ""
    return f"{start} {', '.join(some)} and {len(names) - len(some)} more{more}"


def few(items: Iterable[str], n: int = 3, between: str = "; ") -> str:
    """The first of many items, `between` two of them, and how many more there are.

    Examples
    --------
    >>> few(["a", "b", "c", "d"], 2)
    'a; b; and 2 more'
    """
    every = list(items)
    more = [f"and {len(every) - n} more"] if len(every) > n else []
    return between.join([*every[:n], *more])


def shortened(text: str) -> str:
    """An error's message in at most ten lines and 1 200 characters; its end is kept."""
    lines = text.strip().splitlines()
    if len(lines) > MOST_LINES:
        head, tail = lines[: MOST_LINES - 3], lines[-2:]
        lines = [*head, f"... ({len(lines) - len(head) - len(tail)} more lines)", *tail]
    text = "\n".join(lines)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS * 2 // 3]} ... {text[-MOST_CHARACTERS // 4 :]}"
    return text


def _plain(word: str) -> str:
    return re.sub(r"[\W_]+", "", word.casefold())


def _alike(word: str, plain: str, name: str) -> float:
    """How alike two names are; 1 where they are one name written in two ways."""
    ends = {_plain(name), *(_plain(part) for part in _tails(name))}
    tails = {plain, *(_plain(part) for part in _tails(word))} - {""}
    if ends & tails:
        return 1.0
    match = SequenceMatcher(None, plain, _plain(name), autojunk=False)
    return match.ratio() if match.real_quick_ratio() >= ALIKE else 0.0


def _tails(name: str) -> list[str]:
    """`b/c` and `c` of `a/b/c`."""
    parts = name.split("/")
    return ["/".join(parts[i:]) for i in range(1, len(parts))]
