"""Templates of pages, and tables as their cells: numbers short, long text cut."""

import json
from typing import TYPE_CHECKING

import pandas as pd

from flanlib.core import paths

if TYPE_CHECKING:
    import jinja2

PAGES = paths.PACKAGE / "pages"
LONGEST = 2_000  # rows of a table shown; the CSV holds all
WIDEST = 400  # characters of a cell shown


def environment(*, autoescape: bool = True) -> "jinja2.Environment":
    """Jinja2 with the pages' templates, style and script; for Markdown without `autoescape`."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["rows"] = cells
    made.filters["numeric"] = lambda frame, name: frame[name].dtype.kind in "iuf"
    made.globals["style"] = (PAGES / "report.css").read_text(encoding="utf-8")
    made.globals["script"] = (PAGES / "report.js").read_text(encoding="utf-8")
    return made


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """Cells of the first `LONGEST` rows of a `frame`, as text."""
    rows = frame.head(LONGEST).itertuples(index=False)
    return [[_cell(value) for value in row] for row in rows]


def embedded(text: str) -> str:
    """Text as a JSON string that a script element can hold, whatever tags are in it."""
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")


def _cell(value: object) -> str:
    if isinstance(value, bool) or str(value) in ("True", "False"):
        return "yes" if str(value) == "True" else "no"
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.{2 if abs(value) < 10_000 else 0}f}"
    text = str(value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]} …"
