"""How many runs go at a time, and with how many threads each.

Runs side by side with one thread each do more in an hour than one run with
many, and threads of one run wait for the slowest of them: beside another busy
process, two threads are five to ten times slower than alone. So what is free
is given to runs first, and only what is left of it to threads. What is free
are the cores that this process may use (its affinity, its cgroup's quota)
less what other processes use at the moment. `OMP_NUM_THREADS`, where it is
set, decides on threads.

What begins later is not foreseen. So threads that wait for others go to sleep
after microseconds, where OpenMP would have them spin for milliseconds on a
core that somebody else needs: `import flanlib` sets `GOMP_SPINCOUNT`, unless
that or `OMP_WAIT_POLICY` is set.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flanlib.core import devices

MOST = 4  # runs at a time: each holds a model of its own
LOOK_S = 0.3  # that other processes are watched
NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Share:
    """What runs may use of a machine.

    Attributes
    ----------
    runs
        At a time.
    threads
        Of each.
    why
        What it follows from, for a reader.
    """

    runs: int
    threads: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the policy goes by, apart from `OMP_NUM_THREADS`.

    Attributes
    ----------
    cores
        That this process may use.
    busy
        Cores that other processes use of them.
    device
        `cpu` or `cuda`.
    """

    cores: float
    busy: float
    device: str


def this_machine() -> Machine:
    """The machine as it is at the moment."""
    return Machine(cores=cores(), busy=others(), device=devices.default())


def share(jobs: int = MOST, at_a_time: int = 0, machine: Machine | None = None) -> Share:
    """How many runs at a time, with how many threads each.

    Parameters
    ----------
    jobs
        Runs there are, at least one.
    at_a_time
        How many of them to run at a time, as the user asks; 0 leaves it to
        the policy.
    machine
        That the runs are for; None is this one.
    """
    here = machine or this_machine()
    free, asked = max(1, round(here.cores - here.busy)), threads_asked()
    why = f"{here.cores:g} cores, of which other processes use {here.busy:.1f}"
    why += f"; OMP_NUM_THREADS is {asked}" if asked else ""
    runs = 1 if here.device == "cuda" else min(MOST, max(1, free // (asked or 1)))
    runs = min(jobs, at_a_time or runs)
    return Share(runs=runs, threads=asked or max(1, free // runs), why=why)


def threads_asked() -> int:
    """What `OMP_NUM_THREADS` says; 0 where it is not set, or no number."""
    first = os.environ.get(NAMES[0], "").split(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def cores(process: psutil.Process | None = None) -> float:
    """Cores that a `process` may use, by its affinity and this one's cgroup; None is this one."""
    here = process or psutil.Process()
    allowed = here.cpu_affinity() if hasattr(here, "cpu_affinity") else None
    found = len(allowed) if allowed else psutil.cpu_count() or 1
    return min(found, quota() or found)


def quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Cores that the cgroups above this process allow, version 1 or 2; 0 where none says.

    `root` is where cgroups are mounted, `own` the file that names this process's.
    """
    found = []
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            top = root / "cpu" if kinds else root
            folder = top / path.strip("/")
            for at in (folder, *folder.parents):
                found += _limit(at)
                if at == top:
                    break
    return min(found, default=0.0)


def _limit(folder: Path) -> list[float]:
    """What one cgroup allows: nothing, or a number of cores."""
    with suppress(OSError, ValueError):
        limit, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return [] if limit == "max" else [int(limit) / int(period)]
    with suppress(OSError, ValueError):
        limit, period = (
            int((folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8"))
            for name in ("quota", "period")
        )
        return [limit / period] if limit > 0 else []
    return []


def others(look_s: float = LOOK_S) -> float:
    """Cores that other processes keep busy, of those this one may use, in `look_s` seconds."""
    here = psutil.Process()
    allowed = here.cpu_affinity() if hasattr(here, "cpu_affinity") else None
    before = here.cpu_times()
    each = psutil.cpu_percent(interval=look_s, percpu=True)
    after = here.cpu_times()
    used = sum(each[n] for n in allowed or range(len(each)) if n < len(each)) / 100
    own = (after.user + after.system - before.user - before.system) / look_s
    return max(0.0, used - own)


def begin(threads: int) -> None:
    """Give each run of this process so many `threads`; before what counts them is imported."""
    for name in NAMES:
        os.environ[name] = str(threads)


def settle() -> None:
    """Give the one run of this process its threads, unless they are asked for."""
    if not threads_asked():
        import torch

        torch.set_num_threads(share(1).threads)


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Compute with so many `threads` of torch in this process, for the block's duration."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def told(found: Share) -> str:
    """What `share` gave, in one line.

    Examples
    --------
    >>> told(Share(runs=1, threads=2, why="2 cores"))
    '1 run at a time with 2 threads (2 cores)'
    """
    runs = f"{found.runs} run{'s' * (found.runs > 1)} at a time"
    threads = f"{found.threads} thread{'s' * (found.threads > 1)}"
    return f"{runs} with {threads}{' each' * (found.runs > 1)} ({found.why})"
