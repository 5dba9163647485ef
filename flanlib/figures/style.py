"""One look for all figures, and the only function that writes them.

Colours are mostly Tol's muted and vibrant schemes, chosen to stay apart for
readers who confuse red and green; every coloured mark is labelled
or has a shape of its own as well, so that a grey print loses nothing.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from xml.sax.saxutils import escape

import matplotlib as mpl
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from flanlib.core import paths, progress, storage
from flanlib.core.errors import DataError

WIDTH = 7.1  # inches
INK = "#222222"
QUIET = "#767676"
STYLE = Path(__file__).with_name("study.mplstyle")
FONT = "DejaVu Sans"
FURTHER = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP"),
    *("Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "SimHei"),
    *("Yu Gothic", "MS Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai"),
    *("Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Khmer", "Noto Sans Myanmar"),
    *("Nirmala UI", "Leelawadee UI", "Arial Unicode MS", "Noto Emoji", "Segoe UI Emoji"),
)
"""Fonts for what `FONT` lacks, taken where they are installed."""

CLUSTERS = {
    "nli": ("Natural language inference", "NLI", "#332288"),
    "reading_comprehension": ("Reading comprehension", "Reading", "#117733"),
    "closed_book_qa": ("Closed-book QA", "Closed-book QA", "#CC6677"),
    "commonsense": ("Commonsense", "Commonsense", "#88CCEE"),
    "reading_comprehension_commonsense": (
        "Reading comp. with commonsense",
        "Reading + commonsense",
        "#44AA99",
    ),
    "sentiment": ("Sentiment", "Sentiment", "#DDCC77"),
    "paraphrase": ("Paraphrase", "Paraphrase", "#D39ACD"),
    "coreference": ("Coreference", "Coreference", "#882255"),
    "struct_to_text": ("Struct to text", "Struct to text", "#999933"),
    "translation": ("Translation", "Translation", "#EE7733"),
    "summarization": ("Summarization", "Summarization", "#0077BB"),
    "misc": ("Miscellaneous", "Misc.", "#777777"),
}
DOMAINS = {"NLU": "#CFE0F3", "NLG": "#F6E3C5"}


@dataclass(frozen=True)
class Mark:
    """How an arm looks everywhere.

    Attributes
    ----------
    name
        As the legend has it.
    fill
        Colour of the inside; empty is the colour of the cluster.
    """

    name: str
    marker: str
    edge: str
    fill: str


ARMS = {
    "chance": Mark("chance", "|", "#555555", "#555555"),
    "base": Mark("base, same templates", "o", "#333333", "#333333"),
    "base-no-options": Mark("base, no OPTIONS", "s", "#555555", "#C9C9C9"),
    "base-cloze": Mark("base, cloze", "^", "#555555", "#C9C9C9"),
    "base-chat": Mark("base, chat template", "v", "#555555", "#C9C9C9"),
    "tuned": Mark("instruction-tuned", "D", INK, ""),
}


def colour(cluster: str) -> str:
    """The colour that a cluster has in every figure."""
    return CLUSTERS[cluster][2] if cluster in CLUSTERS else INK


_TITLES: ContextVar[Mapping[str, str]] = ContextVar("titles", default=MappingProxyType({}))


@contextmanager
def titled(titles: Mapping[str, str]) -> Iterator[None]:
    """Call clusters by the `titles` (cluster -> title) of a user's own collection."""
    token = _TITLES.set(titles)
    try:
        yield
    finally:
        _TITLES.reset(token)


_REMARK: ContextVar[str] = ContextVar("remark", default="")


@contextmanager
def remarking(remark: str) -> Iterator[None]:
    """Add a `remark` on what was measured, a sentence, to the footnotes of figures."""
    token = _REMARK.set(remark)
    try:
        yield
    finally:
        _REMARK.reset(token)


def footnotes(texts: Sequence[str]) -> list[str]:
    """The `texts`, and the remark of `remarking` behind them, if there is one."""
    remark = _REMARK.get()
    return [*texts, remark] if remark else list(texts)


def title(cluster: str, short: bool = False) -> str:
    """A cluster's name: its title in a user's own collection, or its key made readable.

    A `short` one fits a narrow place.
    """
    if own := _TITLES.get().get(cluster):
        return own
    if cluster in CLUSTERS:
        return CLUSTERS[cluster][1 if short else 0]
    return " ".join(cluster.replace("_", " ").split()).capitalize()


_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # the direction of what follows


def printable(text: str) -> str:
    """A user's words as a figure, an SVG and a page can hold them.

    Control characters and half characters, which no XML may hold, are shown as
    `\ufffd`; characters that turn the direction of writing are left out.
    """
    return _TURNS.sub("", _UNSHOWN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose words are all printable; the same where they are."""
    for name in table.columns:
        column = table[name]
        clean = [printable(value) if isinstance(value, str) else value for value in column]
        if any(isinstance(old, str) and old != new for old, new in zip(column, clean, strict=True)):
            table = table.assign(**{name: pd.Series(clean, column.index, column.dtype)})
    return table


@cache
def fonts() -> tuple[str, ...]:
    """The font of all figures, then those of `FURTHER` that are installed."""
    installed = set(font_manager.get_font_names())
    return (FONT, *(name for name in FURTHER if name in installed))


@cache
def _drawable() -> frozenset[int]:
    """Code points that some font has."""
    files = (font_manager.findfont(font_manager.FontProperties(family=name)) for name in fonts())
    return frozenset().union(*(font_manager.get_font(file).get_charmap() for file in files))


def _tell_missing(fig: Figure, stem: str) -> None:
    """Say in a line which signs of a figure that was drawn came out as boxes."""
    said = {sign for text in fig.findobj(Text) if text.get_visible() for sign in text.get_text()}
    lacking = [sign for sign in sorted(said) if ord(sign) not in _drawable() and sign.isprintable()]
    if lacking:
        more = f" and {len(lacking) - 30} more" if len(lacking) > 30 else ""
        progress.say(
            f"{stem}: no installed font has {''.join(lacking[:30])}{more}; they are drawn as boxes;"
            f" install one that has, such as {FURTHER[0]}, and draw it again"
        )


def in_rows(clusters: Sequence[str]) -> list[Sequence[str]]:
    """Clusters by rows of panels, five in a row."""
    return [clusters[n : n + 5] for n in range(0, len(clusters), 5)]


def inner(ax: Axes) -> None:
    """Leave y to the panel on the left."""
    ax.tick_params(labelleft=False)
    ax.set_ylabel("")


@contextmanager
def look() -> Iterator[None]:
    """Seaborn's theme with the study's own sizes, whatever the caller's settings are."""
    import seaborn as sns  # here, since no verb but the drawing ones should wait for it

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from font")  # told once, when saved
        mpl.rcdefaults()
        own = mpl.rc_params_from_file(STYLE, use_default_template=False)
        sns.set_theme("paper", "ticks", color_codes=False, rc=own)
        mpl.rcParams["font.family"] = list(fonts())
        yield


def stamp(fig: Figure, about: str, note: str = "") -> None:
    """Say below what was measured; mark a figure across where a note asks.

    The `note` is the profile's and follows what it is `about`. One that begins with
    a word and a colon is a warning: it is red, and that word is written over the
    whole figure.
    """
    line = printable(f"{about}. {note}" if note else about)
    word, warning, _ = note.partition(":")
    colour = "#B00000" if warning else QUIET
    fig.text(0.992, 0.04 / fig.get_figheight(), line, size=6.5, color=colour, ha="right")
    if warning:
        look = {"size": 54, "weight": "bold", "color": colour, "alpha": 0.16, "rotation": 35}
        fig.text(0.5, 0.5, word, ha="center", va="center", **look)


def centred(ax: Axes, x: float, y: float, words: str, **given: object) -> None:
    """Write grey `words` with their middle at `x` and `y`; `given` is matplotlib's."""
    ax.text(x, y, words, ha="center", va="center", **{"size": 7, "color": QUIET, **given})


def beside(
    ax: Axes, words: str, at: tuple[float, float], by: tuple[float, float], **given: object
) -> None:
    """Write `words` so many points (`by`) beside the place `at`; `given` is matplotlib's."""
    ax.annotate(words, at, xytext=by, textcoords="offset points", **{"size": 6.5, **given})


def save(
    fig: Figure, stem: str, table: pd.DataFrame | None, alt: str, folder: Path | None = None
) -> dict[str, Path]:
    """Write a figure as SVG and PNG, and what it draws as CSV.

    The same figure gives the same bytes. The alternative text goes into the
    SVG (`title`, `desc`) and the PNG (`Description`). The files come into their
    places together.

    Parameters
    ----------
    table
        None writes no CSV: a further sheet draws the table of the first.

    Returns
    -------
    Suffix -> path.

    Raises
    ------
    DataError
        If the alternative text or the table is empty.
    """
    if not alt.strip() or (table is not None and table.empty):
        raise DataError(f"{stem}: a figure needs a description and a table; one is empty")
    alt = printable(alt)
    folder = folder or paths.FIGURES
    suffixes = ("svg", "png") if table is None else ("svg", "png", "csv")
    found = {suffix: folder / f"{stem}.{suffix}" for suffix in suffixes}
    svg, about = io.StringIO(), {"Title": stem, "Description": alt}
    with look(), storage.together() as new:
        fig.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": stem})
        new(found["svg"]).write(_described(svg.getvalue(), stem, alt))
        fig.savefig(new(found["png"], "wb"), format="png", metadata={"Software": None, **about})
        if table is not None:
            csv = new(found["csv"])
            table.to_csv(csv, index=False, float_format="%.4f", lineterminator="\n")
    _tell_missing(fig, stem)
    return found


def _described(text: str, stem: str, alt: str) -> str:
    """An SVG with its role, title and description, for those who listen."""
    start = text.index("<svg ")
    end = text.index(">", start)
    head = f'{text[:end]} role="img" aria-labelledby="{stem}-title {stem}-desc">'
    words = (
        f'\n <title id="{stem}-title">{escape(stem)}</title>'
        f'\n <desc id="{stem}-desc">{escape(alt)}</desc>'
    )
    lines = (line.rstrip() for line in f"{head}{words}{text[end + 1 :]}".split("\n"))
    return "\n".join(lines)
