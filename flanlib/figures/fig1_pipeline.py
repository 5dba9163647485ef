"""Figure 1: what instruction tuning is, and what it did to three clusters.

The diagram is made of the collection itself: prompts that were tuned on,
and questions of clusters that were not, with the answers of base and tuned
model. Real datasets are stood for by examples written for illustration.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from flanlib.core.config import Scoring
from flanlib.data.catalogue import Task
from flanlib.evaluation import illustrations, requests
from flanlib.figures import boxes, lines, questions, seeds, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.prompts import templates
from flanlib.results import published
from flanlib.results.effects import Estimand
from flanlib.studies.study import Study

STEM = "fig1_pipeline"
SHOWN = ("nli", "reading_comprehension", "closed_book_qa")
SERIES = {
    "GPT-3 175B zero-shot": ("GPT-3 zero-shot, published", "#FFFFFF", "///"),
    "GPT-3 175B few-shot": ("GPT-3 few-shot, published", "#FFFFFF", "..."),
    "FLAN 137B zero-shot": ("FLAN zero-shot, published", "#BDBDBD", ""),
    "base": ("base, measured here", "#FFFFFF", ""),
    "tuned": ("tuned, measured here (coloured)", "", ""),
}
TUNED_ON = 4  # prompts shown, each of another cluster
COLUMNS = "panel cluster task name text value low high n seeds source".split()


def collect(study: Study, cluster: str = "nli") -> pd.DataFrame:
    """Prompts for the diagram and bars for the clusters shown.

    Nothing is computed: what is not on record is left out, and the figure
    says so.
    """
    rows = [*_diagram(study, cluster), *_published(), *_measured(study)]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: the pipeline above, the bars below."""
    with style.look():
        fig, page = boxes.page(style.WIDTH, 30)
        lowest = draw_pipeline(table, page)
        words = boxes.paragraphs(notes(table), 7)
        below = 0.2 + boxes.height_of(len(words), 7)
        bars, top = 1.75, 30.0
        bottom = lowest - 0.55 - bars - 0.35 - below
        height = top - bottom
        page.set_ylim(bottom, top)
        fig.set_size_inches(style.WIDTH, height)
        ax = fig.add_axes((0.075, (below + 0.35) / height, 0.9, bars / height))
        draw_bars(table, ax)
        ax.legend(
            handles=_legend(),
            loc="lower left",
            bbox_to_anchor=(-0.07, 1.0),
            ncol=3,
            columnspacing=1.2,
            handlelength=1.6,
        )
        boxes.put(page, 0.1, bottom + below, words, 7)
    return fig


def draw_pipeline(table: pd.DataFrame, ax: Axes) -> float:
    """Figure 1, top: from tuning prompts to an answer; lowest y used."""
    top = ax.get_ylim()[1]
    head = ["Instruction tuning, and clusters never tuned on"]
    y = boxes.put(ax, 0.1, top - 0.08, head, 9, weight="bold") - 0.1
    wide = 2.95
    left, right = 0.1, style.WIDTH - 0.1 - wide
    boxes.put(ax, left, y, ["Tuned on many tasks phrased as instructions"], 7.5, weight="bold")
    boxes.put(ax, right, y, ["Evaluated on task types it has not seen"], 7.5, weight="bold")
    y = lowest = y - 0.19
    for row in _part(table, "tuning").itertuples():
        end = boxes.box(
            ax,
            left,
            y,
            wide,
            f"{style.title(row.cluster)} ({row.task})",
            row.text,
            edge=style.colour(row.cluster),
            size=6.8,
            max_lines=17,
        )
        y = end - 0.1
        lowest = end
    x = left + 0.07
    words = f"… and {_more(table)}"
    boxes.put(ax, x, y + 0.03, [words], 7, style.QUIET)
    lowest = min(lowest, y - 0.12)
    start = top - 0.08 - boxes.height_of(1, 9) - 0.29
    end = questions.draw(table, ax, right, start, wide)
    middle = start - 0.62
    boxes.arrow(ax, (left + wide + 0.06, middle), (right - 0.06, middle))
    for n, line in enumerate(("tuned with", "these clusters", "held out")):
        at = (left + wide + right) / 2, middle + 0.42 - 0.12 * n
        ax.text(*at, line, size=6.8, ha="center", va="top")
    return min(lowest, end)


def draw_bars(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 1, bottom: published and measured scores on three clusters."""
    bars = _part(table, "bars")
    width = 0.16
    for at, cluster in enumerate(SHOWN):
        for n, (series, (_, fill, hatch)) in enumerate(SERIES.items()):
            x = at + (n - 2) * width + (0.06 if n > 2 else -0.02)
            found = bars[(bars["cluster"] == cluster) & (bars["name"] == series)]
            if found.empty:
                ax.text(x, 2, "not measured", rotation=90, size=6.5, ha="center", color=style.QUIET)
                continue
            row = found.iloc[0]
            ax.bar(
                x,
                row.value,
                width * 0.92,
                color=fill or style.colour(cluster),
                edgecolor="#555555" if n < 3 else style.INK,
                hatch=hatch,
                lw=0.9,
            )
            if row.low == row.low:
                ax.plot([x, x], [row.low, row.high], color=style.INK, lw=1.2)
            above = row.high if row.high == row.high else row.value
            ax.text(x, above + 1.5, f"{row.value:.1f}", ha="center", size=6.8)
    ax.set_xticks(range(len(SHOWN)))
    ax.set_xticklabels([_label(bars, cluster) for cluster in SHOWN])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.grid(axis="y")
    ax.set(ylim=(0, 105), xlim=(-0.5, len(SHOWN) - 0.5), ylabel="score, percent")
    return ax


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what is measured, and what is published."""
    bars = _part(table, "bars")
    firm = bars["source"].isin([f"published, {s}" for s in published.FIRM])
    old = bars["source"].str.startswith("published")
    weak = int((old & ~firm).sum())
    text = "Published bars: Wei et al., their data, models of 137B and 175B parameters; " + (
        f"{weak} of {int(old.sum())} values only recalled." if weak else "all values verified."
    )
    if (~old).any():
        text += (
            " Measured bars: this collection and model, means over datasets and templates,"
            f" 95\u00a0% intervals over examples and {seeds.told(bars[~old])}."
        )
    return [questions.note(table), text]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its content."""
    parts = ["Instruction tuning as a diagram."]
    for row in _part(table, "tuning").itertuples():
        parts.append(f"Tuned on, {style.title(row.cluster)}: {row.text!r}.")
    for row in _part(table, "unseen").itertuples():
        parts.append(f"Not tuned on, {style.title(row.cluster)}: {row.text!r}.")
        parts += [f"{k}: {v!r}." for k, v in questions.answers(table, row.cluster).items()]
    for row in _part(table, "bars").itertuples():
        name = f"{style.title(row.cluster)}, {SERIES[row.name][0]}"
        parts.append(f"{name}: {lines.spelled(row)} percent.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cluster: each bar in percent, n and tuning seeds of the measured ones."""
    bars = _part(table, "bars")
    rows = []
    for cluster in SHOWN:
        mine = bars[bars["cluster"] == cluster].set_index("name")
        tuned = mine.loc["tuned"] if "tuned" in mine.index else None
        values = {
            name: lines.spelled(mine.loc[name]) if name in mine.index else "not measured"
            for name in SERIES
        }
        about = ("", "") if tuned is None else (int(tuned["n"]), int(tuned["seeds"]))
        rows.append(
            {"cluster": style.title(cluster)}
            | values
            | dict(zip(("n", "seeds"), about, strict=True))
        )
    return pd.DataFrame(rows)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    bars, gains = _part(table, "bars"), _part(table, "gain").set_index("cluster")
    values = bars.pivot(index="cluster", columns="name", values="value")
    found, agreeing = [], 0
    for cluster in SHOWN:
        if cluster not in gains.index:
            found.append(f"{style.title(cluster)}: not measured.")
            continue
        gain, said = gains.loc[cluster], dict(higher="helps", lower="hurts", undecided="undecided")
        flan, zero, few = (
            values.loc[cluster, list(SERIES)[2]],
            *values.loc[cluster, list(SERIES)[:2]],
        )
        agreeing += (flan > zero) == (gain.value > 0)
        found.append(
            f"{style.title(cluster)}: tuning {lines.spelled(gain, True)} percentage points"
            f" ({said[lines.verdict(gain)]}); published FLAN {flan - zero:+.1f} over GPT-3"
            f" zero-shot, {flan - few:+.1f} over few-shot."
        )
    found.append(
        f"Same direction as published in {agreeing} of {len(gains)} clusters. Limits: FLAN's bars"
        " compare two models, those measured here one model before and after tuning; other data,"
        " other size, so heights do not compare."
    )
    return Reading("\n".join(f"- {line}" for line in found))


def _diagram(study: Study, held_out: str) -> list[dict]:
    split = study.catalogue.held_out("+".join(questions.group(study, held_out)))
    written = {t.key for t in split.tuning if illustrations.of_task(study.catalogue, t)}
    rows, seen = [], set()
    for task in split.tuning:
        if task.cluster in seen or len(seen) == TUNED_ON:
            continue
        if task.key in written or (not written and task.key not in study.left_out):
            seen.add(task.cluster)
            rows.append(_tuning(study, task, task.key in written))
    rows.append({"panel": "count", "value": float(len({t.dataset for t in split.tuning}))})
    return [*rows, *questions.collect(study, held_out)]


def _tuning(study: Study, task: Task, written: bool) -> dict:
    """A prompt that is tuned on, and its answer."""
    if written:
        prompt = illustrations.prompt_of(study.catalogue, task)
    else:
        found = requests.first_example(study.catalogue, task, "train", study.settings.rows)
        prompt = templates.render(
            found, requests.templates_for(study.catalogue, task, Scoring())[0]
        )
    return {
        "panel": "tuning",
        "cluster": task.cluster,
        "task": task.key,
        "name": prompt.template,
        "text": f"{prompt.input}\n→ {prompt.target}",
    }


def _published() -> list[dict]:
    frame = published.points("fig1")
    return [
        {
            "panel": "bars",
            "cluster": row.cluster,
            "name": row.series,
            "value": float(row.y),
            "source": f"published, {row.status}",
        }
        for row in frame.itertuples()
    ]


def _measured(study: Study) -> list[dict]:
    table = study.table()
    part = table[(table["dataset"] == "") & table["cluster"].isin(SHOWN)]
    base, tuned = Estimand("base"), Estimand("tuned")
    panels = {base: "bars", tuned: "bars", tuned.minus(base): "gain"}
    return [
        {
            "panel": panels[of],
            "cluster": row.cluster,
            "name": "gain" if of.against else of.arm,
            **{name: getattr(row, name) for name in ("value", "low", "high", "n", "seeds")},
            "source": row.source,
        }
        for row in part.itertuples()
        if (of := Estimand(**{name: getattr(row, name) for name in Estimand._fields})) in panels
    ]


def _part(table: pd.DataFrame, panel: str) -> pd.DataFrame:
    return table[table["panel"] == panel]


def _more(table: pd.DataFrame) -> str:
    more = int(_part(table, "count").iloc[0].value) - len(_part(table, "tuning"))
    return f"{more} more datasets"


def _label(bars: pd.DataFrame, cluster: str) -> str:
    row = bars[(bars["cluster"] == cluster) & (bars["name"] == "tuned")]
    measured = f"\nn = {int(row.iloc[0].n)} measured" if len(row) else ""
    return style.title(cluster) + measured


def _legend() -> list[Patch]:
    """Published series in the upper row, measured ones below."""
    order = [list(SERIES.values())[n] for n in (0, 3, 1, 4, 2)]
    return [
        Patch(facecolor=fill or "#444444", edgecolor=style.INK, hatch=hatch, label=label)
        for label, fill, hatch in order
    ]
