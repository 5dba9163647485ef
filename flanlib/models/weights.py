"""Where a model's files are, and which weights they hold; needs no torch."""

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

from flanlib.core import naming, paths, storage
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data.files import sha256
from flanlib.models import registry

# What transformers and PEFT look for, in this order; an index names the shards.
MODEL = ("model.safetensors", "pytorch_model.bin")
SAVED = "give a folder saved by transformers"
ADAPTER = ("adapter_model.safetensors", "adapter_model.bin")


def locate(model: str | Path) -> tuple[str, str | None]:
    """Folder or hub id of a model, and the hub revision asked for.

    A name below data/models/ comes first, then one below build/models/ (made
    on the spot, or fetched), then a folder, then a name of the registry, then a
    hub id; `owner/name@revision` pins a hub model.

    Raises
    ------
    DataError
        If it is no name, no folder with a model, and no hub id.
    MissingResultError
        If it is a name of the registry whose weights have to be fetched first.
    """
    text = str(model)
    for folder in (paths.MODELS / text, paths.BUILD / "models" / text, Path(text)):
        if text and folder.is_dir():
            if not (folder / "config.json").is_file():
                raise DataError(f"{folder}: no config.json; give a folder saved by transformers")
            return str(folder), None
    if text.startswith(("/", ".", "~")) or text.count("/") != 1:
        return _registered(text)
    name, _, revision = text.partition("@")
    return name, revision or None


def _registered(name: str) -> tuple[str, str | None]:
    """Hub id and revision of a name of the registry."""
    named = registry.load()
    if model := named.get(name):
        if model.hub:
            return model.hub.id, model.hub.revision
        raise MissingResultError(
            f"model {name} ({model.title}) is not fetched yet; run `flanlib fetch --model {name}`"
        )
    known = [*sorted(p.parent.name for p in paths.MODELS.glob("*/config.json")), *named]
    raise DataError(
        f"model {naming.shown(name)}: no such folder"
        f"{naming.alternatives(name, known, remedy=registry.LISTED)};"
        " or give a folder, or a hub id such as EleutherAI/pythia-70m"
        f"{paths.elsewhere() if name.startswith('micro-') else ''}"
    )


def fingerprint(
    model: str | Path, adapter: str | Path | None = None, *, offline: bool = False
) -> str:
    """Twelve hex digits over the weights that tuning starts from.

    The content of the files that are loaded from a folder, or a hub model's
    commit; an adapter's file counts as well. A base that was pretrained
    anew under the same name is another base. A file that was read once in
    this process and has not been written since is not read again.

    Parameters
    ----------
    offline
        Whether a hub model's commit is taken from what was downloaded, without
        asking the hub.

    Raises
    ------
    DataError
        If there is no such model, its weights are not all there, or its
        commit cannot be found out.
    """
    found = hashlib.sha256()
    name, revision = locate(model)
    loaded = files(Path(name)) if Path(name).is_dir() else []
    if not loaded:
        found.update(f"{name}@{_commit(name, revision, offline)}".encode())
    loaded += files(Path(adapter), ADAPTER) if adapter else []
    for file in loaded:
        state = file.stat()
        found.update(_digest(file.absolute(), state.st_ino, state.st_size, state.st_mtime_ns))
    return found.hexdigest()[:12]


def tokenizer_digest(model: str | Path) -> str:
    """Twelve hex digits over a model's tokenizer.json; empty where its folder has none.

    A hub model's commit, and with it `fingerprint`, stands for its tokenizer as well.
    """
    file = Path(locate(model)[0]) / "tokenizer.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else ""


def n_parameters(model: str) -> int:
    """Parameters of a model in a folder; 0 where it cannot be told.

    From the record of pretraining, else from the heads of the safetensors
    files; a hub model that is not in a folder is not looked up.
    """
    for folder in (paths.MODELS / model, paths.BUILD / "models" / model, Path(model)):
        record = folder / "pretraining.json"
        if record.is_file():
            found = storage.read_json(record, SAVED).get("n_parameters")
            if not isinstance(found, int) or found < 1:
                raise DataError(f"{record}: n_parameters is {found!r:.40}; {SAVED}")
            return found
        if files := sorted(folder.glob("*.safetensors")):
            return sum(map(_n_stored, files))
    return 0


def files(folder: Path, names: tuple[str, ...] = MODEL) -> list[Path]:
    """The files with weights that are loaded from a folder; others count for nothing.

    Parameters
    ----------
    names
        Files looked for, the first that is there being loaded; each may be an
        index with shards instead.

    Raises
    ------
    DataError
        If there are none, or a shard is missing.
    """
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return shards(index)
    raise DataError(f"{folder}: holds no weights; looked for {' and '.join(names)}")


def shards(index: Path) -> list[Path]:
    """The files that an `index` of weights names, as transformers writes it.

    Raises
    ------
    DataError
        If it cannot be read, or a file is missing or outside the folder.
    """
    remedy = "copy the folder again"
    named = storage.read_json(index, remedy).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(v, str) for v in named.values()):
        raise DataError(f"{index}: has no weight_map from weights to files; {remedy}")
    found = sorted(set(named.values()))
    if foreign := [name for name in found if Path(name).name != name]:
        raise DataError(f"{index}: {foreign[0]!r} is no file of this folder; {remedy}")
    if lost := [name for name in found if not (index.parent / name).is_file()]:
        raise DataError(
            f"{index.parent}: {len(lost)} of {len(found)} files with weights are missing, first"
            f" {lost[0]}; {remedy}"
        )
    return [index.parent / name for name in found]


@lru_cache(maxsize=4096)
def _digest(file: Path, *state: int) -> bytes:
    """SHA-256 of a file, read once while its number, size and time of writing stay."""
    return bytes.fromhex(sha256(file))


def _commit(name: str, revision: str | None, offline: bool) -> str:
    """Commit of a hub model: the folder that its configuration is kept in."""
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(name, "config.json", revision=revision, local_files_only=offline)
    except Exception as error:  # the hub's library raises errors of many kinds
        text = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: its commit is not known ({type(error).__name__}: {text}); give a folder,"
            " or a hub id that was downloaded or can be"
        ) from error
    return Path(path).parent.name


def _n_stored(file: Path) -> int:
    """Numbers in a safetensors file, from its head alone."""
    try:
        with file.open("rb") as stream:
            size = min(int.from_bytes(stream.read(8), "little"), file.stat().st_size)
            head = json.loads(stream.read(size))
        return sum(math.prod(v["shape"]) for k, v in head.items() if k != "__metadata__")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise DataError(f"{file}: not a safetensors file; {SAVED}") from None
