"""Figure 14: scores held in and held out against tuning steps.

Each number of steps is a run of its own, with a learning rate that falls to zero at
its end; 0 steps is the untuned model in the same templates. One group of clusters
is held out. Held-in scores are of a task of each cluster that was tuned on, on rows
that tuning did not use: they say whether there were steps enough to learn from.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, lines, sheets, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import spelled
from flanlib.figures.marks import Series
from flanlib.results import effects
from flanlib.studies import coverage
from flanlib.studies.study import Study

STEM = "fig14_steps"
GROUPS = ("held-in", "held-out")
BASE, TUNED = "base", "tuned"
SERIES = (
    Series(arm=BASE, name="base, not tuned", marker="o", fill="#333333", written=".1f"),
    Series(arm=TUNED, name="tuned", marker="D", written=".1f"),
)
GAINS = (Series(arm=TUNED, against=BASE, name="difference", marker="D", written="+.1f"),)
SAID = {"higher": "rise", "lower": "fall", "undecided": "are undecided"}


def collect(study: Study) -> pd.DataFrame:
    """What is on record; a number of steps that is not has a row that says so."""
    table = study.load()
    return lines.together(table[table["statistic"] != effects.SPREAD])


def draw(table: pd.DataFrame) -> Figure:
    """The first sheet: means over clusters, scores above and differences below."""
    groups = _groups(table)
    with style.look():
        fig, top = sheets.sheet(heading(table), lines.legend(SERIES), notes(table), 3.75)
        spans = boxes.columns(2, gap=0.5)[: len(groups)]
        scores = boxes.panels(fig, top + 0.2, 1.6, spans, alike=True)
        gains = boxes.panels(fig, top + 1.95, 1.25, spans, alike=True)
        for group, score, difference in zip(groups, scores, gains, strict=True):
            large, _ = lines.panels_of(table, TUNED, group)
            draw_scores(table, score, group, large, labelled=True)
            score.set_title(f"{_name(group)}: {lines.title(table, large, TUNED, group)}")
            score.tick_params(labelbottom=False)
            score.set_xlabel("")
            draw_gains(table, difference, group, large)
    return fig


def draw_clusters(table: pd.DataFrame) -> Figure:
    """The second sheet: a panel for each cluster, held in and held out."""
    words = {group: f"{_name(group)} clusters" for group in _groups(table)}
    of, rows = sheets.of_groups(table, TUNED, words)

    def draw_one(ax: Axes, n: int, cluster: str) -> None:
        draw_scores(table, ax, of[n], cluster)
        ax.set_title(lines.title(table, cluster, TUNED, of[n]))
        if len(rows[n][1]) > 3:
            boxes.narrow(ax, ax.get_title("left"))
            ax.set_xlabel("tuning steps")
            ax.tick_params(axis="x", labelsize=6.0)

    about = f"{heading(table)}, by cluster"
    with style.look():
        legend = lines.legend(SERIES)
        return sheets.multiples(about, legend, notes(table)[:1], rows, 1.15, 2.15, draw_one)


def draw_scores(
    table: pd.DataFrame, ax: Axes, group: str, cluster: str, *, labelled: bool = False
) -> Axes:
    """Figure 14, a panel: score against tuning steps, with the base as a line across."""
    if (base := _score(table, group, "0", cluster)) is not None:
        ax.axhline(base.value, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(
        table, ax, SERIES if base else SERIES[1:], places(table), cluster, group, labelled=labelled
    )
    return _ticks(table, ax, "score, percent")


def draw_gains(table: pd.DataFrame, ax: Axes, group: str, cluster: str) -> Axes:
    """Figure 14, second row: tuned minus base, with 95 % intervals."""
    ax.axhline(0, color=lines.GREY, lw=0.9, zorder=1)
    gains = () if "0" in lacking(table) else GAINS
    lines.draw(table, ax, gains, places(table), cluster, group, labelled=True, chance=False)
    return _ticks(table, ax, "tuned − base, points")


def places(table: pd.DataFrame) -> dict[str, float]:
    """Where measured numbers of steps stand: by their logarithm, the base one unit before."""
    tuned = sorted(set(effects.series(table, TUNED)["x"]), key=int)
    found = {x: math.log2(int(x)) for x in tuned}
    return {"0": min(found.values(), default=1.0) - 1, **found}


def lacking(table: pd.DataFrame) -> list[str]:
    """Numbers of steps that are not on record."""
    return sorted(set(table.loc[table["statistic"] == coverage.LACKING, "x"]), key=int)


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Scores held in and held out, 0 to {list(places(table))[-1]} tuning steps"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and what is not measured."""
    names = [style.title(c, short=True) for c in lines.clusters_of(table, TUNED, "held-out")]
    found = [
        lines.note_on_seeds(table),
        "Each number of steps is a run of its own, its learning rate falling to zero at the end;"
        " base, and the line across: the untuned model in the same templates. Held in: a task of each cluster tuned on, on rows"
        f" that tuning did not use. Held out, one group: {', '.join(names)}.",
    ]
    if absent := _not_measured(table):
        found.append(absent)
    return found


def describe(table: pd.DataFrame) -> str:
    """The first sheet in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for group in _groups(table):
        large, _ = lines.panels_of(table, TUNED, group)
        mean = "mean over clusters" if large == effects.ALL else style.title(large)
        scores = ", ".join(f"{x} {r.value:.1f}" for x, r in _scores(table, group, large))
        parts.append(f"{_name(group)}, {mean}, percent by steps, 0 is the base: {scores}.")
        parts.append(f"Tuned minus base, points: {_gains(table, group, large)}.")
    return " ".join([*parts, _not_measured(table)]).strip()


def describe_clusters(table: pd.DataFrame) -> str:
    """The second sheet in words; empty where there is one cluster of a kind."""
    parts = []
    for group in _groups(table):
        for cluster in lines.panels_of(table, TUNED, group)[1]:
            told = ", ".join(f"{x} {r.value:.1f}" for x, r in _scores(table, group, cluster))
            parts.append(f"{style.title(cluster)}, {group}, percent by steps: {told}.")
    return " ".join([f"{heading(table)}, by cluster.", *parts]) if parts else ""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per number of steps: scores, and gains over the base with intervals."""
    rows = []
    for x in [*places(table), *lacking(table)]:
        row: dict[str, object] = {"tuning steps": int(x)}
        for group in _groups(table):
            large, _ = lines.panels_of(table, TUNED, group)
            score, gain = _score(table, group, x, large), _gain(table, group, x, large)
            row[f"{group}, score"] = spelled(score) if score else ""
            row[f"{group}, gain"] = spelled(gain, signed=True) if gain else ""
            row[f"{group}, n"] = int(score.n) if score else 0
            row["seeds"] = int(gain.seeds) if gain else 0
        rows.append(row if x not in lacking(table) else row | {"seeds": coverage.LACKING})
    return pd.DataFrame(rows).sort_values("tuning steps", ignore_index=True)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    told = []
    usual, first, last = _named_steps(table)
    for group in _groups(table):
        large, small = lines.panels_of(table, TUNED, group)
        gain = _gain(table, group, usual, large)
        if gain is None:
            told.append(f"- **{_name(group)}**: not measured at the profile's {usual} steps.")
        else:
            told.append(
                f"- **{_name(group)} scores {SAID[lines.verdict(gain)]}** with the profile's {usual}"
                f" steps: {spelled(gain, signed=True)} points over the base."
            )
        told.append(f"    - By steps, points over the base: {_gains(table, group, large)}.")
        for new, old in ((usual, first), (last, usual)):
            if new != old and not {new, old} & set(lacking(table)):
                paired = effects.pick(
                    table, TUNED, new, large, group=group, against=TUNED, against_x=old
                )
                told.append(
                    f"    - From {old} to {new} steps: {spelled(paired, signed=True)} points"
                    f" ({lines.verdict(paired)})."
                )
        told += [f"    - {style.title(c)}: {_gains(table, group, c)}." for c in small]
    if absent := _not_measured(table):
        told.append(f"- **Not measured.** {absent}")
    told.append(
        "- **Limits.** One group of clusters is held out, so that held-out means are not those of the"
        " main result; held-in is one task of each cluster. Rate and batch are the profile's at every"
        " number of steps, and were not chosen anew. No published value stands beside these: the"
        " paper's figures vary data, size and instructions, not steps."
    )
    return Reading("\n".join(told))


def _named_steps(table: pd.DataFrame) -> tuple[str, str, str]:
    """The profile's number of steps, the smallest and the largest, on record or not."""
    xs = sorted({*places(table), *lacking(table)} - {"0"}, key=int)
    return xs[-2] if len(xs) > 1 else xs[-1], xs[0], xs[-1]


def _groups(table: pd.DataFrame) -> list[str]:
    """Held in and held out, as far as there is something of them."""
    return [group for group in GROUPS if lines.clusters_of(table, TUNED, group)]


def _name(group: str) -> str:
    return group.capitalize().replace("-", " ")


def _not_measured(table: pd.DataFrame) -> str:
    """Which numbers of steps are not on record, as a sentence; may be empty."""
    absent = lacking(table)
    return f"Not measured: {', '.join(absent)} steps." if absent else ""


def _score(table: pd.DataFrame, group: str, x: str, cluster: str):
    """A score; None where that number of steps is not on record."""
    if x in lacking(table):
        return None
    return effects.pick(table, BASE if x == "0" else TUNED, x, cluster, group=group)


def _gain(table: pd.DataFrame, group: str, x: str, cluster: str):
    """A gain over the base; None of the base itself, and where either is not on record."""
    if x == "0" or {"0", x} & set(lacking(table)):
        return None
    return effects.pick(table, TUNED, x, cluster, group=group, against=BASE)


def _scores(table: pd.DataFrame, group: str, cluster: str) -> list[tuple]:
    """(steps, row) of a cluster's scores, the base first."""
    rows = [(x, _score(table, group, x, cluster)) for x in places(table)]
    return [(x, r) for x, r in rows if r is not None]


def _gains(table: pd.DataFrame, group: str, cluster: str) -> str:
    """Gains of a cluster by steps, each with its verdict, as text."""
    rows = [(x, _gain(table, group, x, cluster)) for x in places(table)]
    return lines.listed([(x, r) for x, r in rows if r is not None])


def _ticks(table: pd.DataFrame, ax: Axes, label: str) -> Axes:
    lines.ticks(ax, places(table), {"0": "base"})
    ax.set(xlabel="tuning steps, log scale", ylabel=label)
    return ax


SHEETS = {"clusters": (draw_clusters, describe_clusters)}
