"""Lines: series with intervals over an ordered axis, with one look.

A panel shows one cluster, or the mean over clusters. Series differ in shape
and line, clusters in colour, so that a grey print still tells them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from flanlib.figures import marks, seeds, style
from flanlib.figures.marks import Series
from flanlib.results import effects, published
from flanlib.results.effects import COLUMNS, Estimand

GREY = "#555555"
SMALL = 7.0  # points, for notes


# Rows of a table


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that were measured here."""
    return table[~table["source"].str.startswith("published")]


def clusters_of(table: pd.DataFrame, arm: str, group: str = "") -> list[str]:
    """Clusters of which an arm is measured, in the table's order."""
    mine = effects.series(measured(table), arm, group).dropna(subset=["value"])
    return [c for c in dict.fromkeys(mine["cluster"]) if c != effects.ALL]


def panels_of(table: pd.DataFrame, arm: str, group: str = "") -> tuple[str, list[str]]:
    """What the large panel shows, and what the small ones show.

    The mean over clusters and each cluster; a single cluster is large, and
    there are no small ones.
    """
    clusters = clusters_of(table, arm, group)
    if len(clusters) == 1:
        return clusters[0], []
    return effects.ALL, clusters


def points(
    table: pd.DataFrame, arm: str, cluster: str, group: str | None = None, against: str = ""
) -> list[tuple]:
    """(x, row) of a cluster's values of `arm`, or of what it has over the arm `against`."""
    mine = effects.series(table, arm, group, against=against).dropna(subset=["value"])
    mine = mine[(mine["cluster"] == cluster) & (mine["dataset"] == "")]
    return [(r.x, r) for r in mine.itertuples()]


def row(source: str, **known: object) -> dict[str, object]:
    """A row of a table; names that are not among `known` are empty, and so is its value."""
    empty = dict.fromkeys(effects.KEYS, "") | dict.fromkeys(effects.NUMBERS, np.nan)
    return {**empty, "seeds": 0, **known, "source": source}


def published_means(table: pd.DataFrame, named: Mapping[str, Estimand]) -> pd.DataFrame:
    """Published means of the clusters of a table, as its rows; n counts datasets.

    Parameters
    ----------
    named
        Column of the paper's tables -> what it is in the table.
    """
    means = published.cluster_means(tuple(named))
    means = means[means["cluster"].isin(table["cluster"])]
    points = means.assign(series=means["column"], x="", y=means["value"])
    return published_rows(points, named).assign(n=means["n"])


def published_rows(
    points: pd.DataFrame, named: Mapping[str, Estimand], group: str = ""
) -> pd.DataFrame:
    """Published points as rows of a table.

    Parameters
    ----------
    points
        From `published.points`.
    named
        Series of the paper -> what it is in the table; other series are left out. An
        empty x is that of the point.
    """
    mine = points[points["series"].isin(list(named))]
    of = [named[name] for name in mine["series"]]
    return pd.DataFrame(
        {
            "group": group,
            "statistic": [one.statistic for one in of],
            "arm": [one.arm for one in of],
            "against": "",
            "x": [one.x or str(x) for one, x in zip(of, mine["x"], strict=True)],
            "against_x": "",
            "cluster": mine["cluster"].replace("", effects.ALL),
            "dataset": "",
            "value": pd.to_numeric(mine["y"]),
            "low": np.nan,
            "high": np.nan,
            "n": np.nan,
            "seeds": 0,
            "source": "published, " + mine["status"],
        },
        columns=COLUMNS,
    )


def together(table: pd.DataFrame, *more: pd.DataFrame) -> pd.DataFrame:
    """The columns of a table that figures share, with the rows of `more` behind."""
    parts = [part for part in more if len(part)]
    return pd.concat([table[COLUMNS], *parts], ignore_index=True)


# Drawing


def draw(
    table: pd.DataFrame,
    ax: Axes,
    series: Sequence[Series],
    places: Mapping[str, float],
    cluster: str = effects.ALL,
    group: str = "",
    *,
    labelled: bool = False,
    chance: bool = True,
) -> Axes:
    """One panel: each series of a cluster, with 95 % intervals.

    Parameters
    ----------
    chance
        Whether what guessing gets is drawn, where it is known.
    """
    guessing = effects.pick(table, "chance", "", cluster, group=group, optional=True)
    if chance and guessing is not None:
        ax.axhline(guessing.value, color=GREY, ls=":", lw=1.1, zorder=1)
    every = [(one, _found(table, one, places, cluster, group)) for one in series]
    drawn = [
        marks.mark(places[x], r, one, style.colour(cluster)) | {"x": x, "arm": one.arm, "one": one}
        for one, found in every
        for x, r in found.items()
    ]
    if drawn:
        sns.lineplot(
            pd.DataFrame(drawn),
            x="place",
            y="value",
            ax=ax,
            legend=False,
            estimator=None,
            color=GREY,
            lw=1.1,
            zorder=2,
            style="arm",
            dashes={one.arm: (3.7, 1.6) if one.line == "--" else "" for one in series},
        )
        ax.set(xlabel="", ylabel="")
    marks.points(ax, drawn)
    for m in drawn if labelled else ():
        if m["one"].written:
            tops = [
                o["value"] if np.isnan(o["high"]) else o["high"] for o in drawn if o["x"] == m["x"]
            ]
            write(ax, format(m["value"], m["one"].written), (m["place"], max(tops)))
    ax.grid(axis="y")
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    ax.margins(y=0.17 if labelled else 0.1)
    return ax


def draw_published(
    table: pd.DataFrame,
    ax: Axes,
    series: Sequence[Series],
    places: Mapping[str, float],
    cluster: str = effects.ALL,
    group: str = "",
) -> Axes:
    """A panel of published values: hollow where they are not verified."""
    series = [replace(one, optional=True) for one in series]
    draw(table, ax, series, places, cluster, group, labelled=True, chance=False)
    if not any(_found(table, one, places, cluster, group) for one in series):
        _say(ax, "not found")
    return ax


def write(
    ax: Axes,
    words: str,
    at: tuple[float, float],
    by: tuple[float, float] = (0, 5),
    side: str = "center",
) -> None:
    """Write `words` over lines, `by` so many points beside `at`, aligned at a `side`."""
    around = [withStroke(linewidth=2, foreground="white")]
    style.beside(ax, words, at, by, ha=side, size=SMALL, zorder=5, path_effects=around)


def empty(ax: Axes, text: str = "not found") -> Axes:
    """A panel without values, that says so."""
    ax.set_axis_off()
    _say(ax, text)
    return ax


def ticks(
    ax: Axes, places: Mapping[str, float], names: Mapping[str, str], *, upright: bool = False
) -> None:
    """Write at `places` their `names`, or x itself; leave room at both ends."""
    ends = min(places.values()), max(places.values())
    room = 0.09 * (ends[1] - ends[0]) or 0.5
    ax.set_xticks(
        list(places.values()), [names.get(x, x) for x in places], rotation=90 if upright else 0
    )
    ax.set_xlim(ends[0] - room, ends[1] + room)


def legend(series: Sequence[Series], chance: bool = True) -> list[Line2D]:
    """One handle per series; with `chance`, a dotted line for it."""
    found = [Line2D([], [], color=GREY, ls=":", lw=1.1, label="chance")] if chance else []
    return found + [
        handle(one.name, one.marker, one.fill, ms=5.2, color=GREY, ls=one.line) for one in series
    ]


def handle(name: str, marker: str, fill: str, **given: object) -> Line2D:
    """What a legend shows of a `marker` with its `fill` and `name`; `given` is matplotlib's."""
    edge = {"lw": 1.1, "mec": style.INK, "mew": 0.8}
    return Line2D([], [], marker=marker, mfc=fill or "#888888", label=name, **edge, **given)


def title(table: pd.DataFrame, cluster: str, arm: str, group: str = "") -> str:
    """A panel's title: the cluster, or the mean, and n."""
    mine = effects.series(measured(table), arm, group)
    mine = mine[(mine["cluster"] == cluster) & (mine["dataset"] == "")]
    name = "mean of clusters" if cluster == effects.ALL else style.title(cluster, short=True)
    return f"{name}, n = {int(mine['n'].max())}" if len(mine) else name


# Words


def spelled(found, signed: bool = False, digits: int = 1) -> str:
    """A value with its interval, as text; `signed` for a difference, with `digits`."""
    form = f"{'+' if signed else ''}.{digits}f"
    if np.isnan(found.low):
        return format(found.value, form)
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def verdict(difference) -> str:
    """What the interval of a `difference` says: `higher`, `lower`, `undecided`."""
    if difference.low > 0:
        return "higher"
    return "lower" if difference.high < 0 else "undecided"


def listed(gains: Sequence[tuple]) -> str:
    """Differences as text, each with its x and verdict; from `points`."""
    return "; ".join(f"{x} {spelled(r, signed=True)} ({verdict(r)})" for x, r in gains)


def counted(n: int, name: str) -> str:
    """How many there are of something: its `name` with an s, unless there is one."""
    return f"{n} {name}{'' if n == 1 else 's'}"


def note_on_seeds(table: pd.DataFrame, counted: bool = True) -> str:
    """What a mark and its interval are, with the tuning seeds behind them.

    If n is written in the figure (`counted`), it is said to count examples.
    """
    return (
        "Mean over datasets and templates; bars: 95 % interval over examples and"
        f" {seeds.told(measured(table))}{'; n: examples' if counted else ''}."
    )


def note_on_published(table: pd.DataFrame) -> str:
    """How many published values there are, and how firm; empty without any."""
    mine = table[table["source"].str.startswith("published")].dropna(subset=["value"])
    mine = mine[mine["statistic"] != effects.DIFFERENCE]
    if mine.empty:
        return ""
    kinds = mine["source"].str.removeprefix("published, ").value_counts()
    hollow = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if kind not in published.FIRM)
    firm = int(sum(n for kind, n in kinds.items() if kind in published.FIRM))
    counted = f"{firm} of {len(mine)} values verified" + (f"; hollow: {hollow}" if hollow else "")
    return f"Published: Wei et al., other data and models than here; {counted}."


def _found(table: pd.DataFrame, one: Series, places, cluster: str, group: str) -> dict:
    """x -> row of a series; one that is not optional has some."""
    of = {"against": one.against, "statistic": one.statistic}
    found = {}
    for x in places:
        row = effects.pick(table, one.arm, x, cluster, group=group, **of, optional=True)
        found |= {x: row} if row is not None else {}
    if places and not found and not one.optional:
        effects.pick(table, one.arm, next(iter(places)), cluster, group=group, **of)
    return found


def _say(ax: Axes, text: str) -> None:
    style.centred(ax, 0.5, 0.5, text, transform=ax.transAxes)
