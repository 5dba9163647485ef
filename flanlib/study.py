"""The study: a grid of runs, loaded where recorded, computed where missing."""

import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from flanlib import catalogue, paths, profiles, results, templates
from flanlib.catalogue import Catalogue, Task
from flanlib.config import Factors, Recipe, run_id
from flanlib.profiles import Settings
from flanlib.results import Cell, Record, Scoring
from flanlib.scoring import asking
from flanlib.studies import agreement, arms, estimates, ledger, runs, validity
from flanlib.studies.arms import ARMS as ARMS
from flanlib.studies.arms import ASKED as ASKED
from flanlib.studies.arms import BARE as BARE
from flanlib.studies.arms import CLOZE as CLOZE
from flanlib.studies.arms import GAINS as GAINS
from flanlib.studies.plans import base_run as base_run
from flanlib.studies.runs import Job
from flanlib.studies.validity import Today


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
    """

    settings: Settings

    @cached_property
    def catalogue(self) -> Catalogue:
        """The collection's catalogue."""
        return catalogue.load(self.settings.collection)

    @property
    def at(self) -> Path:
        """Folder of this study's records."""
        return results.folder(self.settings.collection, self.settings.behind.results)

    @property
    def again_at(self) -> Path:
        """Folder of the records that these settings computed again, for comparison."""
        return paths.BUILD / "recomputed" / profiles.label(self.settings)

    @property
    def today(self) -> Today:
        """What records are held against: rows, templates and weights as they are now."""
        behind = self.settings.behind
        return Today(self.catalogue, self.settings.rows, behind.train_limit, self.below)

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
        return self.settings.behind.note

    @property
    def clusters(self) -> tuple[str, ...]:
        """Clusters scored, in catalogue order."""
        return self.settings.clusters

    @cached_property
    def tasks(self) -> dict[str, tuple[Task, ...]]:
        """Held-out cluster -> tasks scored; `MissingResultError` if there are none."""
        found = {
            key: tuple(t for t in self.catalogue.of_cluster(key) if t.key not in self.left_out)
            for key in self.clusters
        }
        return arms.some({key: tasks for key, tasks in found.items() if tasks}, self.left_out)

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Tasks that are not scored -> why; see `arms.left_out`."""
        return arms.left_out(self.catalogue, self.settings)

    def cells(self, clusters: Iterable[str] = ()) -> list[Cell]:
        """What has to be on record for this study's seed."""
        chosen = list(clusters) or list(self.tasks)
        return [
            cell
            for cells in (self._tuned, self._base)
            for cluster in chosen
            for cell in cells(cluster)
        ]

    @property
    def below(self) -> dict[str, tuple[Factors, Recipe]]:
        """Run id -> settings of each tuned model that a soft prompt is learned on."""
        return {}

    def tuned_without(self, held_out: str) -> Factors:
        """Factors of this seed's tuned model; see `Factors.held_out`.

        Parameters
        ----------
        held_out
            Cluster, or several with `+` between. Where the profile holds
            groups out, a cluster stands for its group.
        """
        if self.settings.behind.by_group:
            groups = self.settings.behind.together
            held_out = next(("+".join(g) for g in groups if held_out in g), held_out)
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
                asked=tuple(parts),
                at=at,
                runs=paths.RUNS if at == self.at else at / "runs",
                under=self.below.get(factors.under),
                rows=self.settings.rows,
                train_limit=self.settings.behind.train_limit,
            )
            for (factors, recipe), parts in asked.items()
        ]

    def grid(self) -> pd.DataFrame:
        """One row per run: run, arm, held out, tasks, scores, recorded."""
        known = {record.key for record in self.current(self.at)}
        rows = []
        for job in self.jobs(self.cells(), self.at):
            cells = [(job.factors, job.recipe, *asked) for asked in job.asked]
            rows.append(
                {
                    "run": run_id(job.factors, job.recipe),
                    "arm": job.factors.arm,
                    "held out": job.factors.held_out,
                    "tasks": len({task for _, task in job.asked}),
                    "scores": len(cells),
                    "recorded": sum(results.key_of(cell) in known for cell in cells),
                }
            )
        return pd.DataFrame(rows)

    def split(self, cluster: str) -> pd.DataFrame:
        """What holding a cluster out does: columns cluster, role, why, tasks."""
        return ledger.roles(self.catalogue, cluster)

    def prompt(self, cluster: str) -> str:
        """An unseen question of a cluster as a model reads it, and the answer."""
        task = self.tasks[cluster][0]
        example = asking.first_example(self.catalogue, task, "eval", self.settings.rows)
        prompt = templates.render(example, asking.asked_with(self.catalogue, task, ASKED)[0])
        return f"{prompt.input}\n--> {prompt.target}"

    def ensure(self, jobs: int = 0) -> pd.DataFrame:
        """Everything the figure draws: load it, compute what is missing.

        Parameters
        ----------
        jobs
            Runs at a time; 0 is as many as the machine has room for.

        Returns
        -------
        See `table`. Clusters named in `recompute` are tuned and scored again
        and take the place of this seed's records.
        """
        fresh, others = self.again, [key for key in self.tasks if key not in self.again]
        if others:
            cells = results.missing(self.current(self.at), self.cells(others))
            self.compute(cells, self.at, jobs)
        if fresh:
            shutil.rmtree(self.again_at, ignore_errors=True)
            self.compute(self.cells(fresh), self.again_at, jobs)
        return self.table(again=fresh)

    def load(self) -> pd.DataFrame:
        """What `ensure` gives, from records alone.

        Raises
        ------
        StaleResultError
            Naming what changed since records were made, and for which tasks.
        MissingResultError
            Naming each cell of this study's seed that is not on record.
        """
        if others := [key for key in self.tasks if key not in self.again]:
            self.require(self.cells(others), self.at)
        if self.again:
            self.require(self.cells(self.again), self.again_at)
        return self.table(again=self.again)

    @property
    def again(self) -> list[str]:
        """Clusters whose recomputed records take the place of recorded ones."""
        return [cluster for cluster in self.settings.again if cluster in self.tasks]

    def require(self, cells: Sequence[Cell], at: Path) -> None:
        """Raise, as `load`, if a folder lacks a current record of one of some cells.

        Parameters
        ----------
        cells
            Those that are asked for.
        at
            Folder of records.
        """
        validity.require(cells, results.load(at), self.today, self.command)

    def current(self, at: Path) -> list[Record]:
        """Records of a folder that belong to this study and to today; every seed.

        Parameters
        ----------
        at
            Folder of records.
        """
        ways = {_way(cell) for cell in self.cells()}
        found = [record for record in results.load(at) if _way(record.cell) in ways]
        return validity.current(found, self.today)

    def compute(self, cells: Sequence[Cell], at: Path, jobs: int = 0) -> None:
        """Tune and score what cells ask for, `jobs` runs at a time; add the records."""
        if not cells:
            return
        if self.settings.profile == "rehearsal":
            runs.make_rehearsal_model(self.settings.model)
        runs.run(self.jobs(cells, at), jobs)
        self.require(cells, at)

    def table(self, again: Sequence[str] = ()) -> pd.DataFrame:
        """Chance, arms and gains of all recorded seeds, as `estimates.table`.

        Parameters
        ----------
        again
            Clusters whose recomputed records replace the recorded ones.

        Returns
        -------
        Columns cluster, dataset, arm, value, low, high, n, seeds, source.
        """
        fresh = {r.key: r for r in self.records(self.again_at) if r.cluster in again}
        known = {r.key: r for r in self.records(self.at)} | fresh
        complete = agreement.whole_seeds(list(known.values()))
        groups = results.groups(self.at) | results.groups(self.again_at)
        results.matched(complete, groups, self.at / results.LISTED)
        validity.tell(complete, self.today)
        parts = [estimates.chance(complete), estimates.table(complete, groups, GAINS)]
        table = pd.concat(parts, ignore_index=True)
        source = np.where(table["cluster"].isin(list(again)), "recomputed", "recorded")
        return estimates.ordered(table.assign(source=source), list(self.catalogue.clusters), ARMS)

    def records(self, at: Path) -> list[Record]:
        """Records of this study's model, recipe and scoring; every seed.

        A task that generates has no OPTIONS block to leave out: its base
        record stands for both ways of asking.
        """
        return (found := self.current(at)) + [
            replace(record, scoring=self._scoring(BARE))
            for record in found
            if record.kind == "generate" and estimates.arm(record) == "base"
        ]

    def agreement(self) -> pd.DataFrame:
        """Recomputed beside recorded values; see `agreement.compare`.

        Raises
        ------
        RunError
            Naming each value that does not agree.
        """
        fresh = [r for r in self.records(self.again_at) if r.cluster in self.again]
        others = replace(self, settings=replace(self.settings, held_out="")).records(self.at)
        verdict = agreement.compare(self.records(self.at), fresh, others)
        agreement.require(verdict)
        return verdict

    def provenance(self) -> pd.DataFrame:
        """Columns arm, model, commit, device, versions, records (how many), hours."""
        frame = results.frame([*self.records(self.at)])
        if frame.empty:
            return frame
        frame["versions"] = [", ".join(f"{k} {v}" for k, v in x.items()) for x in frame["versions"]]
        keys = ["arm", "model", "commit", "device", "versions"]
        return frame.groupby(keys, as_index=False).agg(
            records=("value", "size"), hours=("wall_s", lambda s: round(s.sum() / 3600, 2))
        )

    def _scoring(self, scoring: Scoring) -> Scoring:
        behind = self.settings.behind
        return replace(
            scoring,
            max_examples=behind.max_examples,
            templates_per_example=behind.templates_per_example,
        )

    def _base(self, cluster: str) -> list[Cell]:
        factors, recipe = base_run(self.catalogue.name, self.settings, cluster)
        return [
            (factors, recipe, self._scoring(scoring), task.key)
            for task in self.tasks[cluster]
            for scoring in arms.controls(self.catalogue, task, self.settings.behind.chat)
        ]

    def _tuned(self, cluster: str) -> list[Cell]:
        factors, recipe = self.tuned_without(cluster), self.settings.behind.recipe
        return [(factors, recipe, self._scoring(ASKED), t.key) for t in self.tasks[cluster]]


def _way(cell: Cell) -> tuple:
    """A cell but for its seed: what records of one arm have in common."""
    factors, recipe, scoring, task = cell
    return replace(factors, seed=0), recipe, scoring, task
