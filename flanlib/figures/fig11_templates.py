"""Figure 11: held-out score against templates per dataset in tuning.

A second panel shows how much the score depends on the wording: its standard
deviation over the evaluation templates. The paper shows its curves without
values, so none are drawn here.
"""

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.figures import boxes, lines, sheets, style
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.figures.lines import spelled
from flanlib.figures.marks import Series
from flanlib.results import effects, published
from flanlib.results.effects import SPREAD, Estimand
from flanlib.studies.study import Study

STEM = "fig11_templates"
BASE, TUNED = "base", "tuned"
FLAN = "published FLAN 137B"
SERIES = (
    Series(arm=BASE, name="base, not tuned", marker="o", fill="#333333", written=".1f"),
    Series(arm=TUNED, name="tuned", marker="D", written=".1f"),
)
SPREADS = tuple(replace(one, statistic=SPREAD) for one in SERIES)


def collect(study: Study) -> pd.DataFrame:
    """What is on record, and the published levels."""
    return with_published(study.load())


def with_published(table: pd.DataFrame) -> pd.DataFrame:
    """Add the levels that the paper compares; it prints no values for them."""
    named = {"templates per dataset (x level)": Estimand(FLAN)}
    return lines.together(table, lines.published_rows(published.points("fig11"), named))


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: score and spread of the mean above, clusters below."""
    large, small = lines.panels_of(table, TUNED)
    rows = style.in_rows(small)
    with style.look():
        fig, top = sheets.sheet(
            heading(table), lines.legend(SERIES), notes(table), 2.5 + 3.0 * len(rows)
        )
        left, right = (0.5, 4.0), (4.6, style.WIDTH - 0.1)
        (main,) = boxes.panels(fig, top + 0.2, 1.75, [left])
        (spread,) = boxes.panels(fig, top + 0.2, 1.75, [right])
        draw_scores(table, main, large, large=True)
        main.set_title(f"Measured here: {main.get_title('left')}")
        draw_spread(table, spread, large, large=True)
        spread.set_title("Sensitivity to the template")
        for n, some in enumerate(rows):
            spans = boxes.columns(max(3, len(some)))[: len(some)]
            at = top + 2.8 + 3.0 * n
            above = boxes.panels(fig, at, 1.15, spans, alike=True)
            below = boxes.panels(fig, at + 1.3, 0.85, spans, alike=True)
            for i, cluster in enumerate(some):
                draw_scores(table, above[i], cluster)
                draw_spread(table, below[i], cluster)
                above[i].tick_params(labelbottom=False)
                above[i].set_xlabel("")
                if len(some) > 3:
                    below[i].set_xlabel("templates per dataset")
                    boxes.narrow(below[i], "")
                    boxes.narrow(above[i], above[i].get_title("left"))
                if i:
                    for ax in (above[i], below[i]):
                        style.inner(ax)
            _from_zero(below[0])
        _from_zero(spread)
    return fig


def draw_scores(table: pd.DataFrame, ax: Axes, cluster: str, *, large: bool = False) -> Axes:
    """Figure 11, a panel: score of a cluster against templates tuned with."""
    base = effects.pick(table, BASE, "0", cluster)
    ax.axhline(base.value, color=lines.GREY, lw=0.9, zorder=1)
    lines.draw(table, ax, SERIES, places(table), cluster, labelled=large)
    return _name(table, ax, title=lines.title(table, cluster, TUNED), ylabel="score, percent")


def draw_spread(table: pd.DataFrame, ax: Axes, cluster: str, *, large: bool = False) -> Axes:
    """Figure 11, a panel: standard deviation over the evaluation templates."""
    lines.draw(table, ax, SPREADS, places(table), cluster, labelled=large, chance=False)
    return _name(table, ax, ylabel=f"{'standard deviation' if large else 'SD'}, points")


def places(table: pd.DataFrame) -> dict[str, float]:
    """Templates per dataset, as the table has them; the base stands apart."""
    xs = {x for arm in (BASE, TUNED) for x in effects.series(table, arm)["x"]}
    return {x: float(x) if x != "0" else -1.0 for x in sorted(xs, key=int)}


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    return f"Held-out score against templates per dataset, up to {list(places(table))[-1]}"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks mean, and what was published."""
    found = [
        lines.note_on_seeds(table),
        f"{list(places(table))[-1]}: all that a dataset has. Sensitivity: standard deviation over the"
        " evaluation templates, mean over tasks and seeds, without an interval.",
    ]
    levels = ", ".join(effects.series(table, FLAN)["x"])
    if levels:
        found.append(f"Published: curves at {levels} templates without printed values; none drawn.")
    return found


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    large, small = lines.panels_of(table, TUNED)
    parts = [f"{heading(table)}."]
    for cluster in (large, *small):
        name = "Mean over clusters" if cluster == effects.ALL else style.title(cluster)
        told = [
            f"{x} {_score(table, x, cluster).value:.1f} (SD {_spread(table, x, cluster).value:.1f})"
            for x in places(table)
        ]
        parts.append(f"{name}, percent by templates, 0 is the base: {', '.join(told)}.")
    return " ".join(parts)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per number of templates: score, gain over base, spread."""
    large, _ = lines.panels_of(table, TUNED)
    rows = []
    for x in places(table):
        score, apart = _score(table, x, large), _spread(table, x, large)
        rows.append(
            {
                "templates per dataset": "none: base" if x == "0" else x,
                "score": spelled(score),
                "gain over base": "" if x == "0" else spelled(_gain(table, x, large), signed=True),
                "SD over templates": f"{apart.value:.1f}",
                "n": int(score.n),
                "seeds": int(score.seeds),
            }
        )
    return pd.DataFrame(rows)


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say beside the paper's; nothing by hand."""
    large, small = lines.panels_of(table, TUNED)
    tuned = [x for x in places(table) if x != "0"]
    first, last = tuned[0], tuned[-1]
    told = [
        f"- **Effect of tuning**, points over base: {_told(table, tuned, large)}.",
        *(f"    - {style.title(c)}: {_told(table, tuned, c)}." for c in small),
        f"- **Effect of more templates.** {_more(table, first, last, large)}.",
    ]
    words = "; ".join(
        f"{'base' if x == '0' else x} {_spread(table, x, large).value:.1f}" for x in places(table)
    )
    told.append(
        "- **Sensitivity to wording**, standard deviation over the evaluation templates, points,"
        f" by templates tuned with: {words}."
    )
    if levels := ", ".join(effects.series(table, FLAN)["x"]):
        told.append(
            f"- **Beside the paper.** It draws curves at {levels} templates and prints no values, so"
            " no number stands here to agree with."
        )
    told.append(
        "- **Limits.** With fewer templates, which ones they are is drawn with the seed, and there"
        f" are {int(_score(table, last, large).seeds)}. Evaluation templates belong to"
        " held-out datasets, so that none of them was seen, however many were tuned with."
    )
    return Reading("\n".join(told))


def _from_zero(ax: Axes) -> None:
    ax.set_ylim(0, 1.1 * ax.get_ylim()[1])


def _told(table: pd.DataFrame, xs: list[str], cluster: str) -> str:
    return lines.listed([(x, _gain(table, x, cluster)) for x in xs])


def _more(table: pd.DataFrame, first: str, last: str, cluster: str) -> str:
    """Most against fewest templates, as a paired difference."""
    one, every = (_score(table, x, cluster) for x in (first, last))
    paired = effects.pick(table, TUNED, last, cluster, against=TUNED, against_x=first)
    return (
        f"With {first}: {spelled(one)} percent, with {last}: {spelled(every)}; difference"
        f" {spelled(paired, signed=True)} points: {lines.verdict(paired)}"
    )


def _score(table: pd.DataFrame, x: str, cluster: str, **of: str):
    return effects.pick(table, BASE if x == "0" else TUNED, x, cluster, **of)


def _spread(table: pd.DataFrame, x: str, cluster: str):
    return _score(table, x, cluster, statistic=SPREAD)


def _gain(table: pd.DataFrame, x: str, cluster: str):
    return _score(table, x, cluster, against=BASE)


def _name(table: pd.DataFrame, ax: Axes, **words: str) -> Axes:
    lines.ticks(ax, places(table), {"0": "base"})
    ax.set(xlabel="templates per dataset in tuning", **words)
    return ax
