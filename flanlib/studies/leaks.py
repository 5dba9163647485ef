"""Leaks: rows that share text with evaluation rows, counted in the rows themselves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from flanlib.core.errors import MissingResultError
from flanlib.data import sources
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.prompts import overlap
from flanlib.prompts.mixture import mixture
from flanlib.results.effects import ALL, COLUMNS

BARRED, KEPT = "not tuned on", "tuned on"
SHARED, DROPPED = "rows that share text", "rows dropped for sharing text"


def count(
    catalogue: Catalogue,
    groups: Sequence[Sequence[str]],
    *,
    seed: int,
    rows: Rows = None,
    limit: int = 0,
) -> pd.DataFrame:
    """Train rows that share text with evaluation rows: barred, and tuned on.

    Text is shared when the whole of it is the same, or 13 words in a row.
    The rows tuned on are read back from the very mixture and compared once
    more; the barred ones show that the comparison finds what there is.

    Parameters
    ----------
    groups
        Clusters held out together, a mixture each.
    limit
        Train rows read per task; 0 is the cap of 30 000.

    Returns
    -------
    Arms `BARRED` and `KEPT` per cluster evaluated, and of all together (rows
    of several mixtures are counted once in each): `value` rows that share text of
    `n` rows; statistic `DROPPED` counts those that the mixtures dropped. Counts of
    all rows, so there is no interval.
    """
    found = [row for g in groups for row in _leaks_of(catalogue, g, seed, rows, limit)]
    names = ["statistic", "arm", "cluster"]
    counted = pd.DataFrame(found).groupby(names, sort=False, as_index=False).sum()
    empty = dict.fromkeys(("against", "x", "against_x", "dataset"), "")
    about = {"group": "leaks", "low": np.nan, "high": np.nan, "seeds": 0, "source": "counted"}
    return counted.assign(**empty, **about)[COLUMNS]


def _leaks_of(
    catalogue: Catalogue, clusters: Sequence[str], seed: int, rows: Rows, limit: int
) -> Iterator[dict]:
    """Counts of one group's mixture."""
    held = "+".join(clusters)
    mixed = mixture(catalogue, held, seed=seed, rows=rows, limit=limit or None)
    known = {key: _texts(catalogue, key, rows) for key in clusters}
    tuned = {task.key for task in catalogue.held_out(held).tuning}
    barred = [task for task in catalogue.tasks.values() if task.key not in tuned]
    counts = {
        BARRED: _shared(_train(catalogue, barred, rows, limit), known),
        KEPT: _shared((mixed.store[i] for i in range(len(mixed.store))), known),
    }
    for arm, (n, shared) in counts.items():
        for key, value in shared.items():
            yield {"arm": arm, "statistic": SHARED, "cluster": key, "value": value, "n": n}
    read, dropped = (sum(getattr(t, name) for t in mixed.tasks) for name in ("n_read", "n_similar"))
    yield {"arm": KEPT, "statistic": DROPPED, "cluster": ALL, "value": dropped, "n": read}


def _texts(catalogue: Catalogue, cluster: str, rows: Rows) -> overlap.Texts:
    """Texts of a cluster's dev and evaluation rows."""
    found = overlap.Texts()
    for task in catalogue.of_cluster(cluster):
        for part in ("dev", "eval"):
            try:
                found.add(sources.examples(catalogue, task, part, rows=rows))
            except MissingResultError:
                continue  # the mixture's own account names tasks that could not be read
    return found


def _train(catalogue: Catalogue, tasks: Iterable[Task], rows: Rows, limit: int) -> Iterator:
    for task in tasks:
        try:
            yield from sources.examples(catalogue, task, "train", rows=rows, limit=limit or None)
        except MissingResultError:
            continue


def _shared(examples: Iterable, known: Mapping[str, overlap.Texts]) -> tuple[int, dict[str, int]]:
    """How many examples there are, and how many share text with each cluster, and with any."""
    n, found = 0, dict.fromkeys([*known, ALL], 0)
    for example in examples:
        n += 1
        hits = [
            k for k, texts in known.items() if texts.repeats(example) or texts.resembles(example)
        ]
        for key in [*hits, *([ALL] if hits else [])]:
            found[key] += 1
    return n, found
