"""How many tuning seeds are behind a figure, told by cluster where clusters differ."""

from collections.abc import Callable, Mapping

import pandas as pd

from flanlib.figures import style
from flanlib.results import effects


def told(table: pd.DataFrame) -> str:
    """How many tuning seeds are behind the values of a table that were measured, as text."""
    mine = table[table["value"].notna() & (table["seeds"] > 0)]
    each = mine[mine["cluster"] != effects.ALL].groupby("cluster", sort=False)["seeds"]
    spans = {cluster: _span(found) for cluster, found in each}
    if len(set(spans.values())) < 2:
        every = _span(mine["seeds"])
        return f"{every} tuning seed{'' if every == '1' else 's'}"
    told = split(spans, lambda cluster: style.title(cluster, short=True))
    return f"tuning seeds ({told})"


def split(of: Mapping[str, str], name: Callable[[str], str], others: str = "the others") -> str:
    """What differs from cluster to cluster, as text: `1: A, B; 3: the others`.

    Parameters
    ----------
    of
        Cluster -> what it has.
    name
        Of a cluster.
    others
        Stands for the clusters that have what most have, where these are three or more.

    Examples
    --------
    >>> split({"a": "3", "b": "1", "c": "3", "d": "3"}, str.upper)
    '1: B; 3: the others'
    >>> split({"a": "3", "b": "1"}, str.upper)
    '1: B; 3: A'
    """
    kinds: dict[str, list[str]] = {}
    for cluster, kind in of.items():
        kinds.setdefault(kind, []).append(name(cluster))
    most = max(kinds, key=lambda kind: len(kinds[kind]))
    said = {kind: ", ".join(names) for kind, names in kinds.items()}
    if len(kinds[most]) > 2:
        said[most] = others
    return "; ".join(f"{kind}: {said[kind]}" for kind in sorted(kinds))


def _span(seeds: pd.Series) -> str:
    """The least and the most of some numbers of seeds; one where they are the same."""
    ends = dict.fromkeys(str(int(n)) for n in (seeds.min(), seeds.max()) if n == n)
    return "–".join(ends) or "0"
