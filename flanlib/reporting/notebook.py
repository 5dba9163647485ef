"""Strict papermill: a wrong parameter is refused before a kernel starts.

Papermill itself only warns of a parameter that a notebook does not have, and
passes on whatever type it is given.
"""

import ast
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flanlib.core import bounds, folders, naming, paths, storage
from flanlib.core.errors import ParameterError, RunError
from flanlib.core.progress import say
from flanlib.data import catalogue
from flanlib.models import weights
from flanlib.studies import profiles

READERS = {"int": bounds.whole, "float": bounds.real, "bool": lambda text: BOOLS[text.lower()]}
BOOLS = {"true": True, "false": False}


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

    @property
    def default_value(self) -> str | int | float | bool | None:
        """The default itself; None where it is no literal."""
        try:
            return ast.literal_eval(self.default)
        except (ValueError, SyntaxError):
            return None


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
        known = sorted(p.stem for p in paths.NOTEBOOKS.glob("*.ipynb"))
        raise ParameterError(
            f"notebook {naming.shown(str(notebook))}: no such file"
            + naming.alternatives(str(notebook), known)
            + paths.elsewhere()
        )
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
    DataError
        If there is no such model.
    """
    known, checked = parameters(notebook), {}
    stem = find(notebook).stem
    for name, value in given.items():
        if name not in known:
            raise ParameterError(
                f"{stem}: no parameter {naming.shown(name)}{naming.alternatives(name, known)}"
            )
        checked[name] = _read(stem, known[name], value)
    shared = {field.name for field in fields(profiles.Settings)}
    settings = profiles.settings(**{n: v for n, v in checked.items() if n in shared})
    own = {n: v for n, v in checked.items() if n not in shared and v != known[n].default_value}
    _check_own(stem, settings, own)
    if settings.model not in (settings.defaults.model, *settings.defaults.ladder):
        weights.locate(settings.model)
    return checked


def _check_own(stem: str, settings: profiles.Settings, given: Mapping[str, Any]) -> None:
    """Refuse a cluster, dataset or number of steps that there is not."""
    found = catalogue.load(settings.collection)
    if "cluster" in given and given["cluster"] not in settings.clusters:
        raise ParameterError(
            f"{stem}: cluster {naming.shown(given['cluster'])} is not held out here"
            + naming.alternatives(given["cluster"], settings.clusters)
        )
    if "dataset" in given and given["dataset"] not in found.datasets():
        found.task(given["dataset"])
    if "steps" in given:
        bounds.check("steps", bounds.Count, given["steps"])


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
    say(f"{path.stem}: {', '.join(f'{k}={v!r}' for k, v in values.items()) or 'defaults'}")
    try:
        with _copy(out) as copy:
            papermill.execute_notebook(
                str(path),
                str(copy),
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
    except DeadKernelError:
        raise RunError(
            f"{path.stem}: the kernel died, most often for lack of memory; the notebook as far as"
            f" it came is {out}"
        ) from None
    say(f"{path.stem}: done in {time.monotonic() - began:.0f} s, {out}")
    return out


def _read(stem: str, parameter: Parameter, value: object) -> str | int | float | bool:
    kinds = {"str": str, "int": int, "float": (float, int), "bool": bool}
    right = isinstance(value, kinds[parameter.type])
    if right and not (isinstance(value, bool) and parameter.type in ("int", "float")):
        return float(value) if parameter.type == "float" else value
    try:
        if isinstance(value, str) and parameter.type in READERS:
            return READERS[parameter.type](value)
    except (ValueError, KeyError):
        pass
    raise ParameterError(
        f"{stem}: parameter {parameter.name!r} is {parameter.type}"
        f" ({parameter.meaning}); found {naming.shown(value)}"
    )


@contextmanager
def _copy(out: Path) -> Iterator[Path]:
    """A file for an executed notebook, as it grows; it comes to `out` in the end, whole."""
    import nbformat
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError

    with TemporaryDirectory() as folder:
        copy, error = Path(folder) / out.name, None
        try:
            yield copy
        except (PapermillExecutionError, DeadKernelError, KeyboardInterrupt) as caught:
            error = caught
        if copy.is_file():
            found = nbformat.read(copy, as_version=4)
            found.metadata.papermill.output_path = str(out)
            if isinstance(error, DeadKernelError):
                told = nbformat.v4.new_markdown_cell(f"**The kernel died: {error}**")
                found.cells.insert(0, told)
            storage.write(out, nbformat.writes(found) + "\n")
        if error:
            raise error
