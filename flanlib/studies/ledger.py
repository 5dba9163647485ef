"""The account of a collection: leaks, substitutions, and what is missing.

Every difference between the paper, its code and what can be had today is on
one list, which the command `audit` and the report print.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from flanlib.data import sources
from flanlib.data.catalogue import Catalogue
from flanlib.data.source import Rows
from flanlib.prompts import templates
from flanlib.prompts.audit import columns

TEMPLATES = 10
INVERTED = 3


@dataclass(frozen=True, kw_only=True)
class SplitLine:
    """What holding one cluster out removes, and what was compared.

    Attributes
    ----------
    n_tuning, n_evaluation
        Tasks on either side.
    shared_datasets
        Datasets on both sides; always empty, or the catalogue is refused.
    shared_texts
        Train texts equal to an evaluation text; None if texts were not read.
    similar
        Train examples dropped for 13 words in a row shared with one.
    """

    held_out: str
    n_tuning: int
    n_evaluation: int
    removed: tuple[str, ...]
    shared_datasets: tuple[str, ...]
    shared_texts: int | None = None
    similar: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The account of one collection.

    Attributes
    ----------
    splits
        One for each cluster that is held out in turn.
    substitutions
        (task, what differs from the paper).
    obtain
        (task, what to get, from whom, where to put it): not on the hub.
    incomplete
        What should be there and is not, one line each.
    """

    collection: str
    splits: tuple[SplitLine, ...]
    substitutions: tuple[tuple[str, str], ...]
    obtain: tuple[tuple[str, str], ...]
    incomplete: tuple[str, ...]

    def table(self) -> str:
        """The account as text."""
        head = [
            "held out",
            "tuning",
            "evaluated",
            "shared sets",
            "shared texts",
            "similar",
            "removed",
        ]
        rows = [
            (
                line.held_out,
                line.n_tuning,
                line.n_evaluation,
                len(line.shared_datasets),
                "not read" if line.shared_texts is None else line.shared_texts,
                "not read" if line.similar is None else line.similar,
                ", ".join(line.removed) or "-",
            )
            for line in self.splits
        ]
        parts = [f"Leaks, {self.collection}: tasks when a cluster is held out", columns(head, rows)]
        for title, pairs in (
            ("Substitutions: what differs from the paper", self.substitutions),
            ("To be obtained by hand; skipped until then", self.obtain),
        ):
            parts += [title, columns(["task", "what"], pairs) if pairs else "none"]
        missing = "\n".join(f"- {line}" for line in self.incomplete)
        parts += ["Missing", missing or "nothing"]
        return "\n\n".join(parts)


def ledger(
    catalogue: Catalogue,
    held_out: Sequence[str] = (),
    *,
    texts: bool = False,
    rows: Rows = None,
    say: Callable[[str], None] = lambda line: None,
) -> Ledger:
    """Account for a collection.

    Parameters
    ----------
    held_out
        Clusters to hold out; empty means every one that can be.
    texts
        Whether rows are read and their texts compared.

    Raises
    ------
    LeakageError
        If a train text equals an evaluation text.
    """
    chosen = held_out or [k for k, c in catalogue.clusters.items() if c.evaluable]
    splits = []
    for number, key in enumerate(chosen, 1):
        if texts:
            say(f"[{number}/{len(chosen)}] reading rows, {key} held out")
        splits.append(_split(catalogue, key, texts, rows))
    tasks = catalogue.tasks.values()
    return Ledger(
        collection=catalogue.name,
        splits=tuple(splits),
        substitutions=tuple((t.key, t.substitution) for t in tasks if t.substitution),
        obtain=tuple((t.key, t.source.obtain) for t in tasks if t.source.route == "manual"),
        incomplete=tuple([*_templates(catalogue), *_rows(catalogue, rows)]),
    )


def _split(catalogue: Catalogue, key: str, texts: bool, rows: Rows) -> SplitLine:
    split = catalogue.held_out(key)
    sides = [{t.dataset for t in side} for side in (split.tuning, split.evaluation)]
    shared, similar = None, None
    if texts:
        from flanlib.prompts.mixture import mixture

        audit = mixture(catalogue, key, seed=0, rows=rows).audit()
        shared, similar = audit.shared_texts, sum(t.n_similar for t in audit.tasks)
    return SplitLine(
        held_out=key,
        n_tuning=len(split.tuning),
        n_evaluation=len(split.evaluation),
        removed=tuple(split.removed),
        shared_datasets=tuple(sorted(sides[0] & sides[1])),
        shared_texts=shared,
        similar=similar,
    )


def _templates(catalogue: Catalogue) -> list[str]:
    """Template files that lack templates, or turn too many round."""
    found = []
    for stem in dict.fromkeys(t.template_set for t in catalogue.tasks.values()):
        own = templates.load(catalogue.root, stem).templates
        n_inverted = sum(t.inverted for t in own)
        if catalogue.name == "flan" and len(own) != TEMPLATES:
            found.append(f"templates/{stem}.yaml: {len(own)} templates, not {TEMPLATES}")
        if n_inverted > INVERTED:
            found.append(f"templates/{stem}.yaml: {n_inverted} inverted, more than {INVERTED}")
    return found


def _rows(catalogue: Catalogue, rows: Rows) -> list[str]:
    """Tasks without rows here that could have them."""
    why = sources.available(catalogue, rows)
    return [
        reason
        for key, reason in why.items()
        if reason and catalogue.task(key).source.route != "manual"
    ]


def roles(catalogue: Catalogue, cluster: str) -> pd.DataFrame:
    """What holding a cluster out does: columns cluster, role, why, tasks.

    Parameters
    ----------
    cluster
        Its key; several with `+` between.
    """
    split = catalogue.held_out(cluster)
    roles = {task.key: "tuning" for task in split.tuning}
    roles |= {task.key: "evaluation" for task in split.evaluation}
    rows = [
        (task.cluster, roles.get(task.key, "removed"), split.removed.get(task.key, ""), task.key)
        for task in catalogue.tasks.values()
    ]
    table = pd.DataFrame(rows, columns=["cluster", "role", "why", "tasks"])
    return table.groupby(["cluster", "role", "why"], sort=False, as_index=False).agg(", ".join)
