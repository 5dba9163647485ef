"""What the study cost: time, tokens, memory, and an estimate of energy.

All of it stands in the records. Those made before they kept what tuning took
are counted, and their cost is not guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flanlib.core import paths, storage
from flanlib.results import store
from flanlib.results.estimates import by
from flanlib.results.schema import Record
from flanlib.studies import profiles

CORE_W = 15.0
GPU_W = 700.0
ASSUMED = (
    f"Energy is an estimate: time by the clock times {CORE_W:.0f} W for a CPU core (jobs have one"
    f" thread each) or {GPU_W:.0f} W for a GPU (the limit of an H200); cooling and idle machines"
    " are left out."
)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One tracked record of a measurement that is no figure.

    Attributes
    ----------
    command, device, date
        How, where and when it was made.
    table
        Every number in it, by its place: columns `what`, `value`.
    """

    name: str
    command: str
    device: str
    date: str
    table: pd.DataFrame


def costs(records: Sequence[Record]) -> pd.DataFrame:
    """Time, tokens, memory and energy, by what was done with which model.

    Returns
    -------
    Columns step, arm, model, device, runs, known (of which the cost is
    known), minutes, tokens (prompt and target), memory_gib (most), energy_wh.
    Where nothing is known, cells are empty.
    """
    found = [*_scoring(records), *_tuning(records)]
    names = "step arm model device runs known minutes tokens memory_gib energy_wh".split()
    return pd.DataFrame(found, columns=names)


def energy_wh(minutes: float, device: str) -> float:
    """Watt hours, under the assumption that `ASSUMED` tells.

    Parameters
    ----------
    minutes
        By the clock.
    device
        `cpu` counts as one core; anything else as a GPU.

    Examples
    --------
    >>> energy_wh(120.0, "cpu")
    30.0
    """
    return minutes / 60 * (CORE_W if device == "cpu" else GPU_W)


def _scoring(records: Sequence[Record]) -> list[tuple]:
    groups = by(records, lambda r: (r.factors.arm, r.factors.model, r.device))
    rows = []
    for about, group in sorted(groups.items()):
        minutes = sum(record.wall_s for record in group) / 60
        n = len({record.run_id for record in group})
        energy = energy_wh(minutes, about[-1])
        rows.append(("scoring", *about, n, n, minutes, None, None, energy))
    return rows


def _tuning(records: Sequence[Record]) -> list[tuple]:
    """Each run once, however many of its records say what it took."""
    runs: dict[str, Record] = {}
    for record in records:
        if record.factors.arm != "base" and (record.tuning or record.run_id not in runs):
            runs[record.run_id] = record
    # Older records name the device of scoring alone.
    devices = {key: str(r.tuning.get("device", r.device)) for key, r in runs.items()}
    groups = by(runs.values(), lambda r: (r.factors.arm, r.factors.model, devices[r.run_id]))
    rows = []
    for about, group in sorted(groups.items()):
        spent = [record.tuning for record in group if record.tuning]
        known = (None, None, None, None)
        if spent:
            minutes = sum(one["wall_s"] for one in spent) / 60
            memory = max(one["peak_memory_gib"] for one in spent)
            tokens = sum(one["n_tokens"] for one in spent)
            known = (minutes, tokens, memory, energy_wh(minutes, about[-1]))
        rows.append(("tuning", *about, len(group), len(spent), *known))
    return rows


@dataclass(frozen=True, kw_only=True)
class Minutes:
    """What tuning one model took by the clock, from the least to the most.

    Attributes
    ----------
    low, high
        Whole minutes.
    n
        Runs whose time is on record.
    """

    low: int
    high: int
    n: int


def minutes(profile: str) -> Minutes | None:
    """What tuning one model of a profile's main result took; None where no record says."""
    usual = profiles.PROFILES[profile]
    spent = {
        record.run_id: record.tuning["wall_s"] / 60
        for record in store.load(store.folder(usual.collection, usual.results))
        if record.factors.arm == "tuned" and record.recipe == usual.recipe and record.tuning
    }
    if not spent:
        return None
    return Minutes(low=round(min(spent.values())), high=round(max(spent.values())), n=len(spent))


def benchmarks(folder: Path | None = None) -> list[Benchmark]:
    """The tracked records of measurements beside other tools; in data/benchmarks if None."""
    found = []
    for path in sorted((folder or paths.BENCHMARKS).glob("*.json")):
        content = storage.read_json(path, "restore it with git")
        about = {name: str(content.pop(name, "")) for name in ("command", "device")}
        date = str(content.pop("started", content.pop("date", "")))
        table = pd.DataFrame(list(leaves(content)), columns=["what", "value"])
        found.append(Benchmark(name=path.stem, date=date, table=table, **about))
    return found


def leaves(content: object, at: str = "") -> Iterable[tuple[str, str]]:
    """Every value of nested data with its place; a list of plain values is one.

    Parameters
    ----------
    content
        What a JSON file holds.
    at
        Place that the names are put behind.

    Examples
    --------
    >>> list(leaves({"a": {"b": 1.5}, "c": [1, 2]}))
    [('a, b', '1.5'), ('c', '1, 2')]
    """
    pairs: Iterable[tuple[object, object]]
    if isinstance(content, dict):
        pairs = content.items()
    elif isinstance(content, list) and any(isinstance(one, dict | list) for one in content):
        pairs = enumerate(content, 1)
    else:
        plain = content if isinstance(content, list) else [content]
        yield at, ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in plain)
        return
    for name, value in pairs:
        yield from leaves(value, f"{at}, {name}" if at else str(name))


def gpu_hours(folder: Path | None = None) -> pd.DataFrame:
    """Hours that one tuning run of the `gpu` profile takes, as measured in data/benchmarks.

    Made from records of tuning on a GPU alone: the profile's steps and
    examples, at the record's tokens per example and tokens per second.

    Returns
    -------
    Columns model, device, tokens_per_s, hours; no rows without such a record.
    """
    recipe, rows = profiles.PROFILES["gpu"].recipe, []
    for path in sorted((folder or paths.BENCHMARKS).glob("tuning*.json")):
        content = storage.read_json(path, "restore it with git")
        way = content.get("ways", {}).get("flanlib-nf4", {})
        if "peak_device_gib" not in way:
            continue
        examples = content["recipe"]["steps"] * content["recipe"]["examples_per_step"]
        tokens = way["useful_tokens"] / examples * recipe.steps * recipe.examples_per_step
        speed = way["useful_tokens_per_s"]
        rows.append((content["shape"], content["device"], speed, tokens / speed / 3600))
    return pd.DataFrame(rows, columns=["model", "device", "tokens_per_s", "hours"])
