"""What each figure beyond the main result varies: points, and the cells behind them.

Ablations hold several clusters out together, as Figure 6 of the paper does,
group after group until each cluster was held out. All start from the same
tuned models, so that a run which several figures need is made once. Each plan
takes an axis with one group at hand, whose `cells_of` and `base` make cells, and
yields the points of its seed.

Source
------
Wei et al. 2022, sections 4.1 to 4.5 and appendix: order of the clusters,
forms of instructions, exemplars, soft prompts of length 10.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from flanlib.core.config import Factors, Recipe, run_id
from flanlib.data.catalogue import Catalogue, Task
from flanlib.results.estimates import by
from flanlib.results.schema import Cell
from flanlib.studies.profiles import Settings

ALONE = (8, 32, 128, 512, 0)  # examples of a single task; 0 is all of them
BASE = ("base", "")

Label = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a figure, for one seed.

    Attributes
    ----------
    arm, x
        Series, and place on its axis.
    cells
        What has to be scored for it.
    against
        Labels of the points it is compared with.
    group
        Panels whose clusters differ are groups of their own.
    """

    arm: str
    x: str
    cells: tuple[Cell, ...]
    against: tuple[Label, ...] = ()
    group: str = ""

    @property
    def label(self) -> Label:
        """Arm and x."""
        return self.arm, self.x

    def joined(self, other: "Point") -> "Point":
        """This point with the cells of `other`, but for tasks that it asks already."""
        asked = {cell[2:] for cell in self.cells}
        return replace(self, cells=(*self.cells, *(c for c in other.cells if c[2:] not in asked)))


def base_run(collection: str, settings: Settings, cluster: str) -> tuple[Factors, Recipe]:
    """The run of an untuned model: no seed, and only what scoring needs.

    What tuning alone uses keeps its default, so that a change of the tuning
    recipe leaves the base's records valid.
    """
    recipe = settings.defaults.recipe
    kept = ("quantization", "max_input_tokens", "max_target_tokens")
    return (
        Factors(collection=collection, model=settings.model, held_out=cluster, arm="base", seed=0),
        Recipe(**{name: getattr(recipe, name) for name in kept}),
    )


class Axis(Protocol):
    """What plans ask of an `axes.Axis`, which says what each is.

    Attributes
    ----------
    ladder, tuning_clusters, held_out_tasks, held_in_tasks, each_group
        As `axes.Axis` gives them for the group at hand.
    """

    settings: Settings
    catalogue: Catalogue
    recipe: Recipe
    held_out: str
    ladder: tuple[str, ...]
    tuning_clusters: tuple[str, ...]
    held_out_tasks: list[Task]
    held_in_tasks: list[Task]
    each_group: list["Axis"]

    def tuned(self, **changed: object) -> Factors:
        """Factors of the tuned model that all figures share, with some `changed`."""

    def cells_of(
        self,
        factors: Factors,
        recipe: Recipe | None = None,
        tasks: Iterable[Task] | None = None,
        **scoring: object,
    ) -> tuple[Cell, ...]:
        """A run asked some tasks, by default every held-out one."""

    def base(
        self, tasks: Iterable[Task] | None = None, model: str = "", **scoring: object
    ) -> tuple[Cell, ...]:
        """The untuned model asked some tasks; each cluster is a run."""


def paradigms(axis: Axis) -> Iterator[Point]:
    """Tasks alone, with ever more examples; the base with exemplars; tuned on others."""
    tasks, goal = _firsts(axis), ("instruction-tuned", "0")
    for n in ALONE:
        runs = [
            axis.tuned(arm="single-task", tasks=(t.key,), n_examples=n, held_out=t.cluster)
            for t in tasks
        ]
        cells = _each_its_own(axis, runs, axis.settings.defaults.single_task, tasks)
        yield Point(arm="single-task", x=str(n or "all"), cells=cells, against=(goal,))
    for shots in dict.fromkeys((0, 1, axis.settings.defaults.shots)):
        cells = axis.base(tasks, shots=shots)
        yield Point(arm="few-shot base", x=str(shots), cells=cells, against=(goal,))
    yield Point(arm=goal[0], x=goal[1], cells=axis.cells_of(axis.tuned(), tasks=tasks))


def clusters(axis: Axis) -> Iterator[Point]:
    """Ever more tuning clusters: in the paper's order, and in one drawn by the seed.

    Each group held out leaves clusters of its own to tune on, and so has
    points of its own; those that every group has are there together as well.
    """
    every, fewest = axis.tuning_clusters, min(len(g.tuning_clusters) for g in axis.each_group)
    order = np.random.default_rng(axis.settings.seed).permutation(len(every))
    orders = {"paper's order": every, "shuffled order": [every[i] for i in order]}
    shared = {"1": 1, "2": 2, "half": (len(every) + 1) // 2, "all": len(every)}
    shared = {x: n for x, n in shared.items() if x != "2" or fewest > 1}
    for group, places in (
        (axis.held_out, {str(n): n for n in range(1, len(every) + 1)}),
        ("", shared),
    ):
        yield Point(group=group, arm="base", x="0", cells=axis.base())
        middle = next(x for x, n in places.items() if n == shared["half"])
        for arm, chosen in orders.items():
            for x, n in places.items():
                if arm == "shuffled order" and n not in shared.values():
                    continue
                some = tuple(c for c in axis.catalogue.clusters if c in chosen[:n])
                factors = axis.tuned(clusters=some if n < len(every) else ())
                before = dict.fromkeys(("1", middle)) if n == len(every) else ()
                yield Point(
                    group=group,
                    arm=arm,
                    x=x,
                    cells=axis.cells_of(factors),
                    against=(("base", "0"), *((arm, y) for y in before if y != x)),
                )


def scale(axis: Axis) -> Iterator[Point]:
    """Base and tuned over the ladder, on unseen clusters and on those tuned on."""
    for group, tasks in (("held-out", axis.held_out_tasks), ("held-in", axis.held_in_tasks)):
        for name in axis.ladder:
            base, tuned = axis.base(tasks, name), axis.cells_of(axis.tuned(model=name), tasks=tasks)
            yield Point(group=group, arm="base", x=name, cells=base)
            yield Point(group=group, arm="tuned", x=name, cells=tuned, against=(("base", name),))


def instructions(axis: Axis) -> Iterator[Point]:
    """Instructions, the dataset's name, or nothing: in tuning and in asking."""
    yield Point(arm="base", x="", cells=axis.base())
    ways = [
        ("none", "instruction"),
        ("dataset-name", "instruction"),
        ("dataset-name", "dataset-name"),
        ("instruction", "instruction"),
    ]
    for form, asked in ways:
        last = (form, asked) == ways[-1]
        others = tuple((" > ".join(way), "") for way in ways[:-1]) if last else ()
        yield Point(
            arm=f"{form} > {asked}",
            x="",
            cells=axis.cells_of(axis.tuned(form=form), form=asked),
            against=(BASE, *others),
        )


def few_shot(axis: Axis) -> Iterator[Point]:
    """Without and with exemplars; the last arm has seen exemplars in tuning."""
    few = axis.settings.defaults.shots
    taught = replace(axis.recipe, exemplar_share=0.5, max_exemplars=min(few, 3))
    for shots in (0, few):
        x, arms = str(shots), {"base": axis.base(shots=shots)}
        for arm, recipe in (("tuned", axis.recipe), ("tuned with exemplars", taught)):
            arms[arm] = axis.cells_of(axis.tuned(), recipe, shots=shots)
        for arm, cells in arms.items():
            against = [] if arm == "base" else [("base", x)]
            against += [(arm, "0")] if shots else []
            yield Point(arm=arm, x=x, cells=cells, against=tuple(against))


def prompt_tuning(axis: Axis) -> Iterator[Point]:
    """A soft prompt for one task per cluster, on the base and on the tuned model."""
    tasks = _firsts(axis)
    yield Point(arm="base", x="none", cells=axis.base(tasks))
    yield Point(arm="tuned", x="none", cells=axis.cells_of(axis.tuned(), tasks=tasks))
    under = run_id(axis.tuned(), axis.recipe)
    for n in (32, 0):
        x = str(n or "all")
        for arm, run in (("on base", ""), ("on tuned", under)):
            runs = [
                axis.tuned(arm="prompt-tuned", form="none", tasks=(t.key,), n_examples=n, under=run)
                for t in tasks
            ]
            cells = _each_its_own(
                axis, runs, axis.settings.defaults.soft_prompt, tasks, form="none"
            )
            against = (("on base", x),) if run else ()
            yield Point(arm=arm, x=x, cells=cells, against=against)


def templates(axis: Axis) -> Iterator[Point]:
    """Ever more templates per dataset."""
    yield Point(arm="base", x="0", cells=axis.base())
    for n in (1, 4, 10):
        cells = axis.cells_of(axis.tuned(n_templates=n if n < 10 else 0))
        fewer = (("tuned", "1"),) if n > 1 else ()
        yield Point(arm="tuned", x=str(n), cells=cells, against=(("base", "0"), *fewer))


def audit(axis: Axis) -> Iterator[Point]:
    """Options as given, and in reverse."""
    ranked = [task for task in axis.held_out_tasks if task.kind == "rank"]
    for x, reverse in (("given", False), ("reversed", True)):
        yield Point(arm="base", x=x, cells=axis.base(ranked, reversed_options=reverse))
        yield Point(
            arm="tuned",
            x=x,
            cells=axis.cells_of(axis.tuned(), tasks=ranked, reversed_options=reverse),
        )


def steps(axis: Axis) -> Iterator[Point]:
    """A quarter, a half, all and twice the steps, each a run with a schedule of its own.

    Held-in are the tasks of figure 7: the first that can be scored of each cluster
    tuned on.
    """
    whole = axis.recipe.steps
    counts = dict.fromkeys(max(1, n) for n in (whole // 4, whole // 2, whole, 2 * whole))
    first, last = str(next(iter(counts))), str(2 * whole)
    before = {str(whole): (first,), last: (first, str(whole))}
    every = (("held-in", axis.held_in_tasks), ("held-out", axis.held_out_tasks))
    for group, tasks in ((group, tasks) for group, tasks in every if tasks):
        yield Point(group=group, arm="base", x="0", cells=axis.base(tasks))
        for n in counts:
            others = tuple(("tuned", x) for x in before.get(str(n), ()) if x != str(n))
            recipe = replace(axis.recipe, steps=n)
            cells = axis.cells_of(axis.tuned(), recipe, tasks)
            against = (("base", "0"), *others)
            yield Point(group=group, arm="tuned", x=str(n), cells=cells, against=against)


def _firsts(axis: Axis) -> list[Task]:
    """One task per cluster: its first."""
    return [mine[0] for mine in by(axis.held_out_tasks, lambda task: task.cluster).values()]


def _each_its_own(
    axis: Axis, runs: Sequence[Factors], recipe: Recipe, tasks: Sequence[Task], **scoring: object
) -> tuple[Cell, ...]:
    """Each task asked of the run that is its own."""
    pairs = zip(runs, tasks, strict=True)
    return tuple(
        cell for run, task in pairs for cell in axis.cells_of(run, recipe, [task], **scoring)
    )


PLANS: dict[str, Callable[[Axis], Iterator[Point]]] = {
    "fig2_paradigms": paradigms,
    "fig6_clusters": clusters,
    "fig7_scale": scale,
    "fig8_instructions": instructions,
    "fig9_few_shot": few_shot,
    "fig10_prompt_tuning": prompt_tuning,
    "fig11_templates": templates,
    "fig12_audit": audit,
    "fig14_steps": steps,
}
ONE_GROUP = ("fig14_steps",)  # the profile's first group of held-out clusters, and no other
IN_PARTS = ("fig14_steps",)  # drawn of what is complete where a profile takes what there is
