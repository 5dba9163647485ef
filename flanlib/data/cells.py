"""What a cell of a row may hold, and how it is read: as text, label, number, list.

A text is text or a number; a boolean, a date, bytes or a record is never
written out as one. A label is a whole number, a boolean or text. Numbers in
text have ASCII digits only.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

MOST = 10**18  # a label beyond is none
KINDS = {
    "bool": "a boolean",
    "bytes": "bytes",
    "NoneType": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a record",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "Decimal": "a number",
    "date": "a date",
    "datetime": "a date and time",
    "Timestamp": "a date and time",
    "time": "a time",
    "timedelta": "a duration",
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell that Python cannot hold; an error where it is needed, and only there.

    Attributes
    ----------
    why
        Its type and what kept it from being read.
    """

    why: str

    def __repr__(self) -> str:
        return self.why


def kind_of(value: object) -> str:
    """What a cell holds, in words.

    Examples
    --------
    >>> kind_of(b"abc"), kind_of(None)
    ('bytes', 'null')
    """
    if isinstance(value, Unreadable):
        return value.why
    name = type(value).__name__
    return KINDS.get(name, f"a {name}")


def plain(value: object) -> object:
    """A cell as Python's own type, where it is one of NumPy's scalars."""
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    return value


def _is_nan(value: object) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else value != value


def text_of(value: object) -> str:
    """A cell as text, stripped; a list is joined by commas, null and NaN are nothing.

    Raises
    ------
    TypeError
        Saying what stands where text should be.

    Examples
    --------
    >>> text_of(" a "), text_of(None), text_of(["a", 1])
    ('a', '', 'a, 1')
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | tuple):
        return ", ".join(_single(one, " in a list") for one in value)
    return _single(value)


def _single(value: object, within: str = "") -> str:
    value = plain(value)
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if _is_nan(value):
            return ""
        if isinstance(value, int) or math.isfinite(value):
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        raise TypeError(f"an infinite number{within} where text should be")
    names = f" with {', '.join(map(str, value))[:80]}" if isinstance(value, Mapping) else ""
    raise TypeError(f"{kind_of(value)}{names}{within} where text should be")


def label_of(value: object) -> object:
    """A label as a whole number, a boolean or text; None where there is none.

    Null, NaN, -1 and empty text are no label; 1.0 is 1. What can be no label is
    given back as it is.

    Examples
    --------
    >>> label_of(" b "), label_of(1.0), label_of("-1"), label_of(0.5)
    ('b', 1, None, 0.5)
    """
    value = plain(value)
    if isinstance(value, str):
        value = value.strip()
        return None if value in ("", "-1") else value
    if isinstance(value, float | Decimal):
        if _is_nan(value):
            return None
        if abs(value) < MOST and value == int(value):
            value = int(value)
    return None if isinstance(value, int) and value == -1 else value


def whole(value: object) -> int | None:
    """A label, from `label_of`, as a whole number, also of ASCII digits; None if it is none.

    Examples
    --------
    >>> whole(2), whole("12"), whole("1_0"), whole(True)
    (2, 12, None, None)
    """
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: object) -> float:
    """A cell with a number, or its ASCII digits, as a number; `TypeError` if it has none."""
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"-?[0-9]{1,300}(\.[0-9]{0,300})?", text):
            return float(text)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{kind_of(value)} where a number should be")


def listed(value: object) -> list[object]:
    """A cell that is a list; `TypeError` if it is none, as a text is none of its letters."""
    if isinstance(value, list | tuple):
        return list(value)
    raise TypeError(f"{kind_of(value)} where a list should be")


def texts(values: object) -> list[str]:
    """Distinct non-empty texts of a list, stripped, in order.

    Null counts as empty, in `values` and for it.
    """
    stripped = (
        _single(value, " in a list") for value in ([] if values is None else listed(values))
    )
    return list(dict.fromkeys(text for text in stripped if text))
