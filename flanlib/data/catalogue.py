"""Collections: tasks, datasets, clusters, neighbours, held-out splits.

A collection is a folder `data/<name>/` with `catalogue.yaml` and
`templates/*.yaml`. Nothing else in the engine knows which one it works on.

Source
------
Wei et al. 2022 (arXiv 2109.01652), section 2 and appendix: a dataset is
unseen when no dataset of its cluster, nor of a neighbouring cluster, was
used in tuning.
"""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from flanlib.core import documents, naming, paths
from flanlib.core.config import STRICT
from flanlib.core.errors import DataError, LeakageError, ParameterError
from flanlib.data import keys, settings
from flanlib.data.keys import Key, Line, Option, Part, Place, Stem, Within
from flanlib.data.metric_names import wrong_metric, wrong_setting

Kind = Literal["rank", "generate"]
Named = TypeVar("Named", "Cluster", "Task")
TRAIN_CAP = 30_000
DEV_ROWS = 200


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cluster:
    """A group of datasets of one task type.

    Attributes
    ----------
    domain
        Natural language understanding (NLU) or generation (NLG).
    neighbours
        Clusters removed from tuning together with this one.
    evaluable
        Whether the cluster is held out in turn (all but two are).
    """

    key: Key
    title: Line
    domain: Literal["NLU", "NLG"]
    neighbours: tuple[Key, ...] = ()
    evaluable: bool = True


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Source:
    """Where a task's rows come from.

    Attributes
    ----------
    route
        `hub`: plain data files at `hub_id`; `hub_convert`: the hub's Parquet
        conversion, files named per split in `data_files`; `micro`: generated;
        `manual`: the user has to obtain them, see `obtain`.
    hub_id, config, revision, data_files
        What `datasets.load_dataset` is given.
    splits
        Our split name (train, dev, eval) -> source expression, e.g.
        `train[:-200]`; sliced after a seeded shuffle.
    folder
        Folder name below a local `rows` folder; the task's key if empty.
    obtain
        For `manual`: what to get, from whom, where to put it.
    part
        `2/3` is the second of three disjoint thirds of the rows, for tasks
        that would otherwise share sentences; empty takes all.
    stream
        Whether the hub's train split is too large to be downloaded whole.
    """

    route: Literal["hub", "hub_convert", "micro", "manual"] = "hub"
    hub_id: Place = ""
    config: Place = ""
    revision: Place = ""
    data_files: dict[Key, Within] = Field(default_factory=dict)
    splits: dict[str, str] = Field(default_factory=dict)
    folder: Stem = ""
    obtain: str = ""
    part: Part = ""
    stream: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Task:
    """One scored task: a dataset, or one part of a dataset.

    Attributes
    ----------
    dataset
        What the paper's figure counts; tasks of one dataset share templates.
    kind
        `rank`: the likeliest of the options; `generate`: free text.
    options
        Answers in label order; empty when each row brings its own.
    adapter, columns
        Which row adapter turns source columns into fields, and its settings.
    templates
        Stem of the template file; the dataset's key if empty.
    in_paper
        Whether the paper's figure counts it; False for tasks of its code alone.
    licence
        Of the data, as its source states it; for the reader.
    substitution
        How today's source differs from the paper's; for the ledger.
    n_train
        Train rows of the whole dataset; None where it is not known. A local copy with
        far fewer is a partial one.
    stop
        Where a written answer ends: at the end token, or also at the first line break.
    bleu_tokenizer
        How BLEU finds words, by sacrebleu's name; empty takes what suits the language that
        `columns.target` names, and else 13a.
    """

    key: Key
    title: Line
    dataset: Key
    cluster: str
    kind: Kind
    metric: str
    options: tuple[Option, ...] = ()
    adapter: str = "columns"
    columns: dict[str, Any] = Field(default_factory=dict)
    source: Source = Field(default_factory=Source)
    templates: Stem = ""
    in_paper: bool = True
    licence: str = ""
    substitution: str = ""
    n_train: Annotated[int, Field(ge=1, strict=True)] | None = None
    stop: Literal["end", "newline"] = "end"
    bleu_tokenizer: Literal["", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none"] = ""

    def __hash__(self) -> int:
        return hash((self.key, self.template_set, self.adapter))

    @property
    def template_set(self) -> str:
        """Stem of this task's template file."""
        return self.templates or self.dataset


@dataclass(frozen=True, kw_only=True)
class Split:
    """What holding one cluster out means for every task.

    Attributes
    ----------
    tuning, evaluation
        Tasks in catalogue order.
    removed
        Task key -> why it is in neither.
    """

    held_out: str
    tuning: tuple[Task, ...]
    evaluation: tuple[Task, ...]
    removed: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The checked content of one collection folder.

    Attributes
    ----------
    root
        The collection's folder.
    clusters, tasks
        By key, in the order of the file.
    """

    name: str
    title: str
    root: Path
    clusters: dict[str, Cluster]
    tasks: dict[str, Task]

    @property
    def tracked(self) -> bool:
        """Whether it stands below data/, beside FLAN's, and so has FLAN's clusters."""
        return paths.label(self.root) == self.name

    def cluster(self, key: str) -> Cluster:
        """The cluster of that key; `ParameterError` names the others."""
        return _get(self.clusters, key, "cluster", self.name)

    def task(self, key: str) -> Task:
        """The task of that key; `ParameterError` names the others."""
        return _get(self.tasks, key, "task", self.name)

    def of_cluster(self, key: str) -> tuple[Task, ...]:
        """Tasks of a cluster, in catalogue order."""
        self.cluster(key)
        return tuple(t for t in self.tasks.values() if t.cluster == key)

    def datasets(self) -> dict[str, tuple[Task, ...]]:
        """Dataset key -> its tasks, in catalogue order."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks.values():
            found.setdefault(task.dataset, []).append(task)
        return {key: tuple(tasks) for key, tasks in found.items()}

    def held_out(self, key: str, clusters: Iterable[str] = ()) -> Split:
        """Tasks left for tuning when a cluster, or several, is held out.

        Parameters
        ----------
        key
            Cluster to evaluate; several with `+` between, "" for none.
            Neighbours are removed from tuning.
        clusters
            Tuning clusters to keep; empty keeps all that may be kept.

        Raises
        ------
        LeakageError
            If `clusters` names a held-out cluster or a neighbour.
        ParameterError
            If there is no such cluster, or one stands twice in `key`.
        """
        held = {part: self.cluster(part) for part in keys.parted(key)} if key else {}
        near = {n: part for part, c in held.items() for n in c.neighbours if n not in held}
        barred = {*held, *near}
        chosen = [self.cluster(c).key for c in clusters] or list(self.clusters)
        if clusters and (leaks := sorted(barred & set(chosen))):
            raise LeakageError(
                f"{self.name}: tuning clusters {leaks} may not be used while {key!r} is held out;"
                f" leave out {sorted(barred)}"
            )
        evaluation = tuple(t for t in self.tasks.values() if t.cluster in held)
        unseen = {task.dataset: task.cluster for task in evaluation}
        tuning, removed = [], {}
        for task in self.tasks.values():
            if task.cluster in held:
                continue
            if task.cluster in near:
                removed[task.key] = f"cluster {task.cluster} is a neighbour of {near[task.cluster]}"
            elif task.dataset in unseen:
                removed[task.key] = f"dataset {task.dataset} is evaluated in {unseen[task.dataset]}"
            elif task.cluster not in chosen:
                removed[task.key] = f"cluster {task.cluster} was not chosen"
            else:
                tuning.append(task)
        return Split(held_out=key, tuning=tuple(tuning), evaluation=evaluation, removed=removed)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _File:
    """Schema of catalogue.yaml."""

    title: Line
    clusters: Annotated[tuple[Cluster, ...], Field(min_length=1)]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]


@cache
def load(collection: str | Path) -> Catalogue:
    """Read and check a collection's catalogue.

    Raises
    ------
    DataError
        Naming file and field when the catalogue is absent or malformed.
    """
    root = paths.collection(collection)
    path = root / "catalogue.yaml"
    if not path.is_file():
        known = sorted(p.parent.name for p in paths.DATA.glob("*/catalogue.yaml"))
        raise DataError(
            f"{path}: no such collection{naming.alternatives(root.name, known)};"
            " or give a folder, with a / in it"
        )
    content = documents.read(path, _File, DataError)
    clusters = _unique(path, "cluster", content.clusters)
    tasks = _unique(path, "task", content.tasks)
    for cluster in clusters.values():
        if unknown := set(cluster.neighbours) - set(clusters):
            raise DataError(f"{path}: cluster {cluster.key}: unknown neighbours {sorted(unknown)}")
    for task in tasks.values():
        if task.cluster not in clusters:
            raise DataError(
                f"{path}: task {task.key}: unknown cluster {task.cluster!r};"
                f" there are {sorted(clusters)}"
            )
        if problem := _problem(task):
            raise DataError(f"{path}: task {task.key!r}, {problem}")
        if wrong := wrong_metric(task.metric, task.kind) or wrong_setting(
            task.metric, task.bleu_tokenizer, task.columns.get("fields") or ()
        ):
            raise DataError(f"{path}: task {task.key}: {wrong}")
    for name in ("dataset", "template_set"):
        _apart(path, name, (getattr(task, name) for task in tasks.values()))
    name = Path(os.path.abspath(root)).name or "collection"  # of `./`, `..` and `/` as well
    return Catalogue(name=name, title=content.title, root=root, clusters=clusters, tasks=tasks)


def _unique(path: Path, what: str, items: Iterable[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for item in items:
        if item.key in found:
            raise DataError(f"{path}: {what} {item.key!r} stands twice")
        found[item.key] = item
    _apart(path, what, found)
    return found


def _apart(path: Path, what: str, names: Iterable[str]) -> None:
    if clash := keys.clash(names):
        raise DataError(f"{path}: {what} {clash}")


def _problem(task: Task) -> str:
    """What one entry says that cannot be, field first; empty when nothing is."""
    if len(set(task.options)) != len(task.options) or len(task.options) == 1:
        return f"options {naming.shown(task.options)} are not distinct; two or more are wanted"
    source = task.source
    return keys.wrong_source(source.route, source.config, source.splits) or settings.problem(
        task.adapter, task.columns, task.kind, task.options
    )


def _get(table: dict[str, Named], key: str, what: str, name: str) -> Named:
    if key not in table:
        aliases = {key: _known_as(found) for key, found in table.items()}
        remedy = f"flanlib list --collection {name} --count code"
        others = naming.alternatives(key, table, aliases, remedy)
        raise ParameterError(f"{name}: no {what} {naming.shown(key)}{others}")
    return table[key]


def _known_as(found: Cluster | Task) -> tuple[str, ...]:
    """Other names of a cluster or task: title, dataset, and the hub's names."""
    if isinstance(found, Cluster):
        return (found.title,)
    source = found.source
    hub = f"{source.hub_id}/{source.config}"
    return tuple(filter(None, (found.title, found.dataset, source.hub_id, source.config, hub)))
