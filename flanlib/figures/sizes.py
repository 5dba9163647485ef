"""Sizes of models, and where they stand on an axis of sizes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flanlib import paths, storage
from flanlib.errors import DataError

REMEDY = "give a folder saved by transformers"


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


def n_parameters(model: str) -> int:
    """Parameters of a model in a folder; 0 where it cannot be told.

    From the record of pretraining, else from the heads of the safetensors
    files; a hub model that is not in a folder is not looked up.
    """
    for folder in (paths.MODELS / model, paths.BUILD / "models" / model, Path(model)):
        record = folder / "pretraining.json"
        if record.is_file():
            found = storage.read_json(record, REMEDY).get("n_parameters")
            if not isinstance(found, int) or found < 1:
                raise DataError(f"{record}: n_parameters is {found!r:.40}; {REMEDY}")
            return found
        if files := sorted(folder.glob("*.safetensors")):
            return sum(map(_n_stored, files))
    return 0


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"


def _n_stored(file: Path) -> int:
    """Numbers in a safetensors file, from its head alone."""
    try:
        with file.open("rb") as stream:
            size = min(int.from_bytes(stream.read(8), "little"), file.stat().st_size)
            head = json.loads(stream.read(size))
        return sum(math.prod(v["shape"]) for k, v in head.items() if k != "__metadata__")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise DataError(f"{file}: not a safetensors file; {REMEDY}") from None
