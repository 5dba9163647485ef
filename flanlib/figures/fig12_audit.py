"""Figure 12: an audit of leaks, calibration, option order, label bias and seeds.

The first page has the leaks, the reliability diagram and the mean of each cluster;
another page has each dataset. The paper has no such figure. Its table of evaluation
text in pretraining data has a panel next to the leaks. Leaks are counted in the rows;
every other measurement comes from records of the base and the tuned model.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flanlib.evaluation.choices import BINS
from flanlib.figures import audits, boxes, lines, marks, overlaps, sheets, style
from flanlib.figures.audits import (
    MARKS,
    QUESTIONS,
    ROWS,
    SHOWN,
    TUNED_NAME,
    means_of,
    part,
    rows_of,
)
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects, scrutiny, store
from flanlib.results.effects import ALL
from flanlib.studies import leaks

if TYPE_CHECKING:
    from flanlib.studies.axes import Axis

STEM = "fig12_audit"
HEADING = "Audit: leaks, calibration, option-order sensitivity, label bias, agreement between seeds"
BARS = 0.26  # inches of a cluster's two bars
LEAKS = {leaks.BARRED: "#D9D9D9", leaks.KEPT: style.INK}


def collect(study: "Axis") -> pd.DataFrame:
    """Leaks counted in the rows, and the rest from records."""
    study.load()
    counted = leaks.count(
        study.catalogue,
        study.groups,
        seed=study.settings.seed,
        rows=study.settings.rows,
        limit=study.settings.defaults.train_limit,
    )
    rank = list(study.catalogue.tasks)
    records = sorted(study.records(study.at), key=lambda r: rank.index(r.task))
    groups = store.groups(study.at)
    parts = [
        counted,
        scrutiny.order(records, groups),
        scrutiny.reliability(records),
        scrutiny.calibration(records),
        scrutiny.label_bias(records),
        scrutiny.seeds(records, groups),
        overlaps.rows(),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """The first page: leaks and reliability above, four questions per cluster below."""
    rows, published = means_of(table), len(part(table, overlaps.GROUP)) > 0
    upper = max(3.6 if published else 1.6, BARS * len(_held_out(table)))
    with style.look():
        room = upper + ROWS * len(rows) + 1.7
        fig, top = sheets.sheet(HEADING, _legend(), notes(table), room)
        (left,) = boxes.panels(fig, top + 0.3, upper, [(1.4, 4.6)])
        (right,) = boxes.panels(fig, top + 0.3, 1.45, [(5.1, 6.85)])
        draw_leaks(table, left)
        draw_reliability(table, right)
        if published:
            (ax,) = boxes.panels(fig, top + 2.58, 1.32, [(5.1, 6.85)])
            overlaps.draw(table, ax).set_title("c  Published: overlap")
        audits.questions(table, fig, top + upper + 1.25, rows)
    return fig


def draw_datasets(table: pd.DataFrame) -> Figure:
    """The second page: the four questions per dataset."""
    rows = rows_of(table)
    heading = "Audit, dataset by dataset"
    with style.look():
        fig, top = sheets.sheet(heading, _legend(), notes(table)[1:2], ROWS * len(rows) + 0.85)
        audits.questions(table, fig, top + 0.32, rows)
    return fig


def draw_leaks(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 12 a: train rows that share text with evaluation rows."""
    clusters = _held_out(table)
    most = part(table, "leaks")["n"].max()
    for y, cluster in enumerate(clusters):
        for n, (arm, fill) in enumerate(LEAKS.items()):
            row, at = audits.leaked(table, arm, cluster), y - 0.19 + 0.38 * n
            ax.barh(at, row.value, 0.34, color=fill, edgecolor=style.INK, lw=0.7)
            words = f"{row.value:,.0f} of {row.n:,.0f} {arm}"
            style.beside(ax, words, (row.value, at), (4, 0), va="center")
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
    """Figure 12 b: accuracy against confidence."""
    mine = part(table, scrutiny.RELIABILITY)
    ax.plot([0, 100], [0, 100], color=lines.GREY, ls=":", lw=1.1)
    series = [
        marks.Series(
            arm=arm,
            name=arm,
            statistic=scrutiny.STATISTICS[scrutiny.RELIABILITY],
            marker=marker,
            fill=fill or "#888888",
            size=4.6,
            line="--" if fill else "-",
        )
        for arm, (marker, fill) in MARKS.items()
    ]
    places = {x: float(x) for x in mine["x"]}
    lines.draw(table, ax, series, places, group=scrutiny.RELIABILITY, chance=False)
    n = mine.groupby("arm")["n"].sum()
    counted = " and ".join(f"{n[arm]:,}" for arm in MARKS if arm in n)
    ax.set(xlim=(0, 103), ylim=(0, 103), ylabel="accuracy, percent")
    ax.set_xlabel(f"confidence, percent\n(n = {counted} prompts)")
    ax.set(xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    ax.grid(axis="both")
    ax.set_title("b  Reliability diagram")
    return ax


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what was counted, and what the marks and intervals are."""
    similar = audits.leaked(table, leaks.KEPT, ALL, leaks.DROPPED)
    return [
        "a: two rows share text if all of it, or 13 words in a row, are equal; not tuned on: the"
        f" held-out clusters and their neighbours; of {similar.n:,.0f} other rows, counted once per mixture,"
        f" {similar.value:,.0f} were dropped for sharing. All rows are counted: no interval.",
        "b, d to g: 95 % intervals over examples and, in d to f, over seeds; b, d and f count an"
        f" example once; b: {BINS} bins of confidence, points of {scrutiny.FEWEST} examples or more; tuned: mean of"
        f" {_seeds(table)}. f: total variation between the options chosen and the options that are"
        " right. g: two seeds agree on an example if both are right, or both wrong, with most"
        " templates; dotted: expected of independent seeds.",
        *(f"c: {text}" for text in overlaps.words(table)),
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{HEADING}.", *overlaps.words(table)]
    shared = part(table, "leaks")
    for row in shared[shared["statistic"] == leaks.SHARED].itertuples():
        name = "all held-out clusters" if row.cluster == ALL else style.title(row.cluster)
        parts.append(
            f"{row.value:,.0f} of {row.n:,.0f} train rows {row.arm} share text with evaluation"
            f" rows of {name}."
        )
    for group, name in QUESTIONS.items():
        for dot in SHOWN[group]:
            if (row := audits.whole(table, dot)) is not None:
                signed = group == scrutiny.ORDER
                parts.append(f"{name}, {dot.arm}: {lines.spelled(row, signed)}.")
    return " ".join(parts)


def describe_datasets(table: pd.DataFrame) -> str:
    """The second page in words."""
    parts = ["Audit, dataset by dataset."]
    for cluster, dataset in rows_of(table):
        told = []
        for group, name in QUESTIONS.items():
            row = audits.value(table, SHOWN[group][1], cluster, dataset)
            told += [f"{name} {row.value:.1f}"] if row is not None else []
        parts.append(f"{dataset or 'Mean'}, instruction-tuned: {'; '.join(told)}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset, the mean last: each question's answer, base and tuned."""
    found = []
    for cluster, dataset in rows_of(table):
        line = {"cluster": _name(cluster), "dataset": dataset or "mean"}
        for group, dots in SHOWN.items():
            for dot in dots:
                if (row := audits.value(table, dot, cluster, dataset)) is not None:
                    line[f"{group}, {dot.arm}"] = lines.spelled(row, group == scrutiny.ORDER)
        found.append(line | {"n": audits.count(table, cluster, dataset)})
    return pd.DataFrame(found).fillna("")


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    found = [
        _on_leaks(table),
        _on_change(table, scrutiny.CALIBRATION, "expected calibration error, percent"),
        _on_order(table),
        _on_change(
            table, scrutiny.LABEL_BIAS, "label bias (total variation from the label prior), percent"
        ),
        _on_seeds(table),
        *overlaps.words(table),
        "Beside the paper: it reports none of the others, so there is nothing to agree with. Limits:"
        " shared text is found by words, not by meaning; confidence is that among the options"
        " shown, not in an answer of the model's own; a score can stay as it is while answers"
        " change places.",
    ]
    return Reading("\n".join(f"- {line}" for line in found))


def _on_leaks(table: pd.DataFrame) -> str:
    barred, kept = (audits.leaked(table, arm, ALL) for arm in (leaks.BARRED, leaks.KEPT))
    clean = "no leak was found" if not kept.value else "**these are leaks**"
    return (
        f"Leaks: {kept.value:,.0f} of {kept.n:,.0f} rows tuned on, counted once per mixture, share text"
        f" with an evaluation row: {clean}. Of the {barred.n:,.0f} rows that the held-out rule bars,"
        f" {barred.value:,.0f} do."
    )


def _on_order(table: pd.DataFrame) -> str:
    words = []
    for dot in SHOWN[scrutiny.ORDER]:
        row = audits.whole(table, dot)
        each = effects.series(table, dot.arm, dot.group, against=dot.against)
        each = each[each["dataset"] != ""]
        moved = int(((each["low"] > 0) | (each["high"] < 0)).sum())
        words.append(
            f"{dot.arm} {lines.spelled(row, True)} percentage points, interval off 0 in {moved} of"
            f" {len(each)} datasets"
        )
    return f"Option-order sensitivity, reversed minus given order: {'; '.join(words)}."


def _on_change(table: pd.DataFrame, group: str, what: str) -> str:
    base, tuned, change = audits.changed(table, group)
    said = {"higher": "tuning makes it larger", "lower": "tuning makes it smaller"}
    verdict = said.get(lines.verdict(change), "no change is shown")
    return (
        f"{what[0].upper()}{what[1:]}: base {lines.spelled(base)}, tuned {lines.spelled(tuned)};"
        f" {verdict} ({lines.spelled(change, True)})."
    )


def _on_seeds(table: pd.DataFrame) -> str:
    chance, tuned, more = audits.changed(table, scrutiny.AGREEMENT)
    if tuned is None:
        return "Seeds: one is on record, so nothing can be said about their agreement."
    return (
        f"Seeds: the same outcome on {lines.spelled(tuned)} percent of examples;"
        f" {chance.value:.1f} would be expected of independent seeds"
        f" ({lines.spelled(more, True)} beyond)."
    )


def _name(cluster: str) -> str:
    return "all" if cluster == ALL else style.title(cluster, short=True)


def _held_out(table: pd.DataFrame) -> list[str]:
    return [c for c in dict.fromkeys(part(table, "leaks")["cluster"]) if c != ALL]


def _seeds(table: pd.DataFrame) -> str:
    return lines.counted(int(audits.whole(table, SHOWN[scrutiny.CALIBRATION][1]).seeds), "seed")


def _legend() -> list[Line2D]:
    arms = [
        lines.handle(name, marker, fill, ms=4.6, color=style.INK)
        for (marker, fill), name in zip(MARKS.values(), ("base", TUNED_NAME), strict=True)
    ]
    dotted = Line2D(
        [], [], color=lines.GREY, ls=":", lw=1.3, label="perfect calibration (b), chance (g)"
    )
    return [*arms, dotted]


SHEETS = {"datasets": (draw_datasets, describe_datasets)}
