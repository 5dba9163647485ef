"""Whether the untuned model scores here what its makers say it scores.

Plain cloze questions are the nearest that is asked here to how model cards
measure. Rows are samples and templates differ, so that a card's value near
the interval is agreement enough; one far off would point to a fault in the
model, its tokenizer or the scoring.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from flanlib import published, results
from flanlib.results import Record
from flanlib.studies import estimates
from flanlib.study import Study

CLOZE = "base-cloze"
COLUMNS = ["dataset", "here", "low", "high", "n", "model card", "difference", "inside", "source"]


def calibration(study: Study) -> pd.DataFrame:
    """Cloze scores of a study's untuned model beside its model card.

    Parameters
    ----------
    study
        Its records are read; nothing is computed.

    Returns
    -------
    See `compare`; empty where no card is known, or nothing of it on record.
    """
    return compare(study.settings.model, study.records(study.at), results.groups(study.at))


def compare(
    model: str, records: Sequence[Record], groups: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Recorded cloze scores beside those of the model card, dataset by dataset.

    Parameters
    ----------
    model
        As settings name it.
    records
        Of that model.
    groups
        Data digest -> group of each example, from `results.groups`.

    Returns
    -------
    Columns dataset, here, low, high (95 % interval over examples), n, model card,
    difference, inside (whether the card's value lies in the interval), source.
    Percent. A dataset of several tasks is their mean, and left out where one of
    them is not on record.
    """
    card = published.model_card(model)
    cloze = [r for r in records if estimates.arm(r) == CLOZE and r.dataset in set(card["dataset"])]
    found = {
        (dataset, frozenset(r.task for r in mine)): estimates.table(mine, groups)
        for dataset, mine in estimates.by(cloze, lambda r: r.dataset).items()
    }
    rows = []
    for (dataset, tasks), table in found.items():
        line = card[card["dataset"] == dataset].iloc[0]
        if tasks != set(line["tasks"].split()):
            continue
        one = table[table["dataset"] == dataset].iloc[0]
        inside = bool(one["low"] <= line["value"] <= one["high"])
        own = (one["value"], one["low"], one["high"], int(one["n"]), line["value"])
        rows.append((dataset, *own, one["value"] - line["value"], inside, line["source"]))
    return pd.DataFrame(rows, columns=COLUMNS)
