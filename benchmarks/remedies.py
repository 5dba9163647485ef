"""Remedies for effects that are absent in the micro study, tried one by one.

Each remedy changes one thing of the tuned model that the ablations share, for
the clusters where an effect of the paper is missing, and is set beside that
model: three tuning seeds, the same questions, differences paired over
examples. Nothing here enters a figure, and no default was chosen by it: the
evaluation rows are looked at, which is what a search for reasons is for, and
a recipe must not be chosen on.

    python benchmarks/remedies.py

What the usual model scored is read from data/results/micro; what a remedy
needs is tuned below build/remedies (an hour on two cores) and goes on where it
was stopped. `another base` also needs the base it asks for:

    flanlib pretrain micro-2m --seed 1 --out build/models/micro-2m-seed1

The record goes to data/benchmarks/remedies.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flanlib.core import paths, provenance
from flanlib.results import estimates, schema, store
from flanlib.results.effects import Estimand
from flanlib.results.schema import Cell
from flanlib.studies import axes

RECORD = paths.BENCHMARKS / "remedies.json"
AT = paths.BUILD / "remedies"
SEEDS = (1, 2, 3)
OTHER_BASE = "micro-2m-seed1"


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One change, and where it might help.

    Attributes
    ----------
    missing
        The effect that is absent.
    group
        Number of the group of clusters held out together.
    clusters
        Those of the group that are scored.
    factors, recipe
        What the remedy changes.
    with_base
        Whether it changes the base too, which is then scored as well.
    """

    missing: str
    group: int
    clusters: tuple[str, ...]
    factors: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    with_base: bool = False


PAPERS = ("nli", "commonsense", "closed_book_qa")
REMEDIES = {
    "twice the steps": Remedy(
        missing="no rise after four tuning clusters: each of seven is seen less",
        group=0,
        clusters=PAPERS,
        recipe={"steps": 1600},
    ),
    "writing alone": Remedy(
        missing="struct to text gets worse: the other clusters may teach short answers",
        group=1,
        clusters=("struct_to_text",),
        factors={"clusters": ("translation", "summarization")},
    ),
    "another base": Remedy(
        missing="no gain in coreference and reading with commonsense: this base may lack the skill",
        group=1,
        clusters=("coreference", "reading_comprehension_commonsense"),
        factors={"model": OTHER_BASE},
        with_base=True,
    ),
}


def main() -> int:
    """Try the remedies, write the record, print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="remedies, with commas between; empty: all")
    parser.add_argument("--jobs", type=int, default=0, help="runs at a time; 0: one per core")
    given = parser.parse_args()
    names = [name.strip() for name in given.only.split(",") if name.strip()] or list(REMEDIES)
    if strange := [name for name in names if name not in REMEDIES]:
        parser.error(f"--only: {strange[0]!r} is none of {', '.join(REMEDIES)}")
    for name in names:
        found = {name: {**tried(REMEDIES[name], given.jobs), **provenance.stamp()}}
        kept = json.loads(RECORD.read_text("utf-8"))["remedies"] if RECORD.is_file() else {}
        record = {
            "command": "python benchmarks/remedies.py",
            "date": time.strftime("%Y-%m-%d"),
            "device": "cpu",
            "remedies": {key: (kept | found)[key] for key in REMEDIES if key in kept | found},
        }
        RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(json.dumps(found, indent=1, ensure_ascii=False), flush=True)
    return 0


def tried(remedy: Remedy, jobs: int = 0) -> dict[str, Any]:
    """Scores of the usual model and with a remedy, and paired differences.

    Returns
    -------
    For each cluster, and for their mean as `all`: percent, and percent points
    with the ends of 95 % intervals.
    """
    usual, other = (list(cells(remedy, changed=changed)) for changed in (False, True))
    axis = axes.open_axis("fig7_scale")
    store.require(store.load(axis.at), [cell for _, cell in usual])
    axis.compute(store.missing(store.load(AT), [cell for _, cell in other]), AT, jobs)
    known = {r.key: r for r in (*store.load(axis.at), *store.load(AT))}
    arms = {schema.key_of(cell): name for name, cell in (*usual, *other)}
    gains = {("remedy", "usual"): "remedy - usual"}
    if remedy.with_base:
        gains |= {
            ("usual", "base"): "usual - its base",
            ("remedy", "new base"): "remedy - its base",
        }
    groups = store.groups(axis.at) | store.groups(AT)
    labelled = [(Estimand(arm), known[key]) for key, arm in arms.items()]
    pairs = [(Estimand(new), Estimand(old)) for new, old in gains]
    table = estimates.table(labelled, groups, pairs)
    means = table[table["dataset"] == ""]
    changes = {name: getattr(remedy, name) for name in ("factors", "recipe")}
    return {
        "missing": remedy.missing,
        "changed": {name: dict(change) for name, change in changes.items() if change},
        "seeds": len(SEEDS),
        "scores": {
            cluster: {
                gains.get((row.arm, row.against), row.arm): _numbers(row)
                for row in mine.itertuples()
            }
            for cluster, mine in means.groupby("cluster", sort=False)
        },
    }


def cells(remedy: Remedy, *, changed: bool) -> Iterator[tuple[str, Cell]]:
    """What has to be scored, under the name that the record gives it."""
    for seed in SEEDS:
        axis = axes.open_axis("fig7_scale").with_seed(seed).each_group[remedy.group]
        tasks = [task for task in axis.held_out_tasks if task.cluster in remedy.clusters]
        factors = replace(axis.tuned(), **(remedy.factors if changed else {}))
        recipe = replace(axis.recipe, **(remedy.recipe if changed else {}))
        for cell in axis.cells_of(factors, recipe, tasks):
            yield ("remedy" if changed else "usual"), cell
        if remedy.with_base and seed == SEEDS[0]:
            for cell in axis.base(tasks, factors.model):
                yield ("new base" if changed else "base"), cell


def _numbers(row: Any) -> dict[str, float]:
    return {name: round(getattr(row, name), 1) for name in ("value", "low", "high")} | {"n": row.n}


if __name__ == "__main__":
    sys.exit(main())
