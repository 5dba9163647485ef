"""Rows from the hub, kept as Parquet files for use without a network.

What is fetched has the layout of a local folder, beside a manifest with each
file's source and SHA-256. Files are written whole or not at all, so a broken
fetch goes on where it stopped. No code from the hub is ever run.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flanlib.core import storage
from flanlib.core.errors import DataError, FlanlibError
from flanlib.core.progress import say
from flanlib.data import files
from flanlib.data.adapters import adapt_all
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import cache_folder, remedy
from flanlib.data.splits import canonical

if TYPE_CHECKING:
    import datasets

    Table = datasets.Dataset | datasets.IterableDataset
    Read = Callable[[Task, str], Table]

POOL = 100_000
SHUFFLE_SEED = 0
BUFFER = 10_000
BATCH = 1_000
MANIFEST = "manifest.json"


def fetch(
    catalogue: Catalogue,
    tasks: Iterable[str] = (),
    *,
    progress: Callable[[str], None] = say,
    pool: int = POOL,
    read: "Read | None" = None,
) -> dict[str, str | None]:
    """Download rows of tasks, and verify those that are there.

    A split with more than `pool` rows is kept as a sample of that many:
    shuffled whole, or through a buffer where the catalogue says to stream.

    Parameters
    ----------
    tasks
        Task keys; none means all.
    progress
        Called with a line per file.
    pool
        Most rows kept of a split that is not there already.
    read
        Takes a task and the name of a split; gives it as `datasets` does. None is `split_of`.

    Returns
    -------
    dict
        Task key -> why its rows are not there; None where they are. One
        task's failure does not stop the others.
    """
    chosen = [catalogue.task(key) for key in tasks] or list(catalogue.tasks.values())
    result: dict[str, str | None] = {}
    for number, task in enumerate(chosen, 1):
        where = cache_folder(catalogue, task)
        head = f"[{number}/{len(chosen)}] {task.key}"
        try:
            for line in _fetch(task, where, pool, split_of if read is None else read):
                progress(f"{head}: {line}")
            result[task.key] = None
        except Exception as error:  # whatever a download may raise
            first = (str(error).splitlines() or [""])[0]
            kind = "" if isinstance(error, FlanlibError) else f"{type(error).__name__}: "
            result[task.key] = f"{kind}{first}"
            progress(f"{head}: skipped: {result[task.key]}")
    return result


def _fetch(task: Task, where: Path, pool: int, read: "Read") -> Iterator[str]:
    """Fetch one task's files; yields a line on each."""
    if task.source.route == "micro":
        yield "generated, nothing to fetch"
        return
    if task.source.route == "manual":
        if files.splits(where):
            yield f"there already, in {where}"
            return
        raise DataError(f"not on the hub: {remedy(task, where)}")
    wanted = ("hub_id", "config", "revision", "data_files")
    source = {name: value for name in wanted if (value := getattr(task.source, name))}
    known = _manifest(where)
    names = dict.fromkeys(text.partition("[")[0] for text in task.source.splits.values())
    for name in names:
        base = canonical(name)
        path = where / f"{base}.parquet"
        entry = known.get(base, {})
        if entry.get("source") == source and path.is_file():
            if files.sha256(path) == entry.get("sha256"):
                yield f"{base}: {entry.get('n', '?')} rows, there already"
                continue
            yield f"{base}: changed since it was fetched; fetching again"
        n_source, n = _save(task, name, path, pool, read(task, name))
        try:
            _look(task, path)
        except DataError:
            path.unlink()
            raise
        entry = {"source": source, "n": n, "sha256": files.sha256(path)}
        known = {**_manifest(where), base: entry}  # another process may have added to it
        storage.write(where / MANIFEST, json.dumps(known, indent=1, sort_keys=True) + "\n")
        of = f" of {n_source}" if n_source not in (None, n) else ""
        yield f"{base}: {n} rows{of}, {path.stat().st_size / 2**20:.1f} MiB"


def _manifest(where: Path) -> dict[str, dict[str, Any]]:
    """What is known of the files; an entry that is not one counts as absent."""
    path = where / MANIFEST
    found = storage.read_json(path, "remove it and fetch again") if path.is_file() else {}
    wanted = {"source", "n", "sha256"}
    return {k: v for k, v in found.items() if isinstance(v, dict) and wanted <= set(v)}


def split_of(task: Task, name: str) -> "Table":
    """A split on the hub, by its name there, as the `datasets` library gives it."""
    import datasets

    source = task.source
    stream = source.stream and canonical(name) == "train"
    return datasets.load_dataset(
        source.hub_id,
        source.config if source.config and not source.data_files else None,
        data_files=source.data_files or None,
        revision=source.revision or None,
        split=name,
        streaming=stream,
    )


def _save(task: Task, name: str, path: Path, pool: int, found: "Table") -> tuple[int | None, int]:
    """Write a split as Parquet; rows at the source (if known), rows kept."""
    import pyarrow
    import pyarrow.parquet

    n_source = len(found) if hasattr(found, "__len__") else None
    if n_source is None:
        found = found.shuffle(seed=SHUFFLE_SEED, buffer_size=BUFFER).take(pool)
    elif n_source > pool:
        found = found.shuffle(seed=SHUFFLE_SEED).select(range(pool))
    schema = found.features.arrow_schema if found.features else None
    writer, n = None, 0
    with storage.writing(path, "wb") as file:
        for batch in found.iter(batch_size=BATCH):
            table = pyarrow.Table.from_pydict(dict(batch), schema=schema)
            writer = writer or pyarrow.parquet.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
            n += len(table)
        if writer is None:
            raise DataError(f"task {task.key}: the hub's {name} split has no rows")
        writer.close()
    return n_source, n


def _look(task: Task, path: Path) -> None:
    """Read a few rows as examples, so that a wrong layout shows at once."""
    for index, row in enumerate(files.read(path)):
        adapt_all(row, task, f"{path.stem}-{index}")
        if index == BATCH:
            return
