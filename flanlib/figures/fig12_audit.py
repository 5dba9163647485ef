"""Figure 12: an audit of leaks, calibration, option order, label bias and seeds.

The paper has no such figure. Its table of evaluation text in pretraining data
has a panel next to the leaks. Leaks are counted in the rows; every other
measurement comes from records of the base and the tuned model.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib import results
from flanlib.figures import boxes, dots, lines, overlaps, style
from flanlib.figures.dots import Dot, Row
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.scoring.choices import BINS
from flanlib.studies import leaks, scrutiny
from flanlib.studies.estimates import ALL

if TYPE_CHECKING:
    from flanlib.studies.axes import Axis

STEM = "fig12_audit"
HEADING = "Audit: leaks, calibration, option-order sensitivity, label bias, agreement between seeds"
ROWS, BARS = 0.18, 0.26  # inches of a dataset's row, and of a cluster's two bars
TUNED_NAME = "instruction-tuned (cluster's colour)"
MARKS = {"base": ("o", "white"), "tuned": ("D", "")}
LEAKS = {leaks.BARRED: "#D9D9D9", leaks.KEPT: style.INK}
QUESTIONS = {
    "calibration": ("Expected calibration error, percent", ""),
    "order": (
        "Option-order sensitivity (score, reversed minus given order), points",
        scrutiny.SWAPPED,
    ),
    "habit": ("Label bias (total variation from the label prior), percent", ""),
    "seeds": ("Agreement between seeds, percent of examples", ""),
}


def collect(study: "Axis") -> pd.DataFrame:
    """Leaks counted in the rows, and the rest from records."""
    study.load()
    counted = leaks.count(
        study.catalogue,
        study.groups,
        seed=study.settings.seed,
        rows=study.settings.rows,
        limit=study.settings.behind.train_limit,
    )
    rank = list(study.catalogue.tasks)
    records = sorted(study.records(study.at), key=lambda r: rank.index(r.task))
    groups = results.groups(study.at)
    parts = [
        counted,
        scrutiny.order(records, groups),
        scrutiny.reliability(records),
        scrutiny.calibration(records),
        scrutiny.habit(records),
        scrutiny.seeds(records, groups),
        overlaps.rows(),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: leaks and reliability above, four questions per dataset below."""
    tall, published = ROWS * len(rows_of(table)), len(_part(table, overlaps.GROUP)) > 0
    upper = max(3.6 if published else 1.6, BARS * len(_held_out(table)))
    with style.look():
        fig, top = lines.sheet(HEADING, _legend(), notes(table), upper + tall + 1.7)
        (left,) = boxes.panels(fig, top + 0.3, upper, [(1.4, 4.6)])
        (right,) = boxes.panels(fig, top + 0.3, 1.45, [(5.1, 6.85)])
        draw_leaks(table, left)
        draw_reliability(table, right)
        if published:
            (ax,) = boxes.panels(fig, top + 2.58, 1.32, [(5.1, 6.85)])
            overlaps.draw(table, ax).set_title("f  Published: overlap")
        below = boxes.panels(fig, top + upper + 1.25, tall, boxes.columns(4, left=1.45))
        for each, ax in zip(
            (draw_calibration, draw_order, draw_label_bias, draw_seeds), below, strict=True
        ):
            each(table, ax).tick_params(labelleft=ax is below[0])
    return fig


def draw_leaks(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 a: train rows that share text with evaluation rows."""
    clusters = _held_out(table)
    most = _part(table, "leaks")["n"].max()
    for y, cluster in enumerate(clusters):
        for n, (arm, fill) in enumerate(LEAKS.items()):
            row, at = _row(table, "leaks", cluster, arm=arm, x="shared"), y - 0.19 + 0.38 * n
            ax.barh(at, row.value, 0.34, color=fill, edgecolor=style.INK, lw=0.7)
            words = f"{row.value:,.0f} of {row.n:,.0f} {arm}"
            ax.annotate(
                words, (row.value, at), xytext=(4, 0), textcoords="offset points",
                va="center", size=6.5,
            )  # fmt: skip
    ax.set_xscale("symlog", linthresh=1)
    ax.set(xlim=(0, 400 * most), ylim=(len(clusters) - 0.5, -0.5), xlabel="train rows (log scale)")
    ax.set_xticks([0, *(10**k for k in range(int(np.log10(most)) + 1))])
    ax.set_xticklabels(["0", *(f"{10**k:,}" for k in range(int(np.log10(most)) + 1))])
    ax.minorticks_off()
    ax.set_yticks(range(len(clusters)), [style.title(c, short=True) for c in clusters])
    ax.tick_params(axis="y", length=0, labelsize=7)
    ax.set_title("a  Train rows sharing text with evaluation rows")
    return ax


def draw_reliability(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 b, curves: accuracy against confidence."""
    part = _part(table, "reliability")
    ax.plot([0, 100], [0, 100], color=lines.GREY, ls=":", lw=1.1)
    series = [
        lines.Series(arm=arm, name=arm, marker=marker, fill=fill or "#888888", size=4.6,
                     line="--" if fill else "-")
        for arm, (marker, fill) in MARKS.items()
    ]  # fmt: skip
    places = {x: float(x) for x in part["x"]}
    lines.draw(table, ax, series, places, group="reliability", chance=False)
    n = part.groupby("arm")["n"].sum()
    counted = " and ".join(f"{n[arm]:,}" for arm in MARKS if arm in n)
    ax.set(xlim=(0, 103), ylim=(0, 103), ylabel="accuracy, percent")
    ax.set_xlabel(f"confidence, percent\n(n = {counted} prompts)")
    ax.set(xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    ax.grid(axis="both")
    ax.set_title("b  Reliability diagram")
    return ax


def draw_order(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 c: option-order sensitivity, the score's change with reversed options."""
    ax.axvline(0, color=lines.GREY, lw=0.9)
    _dots(ax, table, "order", ("base", "tuned"), scrutiny.SWAPPED)
    ax.set(xlabel="score, reversed −\ngiven order, points", title="c  Option-order\nsensitivity")
    return ax


def draw_calibration(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 b, per dataset: expected calibration error."""
    _dots(ax, table, "calibration", ("base", "tuned"))
    ax.set(xlabel="expected calibration\nerror, percent", title="b  Calibration\nby dataset")
    ax.set_xlim(left=0)
    return ax


def draw_label_bias(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 d: total variation of the chosen answers from the label prior."""
    _dots(ax, table, "habit", ("base", "tuned"))
    ax.set(xlabel="total variation from\nlabel prior, percent", title="d  Label bias")
    ax.set_xlim(left=0)
    return ax


def draw_seeds(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 e: agreement between seeds, and that of independent seeds."""
    _dots(ax, table, "seeds", ("tuned",))
    if _part(table, "seeds").empty:
        ax.text(0.5, 0.5, "one seed", transform=ax.transAxes, ha="center", va="center",
                size=7, color=style.QUIET)  # fmt: skip
    ax.set(
        xlabel="same outcome,\npercent of examples",
        title="e  Agreement\nbetween seeds",
        xlim=(None, 103),
    )
    return ax


def rows_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Cluster and dataset of each row; the mean over clusters last."""
    part = _part(table, "calibration")
    found = list(dict.fromkeys(zip(part["cluster"], part["dataset"], strict=True)))
    means = [row for row in found if row[0] == ALL] or [row for row in found if not row[1]]
    return [row for row in found if row[1]] + means


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what was counted, and what the marks and intervals are."""
    similar = _row(table, "leaks", ALL, arm=leaks.KEPT, x="similar")
    return [
        "a: two rows share text if all of it, or 13 words in a row, are equal; not tuned on: the"
        f" held-out clusters and their neighbours; of {similar.n:,.0f} other rows, counted once per mixture,"
        f" {similar.value:,.0f} were dropped for sharing. All rows are counted: no interval.",
        "b to e: 95 % intervals over examples and, by dataset in b to d, over seeds; b and d count"
        f" an example once; b: {BINS} bins of confidence, points of {scrutiny.FEWEST} examples or more; tuned: mean of"
        f" {_seeds(table)}. d: total variation between the options chosen and the options that are"
        " right. e: two seeds agree on an example if both are right, or both wrong, with most"
        " templates; dotted: expected of independent seeds.",
        *(f"f: {text}" for text in overlaps.words(table)),
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{HEADING}.", *overlaps.words(table)]
    for row in _part(table, "leaks").query("x == 'shared'").itertuples():
        name = "all held-out clusters" if row.cluster == ALL else style.title(row.cluster)
        parts.append(
            f"{row.value:,.0f} of {row.n:,.0f} train rows {row.arm} share text with evaluation"
            f" rows of {name}."
        )
    for group, (name, x) in QUESTIONS.items():
        for arm in ("chance", "base", "tuned"):
            if (row := _whole(table, group, arm, x)) is not None:
                signed = group == "order"
                parts.append(f"{name}, {arm}: {lines.spelled(row, signed)}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset, the mean last: each question's answer, base and tuned."""
    found = []
    for cluster, dataset in rows_of(table):
        line = {"cluster": _name(cluster), "dataset": dataset or "mean"}
        for group, (_, x) in QUESTIONS.items():
            for arm in ("chance", "base", "tuned"):
                row = _row(table, group, cluster, dataset, arm, x)
                if row is not None:
                    line[f"{group}, {arm}"] = lines.spelled(row, group == "order")
        found.append(line | {"n": int(_row(table, "calibration", cluster, dataset, "tuned").n)})
    return pd.DataFrame(found).fillna("")


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    found = [
        _on_leaks(table),
        _on_change(table, "calibration", "expected calibration error, percent"),
        _on_order(table),
        _on_change(table, "habit", "label bias (total variation from the label prior), percent"),
        _on_seeds(table),
        *overlaps.words(table),
        "Beside the paper: it reports none of the others, so there is nothing to agree with. Limits:"
        " shared text is found by words, not by meaning; confidence is that among the options"
        " shown, not in an answer of the model's own; a score can stay as it is while answers"
        " change places.",
    ]
    return Reading("\n".join(f"- {line}" for line in found))


def _on_leaks(table: pd.DataFrame) -> str:
    barred, kept = (
        _row(table, "leaks", ALL, arm=arm, x="shared") for arm in (leaks.BARRED, leaks.KEPT)
    )
    clean = "no leak was found" if not kept.value else "**these are leaks**"
    return (
        f"Leaks: {kept.value:,.0f} of {kept.n:,.0f} rows tuned on, counted once per mixture, share text"
        f" with an evaluation row: {clean}. Of the {barred.n:,.0f} rows that the held-out rule bars,"
        f" {barred.value:,.0f} do."
    )


def _on_order(table: pd.DataFrame) -> str:
    words = []
    for arm in ("base", "tuned"):
        row = _whole(table, "order", arm, scrutiny.SWAPPED)
        part = _part(table, "order")
        each = part[
            (part["arm"] == arm) & (part["x"] == scrutiny.SWAPPED) & (part["dataset"] != "")
        ]
        moved = int(((each["low"] > 0) | (each["high"] < 0)).sum())
        words.append(
            f"{arm} {lines.spelled(row, True)} percent points, interval off 0 in {moved} of"
            f" {len(each)} datasets"
        )
    return f"Option-order sensitivity, reversed minus given order: {'; '.join(words)}."


def _on_change(table: pd.DataFrame, group: str, what: str) -> str:
    base, tuned, change = (_whole(table, group, arm) for arm in ("base", "tuned", "tuned - base"))
    said = {"higher": "tuning makes it larger", "lower": "tuning makes it smaller"}
    verdict = said.get(lines.verdict(change), "no change is shown")
    return (
        f"{what[0].upper()}{what[1:]}: base {lines.spelled(base)}, tuned {lines.spelled(tuned)};"
        f" {verdict} ({lines.spelled(change, True)})."
    )


def _on_seeds(table: pd.DataFrame) -> str:
    tuned, chance, more = (_whole(table, "seeds", a) for a in ("tuned", "chance", "tuned - chance"))
    if tuned is None:
        return "Seeds: one is on record, so nothing can be said about their agreement."
    return (
        f"Seeds: the same outcome on {lines.spelled(tuned)} percent of examples;"
        f" {chance.value:.1f} would be expected of independent seeds"
        f" ({lines.spelled(more, True)} beyond)."
    )


def _dots(ax: Axes, table: pd.DataFrame, group: str, arms: tuple[str, ...], x: str = "") -> None:
    """One row per dataset, base above tuned, with intervals."""
    marks = tuple(
        Dot(arm=arm, x=x, marker=MARKS[arm][0], fill=MARKS[arm][1], size=4.6, shift=shift)
        for arm, shift in zip(arms, (-0.17, 0.17) if len(arms) > 1 else (0,), strict=True)
    )
    rows = [
        Row(label=_label(table, *row), cluster=row[0], dataset=row[1], dots=marks)
        for row in rows_of(table)
    ]
    dots.draw(_part(table, group).assign(group=""), ax, rows)
    ax.axhline(sum(1 for row in rows if row.dataset) - 0.5, color=lines.GREY, lw=0.9)
    ax.tick_params(axis="y", labelsize=7)


def _label(table: pd.DataFrame, cluster: str, dataset: str) -> str:
    n = int(_row(table, "calibration", cluster, dataset, "tuned").n)
    mean = "mean of clusters" if cluster == ALL else "mean of datasets"
    return f"{dataset or mean}, n = {n}"


def _name(cluster: str) -> str:
    return "all" if cluster == ALL else style.title(cluster, short=True)


def _held_out(table: pd.DataFrame) -> list[str]:
    return [c for c in dict.fromkeys(_part(table, "leaks")["cluster"]) if c != ALL]


def _part(table: pd.DataFrame, group: str) -> pd.DataFrame:
    return table[table["group"] == group]


def _row(table: pd.DataFrame, group: str, cluster: str, dataset="", arm="", x=""):
    return lines.row(table, arm, x, cluster, dataset, group)


def _whole(table: pd.DataFrame, group: str, arm: str, x: str = ""):
    """The row of the mean; of a single cluster, its own."""
    return _row(table, group, rows_of(table)[-1][0], "", arm, x)


def _seeds(table: pd.DataFrame) -> str:
    n = int(_part(table, "calibration").query("arm == 'tuned'")["seeds"].min())
    return f"{n} seed{'s' if n != 1 else ''}"


def _legend() -> list[Line2D]:
    arms = [
        Line2D([], [], color=style.INK, lw=1.1, marker=marker, ms=4.6, mec=style.INK, mew=0.8,
               mfc=fill or "#888888", label=name)
        for (marker, fill), name in zip(MARKS.values(), ("base", TUNED_NAME), strict=True)
    ]  # fmt: skip
    dotted = Line2D(
        [], [], color=lines.GREY, ls=":", lw=1.3, label="perfect calibration (b), chance (e)"
    )
    return [*arms, dotted]
