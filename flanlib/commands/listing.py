"""What collections hold, as tables and as plain data.

The paper's figure counts datasets, its code counts tasks: one row below is a
dataset or a task, as asked.
"""

from collections import Counter
from typing import Any, Literal

from flanlib.core import paths
from flanlib.core.errors import MissingResultError
from flanlib.data import catalogue as catalogues
from flanlib.data.catalogue import Catalogue, Task
from flanlib.models import registry
from flanlib.prompts import templates
from flanlib.prompts.audit import columns
from flanlib.results.estimates import by

Count = Literal["figure", "code"]


def collections() -> list[Catalogue]:
    """The collections below data/, by name; `MissingResultError` if there is none."""
    found = sorted(paths.DATA.glob("*/catalogue.yaml"))
    if not found:
        raise MissingResultError(
            f"{paths.DATA}: no collection in it; set FLANLIB_ROOT to a checkout"
        )
    return [catalogues.load(path.parent.name) for path in found]


def content(catalogue: Catalogue, count: Count = "figure") -> dict[str, Any]:
    """Clusters with their datasets (or tasks) and templates, as plain data.

    Parameters
    ----------
    count
        `figure`: datasets as the paper's figure counts them; `code`: every
        task that is scored, those outside the paper too.
    """
    tasks = [t for t in catalogue.tasks.values() if t.in_paper or count == "code"]
    datasets = {t.dataset for t in tasks}
    clusters = []
    for cluster in catalogue.clusters.values():
        mine = [t for t in tasks if t.cluster == cluster.key]
        rows = by(mine, lambda t: t.dataset if count == "figure" else t.key)
        clusters.append(
            {
                "key": cluster.key,
                "title": cluster.title,
                "domain": cluster.domain,
                "evaluable": cluster.evaluable,
                "neighbours": list(cluster.neighbours),
                "datasets" if count == "figure" else "tasks": [
                    _entry(catalogue, key, parts) for key, parts in rows.items()
                ],
            }
        )
    return {
        "collection": catalogue.name,
        "title": catalogue.title,
        "count": count,
        "n_clusters": len(clusters),
        "n_datasets": len(datasets),
        "n_tasks": len(tasks),
        "n_templates": sum(
            len(templates.load(catalogue.root, stem).templates)
            for stem in {t.template_set for t in tasks}
        ),
        "clusters": clusters,
    }


def _entry(catalogue: Catalogue, key: str, tasks: list[Task]) -> dict[str, Any]:
    found = templates.load(catalogue.root, tasks[0].template_set)
    first = tasks[0]
    return {
        "key": key,
        "name": found.name,
        "dataset": first.dataset,
        "tasks": [t.key for t in tasks],
        "kind": first.kind,
        "metric": first.metric,
        "route": first.source.route,
        "hub_id": first.source.hub_id,
        "n_train": [t.n_train for t in tasks],
        "licence": first.licence,
        "n_templates": len(found.templates),
        "n_inverted": sum(t.inverted for t in found.templates),
        "templates": [
            {"id": t.id, "inverted": t.inverted, "options": t.options} for t in found.templates
        ],
    }


def table(catalogue: Catalogue, count: Count = "figure") -> str:
    """One line per dataset or task, as `count` says (see `content`), then the totals."""
    found = content(catalogue, count)
    what = "datasets" if count == "figure" else "tasks"
    rows = [
        (
            cluster["key"],
            entry["key"],
            len(entry["tasks"]),
            entry["kind"],
            entry["metric"],
            f"{entry['n_templates']} ({entry['n_inverted']})",
            entry["hub_id"] or entry["route"],
        )
        for cluster in found["clusters"]
        for entry in cluster[what]
    ]
    head = ["cluster", what[:-1], "tasks", "kind", "metric", "templates (inverted)", "source"]
    total = (
        f"{found['collection']}: {found['n_clusters']} clusters, {found['n_datasets']} datasets,"
        f" {found['n_tasks']} tasks, {found['n_templates']} templates (counted as the paper's"
        f" {count} does)"
    )
    return f"{columns(head, rows)}\n\n{total}"


def overview(found: list[Catalogue]) -> str:
    """One line per collection, and how many models go by a name."""
    rows = []
    for one in found:
        facts = content(one)
        kinds = Counter(t.kind for t in one.tasks.values())
        rows.append(
            (
                one.name,
                facts["n_clusters"],
                facts["n_datasets"],
                len(one.tasks),
                facts["n_templates"],
                f"{kinds['rank']} rank, {kinds['generate']} generate",
                one.title,
            )
        )
    head = ["collection", "clusters", "datasets", "tasks", "templates", "kinds", "title"]
    named = models()
    here = sum(one["fetched"] for one in named)
    return (
        f"{columns(head, rows)}\n\n{len(named)} models by name, {here} fetched"
        f" (`{registry.LISTED}`)"
    )


def models() -> list[dict[str, Any]]:
    """Registered models as plain data: what each is, whence it comes, whether it is here."""
    keys = ("key", "title", "licence", "parameters", "source", "note")
    return [
        {key: getattr(one, key) for key in keys} | {"fetched": one.fetched}
        for one in registry.load().values()
    ]


def model_table() -> str:
    """One line per registered model."""
    rows = [
        (one["key"], f"{one['parameters']:,}", "yes" if one["fetched"] else "no", one["source"])
        for one in models()
    ]
    return columns(["model", "parameters", "fetched", "source"], rows)
