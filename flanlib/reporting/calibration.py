"""Whether the untuned model scores here what its makers say it scores.

Plain cloze questions are the nearest that is asked here to how model cards
measure. The study compares options by their summed log-likelihood; the
makers divide it by the option's length, without the space before it, and so
each dataset is scored that way as well, on the same rows and templates. Rows
are samples and some templates differ, so that a card's value near the
interval is agreement enough; one far off would point to a fault in the
model, its tokenizer or the scoring.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from flanlib.core.config import Scoring
from flanlib.results import effects, estimates, published, schema, store, validity
from flanlib.results.schema import Cell, Record
from flanlib.studies import coverage
from flanlib.studies.plans import base_run
from flanlib.studies.study import Study

PER_BYTE = Scoring(form="cloze", show_options=False, choice="byte")
COMPARED = {"base-cloze choice=byte": "per byte, as the card", "base-cloze": "summed, as the study"}
COLUMNS = (
    *("dataset", "options compared", "here", "low", "high", "n"),
    *("model card", "difference", "inside", "source"),
)


def cells(study: Study) -> list[Cell]:
    """What is asked of the untuned model as its card asks it; none where no card is known."""
    defaults, card = study.settings.defaults, published.model_card(study.settings.model)
    limits = {"templates_per_example": defaults.templates_per_example}
    scoring = replace(PER_BYTE, max_examples=defaults.max_examples, **limits)
    name = study.catalogue.name
    known = study.catalogue.tasks if name == published.COMPARED else {}
    keys = [key for line in card["tasks"] for key in line.split() if key in known]
    runs = {key: base_run(name, study.settings, known[key].cluster) for key in keys}
    return [(*run, scoring, key) for key, run in runs.items()]


def ensure(study: Study) -> pd.DataFrame:
    """Score what is not on record as the card scores; the table of `calibration`."""
    missing = store.missing(_per_byte(study), cells(study))
    study.compute(coverage.at_hand(missing, study.left_out), study.at, jobs=1)
    return calibration(study)


def calibration(study: Study) -> pd.DataFrame:
    """Cloze scores of a study's untuned model beside its model card.

    Returns
    -------
    See `compare`; empty where no card is known, or nothing of it on record.
    """
    records = [*study.records(study.at), *_per_byte(study)]
    return compare(study.settings.model, records, store.groups(study.at))


def compare(
    model: str, records: Sequence[Record], groups: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Recorded cloze scores beside those of the model card, dataset by dataset.

    Returns
    -------
    Columns dataset, options compared (per byte of an option, or by its sum), here,
    low, high (95 % interval over examples), n, model card, difference, inside
    (whether the card's value lies in the interval), source. Percent. A dataset of
    several tasks is their mean, and left out where one of them is not on record.
    """
    card = published.model_card(model)
    rows = []
    for line in card.itertuples():
        for arm, compared in COMPARED.items():
            mine = [r for r in records if r.dataset == line.dataset and effects.arm(r) == arm]
            if {r.task for r in mine} != set(line.tasks.split()):
                continue
            table = estimates.table(effects.named(mine), groups)
            one = table[table["dataset"] == line.dataset].iloc[0]
            inside = bool(one["low"] <= line.value <= one["high"])
            own = (one["value"], one["low"], one["high"], int(one["n"]), line.value)
            rows.append(
                (line.dataset, compared, *own, one["value"] - line.value, inside, line.source)
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _per_byte(study: Study) -> list[Record]:
    """Records of `cells`; those of today."""
    keys = {schema.key_of(cell) for cell in cells(study)}
    found = [record for record in store.load(study.at) if record.key in keys]
    return validity.current(found, study.today)
