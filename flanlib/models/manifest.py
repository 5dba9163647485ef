"""The list of a saved folder's files, by which damage to one of them is found."""

from collections.abc import Collection
from pathlib import Path

from flanlib.core import folders, storage
from flanlib.core.errors import DataError, RunError
from flanlib.data import files

MANIFEST = "manifest.json"
CARD = "README.md"  # meant to be edited
CLOCK = "clock.json"  # what differs in equal runs
UNLISTED = (CARD, CLOCK)  # so that a list says what was tuned, and no more


def listed(folder: Path) -> dict[str, str]:
    """File of a folder -> its SHA-256, those apart that may change."""
    names = [name for name in folders.files(folder) if name not in UNLISTED]
    return {name: files.sha256(folder / name) for name in names}


def verify(path: Path, advice: str, loaded: Collection[str] = ()) -> None:
    """Compare a folder's files with its manifest.

    Parameters
    ----------
    advice
        What to do about it; ends the message of the error.
    loaded
        Names of files that have to be listed there.

    Raises
    ------
    RunError
        Naming the first file that differs, or is not listed.
    """
    try:
        known = storage.read_json(path / MANIFEST, advice)
    except DataError as error:
        raise RunError(str(error)) from None
    if lost := sorted(set(loaded) - known.keys()):
        raise RunError(f"{path / MANIFEST}: does not list {lost[0]}; {advice}")
    for name, digest in known.items():
        file = path / name
        if name == CARD:  # older lists have it
            continue
        if not file.is_file():
            raise RunError(f"{file}: is missing; {advice}")
        if (found := files.sha256(file)) != digest:
            raise RunError(
                f"{file}: is damaged (SHA-256 {found[:12]}, written as {str(digest)[:12]}); {advice}"
            )
