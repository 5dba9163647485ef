"""Figure 7: base and tuned models over the ladder of sizes.

The tuned model never saw a held-out cluster. It was tuned on a held-in one, and is
evaluated on other rows of it. The published values were read off a plot by eye, so
that only the sign of their difference means anything.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, lines, sheets, sizes, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import spelled
from flanlib.figures.marks import Series
from flanlib.figures.sizes import Scale
from flanlib.models import weights
from flanlib.results import effects, published
from flanlib.results.effects import COLUMNS, Estimand
from flanlib.studies.axes import Axis

STEM = "fig7_scale"
GROUPS = ("held-out", "held-in")
BASE, TUNED = "base", "tuned"
OLD_BASE, OLD_TUNED = "published LaMDA-PT", "published FLAN"
SIZE = "parameters"  # a statistic
OLD = {"untuned held-out": Estimand(OLD_BASE), "instruction-tuned held-out": Estimand(OLD_TUNED)}
SERIES = (
    Series(arm=BASE, name="base", marker="o", line="--", fill="#333333"),
    Series(arm=TUNED, name="instruction-tuned", marker="D", shift=0.03),
)
GAINS = (Series(arm=TUNED, against=BASE, name="difference", marker="D", written="+.0f"),)
OLD_SERIES = tuple(
    Series(arm=arm, name=arm, marker=one.marker, line=one.line)
    for arm, one in zip((OLD_BASE, OLD_TUNED), SERIES, strict=True)
)
BESIDE = {"higher": "above", "lower": "below", "undecided": "neither above nor below"}
UNITS = {"M": 1e6, "B": 1e9}


def collect(axis: Axis) -> pd.DataFrame:
    """What is on record, the models' sizes, and the published values."""
    return with_published(with_sizes(axis.load(), axis))


def with_sizes(table: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Add a row per model whose parameters can be counted; `n` is the count."""
    counts = {name: weights.n_parameters(name) for name in axis.ladder}
    of = {"statistic": SIZE, "arm": BASE}
    rows = [lines.row("model's folder", **of, x=name, n=n) for name, n in counts.items() if n]
    return lines.together(table, pd.DataFrame(rows))


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the published points, their differences, and their models' sizes."""
    points = published.points("fig7")
    rows = lines.published_rows(points, OLD, "held-out")
    base, tuned = (rows[rows["arm"] == arm].set_index("x") for arm in (OLD_BASE, OLD_TUNED))
    gains = tuned.assign(
        statistic=effects.DIFFERENCE,
        against=OLD_BASE,
        against_x=tuned.index,
        value=tuned["value"] - base["value"],
    ).reset_index()
    of = {"statistic": SIZE, "arm": OLD_BASE}
    counts = [
        lines.row("published, read-off", **of, x=x, n=int(float(x[:-1]) * UNITS[x[-1]]))
        for x in base.index
    ]
    return lines.together(table, rows, gains[COLUMNS], pd.DataFrame(counts))


def draw(table: pd.DataFrame) -> Figure:
    """The first sheet: means over clusters, and the published values."""
    below = 0.7 if _scale(table).named else 0.0
    with style.look():
        fig, top = sheets.sheet(heading(table), lines.legend(SERIES), notes(table), 3.35 + below)
        spans = boxes.columns(3, gap=0.5)
        scores = boxes.panels(fig, top + 0.35, 1.35, spans[:2], alike=True)
        gains = boxes.panels(fig, top + 1.82, 1.05, spans[:2], alike=True)
        for group, score, difference in zip(GROUPS, scores, gains, strict=True):
            large, _ = lines.panels_of(table, TUNED, group)
            _bare(draw_scores(table, score, group, large))
            score.set(title=f"Measured here, {group}:\n{lines.title(table, large, TUNED, group)}")
            draw_gains(table, difference, group)
        _bare(draw_published(table, *boxes.panels(fig, top + 0.35, 1.35, spans[2:])))
        draw_published_gains(table, *boxes.panels(fig, top + 1.82, 1.05, spans[2:]))
    return fig


def draw_clusters(table: pd.DataFrame) -> Figure:
    """The second sheet: a panel for each cluster, held-out and held-in."""
    named = _scale(table).named
    words = {group: f"{group.capitalize()} clusters" for group in GROUPS}
    of, rows = sheets.of_groups(table, TUNED, words)
    step = 1.95 + (0.7 if named else 0.0)

    def draw_one(ax: Axes, n: int, cluster: str) -> None:
        draw_scores(table, ax, of[n], cluster)
        ax.set_title(lines.title(table, cluster, TUNED, of[n]))
        if len(rows[n][1]) > 3:
            for i, label in enumerate(ax.get_xticklabels()[1:-1], 1):
                label.set_visible(named or (i % 2 == 0 and i < len(ax.get_xticks()) - 2))
            ax.set_xlabel(ax.get_xlabel().removesuffix(", log scale"))

    about = f"{heading(table)}, by cluster"
    with style.look():
        legend = lines.legend(SERIES)
        return sheets.multiples(about, legend, notes(table)[:1], rows, 0.95, step, draw_one)


def _bare(ax: Axes) -> None:
    """Leave x to the panel below."""
    ax.tick_params(labelbottom=False)
    ax.set_xlabel("")


def draw_scores(table: pd.DataFrame, ax: Axes, group: str, cluster: str) -> Axes:
    """Figure 7, one panel: base and tuned against size."""
    scale = _scale(table)
    lines.draw(table, ax, SERIES, scale.places, cluster, group)
    _name(ax, scale)
    ax.set(ylabel="score, percent")
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes, group: str) -> Axes:
    """Figure 7, second row: tuned minus base, with 95 % intervals."""
    scale = _scale(table)
    large, _ = lines.panels_of(table, TUNED, group)
    ax.axhline(0, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(table, ax, GAINS, scale.places, large, group, labelled=True, chance=False)
    _name(ax, scale)
    ax.set(ylabel="tuned − base, points")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 7, upper right: the paper's two models, as read off by eye."""
    scale = _scale(table, OLD_BASE)
    lines.draw_published(table, ax, OLD_SERIES, scale.places, group="held-out")
    _name(ax, scale)
    ax.set(title="Published, held-out:\nread off by eye", ylabel="score, percent")
    return ax


def draw_published_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 7, right of the differences: the sign of the published ones."""
    scale = _scale(table, OLD_BASE)
    one = Series(arm=OLD_TUNED, against=OLD_BASE, name="difference", marker="D")
    ax.axhline(0, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw_published(table, ax, [one], scale.places, group="held-out")
    _name(ax, scale)
    ax.set(ylabel="difference, sign only")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Base and instruction-tuned, {lines.counted(len(_models(table, TUNED)), 'model size')}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    return [
        f"{lines.note_on_seeds(table)} Held-in: a task of each tuning cluster, on rows that tuning did not use.",
        lines.note_on_published(table),
    ]


def describe(table: pd.DataFrame) -> str:
    """The first sheet in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for group in GROUPS:
        large, _ = lines.panels_of(table, TUNED, group)
        name = "mean over clusters" if large == effects.ALL else style.title(large)
        told = []
        for model in _models(table, TUNED):
            base, tuned = (
                effects.pick(table, arm, model, large, group=group) for arm in (BASE, TUNED)
            )
            told.append(f"{model} base {base.value:.1f}, tuned {tuned.value:.1f}")
        parts += [f"{group.capitalize()}, {name}, percent: {'; '.join(told)}."] if told else []
    if old := lines.points(table, OLD_TUNED, effects.ALL, "held-out", OLD_BASE):
        told = ", ".join(f"{x} {'higher' if r.value > 0 else 'lower'}" for x, r in old)
        parts.append(f"Published, read off by eye, tuned against untuned: {told}.")
    return " ".join(parts)


def describe_clusters(table: pd.DataFrame) -> str:
    """The second sheet in words; empty where there is one cluster of a kind."""
    parts = []
    for group in GROUPS:
        for cluster in lines.panels_of(table, TUNED, group)[1]:
            gains = lines.points(table, TUNED, cluster, group, BASE)
            told = ", ".join(f"{model} {gain.value:+.1f}" for model, gain in gains)
            parts.append(f"{style.title(cluster)}, {group}, tuned minus base: {told}.")
    return " ".join([f"{heading(table)}, by cluster.", *parts]) if parts else ""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per group and model: means and difference with intervals."""
    known, rows = _sizes(table, BASE), []
    asked = ((BASE, BASE, ""), (TUNED, TUNED, ""), ("difference", TUNED, BASE))
    for group in GROUPS:
        large, _ = lines.panels_of(table, TUNED, group)
        for model in _models(table, TUNED):
            found = {
                name: effects.pick(table, arm, model, large, group=group, against=against)
                for name, arm, against in asked
            }
            rows.append(
                {
                    "evaluated on": group,
                    "model": model,
                    "parameters": f"{known[model]:,}" if model in known else "",
                    **{k: spelled(r, signed=k == "difference") for k, r in found.items()},
                }
            )
    return pd.DataFrame(rows).fillna("")


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    told, found = [], {}
    for group in GROUPS:
        large, small = lines.panels_of(table, TUNED, group)
        found[group] = lines.points(table, TUNED, large, group, BASE)
        each = lines.listed(found[group])
        told.append(f"- **{group.capitalize()}**, tuned minus base, points: {each or 'no record'}.")
        for cluster in small:
            words = ", ".join(
                f"{x} {r.value:+.1f} ({lines.verdict(r)})"
                for x, r in lines.points(table, TUNED, cluster, group, BASE)
            )
            told.append(f"    - {style.title(cluster)}: {words}.")
    if len(found["held-out"]) > 1:
        (small_one, first), (large_one, last) = found["held-out"][0], found["held-out"][-1]
        seen = lines.verdict(first) == "lower" and lines.verdict(last) == "higher"
        told.append(
            "- **Does tuning hurt the small and help the large?** On held-out clusters the tuned"
            f" model is {BESIDE[lines.verdict(first)]} the base in the smallest size ({small_one}),"
            f" and {BESIDE[lines.verdict(last)]} it in the largest ({large_one}): the pattern is"
            f" {'seen' if seen else 'not seen'} here."
        )
    if old := lines.points(table, OLD_TUNED, effects.ALL, "held-out", OLD_BASE):
        below = ", ".join(x for x, r in old if r.value < 0) or "no size"
        above = ", ".join(x for x, r in old if r.value > 0) or "no size"
        told.append(
            f"- **Beside the paper.** Its plot, read off by eye, has the tuned model below the"
            f" untuned one at {below}, and above at {above}. Held-in values were not found."
        )
    known = sorted(_sizes(table, BASE).values())
    span = f" ({known[0]:,} to {known[-1]:,} parameters)" if known else ""
    told.append(
        f"- **Limits.** Each size is one pretrained model{span}: what a size does and what its one"
        " pretraining run happened to learn cannot be told apart. The published models begin where"
        " a ladder of small models may not reach."
    )
    return Reading("\n".join(told))


def _scale(table: pd.DataFrame, arm: str = BASE) -> Scale:
    return sizes.scale(_models(table, arm), _sizes(table, arm))


def _name(ax: Axes, scale: Scale) -> None:
    if scale.places:
        lines.ticks(ax, scale.places, scale.names, upright=scale.named)
    ax.set_xlabel(scale.label)


def _models(table: pd.DataFrame, arm: str) -> list[str]:
    return list(dict.fromkeys(effects.series(table, arm)["x"]))


def _sizes(table: pd.DataFrame, arm: str) -> dict[str, int]:
    return {r.x: int(r.n) for r in effects.series(table, arm, statistic=SIZE).itertuples()}


SHEETS = {"clusters": (draw_clusters, describe_clusters)}
