"""Sizes of models, and where they stand on an axis of sizes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """An axis of models.

    Attributes
    ----------
    places, names
        Model -> where it stands, and what is written there.
    label
        The axis's.
    named
        Whether models stand in order, by name, for want of sizes.
    """

    places: dict[str, float]
    names: dict[str, str]
    label: str
    named: bool = False


def scale(models: Sequence[str], sizes: Mapping[str, int]) -> Scale:
    """By the logarithm of parameters where all are known, else in order.

    Parameters
    ----------
    models
        From small to large where sizes are not known: they then stand in order.
    sizes
        Model -> parameters.
    """
    if not models or set(models) - set(sizes):
        names = {model: model.rpartition("/")[2] for model in models}
        return Scale({model: float(n) for n, model in enumerate(models)}, names, "model", True)
    known = {model: sizes[model] for model in models}
    word, unit = ("billion", 1e9) if max(known.values()) >= 1e9 else ("million", 1e6)
    return Scale(
        {model: math.log10(n) for model, n in known.items()},
        {model: _short(n / unit) for model, n in known.items()},
        f"{word} parameters, log scale",
    )


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"
