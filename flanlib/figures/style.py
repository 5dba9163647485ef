"""One look for all figures, and the only function that writes them.

Colours are mostly Tol's muted and vibrant schemes, chosen to stay apart for
readers who confuse red and green; every coloured mark is labelled
or has a shape of its own as well, so that a grey print loses nothing.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import paths, storage
from flanlib.errors import DataError

WIDTH = 7.1  # inches
INK = "#222222"
QUIET = "#767676"
STYLE = Path(__file__).with_name("study.mplstyle")

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
    "tuned": Mark("instruction-tuned", "D", INK, ""),
}


def colour(cluster: str) -> str:
    """The colour that a cluster has in every figure."""
    return CLUSTERS[cluster][2] if cluster in CLUSTERS else INK


def title(cluster: str, short: bool = False) -> str:
    """A cluster's name; of a user's own cluster, its key.

    Parameters
    ----------
    short
        Whether it has to fit a narrow place.
    """
    if cluster in CLUSTERS:
        return CLUSTERS[cluster][1 if short else 0]
    return cluster.replace("_", " ").capitalize()


def in_rows(clusters: Sequence[str]) -> list[Sequence[str]]:
    """Clusters by rows of panels, five in a row."""
    return [clusters[n : n + 5] for n in range(0, len(clusters), 5)]


def inner(ax: Axes) -> None:
    """Leave y to the panel on the left."""
    ax.tick_params(labelleft=False)
    ax.set_ylabel("")


@contextmanager
def look() -> Iterator[None]:
    """The study's style, whatever the caller's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(STYLE)
        yield


def stamp(fig: Figure, about: str, note: str = "") -> None:
    """Say below what was measured; mark a figure across where a note asks.

    The first word of the note is written over the whole figure.

    Parameters
    ----------
    about
        In words; the note follows it.
    note
        Of the profile; empty marks nothing.
    """
    line = f"{about}. {note}" if note else about
    colour = "#B00000" if note else QUIET
    fig.text(0.992, 0.04 / fig.get_figheight(), line, size=6.5, color=colour, ha="right")
    if note:
        fig.text(
            0.5, 0.5, note.split(":")[0], size=54, color="#B00000", alpha=0.16, rotation=35,
            ha="center", va="center", weight="bold",
        )  # fmt: skip


def save(
    fig: Figure, stem: str, table: pd.DataFrame, alt: str, folder: Path | None = None
) -> dict[str, Path]:
    """Write a figure as SVG and PNG, and what it draws as CSV.

    The same figure gives the same bytes. The alternative text goes into the
    SVG (`title`, `desc`) and the PNG (`Description`). The three files come into
    their places together.

    Returns
    -------
    Suffix -> path.

    Raises
    ------
    DataError
        If the alternative text or the table is empty.
    """
    if not alt.strip() or table.empty:
        raise DataError(f"{stem}: a figure needs a description and a table; one is empty")
    folder = folder or paths.FIGURES
    found = {suffix: folder / f"{stem}.{suffix}" for suffix in ("svg", "png", "csv")}
    svg, about = io.StringIO(), {"Title": stem, "Description": alt}
    with look(), storage.together() as new:
        fig.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": stem})
        new(found["svg"]).write(_described(svg.getvalue(), stem, alt))
        fig.savefig(new(found["png"], "wb"), format="png", metadata={"Software": None, **about})
        csv = new(found["csv"])
        table.to_csv(csv, index=False, float_format="%.4f", lineterminator="\n")
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
