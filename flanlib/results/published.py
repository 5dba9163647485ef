"""Published numbers of the FLAN paper, each with its status.

Source
------
Wei et al. 2022 (arXiv 2109.01652); `data/published/README.md` says how each
number was checked.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from flanlib.core import paths
from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task

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
COMPARED = "flan"  # the collection whose datasets are the paper's
PRINTED = {  # its tasks, and their rows of Tables 1 and 2
    **{"anli_r1": "ANLI R1", "anli_r2": "ANLI R2", "anli_r3": "ANLI R3", "cb": "CB"},
    **{"mnli_matched": "MNLI-m", "mnli_mismatched": "MNLI-mm", "qnli": "QNLI", "rte": "RTE"},
    **{"snli": "SNLI", "wnli": "WNLI", "copa": "COPA", "hellaswag": "HellaSwag", "piqa": "PiQA"},
    **{"story_cloze": "StoryCloze", "imdb_reviews": "IMDB", "sentiment140": "Sent140"},
    **{"sst2": "SST-2", "yelp_polarity_reviews": "Yelp", "glue_mrpc": "MRPC", "glue_qqp": "QQP"},
    **{"paws_wiki": "PAWS", "arc_easy": "ARC-e", "arc_challenge": "ARC-c"},
    **{"natural_questions": "NQ", "trivia_qa": "TQA (tfds-dev)", "common_gen": "CommonGen"},
    **{"dart": "DART", "e2e_nlg": "E2ENLG", "web_nlg_en": "WebNLG", "wmt14_enfr": "WMT14 En-Fr"},
    **{"wmt16_translate_deen": "WMT16 De-En", "wmt16_translate_roen": "WMT16 Ro-En"},
    **{"bool_q": "BoolQ", "drop": "DROP", "multirc": "MultiRC", "openbookqa": "OBQA"},
    **{"squad_v1": "SQuADv1", "squad_v2": "SQuADv2", "cosmos_qa": "CosmosQA", "record": "ReCoRD"},
    **{"definite_pronoun_resolution": "DPR", "winogrande": "Winogrande", "wsc273": "WSC273"},
}
METRICS = {  # of tasks, as the tables print them
    **{"accuracy": "acc", "record_em": "acc/EM", "nq_open_em": "EM", "trivia_qa_em": "EM"},
    **{"drop_f1": "F1", "multirc_f1": "F1", "squad_f1": "F1", "bleu": "BLEU"},
    "rouge_lsum": "Rouge-L",
}
NOT_COMPARED = ["DROP", "SQuADv2", "SST-2"]  # with zero-shot GPT-3
TWICE = "TQA (wiki)"  # a part of TQA (tfds-dev)


def cells() -> pd.DataFrame:
    """Tables 1 and 2, one number a row.

    Returns
    -------
    Columns table, dataset, cluster (key), metric, column, value, status;
    cells without a value are left out.
    """
    frame = _read("flan_cells.csv").dropna(subset=["value"])
    names = ["table", "dataset", "cluster", "metric", "column", "value", "status"]
    return frame[names].reset_index(drop=True)


def scores() -> pd.DataFrame:
    """Tables 1 and 2, one dataset and metric a row; what was not reported is NaN.

    Where a dataset has no development rows (WSC273), the mean over templates stands for the
    template that is best on them, as where the paper counts.

    Returns
    -------
    Index cluster, dataset, metric; a column each of the tables', such as `gpt3_zero`.
    """
    keys = ["cluster", "dataset", "metric"]
    found = cells().pivot(index=keys, columns="column", values="value")
    return found.assign(flan_zero_best=found["flan_zero_best"].fillna(found["flan_zero_avg"]))


def ahead_of_gpt3() -> tuple[int, int]:
    """On how many datasets zero-shot FLAN, best template on dev, is ahead, and of how many.

    Left out are those whose zero-shot GPT-3 is not comparable, and SST-2, which the GPT-3 paper
    does not have.
    """
    both = scores().drop(NOT_COMPARED, level="dataset").dropna(subset=["gpt3_zero"])
    return int((both["flan_zero_best"] > both["gpt3_zero"]).sum()), len(both)


def points(figure: str) -> pd.DataFrame:
    """What one of the paper's figures, such as `fig10`, plots: series, x, y, status, cluster.

    `y` is text where the figure shows a name. `cluster` is empty where `x`
    is no cluster.

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


def contamination() -> pd.DataFrame:
    """Overlap of evaluation sets with LaMDA-PT's pretraining data, one set a row.

    An example is clean when no n-gram of it is in that data. FLAN is scored with one template.

    Returns
    -------
    Columns dataset, metric, n_total, score_total, n_clean, score_clean, percent_clean,
    percent_difference (of the score on clean examples to that on all), status.
    """
    return _read("flan_contamination.csv").drop(columns="source")


def tasks() -> pd.DataFrame:
    """The 62 datasets as tasks of the released code: sizes, templates."""
    return _read("flan_clusters.csv")


def cluster_means(columns: Sequence[str]) -> pd.DataFrame:
    """Mean over a cluster's datasets, per column, where all columns have a value.

    Only datasets with a value in every one of `columns` enter, so that models are compared on
    the same ones. TriviaQA, printed twice, counts once, on its whole development set; a dataset
    of struct to text has three Rouge scores, and all of them enter.

    Parameters
    ----------
    columns
        Such as `flan_zero_avg`; `data/published/README.md` has them.

    Returns
    -------
    Columns cluster, column, value, n (datasets), status (`verified` only when every value is
    firm).
    """
    found = scores().drop(TWICE, level="dataset")[list(columns)].dropna()
    every = cells()
    weak = every.loc[every["column"].isin(columns) & ~every["status"].isin(FIRM), "dataset"]
    rows = []
    for cluster, part in found.groupby(level="cluster"):
        names = part.index.unique("dataset")
        status = "recalled" if names.isin(weak).any() else "verified"
        rows += [(cluster, c, part[c].mean(), len(names), status) for c in columns]
    return pd.DataFrame(rows, columns=["cluster", "column", "value", "n", "status"])


def of_tasks(tasks: Iterable[Task]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of Tables 1 and 2 that tasks of `flan` have, by dataset, and what has none.

    A dataset's value is the mean over its tasks, where each has one in the task's own metric.

    Returns
    -------
    Columns cluster, dataset (both keys), column, value, status; and dataset without a row -> why.
    """
    table = cells()
    known = table.drop_duplicates(["dataset", "metric"]).groupby("dataset")["metric"].agg(list)
    members: dict[tuple[str, str], list[str]] = {}
    why: dict[str, str] = {}
    for task in tasks:
        name, metric = PRINTED.get(task.key, ""), METRICS.get(task.metric, "")
        if not name:
            why[task.dataset] = "not in the paper's tables"
        elif metric not in known[name]:
            why[task.dataset] = f"{', '.join(known[name])} in the paper, {task.metric} here"
        members.setdefault((task.cluster, task.dataset), []).append(f"{name} {metric}")
    places = table["dataset"] + " " + table["metric"]
    rows = []
    for (cluster, dataset), names in members.items():
        part = table[places.isin(names)] if dataset not in why else table[:0]
        for column, mine in part.groupby("column", sort=False):
            if len(mine) == len(names):
                status = "verified" if mine["status"].isin(FIRM).all() else "recalled"
                rows.append((cluster, dataset, column, mine["value"].mean(), status))
    return pd.DataFrame(rows, columns=["cluster", "dataset", "column", "value", "status"]), why


def model_card(model: str) -> pd.DataFrame:
    """Zero-shot scores that a model's makers print: dataset, tasks, metric, value, source.

    Parameters
    ----------
    model
        Name in `data/models.yaml`; of another there are no rows.
    """
    frame = _read("model_card.csv")
    return frame[frame["model"] == model].drop(columns="model").reset_index(drop=True)


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
