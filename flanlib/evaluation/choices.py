"""Which option a model chooses, how sure it is, and what sways it."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from flanlib.core.errors import ParameterError

Choice = Literal["sum", "token", "byte", "pmi"]
KEYS = ["template", "example"]
# Nats by which two log-likelihoods of one prompt may change places: twice the largest difference
# from float32 that was seen in 135 M parameters with real rows.
ROUNDING = {"bfloat16": 0.16, "float16": 0.16}
BINS = 10  # of confidence: of the error, of its interval and of the curve; records hold them


def compared(table: pd.DataFrame, choice: Choice = "sum") -> pd.Series:
    """What options are compared by, one value per row of a rank table.

    Parameters
    ----------
    choice
        `sum`: the log-likelihood; `token`, `byte`: the same per token or
        byte of the option; `pmi`: less that without the question.

    Raises
    ------
    ParameterError
        If there is no such choice, or `pmi` lacks the column `ll_null`.
    """
    if choice == "sum":
        return table["ll"]
    if choice == "token":
        return table["ll"] / table["n_tokens"]
    if choice == "byte":
        return table["ll"] / table["n_bytes"]
    if choice == "pmi":
        if "ll_null" not in table:
            raise ParameterError("choice 'pmi' needs the column ll_null; score with calibrate=True")
        return table["ll"] - table["ll_null"]
    raise ParameterError(f"no choice {choice!r}; there are sum, token, byte, pmi")


def choices(table: pd.DataFrame, choice: Choice = "sum") -> pd.DataFrame:
    """The option chosen for each prompt of a rank table; of equals, the first.

    Returns
    -------
    `template, example, gold, option, margin` (nats to the second),
    `confidence` (softmax over the options)
    """
    work = table[[*KEYS, "option", "gold"]].assign(value=compared(table, choice))
    ordered = work.sort_values(["value", "option"], ascending=[False, True], kind="stable")
    groups = ordered.groupby(KEYS, sort=False)
    best = groups.head(1).set_index(KEYS)
    second = groups.head(2).groupby(KEYS, sort=False)["value"].last()
    top = groups["value"].transform("max")
    mass = np.exp(ordered["value"] - top).groupby([ordered[k] for k in KEYS], sort=False).sum()
    best = best.assign(margin=best["value"] - second, confidence=1 / mass)
    return best.drop(columns="value").reset_index()


def error_of(bins: Sequence[Sequence[float]]) -> float:
    """Expected calibration error, percent, of `bins` as `responses` gives them."""
    prompts, confidence, right = np.array(bins).T
    return float((prompts * np.abs(right - confidence)).sum() / prompts.sum())


def _within(number: int, percent: float) -> float:
    """A rounded mean that did not leave its bin by rounding; the last bin has its upper end."""
    return min(percent, 100.0 if number == BINS - 1 else round(100 * (number + 1) / BINS - 0.01, 2))


def n_cut(table: pd.DataFrame) -> int:
    """How many prompts of a score table were shortened to fit."""
    return int((table.groupby(KEYS, sort=False)["n_cut"].first() > 0).sum())


def responses(table: pd.DataFrame, choice: Choice = "sum", dtype: str = "") -> dict[str, Any]:
    """How a model answers, over all templates of a rank table.

    Parameters
    ----------
    dtype
        Of computing; of a type in `ROUNDING` the close calls are counted.

    Returns
    -------
    `reliability`, per bin (`BINS` of equal width over the confidence) `[prompts,
    mean confidence, accuracy]` in percent, empty bins left out;
    `calibration_error` of these bins, in percent; `chosen` and `gold`, percent
    of prompts per place of the option; `close`, percent of prompts whose best
    two options are closer than the type's rounding.
    """
    best = choices(table, choice)
    right = best["option"] == best["gold"]
    bins = np.minimum((best["confidence"] * BINS).astype(int), BINS - 1)
    reliability = [
        [
            len(part),
            _within(number, round(100 * part["confidence"].mean(), 2)),
            round(100 * right[part.index].mean(), 2),
        ]
        for number, part in best.groupby(bins)
    ]
    places = range(int(table["option"].max()) + 1)
    within = ROUNDING.get(dtype)
    close = {"close": round(float(100 * (best["margin"] < within).mean()), 2)} if within else {}
    return {
        **close,
        "calibration_error": round(error_of(reliability), 2),
        "reliability": reliability,
        **{
            name: [round(100 * float((best[column] == place).mean()), 2) for place in places]
            for name, column in (("chosen", "option"), ("gold", "gold"))
        },
    }
