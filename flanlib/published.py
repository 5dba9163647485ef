"""Published numbers of the FLAN paper, each with its status.

Source
------
Wei et al. 2022 (arXiv 2109.01652); `data/published/README.md` says how each
number was checked.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from flanlib import paths
from flanlib.errors import DataError

CLUSTERS = {
    "NLI": "nli",
    "Natural language inference": "nli",
    "Commonsense": "commonsense",
    "Sentiment": "sentiment",
    "Paraphrase": "paraphrase",
    "Closed-book QA": "closed_book_qa",
    "Struct to text": "struct_to_text",
    "Translation": "translation",
    "Reading comprehension": "reading_comprehension",
    "Read. comp. w/ commonsense": "reading_comprehension_commonsense",
    "Coreference": "coreference",
    "Misc.": "misc",
    "Summarization": "summarization",
}
STATUSES = ("verified", "corrected", "recalled", "read-off", "absent")
FIRM = frozenset({"verified", "corrected"})
MODELS = {
    "gpt3_zero": "GPT-3 175B zero-shot",
    "lamda_pt_zero": "LaMDA-PT 137B zero-shot",
    "flan_zero_avg": "FLAN 137B zero-shot",
}


def cells() -> pd.DataFrame:
    """Tables 1 and 2, one number a row.

    Returns
    -------
    Columns table, dataset, cluster (key), metric, column, value, status;
    cells without a value are left out.
    """
    frame = _read("flan_cells.csv").dropna(subset=["value"])
    columns = ["table", "dataset", "cluster", "metric", "column", "value", "status"]
    return frame[columns].reset_index(drop=True)


def points(figure: str) -> pd.DataFrame:
    """What one of the paper's figures plots: series, x, y, status, cluster.

    `y` is text where the figure shows a name. `cluster` is empty where `x`
    is no cluster.

    Parameters
    ----------
    figure
        Key in the file, such as `fig10`.

    Raises
    ------
    DataError
        If there is no such figure.
    """
    frame = _read("flan_ablations.csv")
    known = sorted(frame["figure"].unique())
    if figure not in known:
        raise DataError(f"flan_ablations.csv: no figure {figure!r}; there are {known}")
    frame = frame[(frame["figure"] == figure) & (frame["status"] != "absent")]
    frame = frame.assign(cluster=frame["x"].map(CLUSTERS).fillna(""))
    return frame[["series", "x", "y", "status", "cluster"]].reset_index(drop=True)


def tasks() -> pd.DataFrame:
    """The 62 datasets as tasks of the released code: sizes, templates."""
    return _read("flan_clusters.csv")


def training() -> pd.DataFrame:
    """Settings of the paper's tuning and evaluation."""
    return _read("flan_training.csv")


def cluster_means(columns: tuple[str, ...] = tuple(MODELS)) -> pd.DataFrame:
    """Mean over a cluster's datasets, per model, where all models have it.

    Only datasets with a value in every one of `columns` enter, so that the
    models are compared on the same ones.

    Returns
    -------
    Columns cluster, column, value, n (datasets), n_recalled (values that are
    not firm), status (`verified` only when every value is firm).
    """
    frame = cells()
    frame = frame[frame["column"].isin(columns)]
    counts = frame.groupby(["cluster", "dataset"])["column"].transform("nunique")
    frame = frame[counts == len(columns)].assign(weak=~frame["status"].isin(FIRM))
    means = frame.groupby(["cluster", "column"], as_index=False).agg(
        value=("value", "mean"), n=("value", "size"), n_recalled=("weak", "sum")
    )
    return means.assign(status=means["n_recalled"].map(lambda n: "recalled" if n else "verified"))


def without(table: pd.DataFrame) -> pd.DataFrame:
    """A figure's table without what is published, for clusters that are not FLAN's.

    Parameters
    ----------
    table
        With a column `source`, or `in_paper`; another is given back.
    """
    if "source" in table:
        table = table[~table["source"].astype(str).str.startswith("published")]
    return table.assign(in_paper=0) if "in_paper" in table else table


@cache
def _read(name: str) -> pd.DataFrame:
    path: Path = paths.PUBLISHED / name
    if not path.is_file():
        raise DataError(f"{path}: not there; it is tracked, so restore it with git")
    frame = pd.read_csv(path)
    if unknown := sorted(set(frame.get("status", pd.Series(dtype=str))) - set(STATUSES)):
        raise DataError(f"{path}: status {unknown[0]!r} is none of {', '.join(STATUSES)}")
    if "cluster" in frame:
        if strange := sorted(set(frame["cluster"]) - set(CLUSTERS)):
            raise DataError(f"{path}: cluster {strange[0]!r} is none of {', '.join(CLUSTERS)}")
        frame["cluster"] = frame["cluster"].map(CLUSTERS)
    if "value" in frame and name == "flan_cells.csv":
        frame["value"] = pd.to_numeric(frame["value"])
    return frame
