"""Tensors in files with weights, and how they differ from what a model needs."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from flanlib.core.errors import DataError
from flanlib.models import weights

SHOWN = 3  # names told of many
PLAIN = ("F32", "BF16", "F16", "F64")  # numbers that stand for themselves

Shapes = Mapping[str, Collection[int]]


def misfit(missing: Collection[str], unexpected: Collection[str], file: Shapes, own: Shapes) -> str:
    """In which weights a file and a model differ; empty if in none.

    Parameters
    ----------
    missing, unexpected
        Names that the file lacks, and names that the model lacks.
    file, own
        Shapes in the file and in the model, of those whose shapes differ.

    Returns
    -------
    Counts, the first names, and the likely reason where there is one.
    """
    kinds = {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "misshapen": [f"{n}: {tuple(file[n])}, not {tuple(own[n])}" for n in sorted(file)],
    }
    said = [f"{len(found)} {kind} ({shortened(found)})" for kind, found in kinds.items() if found]
    return ", ".join(said) + (_reason(kinds["missing"], kinds["unexpected"]) if said else "")


def shortened(names: Sequence[str]) -> str:
    """The first few of many `names`, none longer than a line."""
    first = [name if len(name) <= 90 else f"{name[:87]}..." for name in names[:SHOWN]]
    return ", ".join([*first, *["..."][: len(names) > SHOWN]])


def _reason(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """Why names differ, where that can be seen, as the end of a sentence."""
    if extra := _between(unexpected, set(missing)):
        return (
            f"; the file's names carry {extra!r} and the model's do not, as wrappers leave it"
            " (DataParallel, torch.compile, a multimodal model): take it out of the names"
        )
    if extra := _between(missing, set(unexpected)):
        return f"; the file's names lack {extra!r}"
    if missing and not unexpected and all(re.search(r"\.\d+\.", name) for name in missing):
        return "; layers are named that the file does not have"
    if unexpected and not missing and all(re.search(r"\.\d+\.", name) for name in unexpected):
        return "; the file has layers that are not named"
    if missing and all(re.fullmatch(r"(lm_head|embed_out)\.(weight|bias)", n) for n in missing):
        return "; the head was not saved, and is not tied to the embeddings"
    if any(re.match(r"(score|classifier|qa_outputs|v_head)\b", name) for name in unexpected):
        return "; it was saved with a head for another task"
    return ""


def _between(longer: Sequence[str], shorter: Collection[str]) -> str:
    """Parts of a name that make it one of the shorter names when taken out."""
    for name in longer[:50]:
        parts = name.split(".")
        for start, end in combinations(range(len(parts)), 2):
            if ".".join([*parts[:start], *parts[end:]]) in shorter:
                return ".".join(parts[start:end]) + "."
    return ""


def not_finite(tensors: Iterable[tuple[str, torch.Tensor]]) -> list[str]:
    """Names of those of `tensors` that hold something else than finite floating-point numbers.

    4-bit weights are held to their scales.
    """
    found = []
    for name, tensor in tensors:
        state = getattr(tensor, "quant_state", None)
        value = tensor if state is None else state.offset if state.nested else state.absmax
        if not (value.is_floating_point() and bool(torch.isfinite(value).all())):
            found.append(name)
    return found


def tensors_of(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Name -> tensor of files with weights; pickles without running what is in them.

    Raises
    ------
    DataError
        Naming the file that cannot be read.
    """
    found: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                part = load_file(file)
            else:
                part = torch.load(file, map_location="cpu", weights_only=True)
            if not all(isinstance(t, torch.Tensor) for t in part.values()):
                raise TypeError("it holds something else than tensors")
        except Exception as error:  # safetensors, pickle and torch raise errors of their own
            raise _unreadable(file, error) from None
        found |= part
    return found


def check_floating(files: Sequence[Path]) -> None:
    """Refuse weights that were stored in whole numbers, or in 8 bits or fewer.

    They mean something only with scales and a way of loading of their own;
    transformers would take them for the weights themselves.

    Raises
    ------
    DataError
        Naming the file and the first such weight.
    """
    for file in files:
        kinds = _kinds(file)
        if odd := sorted(
            n for n, kind in kinds.items() if n.endswith("weight") and kind not in PLAIN
        ):
            raise DataError(
                f"{file}: {len(odd)} of {len(kinds)} weights are stored as {kinds[odd[0]]}"
                f" ({shortened(odd)}); give a checkpoint in {', '.join(PLAIN)}"
            )


def _kinds(file: Path) -> dict[str, str]:
    """Name -> number type of the tensors in a file, as safetensors calls it."""
    if file.suffix != ".safetensors":
        known = {torch.float16: "F16", torch.bfloat16: "BF16"}
        known |= {torch.float32: "F32", torch.float64: "F64"}
        return {n: known.get(t.dtype, str(t.dtype)) for n, t in tensors_of([file]).items()}
    try:
        with safe_open(file, "pt") as opened:
            names = opened.keys()
            return {name: opened.get_slice(name).get_dtype() for name in names}
    except Exception as error:  # safetensors raises errors of its own
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split())[:200]
    return DataError(
        f"{file}: cannot be read as weights ({type(error).__name__}: {text}); copy it"
        " again, or save it anew as safetensors"
    )


def check_one(folder: Path, names: tuple[str, ...]) -> None:
    """Refuse weights that lie in a folder twice and differ.

    Parameters
    ----------
    names
        As `weights.files` takes them; the first is what is loaded.

    Raises
    ------
    DataError
        Naming both files and the first weight that differs.
    """
    found = []
    for name in names:
        if (folder / name).is_file():
            found.append([folder / name])
        if (index := folder / f"{name}.index.json").is_file():
            found.append(weights.shards(index))
    if len(found) < 2:
        return
    one, two = map(tensors_of, found)
    both = sorted(one.keys() & two.keys())
    differ = [n for n in both if not _same(one[n], two[n])]
    if differ or not both:
        raise DataError(
            f"{folder}: {found[0][0].name} and {found[1][0].name} hold different weights"
            f" ({len(differ)} differ of {len(both)} in both: {shortened(differ)}); delete the one"
            " that is not meant"
        )


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    coarser = min(one.dtype, two.dtype, key=lambda dtype: dtype.itemsize)
    return one.shape == two.shape and torch.equal(one.to(coarser), two.to(coarser))
