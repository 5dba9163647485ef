"""The datasets of figure 5, one by one: what was measured, and what was published.

A further sheet of the figure, for a collection whose datasets are the paper's
own: base and tuned model of each beside GPT-3, LaMDA-PT and FLAN, zero-shot.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from flanlib.figures import boxes, dots, lines, style
from flanlib.figures.dots import PAIR, Dot, Row
from flanlib.results import effects, published
from flanlib.results.effects import Estimand

GPT3 = "published GPT-3 175B zero-shot"
LAMDA, FLAN = "published LaMDA-PT 137B zero-shot", "published FLAN 137B zero-shot"
PUBLISHED = {
    "lamda_pt_zero": Estimand(LAMDA),
    "flan_zero_avg": Estimand(FLAN),
    "flan_zero_best": Estimand(FLAN, statistic=effects.BEST),
}
GAIN = Dot(arm="tuned", against="base", name="gain", marker="D")
SCORES = tuple(
    Dot(
        arm=arm,
        name=mark.name,
        marker=mark.marker,
        fill=mark.fill,
        optional=arm not in (GAIN.arm, GAIN.against),
    )
    for arm, mark in style.ARMS.items()
    if arm != "chance"
)
EACH = (
    Dot(arm="base", name="base, same templates", marker="o", fill="#333333", shift=-PAIR),
    Dot(arm="tuned", name="instruction-tuned", marker="D", shift=PAIR),
)
EACH_OLD = (
    Dot(arm=GPT3, name="GPT-3 175B", marker="s", fill="#FFFFFF", optional=True),
    Dot(arm=LAMDA, name="LaMDA-PT 137B", marker="o", fill="#9A9A9A", optional=True),
    Dot(arm=FLAN, name="FLAN 137B", marker="D", fill=style.INK, optional=True),
)
SPANS = ((1.53, 4.02), (4.14, 5.67), (5.79, 6.99))  # inches
DATASET = 0.152  # inches of a dataset's row


def draw(table: pd.DataFrame) -> Figure:
    """Further sheet: each dataset's scores and gain, and what was published of it."""
    rows = _rows_of_datasets(table, EACH)
    with style.look():
        height = DATASET * len(rows) + 0.1
        about = [lines.note_on_seeds(table, counted=False), wins(table), _note_on_datasets(table)]
        marks = [*EACH, *EACH_OLD]
        fig, tops = dots.page(heading(table), marks, about, [height])
        panels = boxes.panels(fig, tops[0], height, SPANS)
        for ax, marks, more in zip(
            panels, (EACH, [GAIN], EACH_OLD), ({}, {"signed": True}, {"joined": True}), strict=True
        ):
            dots.draw(table, ax, _rows_of_datasets(table, marks), **more)
        for text, row in zip(panels[0].get_yticklabels(), rows, strict=True):
            text.set(weight="normal" if row.dataset else "bold", size=6.8)
        dots.scores(panels[0])
        panels[1].set(xlabel="tuned − base, points", title="Gain")
        panels[2].set(xlim=(-5, 105), xlabel="percent, BLEU\nor Rouge-L", title="Published")
        dots.unnamed(panels[1:])
    return fig


def heading(table: pd.DataFrame) -> str:
    """What the sheet shows, in a line."""
    n, both = len(each(table)), len(compared(table))
    return f"Zero-shot scores on {n} datasets never tuned on, {both} of them in the paper's tables"


def describe(table: pd.DataFrame) -> str:
    """The sheet in words; none where no published value is of the same dataset."""
    if not compared(table):
        return ""
    parts = [f"{heading(table)}. {wins(table)}"]
    for cluster, dataset in each(table):
        row = Row(cluster=cluster, dataset=dataset)
        base, tuned, gain = (dots.find(table, dot, row) for dot in (*EACH, GAIN))
        names = zip(("GPT-3", "LaMDA-PT", "FLAN"), EACH_OLD, strict=True)
        old = {name: dots.find(table, dot, row) for name, dot in names}
        said = ", ".join(f"{name} {v.value:.1f}" for name, v in old.items() if v is not None)
        parts.append(
            f"{dataset}: base {base.value:.1f}, tuned {tuned.value:.1f},"
            f" gain {lines.spelled(gain, signed=True)}; published: {said or 'none'}."
        )
    return " ".join(parts)


def wins(table: pd.DataFrame) -> str:
    """On how many datasets tuning is ahead here, and FLAN in the paper."""
    rows = [Row(cluster=cluster, dataset=dataset) for cluster, dataset in each(table)]
    gains = [dots.find(table, GAIN, row) for row in rows]
    sides = [lines.verdict(gain) for gain in gains]
    *controls, tuned = SCORES
    ahead = 0
    for row in rows:
        olds = [dots.find(table, dot, row) for dot in controls]
        best = max(old.value for old in olds if old is not None)
        ahead += dots.find(table, tuned, row).value > best
    flan, of = published.ahead_of_gpt3()
    return (
        f"The tuned model is above the base on {sum(g.value > 0 for g in gains)} of"
        f" {len(gains)} datasets ({sides.count('higher')} with the whole interval;"
        f" {sides.count('lower')} below with the whole interval), above every way of prompting the"
        f" base on {ahead}; published: FLAN above zero-shot GPT-3 on {flan} of {of}."
    )


def _note_on_datasets(table: pd.DataFrame) -> str:
    mine = table[(table["dataset"] != "") | ~table["source"].str.startswith("published")]
    gains = _series(table, GAIN)
    n = gains.loc[gains["dataset"] != "", "n"]
    return (
        f"Here: {int(n.min())} to {int(n.max())} examples a dataset. Published: the same dataset in"
        " the same metric, its full evaluation set; FLAN: mean over templates. Empty: not in the paper's tables, or in another metric."
        f" {lines.note_on_published(mine[mine['statistic'] != effects.BEST])}"
    )


def _rows_of_datasets(table: pd.DataFrame, marks: Sequence[Dot]) -> list[Row]:
    """A row for each cluster's name, and below it one for each of its datasets."""
    rows: list[Row] = []
    for cluster, dataset in each(table):
        if not rows or rows[-1].cluster != cluster:
            rows.append(Row(label=style.title(cluster, short=True), cluster=cluster))
        rows.append(Row(label=dataset, cluster=cluster, dataset=dataset, dots=tuple(marks)))
    return rows


def each(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Cluster and key of each dataset with a gain."""
    mine = _series(table, GAIN)
    mine = mine[mine["dataset"] != ""]
    return list(zip(mine["cluster"], mine["dataset"], strict=True))


def compared(table: pd.DataFrame) -> list[str]:
    """Datasets with published values of their own."""
    mine = table[table["arm"].isin([GPT3, LAMDA, FLAN]) & (table["dataset"] != "")]
    return list(dict.fromkeys(mine["dataset"]))


def present(table: pd.DataFrame, marks: Sequence[Dot]) -> list[Dot]:
    """Those of some `marks` that are not optional, or that the table has a row of."""
    return [dot for dot in marks if not dot.optional or len(_series(table, dot))]


def _series(table: pd.DataFrame, dot: Dot) -> pd.DataFrame:
    return effects.series(table, dot.arm, statistic=dot.statistic, against=dot.against)
