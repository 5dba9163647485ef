"""Dots: values with intervals in named rows.

A cluster is a row, and its arms stand one below the other in it, told apart
by shape. Published values stand in panels of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import lines, marks, sheets, style
from flanlib.results import effects

ROW = 0.165  # inches
STACKED, REACH = 0.096, 0.74  # inches per dot of a stack; rows from its first to its last
TITLES, UNDER = 0.3, 0.44  # inches above and below a panel
PAIR = 0.19  # rows that two dots of one row stand off its middle
SAYS = {"higher": "above 0", "lower": "below 0", "undecided": "not decided"}


@dataclass(frozen=True, kw_only=True)
class Dot(marks.Series):
    """One value of a table; `shift` counts rows, downwards.

    Attributes
    ----------
    x, against_x, group
        As the table has them; no `against_x` takes any.
    less
        Arm and x that are taken away; for published values, whose differences
        are no rows of the table.
    cluster
        Where it is not the row's.
    """

    name: str = ""
    line: str = ""
    x: str = ""
    against_x: str | None = None
    less: tuple[str, str] = ("", "")
    cluster: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A named row of dots."""

    label: str = ""
    cluster: str = effects.ALL
    dataset: str = ""
    dots: tuple[Dot, ...] = ()


def stacks(
    table: pd.DataFrame, clusters: Sequence[str], dots: Sequence[Dot | None], arm: str
) -> list[Row]:
    """One row per cluster, named with its n, and the dots one below the other.

    Parameters
    ----------
    dots
        None leaves a place empty.
    arm
        Whose n is given.
    """
    step = REACH / (len(dots) - 1)
    slots = [(dot, n * step - REACH / 2) for n, dot in enumerate(dots)]
    placed = tuple(replace(dot, shift=shift) for dot, shift in slots if dot is not None)
    return [
        Row(label=lines.title(table, c, arm).replace(", n", "\nn"), cluster=c, dots=placed)
        for c in clusters
    ]


def stack_height(n_clusters: int, n_dots: int) -> float:
    """Inches that a panel of stacks takes."""
    return n_clusters * STACKED * (n_dots + 0.6)


def shown(table: pd.DataFrame, arm: str) -> list[str]:
    """Clusters to show, their mean last; one cluster has no mean."""
    last, clusters = lines.panels_of(table, arm)
    return [*clusters, last]


def find(table: pd.DataFrame, dot: Dot, row: Row):
    """The value that a dot stands for in a row; None where an optional one is absent."""

    def value(arm: str, x: str):
        of = {
            name: getattr(dot, name) for name in ("statistic", "against", "against_x", "optional")
        }
        return effects.pick(table, arm, x, dot.cluster or row.cluster, row.dataset, dot.group, **of)

    new = value(dot.arm, dot.x)
    if new is None or dot.less == ("", ""):
        return new
    old = value(*dot.less)
    return None if old is None else less(new, old)


def at(table: pd.DataFrame, dot: Dot, cluster: str):
    """The value that a dot stands for in a cluster; see `find`."""
    return find(table, dot, Row(cluster=cluster))


def less(new, old) -> SimpleNamespace:
    """A difference of published values, as firm as the weaker of the two."""
    weaker = new if not marks.is_firm(new.source) else old
    value, nan = new.value - old.value, float("nan")
    return SimpleNamespace(value=value, low=nan, high=nan, source=weaker.source)


# Drawing


def page(
    heading: str, dots: Sequence[Dot], notes: Sequence[str], heights: Sequence[float]
) -> tuple[Figure, list[float]]:
    """A page for panels one above another.

    Parameters
    ----------
    dots
        Explained in the legend.
    heights
        Inches of each line of panels.

    Returns
    -------
    The figure, and how many inches below its upper edge each line begins.
    """
    room = sum(heights) + len(heights) * (TITLES + UNDER)
    fig, start = sheets.sheet(heading, lines.legend(dots), notes, room)
    tops = [start + (n + 1) * TITLES + n * UNDER + sum(heights[:n]) for n, _ in enumerate(heights)]
    return fig, tops


def scores(ax: Axes) -> None:
    """Name a panel of measured scores: 0 to 100 percent, and below where a correlation is."""
    left = min(-2.5, ax.dataLim.x0 - 2.5)
    ax.set(xlim=(left, 102.5), xlabel="score, percent", title="Measured here")


def unnamed(panels: Sequence[Axes]) -> None:
    """Leave the names of the rows to the panel on the left."""
    for ax in panels:
        ax.tick_params(labelleft=False)


def draw(
    table: pd.DataFrame,
    ax: Axes,
    rows: Sequence[Row],
    *,
    signed: bool = False,
    datasets: bool = False,
    joined: bool = False,
) -> Axes:
    """One panel: each row's dots, intervals where there are any.

    Parameters
    ----------
    signed
        Differences: a line at 0 instead of chance.
    datasets
        Small marks for the datasets behind a cluster's mean.
    joined
        A line between the dots of a row.
    """
    _ground(ax, rows)
    if signed:
        ax.axvline(0, color=lines.GREY, lw=0.9, zorder=1)
        ax.margins(x=0.1)
    drawn, small = [], []
    for y, row in enumerate(rows):
        found = [(dot, v) for dot in row.dots if (v := find(table, dot, row)) is not None]
        if not signed and any(not v.source.startswith("published") for _, v in found):
            _chance(table, ax, row, y)
        if joined and found:
            ends = [v.value for _, v in found]
            ax.hlines(y, min(ends), max(ends), color="#9A9A9A", lw=1, zorder=1)
        for dot, v in found:
            drawn.append(marks.mark(y, v, dot, style.colour(dot.cluster or row.cluster)))
            small += [(x, y + dot.shift, dot.marker) for x in _datasets(table, row, dot)]
    for shape in dict.fromkeys(marker for *_, marker in small) if datasets else ():
        xs, ys = zip(*((x, y) for x, y, marker in small if marker == shape), strict=True)
        ax.scatter(xs, ys, 2.6**2, "none", marker=shape, edgecolors="#9A9A9A", lw=0.5, zorder=2)
    marks.points(ax, drawn, upright=False)
    return ax


def _ground(ax: Axes, rows: Sequence[Row]) -> None:
    """Bands that change with the row, and the names of the rows."""
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.tick_params(axis="y", length=0, labelsize=7.5)
    for y in range(0, len(rows), 2):
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0, lw=0)


def _chance(table: pd.DataFrame, ax: Axes, row: Row, y: float) -> None:
    first = row.dots[0]
    chance = Dot(arm="chance", statistic=first.statistic, group=first.group, optional=True)
    if (found := find(table, chance, row)) is not None:
        ax.plot([found.value] * 2, [y - 0.5, y + 0.5], color=lines.GREY, ls=":", lw=1.1, zorder=1)


def _datasets(table: pd.DataFrame, row: Row, dot: Dot) -> list[float]:
    """Values of the datasets behind a mean; none for a single one."""
    mine = effects.series(table, dot.arm, statistic=dot.statistic, against=dot.against)
    mine = mine[(mine["x"] == dot.x) & (mine["dataset"] != "")]
    each = list(mine.loc[mine["cluster"] == (dot.cluster or row.cluster), "value"])
    return each if len(each) > 1 else []


# Words


def words(table: pd.DataFrame, clusters: Sequence[str], dots: Sequence[Dot], arm: str) -> str:
    """Values of the clusters as sentences, with their n."""
    found = []
    for cluster in clusters:
        values = [(dot.name, at(table, dot, cluster)) for dot in dots]
        told = [f"{name} {v.value:.1f}" for name, v in values if v is not None]
        found.append(f"{lines.title(table, cluster, arm)}: {', '.join(told)} percent.")
    return " ".join(found)


def sides(table: pd.DataFrame, clusters: Sequence[str], dot: Dot) -> str:
    """In which clusters a difference is above 0, below, or not decided."""
    kinds: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
    for cluster in (c for c in clusters if c != effects.ALL):
        if (found := at(table, dot, cluster)) is not None:
            name = style.title(cluster, short=True)
            kinds[lines.verdict(found)].append(f"{name} ({lines.spelled(found, signed=True)})")
    return "; ".join(f"{SAYS[k]}: {', '.join(v) or 'none'}" for k, v in kinds.items())


def told(found) -> str:
    """A difference with its interval, and what the interval says."""
    return f"{lines.spelled(found, signed=True)} points, {SAYS[lines.verdict(found)]}"


def name_of(cluster: str) -> str:
    """A cluster's name in a text; that of the mean."""
    return "Mean of clusters" if cluster == effects.ALL else style.title(cluster)


def limits(table: pd.DataFrame) -> str:
    """How much stands behind the intervals, and behind what was published."""
    mine = lines.measured(table)
    n = int(mine.loc[mine["dataset"].eq("") & mine["low"].notna(), "n"].max())
    return (
        f"Limits: a value rests on at most {n} examples. {lines.note_on_seeds(table)}"
        f" {lines.note_on_published(table)}"
    ).strip()


def same_sign(pairs: Sequence[tuple]) -> str:
    """How many of `pairs`, a measured and a published difference, have one sign.

    Pairs with a None do not count.
    """
    both = [(new, old) for new, old in pairs if new is not None and old is not None]
    agree = sum(new.value * old.value > 0 for new, old in both)
    return f"{agree} of {len(both)}"


def summary(
    table: pd.DataFrame, clusters: Sequence[str], dots: Sequence[Dot], gains: Sequence[Dot]
) -> pd.DataFrame:
    """One row per cluster: values in percent, differences with intervals, n."""
    rows = []
    for cluster in clusters:
        values = {dot.name: at(table, dot, cluster) for dot in dots}
        differences = {dot.name: at(table, dot, cluster) for dot in gains}
        behind = [v for v in (*values.values(), *differences.values()) if v is not None]
        rows.append(
            {"cluster": name_of(cluster)}
            | {k: round(v.value, 1) for k, v in values.items() if v is not None}
            | {k: lines.spelled(v, signed=True) for k, v in differences.items() if v is not None}
            | {"n": int(max(v.n for v in behind)), "seeds": int(max(v.seeds for v in behind))}
        )
    return pd.DataFrame(rows)
