"""Figure 5: zero-shot scores on unseen clusters, before and after tuning.

Measured arms stand beside the published values of the same cluster. They
come from other data and other models; what can be compared is the direction
and the pattern of the gains.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib import published
from flanlib.figures import boxes, style
from flanlib.studies import estimates
from flanlib.study import ARMS, Study

STEM = "fig5_zero_shot_gains"
PUBLISHED = {
    "lamda_pt_zero": "published LaMDA-PT 137B zero-shot",
    "flan_zero_avg": "published FLAN 137B zero-shot",
}
FLAN = PUBLISHED["flan_zero_avg"]
OFFSETS = {"base": 0.27, "base-no-options": 0.09, "base-cloze": -0.09, "tuned": -0.27}
GAINS = (
    ("gain", "base", 0.22),
    ("gain over base-no-options", "base-no-options", 0.0),
    ("gain over base-cloze", "base-cloze", -0.22),
)
COLUMNS = ["cluster", "dataset", "arm", "value", "low", "high", "n", "seeds", "source"]


class Reading(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the published cluster means, each with its status as source.

    `n` of a published row counts datasets, not examples.
    """
    means = published.cluster_means(tuple(PUBLISHED))
    means = means[means["cluster"].isin(table["cluster"])]
    rows = pd.DataFrame(
        {
            "cluster": means["cluster"],
            "dataset": "",
            "arm": means["column"].map(PUBLISHED),
            "value": means["value"],
            "low": np.nan,
            "high": np.nan,
            "n": means["n"],
            "seeds": 0,
            "source": "published, " + means["status"],
        }
    )
    return pd.concat([table[COLUMNS], rows], ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, gains, and what was published."""
    clusters = rows_of(table)
    lines = [line for text in notes(table) for line in boxes.wrap(text, style.WIDTH - 0.2, 7)]
    below = 0.60 + boxes.height_of(len(lines), 7)
    height = 0.85 + below + 0.53 * len(clusters)
    with style.look():
        fig = Figure(figsize=(style.WIDTH, height))
        top, bottom = 1 - 0.85 / height, below / height
        panels = 3 if table["arm"].isin(PUBLISHED.values()).any() else 2
        grid = fig.add_gridspec(
            1,
            panels,
            width_ratios=(3.1, 1.9, 1.5)[:panels],
            left=0.215,
            right=0.985,
            top=top,
            bottom=bottom,
            wspace=0.07,
        )
        first = draw_scores(table, fig.add_subplot(grid[0]))
        draw_gains(table, fig.add_subplot(grid[1], sharey=first))
        if panels == 3:
            draw_published(table, fig.add_subplot(grid[2], sharey=first))
        for ax in fig.axes[1:]:
            ax.tick_params(labelleft=False)
        fig.legend(
            handles=_legend(),
            loc="upper left",
            bbox_to_anchor=(0.01, 1 - 0.24 / height),
            ncol=6,
            columnspacing=1.1,
            handletextpad=0.3,
        )
        fig.text(0.012, 1 - 0.07 / height, heading(table), va="top", size=9, weight="bold")
        fig.text(0.012, 0.17 / height, "\n".join(lines), va="bottom", size=7)
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, left: score of each arm, cluster means with intervals."""
    clusters = rows_of(table)
    _rows(ax, clusters, table)
    for y, cluster in enumerate(clusters):
        part = table[table["cluster"] == cluster]
        chance = _mean(part, "chance")
        if chance is not None:
            ax.plot([chance.value] * 2, [y - 0.42, y + 0.42], color="#555555", ls=":", lw=1.1)
        for arm, offset in OFFSETS.items():
            each = part[(part["arm"] == arm) & (part["dataset"] != "")]
            ax.plot(
                each["value"],
                [y - offset] * len(each),
                marker=style.ARMS[arm].marker,
                ls="",
                ms=2.6,
                mfc="none",
                mec="#9A9A9A",
                mew=0.5,
                zorder=2,
            )
            if (row := _mean(part, arm)) is not None:
                _point(ax, row, y - offset, arm, cluster)
    ax.set(xlim=(-2.5, 102.5), xlabel="score, percent", title="Measured here")
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, middle: tuned less base, in points, with 95 % intervals."""
    clusters = rows_of(table)
    _rows(ax, clusters, table, labels=False)
    ax.axvline(0, color="#555555", lw=0.9)
    for y, cluster in enumerate(clusters):
        part = table[table["cluster"] == cluster]
        for name, arm, offset in GAINS:
            if (row := _mean(part, name)) is not None:
                fill = style.colour(cluster) if arm == "base" else ""
                _point(ax, row, y - offset, arm, cluster, fill)
    ax.set(xlabel="tuned − base, percent points", title="Gain over each base")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, right: published base and FLAN; hollow is only recalled."""
    clusters = rows_of(table)
    _rows(ax, clusters, table, labels=False)
    centred = {"ha": "center", "va": "center", "size": 7, "color": style.QUIET}
    marks = dict(zip(PUBLISHED.values(), ("o", "D"), strict=True))
    for y, cluster in enumerate(clusters):
        part = table[table["cluster"] == cluster]
        found = {arm: _mean(part, arm) for arm in marks}
        if any(row is None for row in found.values()):
            if cluster != estimates.ALL:
                ax.text(50, y, "not found", **centred)
            continue
        values = [row.value for row in found.values()]
        ax.plot(values, [y, y], color="#9A9A9A", lw=1, zorder=1)
        ax.text(50, y + 0.36, _gained(values, found[FLAN].n), **centred)
        for arm, row in found.items():
            firm = row.source == "published, verified"
            edge = style.INK
            ax.plot(
                row.value,
                y,
                marker=marks[arm],
                ms=5.2,
                mec=edge,
                mew=1.1,
                mfc=edge if firm else "white",
                ls="",
            )
    ax.set(xlim=(-5, 105), xlabel="percent or BLEU")
    ax.set_title("Published:\n○ LaMDA-PT ◇ FLAN", size=7.5)
    return ax


def rows_of(table: pd.DataFrame) -> list[str]:
    """What the figure has a row for: the clusters, then their mean."""
    found = clusters_of(table)
    whole = (table["cluster"] == estimates.ALL) & (table["arm"] == "tuned")
    return [*found, estimates.ALL] if whole.any() else found


def clusters_of(table: pd.DataFrame) -> list[str]:
    """Clusters with a tuned score, in the order of the table."""
    rows = table[(table["arm"] == "tuned") & (table["dataset"] == "")]
    return [c for c in rows["cluster"] if c != estimates.ALL]


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Zero-shot scores on {len(clusters_of(table))} clusters never tuned on"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    rows = table[table["arm"].isin(PUBLISHED.values())]
    recalled = int((rows["source"] == "published, recalled").sum())
    tuned = table[(table["arm"] == "tuned") & (table["dataset"] == "")]
    seeds = sorted({int(s) for s in tuned["seeds"]})
    again = sorted(set(table.loc[table["source"] == "recomputed", "cluster"]))
    many = "s" if seeds != [1] else ""
    found = [
        "Large: mean over datasets and templates, 95 % interval over examples and"
        f" {_span(seeds)} seed{many}. Small: datasets. Gain: over that base.",
    ]
    if len(rows):
        found.append(
            "Right: Wei et al., 137B parameters, datasets that both models report; other data than"
            f" here. Hollow: {recalled} of {len(rows)} rest on recalled values."
        )
    if again:
        found.append(f"Recomputed in this run: {', '.join(style.title(c, True) for c in again)}.")
    return found


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for cluster in [*clusters_of(table), estimates.ALL]:
        part = table[(table["cluster"] == cluster) & (table["dataset"] == "")]
        base, tuned, gain = (_mean(part, arm) for arm in ("base", "tuned", "gain"))
        if base is None or tuned is None or gain is None:
            continue
        name = "Mean over clusters" if cluster == estimates.ALL else style.title(cluster)
        parts.append(
            f"{name}: base {base.value:.1f}, tuned {tuned.value:.1f} percent,"
            f" gain {gain.value:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]."
        )
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: arms in percent, gain with its interval, n."""
    rows = []
    for cluster in [*clusters_of(table), estimates.ALL]:
        part = table[(table["cluster"] == cluster) & (table["dataset"] == "")]
        if part.empty:
            continue
        values = {arm: row.value for arm in ARMS if (row := _mean(part, arm)) is not None}
        gain = _mean(part, "gain")
        rows.append(
            {
                "cluster": "mean" if cluster == estimates.ALL else style.title(cluster),
                **{arm: round(value, 1) for arm, value in values.items()},
                "gain": f"{gain.value:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]",
                "n": int(gain.n),
                "seeds": int(gain.seeds),
            }
        )
    return pd.DataFrame(rows)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    better, worse, open_ = [], [], []
    for cluster in clusters_of(table):
        gain = _mean(table[table["cluster"] == cluster], "gain")
        kind = better if gain.low > 0 else worse if gain.high < 0 else open_
        kind.append(f"{style.title(cluster)} ({gain.value:+.1f})")
    lines = [
        f"- Tuning helps, interval above 0: {'; '.join(better) or 'nowhere'}.",
        f"- Tuning hurts, interval below 0: {'; '.join(worse) or 'nowhere'}.",
        f"- Not decided: {'; '.join(open_) or 'nowhere'}.",
    ]
    agree, count = 0, 0
    for cluster in clusters_of(table):
        part = table[table["cluster"] == cluster]
        old, new = (_mean(part, arm) for arm in PUBLISHED.values())
        if old is not None and new is not None:
            count += 1
            agree += (new.value > old.value) == (_mean(part, "gain").value > 0)
    lines.append(f"- Same sign of the gain as published in {agree} of {count} clusters.")
    return Reading("\n".join(lines))


def _rows(ax: Axes, clusters: list[str], table: pd.DataFrame, labels: bool = True) -> None:
    """One band per cluster, first on top, named with its n; the mean last."""
    ax.set_ylim(len(clusters) - 0.5, -0.5)
    ax.set_yticks(range(len(clusters)))
    ax.tick_params(axis="y", length=0)
    for y in range(0, len(clusters), 2):
        ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F5", zorder=0, lw=0)
    if estimates.ALL in clusters:
        ax.axhline(len(clusters) - 1.5, color="#555555", lw=0.9)
    if labels:
        ax.set_yticklabels([_label(table, cluster) for cluster in clusters])


def _label(table: pd.DataFrame, cluster: str) -> str:
    row = _mean(table[table["cluster"] == cluster], "tuned")
    name = "Mean of clusters" if cluster == estimates.ALL else style.title(cluster, short=True)
    return f"{name}\nn = {int(row.n)}"


def _point(ax: Axes, row, y: float, arm: str, cluster: str, fill: str = "") -> None:
    mark = style.ARMS[arm]
    fill = fill or mark.fill or style.colour(cluster)
    if row.low == row.low:
        ax.plot([row.low, row.high], [y, y], color=mark.edge, lw=1.1, solid_capstyle="butt")
    ax.plot(row.value, y, marker=mark.marker, ms=5.2, mfc=fill, mec=mark.edge, mew=0.8, zorder=3)


def _mean(part: pd.DataFrame, arm: str):
    rows = part[(part["arm"] == arm) & (part["dataset"] == "")]
    return next(rows.itertuples(), None)


def _legend() -> list[Line2D]:
    handles = [Line2D([], [], color="#555555", ls=":", lw=1.1, label="chance")]
    for arm in OFFSETS:
        mark = style.ARMS[arm]
        handles.append(
            Line2D(
                [],
                [],
                marker=mark.marker,
                ms=5.2,
                mfc=mark.fill or "#888888",
                mec=mark.edge,
                color=mark.edge,
                lw=1.1,
                label=mark.name,
            )
        )
    return handles


def _gained(values: list[float], n: float) -> str:
    many = "s" if int(n) != 1 else ""
    return f"{values[1] - values[0]:+.1f}, {int(n)} dataset{many}"


def _span(seeds: list[int]) -> str:
    if not seeds:
        return "no"
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
