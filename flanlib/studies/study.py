"""The study: a grid of runs, loaded where recorded, computed where missing."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from flanlib.core import naming, paths
from flanlib.core.config import Factors, Recipe, Scoring, run_id
from flanlib.core.errors import MissingResultError
from flanlib.data import catalogue
from flanlib.data.catalogue import Catalogue, Task
from flanlib.evaluation import illustrations
from flanlib.results import agreement, effects, estimates, schema, store, validity
from flanlib.results.schema import Cell, Record
from flanlib.results.validity import Today
from flanlib.studies import arms, coverage, ledger, profiles, runs
from flanlib.studies.arms import ARMS, ASKED, BARE, GAINS
from flanlib.studies.plans import base_run
from flanlib.studies.profiles import Settings
from flanlib.studies.runs import Job, Work


def open_study(**given: object) -> "Study":
    """The study that parameters describe; `ParameterError` if they do not."""
    return Study(profiles.settings(**given))


@dataclass(frozen=True)
class Study:
    """Base and tuned models on every held-out cluster.

    Attributes
    ----------
    settings
        Checked parameters, with nothing left to the profile.
    stale_too
        Whether stale records are drawn as well, and figures marked by it.
    """

    settings: Settings
    stale_too: bool = field(default=False, kw_only=True)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The collection's catalogue."""
        return catalogue.load(self.settings.collection)

    @property
    def at(self) -> Path:
        """Folder of this study's records."""
        return store.folder(self.settings.collection, self.settings.defaults.results)

    @property
    def recomputed_at(self) -> Path:
        """Folder of the records that these settings computed again, for comparison."""
        return paths.BUILD / "recomputed" / profiles.label(self.settings)

    @property
    def today(self) -> Today:
        """What records are held against: rows, templates and weights as they are now."""
        limit, about = self.settings.defaults.train_limit, self.prerequisites
        return Today(self.catalogue, self.settings.rows, limit, about, self.stale_too)

    @property
    def command(self) -> str:
        """The command line that computes what this study needs."""
        return shlex.join(["flanlib", "run", "--only", self.figure, *self.settings.options])

    @property
    def figure(self) -> str:
        """The figure that the study is for."""
        return "fig5"

    @property
    def note(self) -> str:
        """What every figure of this study has to say; may be empty."""
        shown = self.drawn(self.records(self.at)) if self.stale_too else []
        return validity.marked(shown, self.today) or self.settings.defaults.note

    @property
    def types(self) -> str:
        """In which types arms were computed, where not all in one; see `types_told`."""
        return coverage.types_told(self.drawn(self.records(self.at)))

    @property
    def clusters(self) -> tuple[str, ...]:
        """Clusters scored, in catalogue order."""
        return self.settings.clusters

    @cached_property
    def tasks(self) -> dict[str, tuple[Task, ...]]:
        """Held-out cluster -> tasks scored; `MissingResultError` if there are none.

        Where a profile takes what there is, what is on record needs no rows here.
        """
        scored = set(self.catalogue.tasks) - set(self.left_out)
        if self.settings.defaults.what_there_is:
            every = (c for task in self.catalogue.tasks.values() for c in self._cells_of(task))
            scored |= coverage.on_record(every, store.load(self.at))
        found = {
            key: tuple(t for t in self.catalogue.of_cluster(key) if t.key in scored)
            for key in self.clusters
        }
        if not any(found.values()):
            why = naming.few(self.left_out.values()) or "no cluster can be held out"
            raise MissingResultError(f"no task to score: {why}")
        return {key: tasks for key, tasks in found.items() if tasks}

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Tasks that are not scored -> why; see `arms.left_out`."""
        return arms.left_out(self.catalogue, self.settings)

    def cells(self, clusters: Sequence[str] = ()) -> list[Cell]:
        """What has to be on record for this study's seed."""
        tasks = [task for key in (clusters or self.tasks) for task in self.tasks[key]]
        every = [cell for task in tasks for cell in self._cells_of(task)]
        return sorted(every, key=lambda cell: cell[0].arm == "base")

    @property
    def prerequisites(self) -> dict[str, tuple[Factors, Recipe]]:
        """Run id -> settings of each tuned model that a soft prompt is learned on."""
        return {}

    def tuned_without(self, held_out: str) -> Factors:
        """Factors of this seed's tuned model; see `Factors.held_out`.

        Parameters
        ----------
        held_out
            Cluster, or several with `+` between. Where the profile holds groups
            out, a cluster stands for its group, and a group has the profile's order.
        """
        if self.settings.defaults.by_group:
            parts, groups = set(held_out.split("+")), self.settings.defaults.held_out_groups
            whole = ("+".join(g) for g in groups if held_out in g or parts == set(g))
            held_out = next(whole, held_out)
        return Factors(
            collection=self.catalogue.name,
            model=self.settings.model,
            held_out=held_out,
            arm="tuned",
            seed=self.settings.seed,
        )

    def jobs(self, cells: Sequence[Cell], at: Path) -> list[Job]:
        """Cells gathered into one job per run, in their order."""
        asked: dict[tuple[Factors, Recipe], list[tuple[Scoring, str]]] = {}
        for factors, recipe, scoring, task in cells:
            asked.setdefault((factors, recipe), []).append((scoring, task))
        return [
            Job(
                factors=factors,
                recipe=recipe,
                collection=self.settings.collection,
                requests=tuple(parts),
                at=at,
                runs=paths.RUNS if at == self.at else at / "runs",
                prerequisite=self.prerequisites.get(factors.under),
                rows=self.settings.rows,
                train_limit=self.settings.defaults.train_limit,
            )
            for (factors, recipe), parts in asked.items()
        ]

    def grid(self) -> pd.DataFrame:
        """One row per run: run, arm, held out, steps, tasks, scores, recorded."""
        known = {record.key for record in self.current(self.at)}
        rows = []
        for job in self.jobs(self.cells(), self.at):
            cells = [(job.factors, job.recipe, *request) for request in job.requests]
            rows.append(
                {
                    "run": run_id(job.factors, job.recipe),
                    "arm": job.factors.arm,
                    "held out": job.factors.held_out,
                    "steps": 0 if job.factors.arm == "base" else job.recipe.steps,
                    "tasks": len({task for _, task in job.requests}),
                    "scores": len(cells),
                    "recorded": sum(schema.key_of(cell) in known for cell in cells),
                }
            )
        return pd.DataFrame(rows)

    def split(self, cluster: str) -> pd.DataFrame:
        """What holding a cluster out does: columns cluster, role, why, tasks."""
        return ledger.roles(self.catalogue, cluster)

    def prompt(self, cluster: str) -> str:
        """An unseen question of a cluster; see `illustrations.prompt`."""
        return illustrations.prompt(self.catalogue, self.tasks[cluster][0], self.settings.rows)

    def ensure(self, jobs: int = 0, work: Work | None = None) -> pd.DataFrame:
        """Everything the figure draws: load it, compute what is missing.

        Returns
        -------
        See `table`. Clusters named in `recompute` are tuned and scored again
        and take the place of this seed's records.
        """
        fresh, others = self.recomputed, [key for key in self.tasks if key not in self.recomputed]
        if others:
            cells = store.missing(self.current(self.at), self.cells(others))
            self.compute(coverage.at_hand(cells, self.left_out), self.at, jobs, work)
        if fresh:
            shutil.rmtree(self.recomputed_at, ignore_errors=True)
            self.compute(self.cells(fresh), self.recomputed_at, jobs, work)
        return self.table(recomputed=fresh)

    def load(self) -> pd.DataFrame:
        """What `ensure` gives, from records alone.

        A profile that takes what there is gives the clusters that are complete.

        Raises
        ------
        StaleResultError
            Naming what changed since records were made, and for which tasks.
        MissingResultError
            Naming each cell of this study's seed that is not on record.
        """
        if others := [key for key in self.tasks if key not in self.recomputed]:
            some = self.settings.defaults.what_there_is and bool(self.drawn(self.records(self.at)))
            self.require(self.cells(others), self.at, some)
        if self.recomputed:
            self.require(self.cells(self.recomputed), self.recomputed_at)
        return self.table(recomputed=self.recomputed)

    @property
    def recomputed(self) -> list[str]:
        """Clusters whose recomputed records take the place of recorded ones."""
        return [cluster for cluster in self.settings.recomputed if cluster in self.tasks]

    def require(self, cells: Sequence[Cell], at: Path, some: bool = False) -> None:
        """Raise, as `load`, if a folder lacks a current record of one of some cells.

        Parameters
        ----------
        some
            Whether stale records alone are refused.
        """
        check = validity.refuse_stale if some else validity.require
        check(cells, store.load(at), self.today, self.command)

    def current(self, at: Path) -> list[Record]:
        """Records of a folder that belong to this study and to today; every seed."""
        ways = {coverage.way(cell) for cell in self.cells()}
        found = [record for record in store.load(at) if coverage.way(record.cell) in ways]
        return validity.current(found, self.today)

    def compute(
        self, cells: Sequence[Cell], at: Path, jobs: int = 0, work: Work | None = None
    ) -> None:
        """Tune and score what cells ask for, by `runs.run` with `jobs` and `work`; keep records."""
        if not cells:
            return
        if self.settings.profile == "rehearsal":
            runs.make_rehearsal_model(self.settings.model)
        runs.run(self.jobs(cells, at), jobs, work)
        self.require(cells, at)

    def table(self, recomputed: Sequence[str] = ()) -> pd.DataFrame:
        """Chance, arms and gains of all recorded seeds, in the columns of `effects`."""
        fresh = {r.key: r for r in self.records(self.recomputed_at) if r.cluster in recomputed}
        known = {r.key: r for r in self.records(self.at)} | fresh
        complete = self.drawn(list(known.values()))
        groups = store.groups(self.at) | store.groups(self.recomputed_at)
        store.matched(complete, groups, self.at / store.LISTED)
        validity.tell(complete, self.today)
        named = effects.named(complete)
        parts = [estimates.chance(complete), estimates.table(named, groups, GAINS)]
        if self.settings.defaults.what_there_is:
            parts.append(coverage.lacking(self.clusters, complete))
        table = pd.concat(parts, ignore_index=True)
        source = np.where(table["cluster"].isin(list(recomputed)), "recomputed", "recorded")
        return estimates.ordered(table.assign(source=source), list(self.catalogue.clusters), ARMS)

    def drawn(self, records: list[Record]) -> list[Record]:
        """Those of some records that figures are drawn of: whole seeds, of complete clusters."""
        if not self.settings.defaults.what_there_is:
            return agreement.whole_seeds(records)
        return coverage.whole({key: self.cells([key]) for key in self.tasks}, records)

    def records(self, at: Path) -> list[Record]:
        """Records of this study's model, recipe and scoring; every seed.

        A task that generates has no OPTIONS block to leave out: its base
        record stands for both ways of asking.
        """
        return (found := self.current(at)) + [
            replace(record, scoring=self._scoring(BARE))
            for record in found
            if record.kind == "generate" and effects.arm(record) == "base"
        ]

    def compared(self) -> pd.DataFrame:
        """Recomputed beside recorded values; see `agreement.compare`."""
        fresh = [r for r in self.records(self.recomputed_at) if r.cluster in self.recomputed]
        others = replace(self, settings=replace(self.settings, held_out="")).records(self.at)
        return agreement.compare(self.records(self.at), fresh, others)

    def agreement(self) -> pd.DataFrame:
        """What `compared` gives; `RunError` naming each value that does not agree."""
        verdict = self.compared()
        agreement.require(verdict)
        return verdict

    def provenance(self) -> pd.DataFrame:
        """Columns arm, model, commit, device, versions, records (how many), hours."""
        return coverage.provenance(self.records(self.at))

    def _scoring(self, scoring: Scoring) -> Scoring:
        names = ("max_examples", "templates_per_example")
        return replace(scoring, **{name: getattr(self.settings.defaults, name) for name in names})

    def _cells_of(self, task: Task) -> list[Cell]:
        """What has to be on record of one task, for this study's seed."""
        tuned = (self.tuned_without(task.cluster), self.settings.defaults.recipe)
        base = base_run(self.catalogue.name, self.settings, task.cluster)
        ways = arms.controls(self.catalogue, task, self.settings.defaults.chat)
        return [
            (*run, self._scoring(scoring), task.key)
            for run, scoring in ((tuned, ASKED), *((base, way) for way in ways))
        ]
