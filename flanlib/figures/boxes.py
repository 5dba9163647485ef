"""A page measured in inches: boxes of wrapped text, and panels."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.textpath import TextToPath

from flanlib.figures.style import INK, WIDTH, fonts, footnotes

POINTS = 72.0
LEADING = 1.32  # line height over font size


def page(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure and bare axes over all of it, one unit being one inch."""
    fig = Figure(figsize=(width, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    return fig, ax


@lru_cache(maxsize=65_536)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text in inches."""
    font = FontProperties(family=list(fonts()), size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return width / POINTS


def _fitting(text: str, width: float, size: float, weight: str, end: str = "") -> int:
    """How many signs of a text, and an end, fit in a line; measures little more than that."""

    def measure(n: int) -> float:
        return width_of(text[:n] + end, size, weight)

    most = 16
    while most < len(text) and measure(most) <= width:
        most *= 2
    return bisect_right(range(1, min(most, len(text)) + 1), width, key=measure)


def wrap(
    text: str, width: float, size: float, weight: str = "normal", max_lines: int = 0
) -> list[str]:
    """Lines no wider than `width` inches; line breaks of the text stay.

    Beyond `max_lines` the middle is left out, so that both the beginning
    and the end of a long text can be read.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            for piece in _pieces(word, width, size, weight):
                longer = f"{line} {piece}" if line else piece
                if line and width_of(longer, size, weight) > width:
                    lines.append(line)
                    line = piece
                else:
                    line = longer
        lines.append(line)
    if max_lines and len(lines) > max_lines:
        head = max_lines // 2
        lines = [*lines[:head], "[…]", *lines[len(lines) - (max_lines - 1 - head) :]]
    return lines


def paragraphs(texts: Sequence[str], size: float) -> list[str]:
    """Lines of footnotes one below the other, wrapped to the page; see `style.footnotes`."""
    return [line for text in footnotes(texts) for line in wrap(text, WIDTH - 0.2, size)]


def shorten(text: str, width: float, size: float, weight: str = "normal") -> str:
    """A line of text, its end left out where it is too wide."""
    n = _fitting(text, width, size, weight)
    if n == len(text):
        return text
    return text[: _fitting(text, width, size, weight, "…")].rstrip() + "…"


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    """A word, cut where it alone is wider than a line."""
    pieces = []
    while word and (len(word) > 99 or width_of(word, size, weight) > width):
        n = max(1, _fitting(word, width, size, weight))
        pieces.append(word[:n])
        word = word[n:]
    return [*pieces, word] if word or not pieces else pieces


def height_of(n_lines: int, size: float) -> float:
    """Height in inches of `n_lines` lines of text."""
    return n_lines * size * LEADING / POINTS


def put(
    ax: Axes, x: float, y: float, lines: list[str], size: float, colour: str = INK, **style
) -> float:
    """Write `lines` downwards from their top left corner; returns the y below them.

    They are not wrapped. `style` is what `Axes.text` takes besides.
    """
    for n, line in enumerate(lines):
        top = y - n * size * LEADING / POINTS
        ax.text(x, top, line, size=size, color=colour, va="top", **style)
    return y - height_of(len(lines), size)


def frame(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    edge: str = INK,
    fill: str = "white",
    line: float = 0.9,
    dashed: bool = False,
) -> None:
    """A rounded box below and right of a corner; its edge is `line` points wide."""
    ax.add_patch(
        FancyBboxPatch(
            (x, y - height),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            edgecolor=edge,
            facecolor=fill,
            linewidth=line,
            linestyle=(0, (4, 2)) if dashed else "solid",
        )
    )


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    head: str,
    body: str,
    *,
    edge: str,
    size: float = 7.0,
    fill: str = "white",
    max_lines: int = 0,
    height: float = 0.0,
    dashed: bool = False,
) -> float:
    """A titled box of wrapped text; returns the y of its lower edge.

    Parameters
    ----------
    x, y
        Top left corner.
    head
        In bold, above; empty for none.
    body
        Wrapped to the width.
    max_lines
        Lines of the body at most; 0 is no limit.
    height
        At least; more where the text needs it.
    """
    pad = 0.07
    room = width - 2 * pad
    heads = wrap(head, room, size, "bold") if head else []
    lines = wrap(body, room, size, max_lines=max_lines)
    need = height_of(len(heads) + len(lines), size) + 2 * pad
    height = max(height, need)
    frame(ax, x, y, width, height, edge=edge, fill=fill, dashed=dashed, line=1.4)
    below = put(ax, x + pad, y - pad, heads, size, weight="bold")
    put(ax, x + pad, below, lines, size)
    return y - height


def arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "#555555"
) -> None:
    """An arrow from `start` to `end`, each (x, y); the head is at the end."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            color=colour,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
        )
    )


def panels(
    fig: Figure,
    top: float,
    height: float,
    spans: Sequence[tuple[float, float]],
    alike: bool = False,
) -> list[Axes]:
    """A row of panels.

    Parameters
    ----------
    top, height
        Of the panels, in inches, from the page's upper edge downwards.
    spans
        Left and right edge of each, in inches.
    alike
        Whether all of them have one scale of y.
    """
    wide, tall = fig.get_size_inches()
    found: list[Axes] = []
    for left, right in spans:
        box = (left / wide, 1 - (top + height) / tall, (right - left) / wide, height / tall)
        found.append(fig.add_axes(box, sharey=found[0] if alike and found else None))
    return found


def columns(n: int, left: float = 0.5, right: float = WIDTH - 0.1, gap: float = 0.14):
    """Edges of `n` panels of one width from `left` to `right`, with a `gap`; inches."""
    width = (right - left - gap * (n - 1)) / n
    return [(left + i * (width + gap), left + i * (width + gap) + width) for i in range(n)]


def narrow(ax: Axes, name: str) -> None:
    """Title a panel that has a fifth of the page: words below each other, smaller labels."""
    ax.set_title(name.replace(", n", "\nn").replace(" + ", " +\n"), size=7.5)
    ax.xaxis.label.set_size(7)
