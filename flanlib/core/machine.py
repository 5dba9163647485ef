"""How fast this machine multiplies matrices: one short trial, remembered.

Whether bfloat16 pays on a CPU depends on its units (AMX, avx512_bf16): with
them a product is two to four times as fast as in float32, without them it is
slower. So it is tried, and the result kept below build/cache per processor,
version of torch and number of threads.
"""

import json
import platform
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from flanlib.core import paths, storage
from flanlib.core.errors import DataError, ParameterError

SIDE = 768  # of the square matrices multiplied
TRIAL_S = 0.2  # for each type
FASTER = 1.5  # how much faster bfloat16 has to be to be the usual choice
TYPES = ("float32", "bfloat16")


def prefers_bfloat16() -> bool:
    """Whether products in bfloat16 are clearly faster than in float32 on this CPU."""
    found = rates()
    return found["bfloat16"] >= FASTER * found["float32"]


@cache
def rates() -> dict[str, float]:
    """Type -> GFLOP per second of a matrix product on this CPU, with torch's threads."""
    import torch

    book, name = paths.CACHE / "machine.json", f"{processor()}, torch {torch.__version__}"
    name += f", threads {torch.get_num_threads()}"
    known: dict[str, dict[str, float]] = {}
    with suppress(DataError):  # absent or damaged: it is only a note
        known = storage.read_json(book, "it is made anew")
    found = known.get(name)
    rates = [found.get(kind) for kind in TYPES] if isinstance(found, dict) else [None]
    if not all(isinstance(rate, float) and rate > 0 for rate in rates):
        found = {kind: round(_rate(kind), 1) for kind in TYPES}
        with suppress(OSError, ParameterError):
            storage.write(book, json.dumps({**known, name: found}, indent=1) + "\n")
    return found


def processor() -> str:
    """The processor's name, as the system tells it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
        units = [unit for unit in ("amx_bf16", "avx512_bf16") if unit in flags]
        if names:
            return " ".join([names[0], *units])
    return platform.processor() or platform.machine()


def _rate(kind: str) -> float:
    """GFLOP per second, of the fastest product tried."""
    import torch

    a, b = (torch.ones(SIDE, SIDE, dtype=getattr(torch, kind)) for _ in range(2))
    out, spent, began = torch.empty_like(a), [], time.perf_counter()
    while len(spent) < 3 or time.perf_counter() - began < TRIAL_S:
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        spent.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(spent) / 1e9
