"""Devices: which to use, in which numbers, its name, memory held and left."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from flanlib.core import machine
from flanlib.core.bounds import Device, Dtype, check
from flanlib.core.errors import ParameterError

if TYPE_CHECKING:
    import torch

GIB = 2**30
HALF = ("bfloat16", "float16")
PROCESS = Path("/proc/self")


def default() -> str:
    """`cuda` where there is a CUDA device, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def checked(
    device: "torch.device | str | None" = None,
    dtype: "torch.dtype | str | None" = None,
    stored: "torch.dtype | str | None" = None,
) -> "tuple[torch.device, torch.dtype]":
    """The device and the numbers to compute in, or why they cannot be had.

    Parameters
    ----------
    device
        `cpu`, `cuda` or `cuda:N`, or a `torch.device`; None or empty is `default()`.
    dtype
        A name of `bounds.Dtype`, or such a `torch.dtype`; None or empty is bfloat16 on
        CUDA. On a CPU it is bfloat16 where that is clearly faster here (`machine`) and the
        weights are stored in 16 bits anyway, else float32.
    stored
        Type of the weights in the checkpoint, like `dtype`; None where it is not known.

    Returns
    -------
    A `torch.device` and a `torch.dtype`.

    Raises
    ------
    ParameterError
        If there is no such device here, or the numbers are none that models are computed in.
    """
    import torch

    name = check("device", Device, str(device or "")) or default()
    kind, _, number = name.partition(":")
    numbers = check("dtype", Dtype, str(dtype or "").removeprefix("torch."))
    there = torch.cuda.device_count() if kind == "cuda" and torch.cuda.is_available() else 0
    if kind == "cuda" and int(number or 0) >= there:
        found = f"{there} CUDA devices" if there else "no CUDA device"
        raise ParameterError(f"device: {name!r}, and there is {found} here; give cpu")
    if not numbers:
        half = kind == "cuda" or (
            str(stored or "").removeprefix("torch.") in HALF and machine.prefers_bfloat16()
        )
        numbers = "bfloat16" if half else "float32"
    return torch.device(name), getattr(torch, numbers)


def forget_peak(kind: str, process: Path = PROCESS) -> None:
    """Let `peak_memory_gib` count from here; where that cannot be, it counts from the start.

    `process` is the folder in which Linux tells of a process.
    """
    if kind == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):
        (process / "clear_refs").write_text("5")


def peak_memory_gib(kind: str, process: Path = PROCESS) -> float:
    """Most memory held since `forget_peak`, GiB: of the CUDA device, else of the `process`."""
    if kind == "cuda":
        import torch

        return round(torch.cuda.max_memory_allocated() / GIB, 3)
    return round(_peak_bytes(process) / GIB, 3)


def _peak_bytes(process: Path) -> int:
    """Most memory this process held: since `forget_peak` on Linux, since its start elsewhere."""
    with suppress(OSError):
        lines = (process / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    with suppress(ImportError):  # macOS counts bytes there
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return psutil.Process().memory_info().peak_wset  # Windows


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
    return psutil.virtual_memory().available / GIB + resident_gib()


def resident_gib() -> float:
    """GiB that this process holds now."""
    return psutil.Process().memory_info().rss / GIB
