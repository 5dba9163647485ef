"""Figure 5: zero-shot scores on unseen clusters, before and after tuning.

Measured arms stand beside the published values of the same cluster. They
come from other data and other models; what can be compared is the direction
and the pattern of the gains. A second page shows each dataset, where the
datasets are the paper's own.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.data.catalogue import Task
from flanlib.figures import boxes, datasets, dots, lines, style
from flanlib.figures.datasets import FLAN, GAIN, GPT3, LAMDA, PUBLISHED, SCORES
from flanlib.figures.dots import Dot, Row
from flanlib.results import effects, published
from flanlib.results.effects import Estimand
from flanlib.studies import coverage
from flanlib.studies.arms import ARMS
from flanlib.studies.study import Study

STEM = "fig5_zero_shot_gains"
OLD = (
    Dot(arm=LAMDA, marker="o", fill="#9A9A9A", optional=True),
    Dot(arm=FLAN, marker="D", optional=True),
    Dot(arm=FLAN, statistic=effects.BEST, marker="|", size=8, optional=True),
)
WAYS = {  # of prompting the base: its mark in a line of text, and what it is
    "base": ("●", "the tuned model's templates"),
    "base-no-options": ("■", "the same without the list of options"),
    "base-cloze": ("▲", "plain text to be continued"),
    "base-chat": ("▼", "the chat template that its makers tuned it with"),
}
SPANS = ((1.53, 3.64), (3.88, 5.74), (5.86, 6.99))  # inches
WRITTEN, GAP = 6.5, 0.05  # points; inches beside a number
GAINS = tuple(
    replace(GAIN, marker=dot.marker)
    if dot.arm == GAIN.against
    else Dot(arm=GAIN.arm, against=dot.arm, marker=dot.marker, fill=dot.fill, optional=True)
    for dot in SCORES[:-1]
)


class Reading(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def collect(study: Study) -> pd.DataFrame:
    """What is on record, with the published values behind.

    Where the collection's datasets are the paper's, those of each dataset too.
    """
    table = study.load()
    same = study.catalogue.name == published.COMPARED and study.catalogue.tracked
    return with_published(table, [t for ts in study.tasks.values() for t in ts] if same else [])


def with_published(table: pd.DataFrame, tasks: Sequence[Task] = ()) -> pd.DataFrame:
    """Add the published cluster means, each with its status as source.

    `n` of a published row counts datasets, not examples. Values of the datasets of
    `tasks` are added as well.
    """
    mine = table[table["arm"] == "tuned"]
    rows = [lines.published_means(mine, PUBLISHED)]
    if tasks:
        each, _ = published.of_tasks(
            [task for task in tasks if task.cluster in set(mine["cluster"])]
        )
        points = each.assign(series=each["column"], x="", y=each["value"])
        known = lines.published_rows(points, {**PUBLISHED, "gpt3_zero": Estimand(GPT3)})
        rows.append(known.assign(dataset=each["dataset"], n=1))
    return lines.together(table, *rows)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, gains, and what was published."""
    clusters, marks = rows_of(table), datasets.present(table, SCORES)
    with style.look():
        height = dots.stack_height(len(clusters), len(marks) + 1)
        fig, tops = dots.page(heading(table), marks, notes(table), [height])
        if len(marks) > 4:  # names too wide for one line
            old = fig.legends[0]
            place = old.get_bbox_to_anchor().transformed(fig.transFigure.inverted())
            old.remove()
            handles, at = lines.legend(marks), (place.x0, place.y0)
            fig.legend(
                handles=handles, ncol=3, loc="upper left", bbox_to_anchor=at, labelspacing=0.3
            )
        panels = boxes.panels(fig, tops[0], height, SPANS[: 3 if _has_published(table) else 2])
        for ax, part in zip(panels, (draw_scores, draw_gains, draw_published), strict=False):
            part(table, ax)
            if effects.ALL in clusters:
                ax.axhline(len(clusters) - 1.5, color=lines.GREY, lw=0.9)
        dots.unnamed(panels[1:])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, left: score of each arm, cluster means with intervals."""
    rows = dots.stacks(table, rows_of(table), datasets.present(table, SCORES), "tuned")
    dots.draw(table, ax, rows, datasets=True)
    dots.scores(ax)
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, middle: tuned less base, in points, with 95 % intervals."""
    marks = [*datasets.present(table, GAINS), None]
    rows = dots.stacks(table, rows_of(table), marks, "tuned")
    dots.draw(table, ax, rows, signed=True)
    ax.set(xlabel="tuned − base, points", title="Gain over each base")
    _write(table, ax, rows)
    return ax


def _write(table: pd.DataFrame, ax: Axes, rows: Sequence[Row]) -> None:
    """The numbers of the last row, one below the other on the side that has more room."""
    found = [(dot, v) for dot in rows[-1].dots if (v := dots.find(table, dot, rows[-1]))]
    ends = [x for _, v in found for x in (v.value, v.low, v.high) if x == x]
    words = [lines.spelled(v, signed=True).replace("-", "−") for _, v in found]
    wide = ax.get_position().width * ax.figure.get_figwidth()
    free = wide - max(boxes.width_of(text, WRITTEN) for text in words) - 2 * GAP
    low, high = ax.get_xlim()
    right, left = ((x * wide / free) for x in (max(ends) - low, high - min(ends)))
    ax.set_xlim((low, max(high, low + right)) if right <= left else (min(low, high - left), high))
    place = (1 - GAP / wide, "right") if right <= left else (GAP / wide, "left")
    for (dot, _), text in zip(found, words, strict=True):
        ax.text(
            place[0],
            len(rows) - 1 + dot.shift,
            text,
            size=WRITTEN,
            ha=place[1],
            va="center",
            transform=ax.get_yaxis_transform(),
        )


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, right: published base and FLAN; hollow where not verified."""
    rows = [Row(cluster=cluster, dots=OLD) for cluster in rows_of(table)]
    dots.draw(table, ax, rows, joined=True)
    for y, row in enumerate(rows):
        old, new = (dots.find(table, dot, row) for dot in OLD[:2])
        if old and new:
            words = f"{new.value - old.value:+.1f}, {lines.counted(int(new.n), 'dataset')}"
            style.centred(ax, 50, y + 0.36, words)
        elif row.cluster != effects.ALL:
            style.centred(ax, 50, y, "not found")
    ax.set(xlim=(-5, 105), xlabel="percent, BLEU\nor Rouge")
    ax.set_title("Published:\n● LaMDA-PT ◆ FLAN", size=7.5)
    return ax


def rows_of(table: pd.DataFrame) -> list[str]:
    """What the figure has a row for: the clusters, then their mean."""
    found = lines.clusters_of(table, "tuned")
    return [*found, effects.ALL] if len(found) > 1 else found


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    many = lines.counted(len(lines.clusters_of(table, "tuned")), "cluster")
    return f"Zero-shot scores on {many} never tuned on"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    again = sorted(set(table.loc[table["source"] == "recomputed", "cluster"]))
    found = [f"{lines.note_on_seeds(table)} Small: datasets. Chance of the mean: mean of chances."]
    told = [" ".join(WAYS[dot.against]) for dot in datasets.present(table, GAINS)]
    found.append(
        f"Gain over each base: tuned minus the base prompted with {', '.join(told)}; in numbers: the"
        " mean. A gain counts where it holds against each."
    )
    if missing := not_measured(table):
        found.append(missing)
    if _has_published(table):
        found.append(
            "Right: datasets that both models report, 137B parameters; ◆ mean over templates, | the"
            f" template best on dev{_on_rouge(table)}. {lines.note_on_published(_means(table))}"
        )
    if again:
        found.append(f"Recomputed in this run: {', '.join(style.title(c, True) for c in again)}.")
    return found


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for cluster in rows_of(table):
        base, tuned, gain = (dots.at(table, d, cluster) for d in (SCORES[0], SCORES[-1], GAIN))
        parts.append(
            f"{dots.name_of(cluster)}: base {base.value:.1f}, tuned {tuned.value:.1f} percent,"
            f" gain {lines.spelled(gain, signed=True)}."
        )
    return " ".join([*parts, not_measured(table)]).strip()


def not_measured(table: pd.DataFrame) -> str:
    """Which clusters of the study are not on record as a whole; empty if all are."""
    names = [style.title(cluster, short=True) for cluster in coverage.clusters_lacking(table)]
    return f"Not measured yet: {', '.join(names)}." if names else ""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: arms in percent, gain with its interval, n."""
    arms = datasets.present(table, [Dot(arm=arm, name=arm, optional=True) for arm in ARMS])
    return dots.summary(table, rows_of(table), arms, [GAIN])


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    kinds: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
    pairs = []
    for cluster in lines.clusters_of(table, "tuned"):
        gain = dots.at(table, GAIN, cluster)
        kinds[lines.verdict(gain)].append(f"{style.title(cluster)} ({gain.value:+.1f})")
        old, new = (dots.at(table, dot, cluster) for dot in OLD[:2])
        pairs.append((gain, dots.less(new, old) if old and new else None))
    better, worse, undecided = ("; ".join(kind) or "nowhere" for kind in kinds.values())
    whole = rows_of(table)[-1]
    means = [
        f"with {WAYS[dot.against][1]} {dots.told(dots.at(table, dot, whole))}"
        for dot in datasets.present(table, GAINS)
    ]
    return Reading(
        "- In the same templates, gain with its interval above 0:"
        f" {better}.\n"
        f"- Loss, interval below 0: {worse}.\n"
        f"- Not decided: {undecided}.\n"
        f"- {dots.name_of(whole)}, tuned minus the base prompted {'; '.join(means)}.\n"
        f"- Same sign of the gain as published in {dots.same_sign(pairs)} clusters."
        + (f"\n- Datasets: {datasets.wins(table)}" if datasets.compared(table) else "")
    )


SHEETS = {"datasets": (datasets.draw, datasets.describe)}


def _on_rouge(table: pd.DataFrame) -> str:
    there = "struct_to_text" in lines.clusters_of(table, "tuned")
    return "; struct to text: mean of Rouge-1, -2 and -L" if there else ""


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """A table without the published values of single datasets."""
    return table[~table["source"].str.startswith("published") | (table["dataset"] == "")]


def _has_published(table: pd.DataFrame) -> bool:
    return bool(datasets.present(table, OLD))
