"""Axes: the runs of the figures beyond the main result, and their table.

A plan turns one seed into points, and each point into cells, for one group
of clusters that are held out together; an axis makes sure of them, puts
groups and seeds together, and estimates values and differences.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from flanlib.core import naming
from flanlib.core.config import Factors, Recipe, run_id
from flanlib.core.errors import MissingResultError, ParameterError
from flanlib.data.catalogue import Task
from flanlib.results import schema, store, validity
from flanlib.results.effects import COLUMNS
from flanlib.results.estimates import by
from flanlib.results.schema import Cell, Record
from flanlib.studies import coverage, differences, profiles
from flanlib.studies.arms import ASKED
from flanlib.studies.plans import IN_PARTS, ONE_GROUP, PLANS, Label, Point, base_run
from flanlib.studies.runs import Job, Work
from flanlib.studies.study import Study

ORDER = (
    "summarization",
    "translation",
    "reading_comprehension",
    "sentiment",
    "struct_to_text",
    "coreference",
    "misc",
)


@dataclass(frozen=True)
class Axis(Study):
    """The runs of one figure.

    Attributes
    ----------
    stem
        The figure's.
    at_hand
        Number of the group that points are being made for.
    """

    stem: str
    at_hand: int = 0

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Clusters held out together, one group after the other.

        Those of the profile, then each other cluster of the collection alone;
        a group that would leave nothing to tune on is split up. Where clusters
        are named, these are the one group.
        """
        named, profile = self.settings.clusters, self.settings.defaults
        if self.settings.held_out:
            return (named,)
        usual = [tuple(c for c in named if c in group) for group in profile.held_out_groups]
        parts = [part for group in usual if group for part in self._apart(group)]
        parts += [(c,) for c in named if not any(c in part for part in parts)]
        return tuple(parts[: 1 if self.stem in ONE_GROUP else profile.n_groups or None])

    def _apart(self, group: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The group, or its clusters one by one if it leaves nothing to tune on."""
        left = self.catalogue.held_out("+".join(group)).tuning
        enough = any(task.key not in self.left_out or task in self.scored for task in left)
        return [group] if enough else [(cluster,) for cluster in group]

    @property
    def clusters(self) -> tuple[str, ...]:
        """Clusters scored, in catalogue order."""
        every = {c for group in self.groups for c in group}
        return tuple(c for c in self.settings.clusters if c in every)

    @property
    def held_out(self) -> str:
        """The group at hand as one factor."""
        return "+".join(self.groups[self.at_hand])

    @property
    def ladder(self) -> tuple[str, ...]:
        """Models from small to large."""
        return self.settings.defaults.ladder

    @cached_property
    def tuning_clusters(self) -> tuple[str, ...]:
        """Clusters left for tuning, in the order in which the paper adds them.

        Those that the paper's own figure holds out come last, in catalogue order.

        Raises
        ------
        MissingResultError
            If no task that would be tuned on has rows.
        """
        split = self.catalogue.held_out(self.held_out)
        left = dict.fromkeys(t.cluster for t in split.tuning if t.key not in self.left_out)
        if not left and self.tasks:  # which tells where there is nothing to score either
            why = naming.few(dict.fromkeys(self.left_out.values())) or "every cluster is held out"
            raise MissingResultError(f"{self.stem}: no task to tune on: {why}")
        return tuple(dict.fromkeys([*(c for c in ORDER if c in left), *left]))

    @property
    def each_group(self) -> list["Axis"]:
        """The same axis, with one group after the other at hand."""
        return [replace(self, at_hand=n) for n in range(len(self.groups))]

    @property
    def prerequisites(self) -> dict[str, tuple[Factors, Recipe]]:
        """Run id -> settings of the tuned models that soft prompts are learned on."""
        return {run_id(*run): run for run in ((g.tuned(), g.recipe) for g in self.each_group)}

    @property
    def recipe(self) -> Recipe:
        """How everything but soft prompts and single tasks is tuned."""
        return self.settings.defaults.recipe

    def tuned(self, **changed: object) -> Factors:
        """Factors of the tuned model that all figures share, with some `changed`."""
        return replace(self.tuned_without(self.held_out), **changed)

    def cells_of(
        self,
        factors: Factors,
        recipe: Recipe | None = None,
        tasks: Iterable[Task] | None = None,
        **scoring: object,
    ) -> tuple[Cell, ...]:
        """A run asked some tasks, by default every held-out one."""
        way = replace(self._scoring(ASKED), **scoring)
        chosen = self.held_out_tasks if tasks is None else tasks
        return tuple((factors, recipe or self.recipe, way, task.key) for task in chosen)

    def base(
        self, tasks: Iterable[Task] | None = None, model: str = "", **scoring: object
    ) -> tuple[Cell, ...]:
        """The untuned model asked some tasks; each cluster is a run, as in the main study."""
        settings = replace(self.settings, model=model or self.settings.model)
        chosen = self.held_out_tasks if tasks is None else tasks
        return tuple(
            cell
            for task in chosen
            for cell in self.cells_of(
                *base_run(self.catalogue.name, settings, task.cluster), [task], **scoring
            )
        )

    @property
    def held_out_tasks(self) -> list[Task]:
        """Every task of the group at hand, cluster by cluster."""
        return [task for c in self.groups[self.at_hand] for task in self.tasks.get(c, ())]

    @cached_property
    def held_in_tasks(self) -> list[Task]:
        """The first task that is scored of each cluster that the group at hand leaves to tune on."""
        taught = self.catalogue.held_out(self.held_out).tuning
        found = by((task for task in self.scored if task in taught), lambda task: task.cluster)
        return [tasks[0] for tasks in found.values()]

    @cached_property
    def scored(self) -> list[Task]:
        """Every task that is scored when its cluster is held out, in catalogue order."""
        every = Study(replace(self.settings, held_out="")).tasks
        return [task for tasks in every.values() for task in tasks]

    def split(self, cluster: str = "") -> pd.DataFrame:
        """What holding out each group does to every task, counted by cluster.

        Parameters
        ----------
        cluster
            Shows its group alone; empty shows all groups.

        Raises
        ------
        ParameterError
            If no group has that cluster.
        """
        held = ["+".join(group) for group in self.groups if not cluster or cluster in group]
        if not held:
            raise ParameterError(
                f"cluster {cluster!r} is not held out here"
                + naming.alternatives(cluster, self.clusters)
            )
        return pd.concat([Study.split(self, key).assign(held_out=key) for key in held])

    def points(self, seed: int | None = None) -> list[Point]:
        """This figure's points for a seed, the groups put together.

        A task that several groups ask about is asked in the first of them.
        """
        mine = self if seed is None else self.with_seed(seed)
        found: dict[tuple[str, Label], Point] = {}
        for part in mine.each_group:
            for point in PLANS[self.stem](part):
                known = found.get((point.group, point.label))
                found[point.group, point.label] = point if known is None else known.joined(point)
        return list(found.values())

    def with_seed(self, seed: int) -> "Axis":
        """The same axis for another seed."""
        return replace(self, settings=replace(self.settings, seed=seed))

    def cells(self, clusters: Iterable[str] = ()) -> list[Cell]:
        """What has to be on record for this seed, tuned models first."""
        chosen = set(clusters)
        every = dict.fromkeys(cell for point in self.points() for cell in point.cells)
        found = [c for c in every if not chosen or self.catalogue.task(c[3]).cluster in chosen]
        return sorted(found, key=lambda cell: cell[0].arm == "base")

    def ensure(self, jobs: int = 0, work: Work | None = None) -> pd.DataFrame:
        """Everything the figure draws: load it, compute what is missing."""
        self.compute(store.missing(self.current(self.at), self.cells()), self.at, jobs, work)
        self.__dict__.pop("drawn_points", None)  # more than before is on record
        return self.table()

    def load(self) -> pd.DataFrame:
        """What `ensure` gives, from records alone; see `Study.load` for what it raises."""
        self.require(self.cells(), self.at, self.in_parts and bool(self.seeds))
        return self.table()

    @property
    def in_parts(self) -> bool:
        """Whether points that are complete are drawn while others are not."""
        return self.stem in IN_PARTS and self.settings.defaults.what_there_is

    def jobs(self, cells: Sequence[Cell], at: Path) -> list[Job]:
        """One job per run; first of all the models that soft prompts need."""
        found = super().jobs(cells, at)
        made = {(job.factors, job.recipe) for job in found}
        needed = dict.fromkeys(job.prerequisite for job in found if job.prerequisite)
        return [
            *(
                replace(found[0], factors=factors, recipe=recipe, requests=(), prerequisite=None)
                for factors, recipe in needed
                if (factors, recipe) not in made
            ),
            *found,
        ]

    @property
    def figure(self) -> str:
        """Name of the figure, as the command line has it."""
        return self.stem

    @property
    def recomputed(self) -> list[str]:
        """None: these runs are not computed a second time."""
        return []

    @property
    def tried(self) -> list[int]:
        """Seeds of which anything is on record, and this study's."""
        known = {r.factors.seed for r in store.load(self.at) if r.factors.arm != "base"}
        return list(dict.fromkeys([*sorted(known), self.settings.seed]))

    @property
    def today(self) -> validity.Today:
        """What records of any seed are held against."""
        runs = {
            key: run
            for seed in self.tried
            for key, run in self.with_seed(seed).prerequisites.items()
        }
        return replace(super().today, prerequisites=runs)

    @cached_property
    def every_point(self) -> dict[int, list[Point]]:
        """Seed -> all its points, on record or not."""
        return {seed: self.points(seed) for seed in self.tried}

    def current(self, at: Path) -> list[Record]:
        """Records of a folder that belong to this figure and to today; every seed."""
        keys = coverage.keys(self.every_point)
        found = [record for record in store.load(at) if record.key in keys]
        return validity.current(found, self.today)

    @cached_property
    def drawn_points(self) -> dict[int, list[Point]]:
        """Seed -> its points that are drawn; see `coverage.points`."""
        keys = {record.key for record in self.current(self.at)}
        return coverage.points(self.every_point, keys, self.in_parts)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that are drawn: those of which every cell, or part, is on record."""
        return tuple(self.drawn_points)

    def records(self, at: Path) -> list[Record]:
        """Records of this figure's points that are drawn."""
        return self.drawn(self.current(at))

    def drawn(self, records: list[Record]) -> list[Record]:
        """Those of some records that belong to points that are drawn."""
        keys = coverage.keys(self.drawn_points)
        return [record for record in records if record.key in keys]

    def labelled(self) -> list[tuple[Point, list[Record]]]:
        """Points, seeds put together, each with its records in catalogue order."""
        rank = list(self.catalogue.tasks).index
        known = {record.key: record for record in self.records(self.at)}
        found: dict[tuple[str, Label], tuple[Point, dict[tuple, Record]]] = {}
        for seed in self.seeds:
            for point in self.drawn_points[seed]:
                _, mine = found.setdefault((point.group, point.label), (point, {}))
                mine |= {key: known[key] for key in map(schema.key_of, point.cells)}
        return [
            (point, sorted(mine.values(), key=lambda record: rank(record.task)))
            for point, mine in found.values()
        ]

    def table(self, recomputed: Sequence[str] = ()) -> pd.DataFrame:
        """Points and differences of all seeds on record.

        Returns
        -------
        Columns of `effects`. Chance has rows of its own, with an empty x; a
        spread over templates is a standard deviation.
        """
        if not self.seeds:
            self.require(self.cells(), self.at)
        points, marks = self.labelled(), store.groups(self.at)
        used = {record.key: record for _, records in points for record in records}.values()
        store.matched(used, marks, self.at / store.LISTED)
        validity.tell(used, self.today)
        groups = by(points, lambda labelled: labelled[0].group).items()
        parts = [differences.table(mine, marks).assign(group=group) for group, mine in groups]
        parts += coverage.points_lacking(self.points(), self.drawn_points)
        return pd.concat(parts, ignore_index=True).assign(source="recorded")[COLUMNS]


def open_axis(stem: str, **given: object) -> Axis:
    """The runs of a figure; `ParameterError` if there is no such axis."""
    if stem not in PLANS:
        raise ParameterError(f"no axis {stem!r}{naming.alternatives(stem, PLANS)}")
    return Axis(profiles.settings(**{**given, "recompute": ""}), stem)
