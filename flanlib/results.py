"""Records of what was measured: one JSON line per (run, task), with provenance.

`data/results/<collection>/<arm>.jsonl` holds the records of an arm, and
`examples.jsonl` beside them which examples they were measured on. Nothing is
ever filled in: a cell that is not there raises `MissingResultError`.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flanlib import paths
from flanlib.config import STRICT, Factors, Form, Recipe, digest, run_id
from flanlib.errors import DataError, MissingResultError
from flanlib.rows.adapters import Example
from flanlib.templates import Template

Choice = Literal["sum", "token", "byte", "pmi"]
TOLERANCE = 0.02  # percent points between a value and the mean of its templates


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Scoring:
    """How a run is scored; part of a record's key.

    Attributes
    ----------
    form
        How questions are phrased.
    show_options
        Whether the OPTIONS block follows the request.
    choice
        How log-likelihoods of options of unequal length are compared.
    split
        `eval` is the test; recipes are chosen on `dev`.
    max_examples
        Most examples of one task; 0 is all of them.
    shots
        Solved train examples in front of each question, as many of them as
        fit.
    turned
        Whether the OPTIONS block shows them in reverse.
    """

    form: Form = "instruction"
    show_options: bool = True
    choice: Choice = "sum"
    split: Literal["eval", "dev"] = "eval"
    max_examples: Annotated[int, Field(ge=0)] = 120
    shots: Annotated[int, Field(ge=0, le=64)] = 0
    turned: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record:
    """One task scored by one run.

    Attributes
    ----------
    value, stderr, low, high
        Percent: mean over templates, its standard error over examples, and
        the ends of its 95 % interval; None where one group is all there is.
        A correlation may be negative.
    chance
        Percent that guessing one of the options gets; 0 for free text.
    n
        Examples scored.
    templates
        Template id -> value with that template, in percent.
    scores
        Per example, in the order of `examples.jsonl`: the mean over
        templates, in percent. What paired intervals are made from.
    signature
        How the metric was computed, where a library says.
    answering
        Of a task that ranks: which options were chosen and how surely; see
        `choices.answering`.
    data, phrasing, mixture
        Digests of the examples, of the templates they were asked with, and
        of what the model was tuned on.
    tuning
        What tuning the model took: `device`, `wall_s`, `n_tokens` (prompt
        and target), `peak_memory_gib`. Empty for a base, and in records older
        than this field.
    sample
        The first example as asked and as answered; for the eye.
    """

    run_id: str
    factors: Factors
    recipe: Recipe
    scoring: Scoring
    task: str
    dataset: str
    cluster: str
    kind: Literal["rank", "generate"]
    metric: str
    value: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    chance: Annotated[float, Field(ge=0, le=100)]
    n: Annotated[int, Field(ge=1)]
    templates: Annotated[dict[str, float], Field(min_length=1)]
    scores: tuple[float, ...]
    signature: str = ""
    answering: dict[str, Any] = Field(default_factory=dict)
    data: str
    phrasing: str
    mixture: str = ""
    tuning: dict[str, float | str] = Field(default_factory=dict)
    sample: dict[str, Any] = Field(default_factory=dict)
    commit: str
    versions: dict[str, str]
    device: str
    started: str
    wall_s: Annotated[float, Field(ge=0)]

    def __post_init__(self) -> None:
        if (expected := run_id(self.factors, self.recipe)) != self.run_id:
            raise ValueError(f"run_id {self.run_id} is not {expected}, that of its settings")
        mean = sum(self.templates.values()) / len(self.templates)
        if abs(mean - self.value) > TOLERANCE:
            raise ValueError(f"value {self.value} is not {mean:.2f}, the mean of its templates")
        if len(self.scores) != self.n:
            raise ValueError(f"n is {self.n} but there are {len(self.scores)} scores")

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two records share: run, scoring, task."""
        return self.run_id, digest(asdict(self.scoring)), self.task

    @property
    def cell(self) -> "Cell":
        """What this record fills."""
        return self.factors, self.recipe, self.scoring, self.task

    @property
    def place(self) -> tuple:
        """Where the line stands in its file."""
        factors = self.factors
        return factors.model, factors.held_out, self.task, factors.seed, *self.key


RECORD = TypeAdapter(Record)
Cell = tuple[Factors, Recipe, Scoring, str]  # what is scored how, and on which task


def folder(collection: str, root: Path | None = None) -> Path:
    """Where a collection's records are: below `root`, or data/results."""
    return (root or paths.RESULTS) / Path(collection).name


def append(records: Sequence[Record], at: Path) -> int:
    """Add records to a folder, skipping keys that are there.

    Each file is replaced in one step, under a lock, with its lines sorted,
    so that parallel runs lose nothing and diffs stay local.

    Returns
    -------
    How many were new.
    """
    at.mkdir(parents=True, exist_ok=True)
    new = 0
    with _lock(at):
        for arm in sorted({r.factors.arm for r in records}):
            path = at / f"{arm}.jsonl"
            known = {r.key: r for r in _read(path)}
            for record in records:
                if record.factors.arm == arm and record.key not in known:
                    known[record.key] = record
                    new += 1
            ordered = sorted(known.values(), key=lambda r: r.place)
            _write(path, (_line(asdict(r)) for r in ordered))
    return new


def note_examples(examples: Sequence[Example], at: Path) -> str:
    """Store ids and groups of the examples a task was scored on, once.

    Returns
    -------
    The digest that records carry in `data`.
    """
    mark = data_digest(examples)
    ids, groups = [e.id for e in examples], [e.group for e in examples]
    _note({mark: {"data": mark, "task": examples[0].task, "ids": ids, "groups": groups}}, at)
    return mark


def take(records: Sequence[Record], source: Path, at: Path) -> int:
    """Add `records` of the folder `source` to those of `at`, with their examples."""
    marks = {record.data for record in records}
    found = _read_examples(source / "examples.jsonl")
    _note({mark: row for mark, row in found.items() if mark in marks}, at)
    return append(records, at)


def _note(rows: Mapping[str, dict[str, Any]], at: Path) -> None:
    at.mkdir(parents=True, exist_ok=True)
    with _lock(at):
        known = _read_examples(at / "examples.jsonl")
        if set(rows) - set(known):
            ordered = sorted((known | rows).values(), key=lambda r: (r["task"], r["data"]))
            _write(at / "examples.jsonl", map(_line, ordered))


def data_digest(examples: Sequence[Example]) -> str:
    """Identity of a list of examples, in order."""
    return digest(
        [[e.task, e.id, dict(e.fields), e.options, e.gold, e.answers, e.group] for e in examples]
    )


def phrasing_digest(templates: Sequence[Template]) -> str:
    """Identity of the templates a task was asked with."""
    return digest([[t.id, t.input, t.target, t.answers] for t in templates])


def load(at: Path) -> list[Record]:
    """All records of a folder, in file order; none is an empty list.

    Raises
    ------
    DataError
        Naming file, line and field of a record that is not one.
    """
    return [record for path in sorted(at.glob("*.jsonl")) for record in _read(path)]


def groups(at: Path) -> dict[str, tuple[str, ...]]:
    """Data digest -> the group of each example (its id where it has none)."""
    return {
        mark: tuple(g or i for g, i in zip(row["groups"], row["ids"], strict=True))
        for mark, row in _read_examples(at / "examples.jsonl").items()
    }


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Tidy table, one row per record.

    Columns are the factors, the scoring (as `asked_<field>`, since a model
    may be tuned on one form and asked in another), the recipe's digest, and
    the record's own fields.
    """
    rows = []
    for record in records:
        row = asdict(record)
        factors, scoring, recipe = row.pop("factors"), row.pop("scoring"), row.pop("recipe")
        asked = {f"asked_{name}": value for name, value in scoring.items()}
        rows.append({**factors, **asked, "recipe": digest(recipe), **row})
    return pd.DataFrame(rows)


def missing(records: Iterable[Record], cells: Iterable[Cell]) -> list[Cell]:
    """Cells that no record fills, in their order."""
    known = {record.key for record in records}
    return [cell for cell in cells if key_of(cell) not in known]


def key_of(cell: Cell) -> tuple[str, str, str]:
    """The key that the record of a cell has."""
    factors, recipe, scoring, task = cell
    return run_id(factors, recipe), digest(asdict(scoring)), task


def require(records: Iterable[Record], cells: Iterable[Cell]) -> None:
    """Raise `MissingResultError` naming each cell that no record fills."""
    absent = missing(records, cells)
    if not absent:
        return
    shown = "\n".join(f"  {describe(cell)}" for cell in absent[:50])
    more = f"\n  and {len(absent) - 50} more" if len(absent) > 50 else ""
    raise MissingResultError(
        f"{len(absent)} results are not recorded:\n{shown}{more}\n"
        "compute them with `flanlib run`, or with `study.ensure()` in a notebook"
    )


def describe(cell: Cell) -> str:
    """A cell in one line: what differs from the defaults."""
    factors, recipe, scoring, task = cell
    parts = [f"{factors.collection}/{task}", factors.arm, f"model {factors.model}"]
    if factors.arm != "base":
        parts += [f"held out {factors.held_out}", f"seed {factors.seed}"]
    for settings, plain in ((factors, Factors()), (scoring, Scoring())):
        for name, value in asdict(settings).items():
            if name in {"collection", "model", "held_out", "arm", "seed"}:
                continue
            if value != getattr(plain, name):
                parts.append(f"{name} {value}")
    return ", ".join(parts) + f" (run {run_id(factors, recipe)})"


@contextmanager
def _lock(at: Path) -> Iterator[None]:
    path = paths.CACHE / "locks" / f"{digest(str(at.resolve()))}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def _write(path: Path, lines: Iterable[str]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    temporary.replace(path)


def _read(path: Path) -> list[Record]:
    if not path.is_file() or path.name == "examples.jsonl":
        return []
    records = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                records.append(RECORD.validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "record"
                raise DataError(
                    f"{path}, line {number}: {where}: {first['msg']};"
                    " restore the file with git, or delete the line and compute it again"
                ) from None
    return records


def _read_examples(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as lines:
        return {row["data"]: row for row in map(json.loads, lines)}
