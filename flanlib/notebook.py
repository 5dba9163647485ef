"""Strict papermill: a wrong parameter is refused before a kernel starts.

Papermill itself only warns of a parameter that a notebook does not have, and
passes on whatever type it is given.
"""

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flanlib import folders, paths, profiles
from flanlib.errors import ParameterError, RunError

READERS = {
    "int": lambda text: int(text) if re.fullmatch(r"[+-]?\d+", text) else None,
    "float": lambda text: float(text) if _is_number(text) else None,
    "bool": lambda text: {"true": True, "false": False}.get(text.lower()),
}


@dataclass(frozen=True)
class Parameter:
    """A notebook's parameter, as its `parameters` cell states it.

    Attributes
    ----------
    type
        `str`, `int`, `float` or `bool`.
    default
        Python source of the default.
    meaning
        The comment behind it.
    """

    name: str
    type: str
    default: str
    meaning: str


def find(notebook: str | Path) -> Path:
    """A notebook's file: a path, or a stem below notebooks/.

    Raises
    ------
    ParameterError
        If there is no such file.
    """
    path = Path(notebook)
    if path.suffix != ".ipynb":
        path = paths.NOTEBOOKS / f"{notebook}.ipynb"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in paths.NOTEBOOKS.glob("*.ipynb")))
        raise ParameterError(f"notebook {str(notebook)!r}: no such file; there are {known}")
    return path


def parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters a notebook has, by name, in order.

    Raises
    ------
    ParameterError
        If one of them has no type or a type that cannot be checked.
    """
    from papermill import inspect_notebook

    path, found = find(notebook), {}
    try:
        inspected = inspect_notebook(str(path))
    except ValueError as error:
        raise ParameterError(f"{path}: {error} Set its kernelspec to python3.") from None
    for name, about in inspected.items():
        kind = about["inferred_type_name"]
        if kind not in ("str", *READERS):
            raise ParameterError(
                f"{path}: parameter {name!r} has type {kind!r}; annotate it as str, int, float"
                " or bool"
            )
        found[name] = Parameter(name, kind, about["default"], about["help"].strip())
    return found


def check(notebook: str | Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Given parameters as their declared types.

    Text is read as the type that the notebook declares, so that values from
    a command line and from Python are treated alike.

    Raises
    ------
    ParameterError
        On an unknown name, a value of another type, or settings that no
        study has; nothing was run.
    """
    known, checked = parameters(notebook), {}
    stem = find(notebook).stem
    for name, value in given.items():
        if name not in known:
            raise ParameterError(
                f"{stem}: no parameter {name!r}; there are {', '.join(known) or 'none'}"
            )
        checked[name] = _read(stem, known[name], value)
    shared = {field.name for field in fields(profiles.Settings)}
    profiles.settings(**{name: value for name, value in checked.items() if name in shared})
    return checked


def run(
    notebook: str | Path, out: str | Path | None = None, given: Mapping[str, Any] | None = None
) -> Path:
    """Check parameters, execute a notebook, keep the executed copy.

    What the notebook writes to stderr (progress) appears here as it comes.

    Parameters
    ----------
    out
        Executed copy; `build/notebooks/<stem>.ipynb` if not given.

    Returns
    -------
    Where the executed notebook is.

    Raises
    ------
    ParameterError
        Before a kernel starts.
    RunError
        If a cell fails; the copy is kept, with the error on top.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    path, values = find(notebook), check(notebook, given or {})
    out = Path(out) if out else paths.BUILD / "notebooks" / path.name
    folders.make(out.parent)
    began = time.monotonic()
    _say(f"{path.stem}: {', '.join(f'{k}={v!r}' for k, v in values.items()) or 'defaults'}")
    try:
        papermill.execute_notebook(
            str(path),
            str(out),
            parameters=values,
            kernel_name="python3",
            progress_bar=False,
            stderr_file=sys.stderr,
            extra_arguments=["--log-level=ERROR"],  # the kernel's own remarks
        )
    except papermill.PapermillExecutionError as error:
        raise RunError(
            f"{path.stem}: cell {error.cell_index} failed with {error.ename}: {error.evalue};"
            f" the notebook as far as it came is {out}"
        ) from None
    except DeadKernelError as error:
        _mark(out, f"The kernel died: {error}")
        raise RunError(
            f"{path.stem}: the kernel died, most often for lack of memory; the notebook as far as"
            f" it came is {out}"
        ) from None
    _say(f"{path.stem}: done in {time.monotonic() - began:.0f} s, {out}")
    return out


def _read(stem: str, parameter: Parameter, value: Any) -> Any:
    kinds = {"str": str, "int": int, "float": (float, int), "bool": bool}
    right = isinstance(value, kinds[parameter.type])
    if right and not (isinstance(value, bool) and parameter.type in ("int", "float")):
        return float(value) if parameter.type == "float" else value
    read = None
    if isinstance(value, str):
        read = READERS[parameter.type](value)
    if read is None:
        raise ParameterError(
            f"{stem}: parameter {parameter.name!r} is {parameter.type}"
            f" ({parameter.meaning}); found {value!r}"
        )
    return read


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _mark(out: Path, text: str) -> None:
    """Put what went wrong on top of an executed notebook."""
    import nbformat

    if out.is_file():
        found = nbformat.read(out, as_version=4)
        found.cells.insert(0, nbformat.v4.new_markdown_cell(f"**{text}**"))
        nbformat.write(found, out)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
