"""What a record is: one task scored by one run, its key, and where it came from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from flanlib.core.config import STRICT, Factors, Recipe, Scoring, digest, run_id, told
from flanlib.data.adapters import Example
from flanlib.prompts.template import Template

# Of a record's line. Lines without a number are of the first schema.
SCHEMA = 3
# Names that the first schema had.
RENAMED = {"answering": "responses", "turned": "reversed_options", "sure": "reliability"}
# Of the first two schemas: an interval, which `estimates` makes from scores and standard error.
DROPPED = ("low", "high")
Percent = Annotated[float, Field(ge=-100, le=100)]
TOLERANCE = 0.02  # percentage points between a value and the mean of its templates


# What a record was made from: where it differs, a value may differ by right.
CONDITIONS = (
    "dataset",
    "cluster",
    "kind",
    "metric",
    "data",
    "phrasing",
    "mixture",
    "training_data",
    "base_digest",
    "tokenizer_digest",
    "dtype",
)
OPTIONAL = ("tokenizer_digest", "dtype", "n_cut")  # not in the line of a record that lacks them
# Empty in records that are older than they.
LATER = ("training_data", "base_digest", "tokenizer_digest", "dtype")
# What two makings of one value may differ in.
CIRCUMSTANCES = frozenset(
    {"tuning", "sample", "n_cut", "commit", "versions", "device", "started", "wall_s"}
)


@dataclass(frozen=True, kw_only=True, config=STRICT | {"allow_inf_nan": False})
class Record:
    """One task scored by one run.

    Attributes
    ----------
    value, stderr
        Percent: mean over templates, and its standard error over examples;
        None where one group is all there is. A correlation may be negative.
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
    responses
        Of a task that ranks: which options were chosen and how surely; see
        `choices.responses`.
    data, phrasing, mixture
        Digests of the examples, of the templates they were asked with, and
        of what the model was tuned on.
    training_data
        Digest of the rows and templates that the mixture, and exemplars, are
        drawn from; empty where nothing is drawn, and in older records.
    base_digest
        Digest of the base model's weights; empty in older records.
    tokenizer_digest
        Digest of the base model's tokenizer, where a file holds it; empty in
        older records.
    dtype
        Of computing, in scoring and, where a model was tuned, in tuning;
        empty in older records, which are float32.
    n_cut
        Prompts that were shortened to fit; None in older records.
    tuning
        What tuning the model took: `device`, `wall_s`, `n_tokens` (prompt
        and target), `peak_memory_gib`. Empty for a base, and in records older
        than this field.
    sample
        The first example as asked and as answered, for the eye; empty for
        the real datasets, of which no text is recorded.
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
    value: Percent
    stderr: Annotated[float, Field(ge=0)] | None = None
    chance: Annotated[float, Field(ge=0, le=100)]
    n: Annotated[int, Field(ge=1)]
    templates: Annotated[dict[str, Percent], Field(min_length=1)]
    scores: tuple[Percent, ...]
    signature: str = ""
    responses: dict[str, Any] = Field(default_factory=dict)
    data: str
    phrasing: str
    mixture: str = ""
    training_data: str = ""
    base_digest: str = ""
    tokenizer_digest: str = ""
    dtype: str = ""
    n_cut: Annotated[int, Field(ge=0)] | None = None
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

    @cached_property
    def key(self) -> tuple[str, str, str]:
        """What no two records share: run, scoring, task."""
        return self.run_id, digest(told(self.scoring)), self.task

    @property
    def cell(self) -> "Cell":
        """What this record fills."""
        return self.factors, self.recipe, self.scoring, self.task

    def differs(self, other: "Record") -> list[str]:
        """Fields in which another making of this cell differs, those of circumstance apart.

        Parameters
        ----------
        other
            A record of the same key. A digest that one of the two does not
            have yet tells nothing.
        """
        found = []
        for field in fields(self):
            mine, its = getattr(self, field.name), getattr(other, field.name)
            unknown = field.name in LATER and "" in (mine, its)
            if field.name in CIRCUMSTANCES or unknown or mine == its:
                continue
            if json.dumps(mine, default=str) != json.dumps(its, default=str):  # (1,) is [1] there
                found.append(field.name)
        return found

    def line(self) -> dict[str, Any]:
        """What the line of a file holds: later fields only where they are not their defaults."""
        found = {"schema": SCHEMA, **asdict(self)}
        found |= {name: told(getattr(self, name)) for name in ("factors", "recipe", "scoring")}
        return {k: v for k, v in found.items() if k not in OPTIONAL or v not in ("", None)}

    @property
    def place(self) -> tuple:
        """Where the line stands in its file."""
        factors = self.factors
        return factors.model, factors.held_out, self.task, factors.seed, *self.key


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Examples:
    """Which examples a task was scored on; a line of `examples.jsonl`.

    Attributes
    ----------
    data
        Their digest, as records carry it.
    ids, groups
        Of each example, in order; an empty group is a group of its own.
    """

    data: Annotated[str, Field(min_length=1)]
    task: str
    ids: Annotated[tuple[str, ...], Field(min_length=1)]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.groups):
            raise ValueError(f"{len(self.ids)} ids but {len(self.groups)} groups")


def migrated(line: object) -> object:
    """A line of a file as today's schema has it.

    Parameters
    ----------
    line
        As JSON has it; what is not an object is left as it is, for the check that
        follows.

    Raises
    ------
    ValueError
        If the line is of a later schema.
    """
    if not isinstance(line, dict):
        return line
    found = dict(line)
    number = found.pop("schema", 1)
    if number not in range(1, SCHEMA + 1):
        raise ValueError(f"schema {number!r} is not one of 1 to {SCHEMA}; take a later flanlib")
    if number == 1:
        found = _renamed({key: _renamed(value) for key, value in found.items()})
    if number < SCHEMA:
        found = {key: value for key, value in found.items() if key not in DROPPED}
    return found


def _renamed(value: object) -> object:
    """An object with today's names of its fields; anything else as it is."""
    if not isinstance(value, dict):
        return value
    return {RENAMED.get(key, key): inner for key, inner in value.items()}


RECORD = TypeAdapter(Annotated[Record, BeforeValidator(migrated)])
EXAMPLES = TypeAdapter(Examples)
Cell = tuple[Factors, Recipe, Scoring, str]  # what is scored how, and on which task


def key_of(cell: Cell) -> tuple[str, str, str]:
    """The key that the record of a cell has."""
    factors, recipe, scoring, task = cell
    return run_id(factors, recipe), digest(told(scoring)), task


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


def data_digest(examples: Sequence[Example]) -> str:
    """Identity of a list of examples, in order."""
    return digest(
        [[e.task, e.id, dict(e.fields), e.options, e.gold, e.answers, e.group] for e in examples]
    )


def wordless(name: str) -> str:
    """A name of which no part has white space in it: a digest stands for such a part.

    Parameters
    ----------
    name
        Of an example or a group; parts are separated by slashes.
    """
    parts = name.split("/")
    return "/".join(digest(part) if any(map(str.isspace, part)) else part for part in parts)


def phrasing_digest(templates: Sequence[Template], stop: str = "newline") -> str:
    """Identity of the templates a task was asked with.

    Parameters
    ----------
    templates
        In their order.
    stop
        Where a written answer ends; see `Task.stop`. The line break is not part of the
        digest, which is older than the choice.
    """
    found: list[Any] = [[t.id, t.input, t.target, t.answers] for t in templates]
    return digest(found if stop == "newline" else [*found, stop])
