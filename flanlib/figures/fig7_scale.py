"""Figure 7: base and tuned models over the ladder of sizes.

Held-out clusters were never tuned on; held-in ones were, and are asked about
rows that were not. The published values were read off a plot by eye, so that
only the sign of their difference means anything.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib import estimates, paths, published
from flanlib.axes import Axis
from flanlib.figures import lines, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import Series, spelled

STEM = "fig7_scale"
GROUPS = ("held-out", "held-in")
BASE, TUNED, GAIN = "base", "tuned", "tuned - base"
SIZE = "parameters"
OLD = {
    "untuned held-out": "published LaMDA-PT",
    "instruction-tuned held-out": "published FLAN",
}
OLD_GAIN, OLD_SIZE = "published FLAN - LaMDA-PT", "published, parameters"
SERIES = (
    Series(arm=BASE, name="base", marker="o", line="--", fill="#333333"),
    Series(arm=TUNED, name="instruction-tuned", marker="D", shift=0.03),
)
GAINS = (Series(arm=GAIN, name="difference", marker="D", written="+.1f"),)
OLD_SERIES = tuple(
    Series(arm=arm, name=arm, marker=one.marker, line=one.line)
    for arm, one in zip(OLD.values(), SERIES, strict=True)
)
UNITS = {"M": 1e6, "B": 1e9}
SIDE_BY_SIDE = 5


def collect(axis: Axis) -> pd.DataFrame:
    """What is on record, the models' sizes, and the published values."""
    return with_published(with_sizes(axis.load(), axis))


def with_sizes(table: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Add a row per model whose parameters can be counted; `n` is the count."""
    sizes = {name: n_parameters(name) for name in axis.ladder}
    rows = [_row(SIZE, name, n, "model's folder") for name, n in sizes.items() if n]
    return lines.together(table, pd.DataFrame(rows))


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the published points, their differences, and their models' sizes."""
    points = published.points("fig7")
    rows = lines.published_rows(points, OLD, "held-out")
    base, tuned = (rows[rows["arm"] == arm].set_index("x") for arm in OLD.values())
    gains = tuned.assign(arm=OLD_GAIN, value=tuned["value"] - base["value"]).reset_index()
    sizes = [
        _row(OLD_SIZE, x, int(float(x[:-1]) * UNITS[x[-1]]), "published, read-off")
        for x in base.index
    ]
    return lines.together(table, rows, gains[lines.COLUMNS], pd.DataFrame(sizes))


def n_parameters(model: str) -> int:
    """Parameters of a model in a folder; 0 where it cannot be told.

    From the record of pretraining, else from the heads of the safetensors
    files; a hub model that is not in a folder is not looked up.
    """
    for folder in (paths.MODELS / model, paths.BUILD / "models" / model, Path(model)):
        record = folder / "pretraining.json"
        if record.is_file():
            return int(json.loads(record.read_text(encoding="utf-8"))["n_parameters"])
        if files := sorted(folder.glob("*.safetensors")):
            return sum(map(_n_stored, files))
    return 0


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: means and published, then the clusters one by one."""
    below = 0.7 if _places(table).named else 0.0
    rows = [(group, some) for group in GROUPS for some in _chunks(table, group)]
    step = 1.85 + below
    with style.look():
        fig, top = lines.sheet(
            heading(table), lines.legend(SERIES), notes(table), 3.25 + below + step * len(rows)
        )
        first, second, third = lines.columns(3, gap=0.5)
        for group, span in zip(GROUPS, (first, second), strict=True):
            large, _ = lines.panels_of(table, TUNED, group)
            (score,) = lines.panels(fig, top + 0.35, 1.35, [span], _same(fig, 0))
            (less,) = lines.panels(fig, top + 1.82, 0.95, [span], _same(fig, 1))
            draw_scores(table, score, group, large)
            draw_gains(table, less, group)
            score.set(title=f"Measured here, {group}:\n{lines.title(table, large, TUNED, group)}")
            _bare(score)
        (score,) = lines.panels(fig, top + 0.35, 1.35, [third])
        _bare(draw_published(table, score))
        draw_published_gains(table, *lines.panels(fig, top + 1.82, 0.95, [third]))
        for n, (group, some) in enumerate(rows):
            at = top + 3.72 + below + step * n
            fig.text(lines.EDGE, 1 - (at - 0.36) / fig.get_figheight(), _row_name(group), size=8)
            spans = lines.columns(max(3, len(some)))[: len(some)]
            for i, ax in enumerate(lines.panels(fig, at, 0.95, spans, fig.axes[0])):
                draw_scores(table, ax, group, some[i])
                ax.set_title(lines.title(table, some[i], TUNED, group), size=7.5)
                if len(some) > 3:
                    _narrow(ax)
                if i:
                    ax.tick_params(labelleft=False)
                    ax.set_ylabel("")
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes, group: str, cluster: str) -> Axes:
    """Figure 7, one panel: base and tuned against size."""
    scale = _places(table)
    lines.draw(table, ax, SERIES, scale.places, cluster, group)
    _name(ax, scale)
    ax.set(ylabel="score, percent")
    return ax


def draw_gains(table: pd.DataFrame, ax: Axes, group: str) -> Axes:
    """Figure 7, second row: tuned less base, with 95 % intervals."""
    scale = _places(table)
    large, _ = lines.panels_of(table, TUNED, group)
    ax.axhline(0, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(table, ax, GAINS, scale.places, large, group, labelled=True, chance=False)
    _name(ax, scale)
    ax.set(ylabel="tuned − base, points")
    return ax


def draw_published(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 7, upper right: the paper's two models, as read off by eye."""
    scale = _places(table, OLD_SERIES[0].arm, OLD_SIZE)
    lines.draw_published(table, ax, OLD_SERIES, scale.places, group="held-out")
    _name(ax, scale)
    ax.set(title="Published, held-out:\nread off by eye", ylabel="score, percent")
    return ax


def draw_published_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 7, right of the differences: the sign of the published ones."""
    scale = _places(table, OLD_SERIES[0].arm, OLD_SIZE)
    one = Series(arm=OLD_GAIN, name=OLD_GAIN, marker="D")
    ax.axhline(0, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw_published(table, ax, [one], scale.places, group="held-out")
    _name(ax, scale)
    ax.set(ylabel="only the sign counts")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    n = len(_models(table, TUNED))
    return f"Base and instruction-tuned, {n} model size{'' if n == 1 else 's'}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and how firm the published values are."""
    return [
        f"{lines.note_on_seeds(table)} Held-in: a task of each tuning cluster, rows not tuned on.",
        lines.note_on_published(table),
    ]


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    parts = [f"{heading(table)}."]
    for group in GROUPS:
        large, small = lines.panels_of(table, TUNED, group)
        name = "mean over clusters" if large == estimates.ALL else style.title(large)
        told = [
            f"{model} base {base.value:.1f}, tuned {tuned.value:.1f}"
            for model in _models(table, TUNED)
            if (base := lines.row(table, BASE, model, large, group=group))
            and (tuned := lines.row(table, TUNED, model, large, group=group))
        ]
        parts += [f"{group.capitalize()}, {name}, percent: {'; '.join(told)}."] if told else []
        for cluster in small:
            gains = _gains(table, GAIN, group, cluster)
            told = [f"{model} {gain.value:+.1f}" for model, gain in gains]
            parts.append(f"{style.title(cluster)}, tuned less base: {', '.join(told)}.")
    if old := _gains(table, OLD_GAIN, "held-out", estimates.ALL):
        told = ", ".join(f"{x} {'above' if r.value > 0 else 'below'}" for x, r in old)
        parts.append(f"Published, read off by eye, tuned beside untuned: {told}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per group and model: means and difference with intervals."""
    sizes, rows = _sizes(table, SIZE), []
    for group in GROUPS:
        large, _ = lines.panels_of(table, TUNED, group)
        for model in _models(table, TUNED):
            found = {
                name: lines.row(table, arm, model, large, group=group)
                for name, arm in ((BASE, BASE), (TUNED, TUNED), ("difference", GAIN))
            }
            rows.append(
                {
                    "asked about": group,
                    "model": model,
                    "parameters": f"{sizes[model]:,}" if model in sizes else "",
                    **{k: spelled(r, signed=k == "difference") for k, r in found.items() if r},
                }
            )
    return pd.DataFrame(rows).fillna("")


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    told, found = [], {}
    for group in GROUPS:
        large, small = lines.panels_of(table, TUNED, group)
        found[group] = _gains(table, GAIN, group, large)
        each = "; ".join(
            f"{x} {spelled(r, signed=True)} ({lines.verdict(r)})" for x, r in found[group]
        )
        told.append(f"- **{group.capitalize()}**, tuned less base, points: {each or 'no record'}.")
        for cluster in small:
            words = ", ".join(
                f"{x} {r.value:+.1f} ({lines.verdict(r)})"
                for x, r in _gains(table, GAIN, group, cluster)
            )
            told.append(f"    - {style.title(cluster)}: {words}.")
    if len(found["held-out"]) > 1:
        (small_one, first), (large_one, last) = found["held-out"][0], found["held-out"][-1]
        seen = lines.verdict(first) == "lower" and lines.verdict(last) == "higher"
        told.append(
            "- **Does tuning hurt the small and help the large?** On held-out clusters, tuned is"
            f" {lines.verdict(first)} than base in the smallest model ({small_one}) and"
            f" {lines.verdict(last)} in the largest ({large_one}); so the pattern is"
            f" {'seen' if seen else 'not seen'} here."
        )
    if old := _gains(table, OLD_GAIN, "held-out", estimates.ALL):
        below = ", ".join(x for x, r in old if r.value < 0) or "no size"
        above = ", ".join(x for x, r in old if r.value > 0) or "no size"
        told.append(
            f"- **Beside the paper.** Its plot, read off by eye, has the tuned model below the"
            f" untuned one at {below}, and above at {above}. Held-in values were not found."
        )
    sizes = _sizes(table, SIZE)
    span = f" ({min(sizes.values()):,} to {max(sizes.values()):,} parameters)" if sizes else ""
    told.append(
        f"- **Limits.** Each size is one pretrained model{span}: what a size does and what its one"
        " pretraining run happened to learn cannot be told apart. The published models begin where"
        " a ladder of small models may not reach."
    )
    return Reading("\n".join(told))


@dataclass(frozen=True)
class Scale:
    """Where models stand: x -> place, x -> name, unit; `named` without sizes."""

    places: dict[str, float]
    names: dict[str, str]
    label: str
    named: bool = False


def _places(table: pd.DataFrame, arm: str = TUNED, size: str = SIZE) -> Scale:
    """By the logarithm of parameters where all are known, else in order."""
    models, sizes = _models(table, arm), _sizes(table, size)
    if not models or set(models) - set(sizes):
        names = {model: model.rpartition("/")[2] for model in models}
        return Scale({model: float(n) for n, model in enumerate(models)}, names, "model", True)
    word, unit = ("billion", 1e9) if max(sizes.values()) >= 1e9 else ("million", 1e6)
    return Scale(
        {model: math.log10(sizes[model]) for model in models},
        {model: _short(sizes[model] / unit) for model in models},
        f"{word} parameters, log scale",
    )


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"


def _name(ax: Axes, scale: Scale) -> None:
    if scale.places:
        lines.ticks(ax, scale.places, scale.names, upright=scale.named)
    ax.set_xlabel(scale.label)


def _same(fig: Figure, n: int) -> Axes | None:
    """The axes whose y a further panel has; None for the first of its kind."""
    return fig.axes[n] if len(fig.axes) > n + 1 else None


def _bare(ax: Axes) -> None:
    """Leave x to the panel below."""
    ax.tick_params(labelbottom=False)
    ax.set_xlabel("")


def _narrow(ax: Axes) -> None:
    """Every second name, a short unit, and two lines of title."""
    ax.set_title(ax.get_title("left").replace(", n", "\nn"), size=7.5)
    for label in ax.get_xticklabels()[1::2]:
        label.set_visible(label.get_rotation() > 0)
    ax.set_xlabel(ax.get_xlabel().removesuffix(", log scale"), size=7)


def _row_name(group: str) -> str:
    return f"{group.capitalize()}, by cluster"


def _models(table: pd.DataFrame, arm: str) -> list[str]:
    return list(dict.fromkeys(table.loc[table["arm"] == arm, "x"]))


def _sizes(table: pd.DataFrame, arm: str) -> dict[str, int]:
    return {r.x: int(r.n) for r in table[table["arm"] == arm].itertuples()}


def _gains(table: pd.DataFrame, arm: str, group: str, cluster: str) -> list[tuple]:
    """(model, row) of a difference, in the table's order."""
    rows = [(x, lines.row(table, arm, x, cluster, group=group)) for x in _models(table, arm)]
    return [(x, r) for x, r in rows if r is not None]


def _chunks(table: pd.DataFrame, group: str) -> Iterable[list[str]]:
    """Clusters of a group, as many as fit side by side."""
    _, small = lines.panels_of(table, TUNED, group)
    return [small[n : n + SIDE_BY_SIDE] for n in range(0, len(small), SIDE_BY_SIDE)]


def _n_stored(file: Path) -> int:
    """Numbers in a safetensors file, from its head alone."""
    with file.open("rb") as stream:
        head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(v["shape"]) for k, v in head.items() if k != "__metadata__")


def _row(arm: str, x: str, n: int, source: str) -> dict:
    values = ("", arm, x, "", "", np.nan, np.nan, np.nan, n, 0, source)
    return dict(zip(lines.COLUMNS, values, strict=True))
