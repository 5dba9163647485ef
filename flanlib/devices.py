"""Devices: which to use, its name, memory held and left."""

import os
from contextlib import suppress
from pathlib import Path

GIB = 2**30


def default() -> str:
    """`cuda` where there is a CUDA device, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def forget_peak(kind: str) -> None:
    """Let `peak_memory_gib` count from here; where that cannot be, it counts from the start."""
    if kind == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gib(kind: str) -> float:
    """Most memory held since `forget_peak`, GiB: of the CUDA device, else of the process."""
    if kind == "cuda":
        import torch

        return round(torch.cuda.max_memory_allocated() / GIB, 3)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return round(peak / 2**20, 3)


def name_of(kind: str) -> str:
    """A device as records name it: `cpu`, or the CUDA device's name."""
    if kind != "cuda":
        return kind
    import torch

    return torch.cuda.get_device_name()


def available_gib(kind: str) -> float:
    """GiB that a run may use: what the device has left, and what this process holds."""
    if kind == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] / GIB
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return free / 2**20 + resident_gib()


def resident_gib() -> float:
    """GiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / GIB
