"""Where a model's files are, and which weights they hold; needs no torch."""

import hashlib
from pathlib import Path

from flanlib import naming, paths
from flanlib.errors import DataError


def locate(model: str | Path) -> tuple[str, str | None]:
    """Folder or hub id of a model, and the hub revision asked for.

    A name below data/models/ comes first, then one below build/models/ (made
    on the spot), then a folder, then a hub id;
    `owner/name@revision` pins a hub model.

    Raises
    ------
    DataError
        If it is no name, no folder with a model, and no hub id.
    """
    text = str(model)
    for folder in (paths.MODELS / text, paths.BUILD / "models" / text, Path(text)):
        if text and folder.is_dir():
            if not (folder / "config.json").is_file():
                raise DataError(f"{folder}: no config.json; give a folder saved by transformers")
            return str(folder), None
    if text.startswith(("/", ".", "~")) or text.count("/") != 1:
        known = sorted(p.parent.name for p in paths.MODELS.glob("*/config.json"))
        raise DataError(
            f"model {naming.shown(text)}: no such folder{naming.alternatives(text, known)};"
            " or give a folder, or a hub id such as EleutherAI/pythia-70m"
        )
    name, _, revision = text.partition("@")
    return name, revision or None


def fingerprint(
    model: str | Path, adapter: str | Path | None = None, *, offline: bool = False
) -> str:
    """Twelve hex digits over the weights that tuning starts from.

    The content of a folder's safetensors or PyTorch files, or a hub model's
    commit; an adapter's files count as well. A base that was pretrained
    anew under the same name is another base.

    Parameters
    ----------
    model
        Name below data/models/, folder, or hub id.
    adapter
        Folder of an adapter over the model.
    offline
        Whether a hub model's commit is taken from what was downloaded, without
        asking the hub.

    Raises
    ------
    DataError
        If there is no such model, or its commit cannot be found out.
    """
    found = hashlib.sha256()
    name, revision = locate(model)
    folders = [Path(name)] if Path(name).is_dir() else []
    if not folders:
        found.update(f"{name}@{_commit(name, revision, offline)}".encode())
    for folder in [*folders, *([Path(adapter)] if adapter else [])]:
        for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
            with file.open("rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
    return found.hexdigest()[:12]


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
