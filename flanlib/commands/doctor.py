"""What works on this machine, on one screen, and the next command."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from flanlib import devices, paths
from flanlib.prompts.audit import columns

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "papermill", "matplotlib")
HUB_WAIT_S = 4.0
ROOM_GIB = 5.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at.

    Attributes
    ----------
    ok
        Whether it is as it has to be.
    found
        What there is, in words.
    needed
        Whether nothing works without it.
    """

    name: str
    ok: bool
    found: str
    needed: bool = True


def examine(say: Callable[[str], None] = lambda line: None) -> list[Check]:
    """Look at everything the study needs; takes a few seconds."""
    found = []
    for look in (_python, _libraries, _device, _nf4, _hub, _cache, _disk, _models, _records):
        say(f"looking at {look.__name__.strip('_')} ...")
        try:
            found.append(look())
        except Exception as error:  # a doctor reports whatever fails
            text = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            found.append(Check(name=look.__name__.strip("_"), ok=False, found=text))
    return found


def page(found: Sequence[Check]) -> str:
    """The checks as text, and the next command."""
    marks = {True: "ok", False: "MISSING"}
    rows = [(c.name, marks[c.ok] if c.needed else "ok" if c.ok else "no", c.found) for c in found]
    return f"{columns(['what', 'state', 'found'], rows)}\n\nNext: {advice(found)}"


def advice(found: Sequence[Check]) -> str:
    """What to type now."""
    ok = {check.name: check.ok for check in found}
    if not ok.get("python", True) or not ok.get("libraries", True):
        return "`make figures` (installs what is locked in requirements.lock)"
    if not ok.get("models", True):
        return "`flanlib pretrain all` (makes the micro models; hours on two cores)"
    if not ok.get("records", True):
        return "`make study` (computes every record; hours on two cores)"
    device = next((c.found for c in found if c.name == "device"), "")
    if "cuda" in device and ok.get("hub"):
        return "`flanlib fetch`, then `flanlib run --profile gpu`; or `make figures` for the micro study"
    return "`make figures` (the micro study), or `flanlib figures` (redraw from records)"


def _python() -> Check:
    version = platform.python_version()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{version} in {sys.prefix}, {platform.machine()}, {cores} cores"
    return Check(name="python", ok=sys.version_info >= (3, 11), found=text)


def _libraries() -> Check:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = ", ".join(found) + (f"; not installed: {', '.join(missing)}" if missing else "")
    return Check(name="libraries", ok=not missing, found=text)


def _device() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check(name="device", ok=True, found=f"cpu, {torch.get_num_threads()} threads")
    free, total = (n / 2**30 for n in torch.cuda.mem_get_info())
    name = torch.cuda.get_device_name()
    text = (
        f"cuda: {name}, {free:.0f} of {total:.0f} GiB free, bf16 {torch.cuda.is_bf16_supported()}"
    )
    return Check(name="device", ok=True, found=text)


def _nf4() -> Check:
    """Quantise a small matrix and take it back."""
    import bitsandbytes.functional as quantiser
    import torch

    device = devices.default()
    plain = torch.randn(128, 128, generator=torch.Generator().manual_seed(0)).to(device)
    packed, state = quantiser.quantize_4bit(plain, quant_type="nf4", compress_statistics=True)
    error = (quantiser.dequantize_4bit(packed, state) - plain).abs().mean().item()
    return Check(name="nf4", ok=error < 0.1, found=f"on {device}, mean error {error:.3f} of 0.80")


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return Check(name="hub", ok=False, needed=False, found="offline, as HF_HUB_OFFLINE asks")
    import urllib.error
    import urllib.request

    url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HUB_WAIT_S)
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        text = f"not reachable ({getattr(error, 'reason', error)}); the micro study needs none"
        return Check(name="hub", ok=False, needed=False, found=text)
    return Check(name="hub", ok=True, needed=False, found=f"{url} answers")


def _cache() -> Check:
    found = sorted(p.name for p in (paths.CACHE / "rows").glob("*/*") if p.is_dir())
    home = os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")
    text = f"{len(found)} tasks fetched in {paths.CACHE}; hub cache {home}"
    return Check(name="cache", ok=bool(found), needed=False, found=text)


def _disk() -> Check:
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=paths.BUILD):
        free = shutil.disk_usage(paths.BUILD).free / 2**30
    return Check(name="disk", ok=free > ROOM_GIB, found=f"{free:.0f} GiB free at {paths.BUILD}")


def _models() -> Check:
    found = sorted(p.parent.name for p in paths.MODELS.glob("*/config.json"))
    return Check(name="models", ok=bool(found), found=", ".join(found) or f"none in {paths.MODELS}")


def _records() -> Check:
    found = {
        path.name: sum(
            sum(1 for _ in file.open(encoding="utf-8"))
            for file in path.glob("*.jsonl")
            if file.name != "examples.jsonl"
        )
        for path in sorted(paths.RESULTS.glob("*"))
        if path.is_dir()
    }
    text = ", ".join(f"{name} {n}" for name, n in found.items())
    return Check(name="records", ok=bool(found), needed=False, found=text or "none")
