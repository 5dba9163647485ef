"""Figure 5: zero-shot scores on unseen clusters, before and after tuning.

Measured arms stand beside the published values of the same cluster. They
come from other data and other models; what can be compared is the direction
and the pattern of the gains.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import published
from flanlib.figures import dots, lines, style
from flanlib.figures.dots import Dot, Row
from flanlib.studies import estimates
from flanlib.study import ARMS, Study

STEM = "fig5_zero_shot_gains"
PUBLISHED = {
    "lamda_pt_zero": "published LaMDA-PT 137B zero-shot",
    "flan_zero_avg": "published FLAN 137B zero-shot",
    "flan_zero_best": "published FLAN 137B zero-shot, best dev template",
}
LAMDA, FLAN, BEST = PUBLISHED.values()
OLD = (
    Dot(arm=LAMDA, marker="o", fill="#9A9A9A"),
    Dot(arm=FLAN, marker="D"),
    Dot(arm=BEST, marker="|", size=8),
)
SCORES = tuple(
    Dot(arm=arm, name=mark.name, marker=mark.marker, fill=mark.fill)
    for arm, mark in style.ARMS.items()
    if arm != "chance"
)
GAINS = tuple(
    Dot(arm=arm, marker=dot.marker, fill="" if arm == "gain" else dot.fill)
    for arm, dot in zip(
        ("gain", "gain over base-no-options", "gain over base-cloze"), SCORES, strict=False
    )
)
SPANS = ((1.53, 4.02), (4.14, 5.67), (5.79, 6.99))  # inches


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
    points = means.assign(series=means["column"], x="", y=means["value"])
    rows = lines.published_rows(points, PUBLISHED).assign(n=means["n"])
    return lines.together(table.assign(group="", x=""), rows)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: scores, gains, and what was published."""
    clusters = rows_of(table)
    with style.look():
        height = dots.stack_height(len(clusters), len(SCORES) + 1)
        fig, tops = dots.page(heading(table), SCORES, notes(table), [height])
        panels = lines.panels(fig, tops[0], height, SPANS[: 3 if _has_published(table) else 2])
        for ax, part in zip(panels, (draw_scores, draw_gains, draw_published), strict=False):
            part(table, ax)
            if estimates.ALL in clusters:
                ax.axhline(len(clusters) - 1.5, color=lines.GREY, lw=0.9)
        dots.unnamed(panels[1:])
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, left: score of each arm, cluster means with intervals."""
    dots.draw(table, ax, dots.stacks(table, rows_of(table), SCORES, "tuned"), datasets=True)
    ax.set(xlim=(-2.5, 102.5), xlabel="score, percent", title="Measured here")
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, middle: tuned less base, in points, with 95 % intervals."""
    marks = [*GAINS, None]
    dots.draw(table, ax, dots.stacks(table, rows_of(table), marks, "tuned"), signed=True)
    ax.set(xlabel="tuned − base, percent points", title="Gain over each base")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 5, right: published base and FLAN; hollow where not verified."""
    rows = [Row(cluster=cluster, dots=OLD) for cluster in rows_of(table)]
    dots.draw(table, ax, rows, joined=True)
    centred = {"ha": "center", "va": "center", "size": 7, "color": style.QUIET}
    for y, row in enumerate(rows):
        old, new = (dots.find(table, dot, row) for dot in OLD[:2])
        if old and new:
            many = "s" if new.n > 1 else ""
            words = f"{new.value - old.value:+.1f}, {int(new.n)} dataset{many}"
            ax.text(50, y + 0.36, words, **centred)
        elif row.cluster != estimates.ALL:
            ax.text(50, y, "not found", **centred)
    ax.set(xlim=(-5, 105), xlabel="percent, BLEU\nor Rouge")
    ax.set_title("Published:\n● LaMDA-PT ◆ FLAN", size=7.5)
    return ax


def rows_of(table: pd.DataFrame) -> list[str]:
    """What the figure has a row for: the clusters, then their mean."""
    found = lines.clusters_of(table, "tuned")
    return [*found, estimates.ALL] if _mean(table, "tuned", estimates.ALL) else found


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    n = len(lines.clusters_of(table, "tuned"))
    return f"Zero-shot scores on {n} cluster{'s' if n > 1 else ''} never tuned on"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    again = sorted(set(table.loc[table["source"] == "recomputed", "cluster"]))
    found = [f"{lines.note_on_seeds(table)} Small: datasets."]
    if _has_published(table):
        found.append(
            "Right: datasets that both models report, 137B parameters; ◆ mean over templates, | the"
            " template best on dev; struct to text: mean of Rouge-1, -2 and -L."
            f" {lines.note_on_published(table)}"
        )
    if again:
        found.append(f"Recomputed in this run: {', '.join(style.title(c, True) for c in again)}.")
    return found


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for cluster in rows_of(table):
        base, tuned, gain = (_mean(table, arm, cluster) for arm in ("base", "tuned", "gain"))
        if base and tuned and gain:
            parts.append(
                f"{dots.name_of(cluster)}: base {base.value:.1f}, tuned {tuned.value:.1f} percent,"
                f" gain {lines.spelled(gain, signed=True)}."
            )
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: arms in percent, gain with its interval, n."""
    arms = [Dot(arm=arm, name=arm) for arm in ARMS]
    return dots.summary(table, rows_of(table), arms, [Dot(arm="gain", name="gain")])


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    kinds: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
    pairs = []
    for cluster in lines.clusters_of(table, "tuned"):
        gain = _mean(table, "gain", cluster)
        kinds[lines.verdict(gain)].append(f"{style.title(cluster)} ({gain.value:+.1f})")
        old, new = (_mean(table, arm, cluster) for arm in (LAMDA, FLAN))
        pairs.append((gain, dots.less(new, old) if old and new else None))
    better, worse, undecided = ("; ".join(kind) or "nowhere" for kind in kinds.values())
    return Reading(
        f"- Tuning helps, interval above 0: {better}.\n"
        f"- Tuning hurts, interval below 0: {worse}.\n"
        f"- Not decided: {undecided}.\n"
        f"- Same sign of the gain as published in {dots.same_sign(pairs)} clusters."
    )


def _mean(table: pd.DataFrame, arm: str, cluster: str):
    return lines.row(table, arm, "", cluster)


def _has_published(table: pd.DataFrame) -> bool:
    return bool(table["arm"].isin(PUBLISHED.values()).any())
