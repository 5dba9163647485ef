"""Figure 13: gains here against the gains that the paper reports, dataset by dataset.

A point is a dataset that both have, in the same metric: what tuning changed
here against FLAN's mean over templates less LaMDA-PT, both zero-shot. Beside
it, the untuned models. LaMDA-PT was evaluated with GPT-3's prompts, so that the
base with cloze prompts is compared as well.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flanlib.core import resampling
from flanlib.core.errors import MissingResultError
from flanlib.data.catalogue import Task
from flanlib.figures import boxes, datasets, dots, lines, marks, sheets, style
from flanlib.figures.datasets import FLAN, LAMDA
from flanlib.figures.dots import Dot
from flanlib.figures.fig5_zero_shot_gains import Reading
from flanlib.results import effects, estimates, published, ranks, store
from flanlib.results.effects import Estimand
from flanlib.results.estimates import Averages
from flanlib.studies import coverage
from flanlib.studies.arms import GAINS
from flanlib.studies.study import Study

STEM = "fig13_against_paper"
TUNED, BASE, CLOZE = (Estimand(arm) for arm in ("tuned", "base", "base-cloze"))
GAIN, OVER_CLOZE = TUNED.minus(BASE), TUNED.minus(CLOZE)
OLD_BASE, OLD_TUNED = Estimand(LAMDA), Estimand(FLAN)
OLD_GAIN = OLD_TUNED.minus(OLD_BASE)
COMPARED = {GAIN: OLD_GAIN, OVER_CLOZE: OLD_GAIN, BASE: OLD_BASE, CLOZE: OLD_BASE}
RANKS, LEFT_OUT = "rank correlation", "left out"  # statistics
SHAPES = "os^Dv<>Pph"
NAMED = 6  # datasets named in a panel: those furthest from its line


def collect(study: Study) -> pd.DataFrame:
    """Values of the datasets that both have, and their rank correlations.

    Raises
    ------
    MissingResultError
        If a record is missing, or no dataset scored is the paper's.
    """
    measured = study.load()
    complete = study.drawn(study.records(study.at))
    found = estimates.by_dataset(effects.named(complete), store.groups(study.at), GAINS)
    scored = [task for cluster in found for task in study.tasks[cluster]]
    every = [task for cluster in study.tasks for task in study.catalogue.of_cluster(cluster)]
    return compare(measured, found, scored, every)


def compare(
    measured: pd.DataFrame, found: Averages, scored: Sequence[Task], every: Sequence[Task]
) -> pd.DataFrame:
    """Measured and published values of the same datasets, and their rank correlations.

    Parameters
    ----------
    measured
        As `Study.table` gives it.
    found
        What it is made of, from `estimates.by_dataset`.
    scored, every
        Tasks with scores; all of their clusters.

    Returns
    -------
    In the columns of `effects`. A rank correlation has in x what was resampled; a dataset left
    out has there why.
    """
    old, why = published.of_tasks(scored)
    values = old.pivot(index=["cluster", "dataset"], columns="column", values="value")
    if values.empty:
        raise MissingResultError(f"{STEM}: no dataset that was scored is in the paper's tables")
    known = {
        OLD_BASE: values["lamda_pt_zero"],
        OLD_TUNED: values["flan_zero_avg"],
        OLD_GAIN: values["flan_zero_avg"] - values["lamda_pt_zero"],
    }
    status = old.groupby("dataset")["status"].min()  # one recalled value makes it recalled
    rows = [
        _row(of, cluster, dataset, mine[cluster, dataset], source=f"published, {status[dataset]}")
        for cluster, dataset in values.index
        for of, mine in known.items()
    ]
    for of, other in COMPARED.items():
        keys = [(c, d) for c, d in values.index if of in found[c][d]]
        new = [found[c][d][of] for c, d in keys]
        against, clusters = known[other].loc[keys], [c for c, _ in keys]
        for x, blocks in (("datasets", ()), ("clusters", clusters)):
            one = ranks.spearman(new, against, blocks)
            low, high = one.interval
            more = {"low": low, "high": high, "n": one.n, "seeds": one.seeds}
            name = of._replace(statistic=RANKS, x=x)
            rows.append(_row(name, effects.ALL, "", one.value, source="recorded", **more))
    shown, there = {task.dataset for task in scored}, {task.cluster for task in scored}
    for task in every:
        if task.key in published.PRINTED and task.dataset not in shown:
            why[task.dataset] = "no rows" if task.cluster in there else coverage.LACKING
    rows += [_row(Estimand("", text, LEFT_OUT), "", dataset) for dataset, text in why.items()]
    both = measured.set_index(["cluster", "dataset"]).index.isin(values.index)
    kept = measured.set_index(list(Estimand._fields)).index.isin([*COMPARED, TUNED])
    return lines.together(measured[both & kept], pd.DataFrame(rows, columns=effects.COLUMNS))


def draw(table: pd.DataFrame) -> Figure:
    """The whole figure: gains against gains, and untuned against untuned model."""
    with style.look():
        handles = lines.legend(_marks(table), chance=False)
        fig, top = sheets.sheet(heading(table), handles, notes(table), 3.8)
        left, right = boxes.panels(fig, top + 0.45, 3.05, [(0.55, 3.45), (4.05, 6.95)])
        draw_gains(table, left)
        draw_bases(table, right)
    return fig


def draw_gains(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 13, left: gain here against the published gain, in points."""
    ax.axhline(0, color=lines.GREY, lw=0.9)
    ax.axvline(0, color=lines.GREY, lw=0.9)
    _scatter(table, ax, GAIN, slope=0)
    ax.set(xlabel="published: FLAN − LaMDA-PT, points", ylabel="here: tuned − base, points")
    ax.set_title(f"Gain: {_rho(table, GAIN)}")
    return ax


def draw_bases(table: pd.DataFrame, ax: Axes) -> Axes:
    """Figure 13, right: score of the base against LaMDA-PT's; dotted: equal."""
    ax.plot([0, 100], [0, 100], color=lines.GREY, ls=":", lw=1.1, zorder=1)
    ax.set(xlim=(-3, 103), ylim=(-3, 103))
    _scatter(table, ax, BASE, slope=1)
    ax.set(xlabel="published: LaMDA-PT, percent, BLEU or Rouge", ylabel="here: base, same metric")
    ax.set_title(f"Untuned: {_rho(table, BASE)}")
    return ax


def heading(table: pd.DataFrame) -> str:
    """What the figure shows, in a line."""
    n = len(datasets.each(table))
    return f"Does tuning help here where it helped in the paper? {n} datasets that both have"


def notes(table: pd.DataFrame) -> list[str]:
    """Footnotes: what the marks, intervals and correlations are, and what is left out."""
    found = [
        f"{lines.note_on_seeds(table, counted=False)} A point is a dataset (several tasks: their mean), in the"
        " paper's metric; struct to text: Rouge-L. Named: those that tuning moves most, and those"
        " furthest from equal.",
        f"ρ: Spearman's rank correlation; interval: {resampling.DRAWS:,} resamples of the datasets,"
        " with the gains of one resample of their examples and seeds each; published values as"
        " printed.",
        f"{lines.note_on_published(table)} LaMDA-PT: GPT-3's prompts, the base with"
        " FLAN's templates.",
    ]
    if left := _left_out(table):
        found.append(f"Not compared: {left}.")
    return found


def describe(table: pd.DataFrame) -> str:
    """The figure in words, from its numbers."""
    each = [
        f"{dataset} {lines.spelled(_at(table, GAIN, cluster, dataset), signed=True)} against"
        f" {_at(table, OLD_GAIN, cluster, dataset).value:+.1f}"
        for cluster, dataset in datasets.each(table)
    ]
    return (
        f"{heading(table)}. Rank correlation of the gains: {_rho(table, GAIN)}; of the untuned"
        f" models: {_rho(table, BASE)}. Gain here against the published one, points:"
        f" {'; '.join(each)}."
    )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset: scores and gain here, and the paper's."""
    names = {BASE: "base", CLOZE: "base, cloze", TUNED: "tuned"}
    names |= {OLD_BASE: "LaMDA-PT", OLD_TUNED: "FLAN"}
    rows = []
    for cluster, dataset in datasets.each(table):
        values = {name: _at(table, of, cluster, dataset) for of, name in names.items()}
        gain, old = (_at(table, of, cluster, dataset) for of in (GAIN, OLD_GAIN))
        rows.append(
            {"cluster": style.title(cluster, short=True), "dataset": dataset}
            | {name: round(v.value, 1) for name, v in values.items() if v is not None}
            | {"gain here": lines.spelled(gain, signed=True), "gain published": f"{old.value:+.1f}"}
            | {"n": int(gain.n), "seeds": int(gain.seeds)}
        )
    return pd.DataFrame(rows).fillna("")


def reading(table: pd.DataFrame) -> Reading:
    """What the numbers say; nothing by hand."""
    said = {"higher": "where FLAN gained more, tuning gains more here", "undecided": "not decided"}
    said["lower"] = "where FLAN gained more, tuning gains less here"
    rho = _ranks(table, GAIN)
    verdict = said[lines.verdict(rho)] if rho is not None else "too few datasets"
    pairs = [tuple(_at(table, of, *key) for of in (GAIN, OLD_GAIN)) for key in datasets.each(table)]
    sides = [lines.verdict(new) for new, _ in pairs]
    against = [
        dataset
        for (new, old), (_, dataset) in zip(pairs, datasets.each(table), strict=True)
        if lines.verdict(new) != "undecided" and new.value * old.value < 0
    ]
    clusters = _spelled(_ranks(table, GAIN, "clusters"))
    return Reading(
        f"- **Gains**: {_rho(table, GAIN)}: {verdict}. With whole clusters resampled, whose datasets"
        f" share a tuned model: {clusters}. Over the base with cloze prompts, nearer to"
        f" LaMDA-PT's prompts: {_spelled(_ranks(table, OVER_CLOZE))}.\n"
        f"- **Untuned**: {_rho(table, BASE)}; with cloze prompts:"
        f" {_spelled(_ranks(table, CLOZE))}.\n"
        f"- Of {len(pairs)} datasets, tuning raises {sides.count('higher')} here, lowers"
        f" {sides.count('lower')}, {sides.count('undecided')} are not decided; the sign is the"
        f" published one in {dots.same_sign(pairs)}. Decided and of the other sign:"
        f" {', '.join(against) or 'none'}.\n"
        f"- Not compared: {_left_out(table) or 'none'}.\n"
        "- Limits: datasets of several metrics are ranked together; measuring errors pull a rank"
        " correlation towards 0; the paper prints no intervals for its scores."
        f" {lines.note_on_published(table)}"
    )


def _scatter(table: pd.DataFrame, ax: Axes, of: Estimand, slope: float) -> None:
    dots_of = {dot.cluster: dot for dot in _marks(table)}
    found, drawn = [], []
    for cluster, dataset in datasets.each(table):
        new, old = (_at(table, name, cluster, dataset) for name in (of, COMPARED[of]))
        drawn.append(marks.mark(old.value, new, dots_of[cluster], style.colour(cluster)))
        found.append((old.value, new.value, dataset))
    marks.points(ax, drawn)
    middle, named = np.median([x for x, *_ in found]), []
    ax.autoscale_view()
    for x, y, name in sorted(found, key=lambda point: -abs(point[1] - slope * point[0])):
        at = ax.transData.transform((x, y)) * 72 / ax.figure.dpi  # points
        if len(named) < NAMED and all(np.any(np.abs(at - p) > (75, 9)) for p in named):
            named.append(at)
            by, side = ((-5, 3), "right") if x > middle else ((5, 3), "left")
            lines.write(ax, name, (x, y), by, side)
    ax.grid(axis="both")


def _marks(table: pd.DataFrame) -> list[Dot]:
    clusters = list(dict.fromkeys(cluster for cluster, _ in datasets.each(table)))
    return [
        Dot(
            arm=GAIN.arm,
            cluster=c,
            name=style.title(c, short=True),
            marker=shape,
            fill=style.colour(c),
        )
        for c, shape in zip(clusters, SHAPES * len(clusters), strict=False)
    ]


def _at(table: pd.DataFrame, of: Estimand, cluster: str, dataset: str):
    return effects.pick(
        table, of.arm, of.x, cluster, dataset, against=of.against, optional=of == CLOZE
    )


def _ranks(table: pd.DataFrame, of: Estimand, resampled: str = "datasets"):
    """A rank correlation; None of too few datasets."""
    about = {"statistic": RANKS, "against": of.against, "optional": True}
    return effects.pick(table, of.arm, resampled, **about)


def _rho(table: pd.DataFrame, of: Estimand) -> str:
    return f"ρ = {_spelled(_ranks(table, of))}"


def _spelled(found) -> str:
    return "not known" if found is None else lines.spelled(found, signed=True, digits=2)


def _left_out(table: pd.DataFrame) -> str:
    mine = table[table["statistic"] == LEFT_OUT]
    return "; ".join(f"{', '.join(part)} ({why})" for why, part in mine.groupby("x")["dataset"])


def _row(
    of: Estimand, cluster: str, dataset: str, value: float = np.nan, source: str = LEFT_OUT, **more
) -> dict:
    place = {"cluster": cluster, "dataset": dataset, "value": value}
    return lines.row(source, **of._asdict(), **place, **more)
