"""What works on this machine, on one screen, and the next command."""

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from flanlib.core import devices, paths, threads
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data import files
from flanlib.models import registry
from flanlib.prompts.audit import columns
from flanlib.studies import profiles

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "papermill", "matplotlib")
HUB_WAIT_S = 4.0
ROOM_GIB = 5.0
MEAN_TOKENS = {"micro": 39, "small": 139}  # of an example, in 64 of each mixture


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
    needed: bool


def examine(say: Callable[[str], None] = lambda line: None) -> list[Check]:
    """Look at everything the study needs; takes a few seconds."""
    found = []
    for look, needed in LOOKS.items():
        name = look.__name__.strip("_")
        say(f"looking at {name} ...")
        try:
            ok, text = look()
        except Exception as error:  # a doctor reports whatever fails
            ok, text = False, f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        found.append(Check(name=name, ok=ok, found=text, needed=needed))
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


def _python() -> tuple[bool, str]:
    version = platform.python_version()
    text = f"{version} in {sys.prefix}, {platform.machine()}, {threads.cores():g} cores"
    return sys.version_info >= (3, 11), text


def _libraries() -> tuple[bool, str]:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = ", ".join(found) + (f"; not installed: {', '.join(missing)}" if missing else "")
    return not missing, text


def _device() -> tuple[bool, str]:
    import torch

    if not torch.cuda.is_available():
        return True, "cpu"
    free, total = (n / 2**30 for n in torch.cuda.mem_get_info())
    name = torch.cuda.get_device_name()
    bf16 = torch.cuda.is_bf16_supported()
    return True, f"cuda: {name}, {free:.0f} of {total:.0f} GiB free, bf16 {bf16}"


def _threads() -> tuple[bool, str]:
    """What the policy would give runs now."""
    return True, threads.told(threads.share())


def _time() -> tuple[bool, str]:
    """How long one tuned model of each profile takes on this CPU, where its base is here.

    It has the threads that the policy gives a run of several.
    """
    if devices.default() != "cpu":
        return True, "`flanlib tune --dry-run` tells it for a run on the GPU"
    from flanlib.core.config import Factors
    from flanlib.models import weights
    from flanlib.models.encode import Encoded
    from flanlib.training import duration

    found, each = [], threads.share().threads
    for name, n in MEAN_TOKENS.items():
        profile = profiles.PROFILES[name]
        try:
            folder, _ = weights.locate(profile.model)
        except (DataError, MissingResultError):
            continue
        if not Path(folder).is_dir():
            continue
        n_target = 1 + n // 8
        example = Encoded([0] * (n - n_target), [0] * (n_target - 1))
        factors = Factors(collection=profile.collection, model=profile.model)
        with threads.limited(each):
            forecast = duration.of_examples(factors, profile.recipe, [example])
        found.append(f"{name}, {profile.model}: {forecast.line}")
    of = f"with {each} thread{'s' * (each > 1)}: "
    return True, of + "; ".join(found) if found else "no base model is here"


def _nf4() -> tuple[bool, str]:
    """Quantise a small matrix and take it back."""
    import bitsandbytes.functional as quantiser
    import torch

    device = devices.default()
    plain = torch.randn(128, 128, generator=torch.Generator().manual_seed(0)).to(device)
    packed, state = quantiser.quantize_4bit(plain, quant_type="nf4", compress_statistics=True)
    error = (quantiser.dequantize_4bit(packed, state) - plain).abs().mean().item()
    return error < 0.1, f"on {device}, mean error {error:.3f} of 0.80"


def _hub() -> tuple[bool, str]:
    """Whether the hub answers, by the settings that its own library has read."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False, "offline, as HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE asks"
    return _answers(constants.ENDPOINT)


def _answers(url: str) -> tuple[bool, str]:
    """Whether a hub at that address answers."""
    import http.client
    import urllib.error
    import urllib.request

    wrong = f"HF_ENDPOINT is {url[:80]!r}, no address such as https://huggingface.co"
    if not url.startswith(("http://", "https://")):
        return False, wrong
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HUB_WAIT_S)
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        text = f"not reachable ({getattr(error, 'reason', error)}); the micro study needs none"
        return False, text
    except (ValueError, http.client.HTTPException):
        return False, wrong
    return True, f"{url} answers"


def _cache() -> tuple[bool, str]:
    """Tasks with rows; a folder that a failed fetch left behind has none."""
    from huggingface_hub import constants

    found = [path for path in (paths.CACHE / "rows").glob("*/*") if files.splits(path)]
    text = f"{len(found)} tasks fetched in {paths.CACHE}; hub cache {constants.HF_HOME}"
    return bool(found), text


def _disk() -> tuple[bool, str]:
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=paths.BUILD):
        free = shutil.disk_usage(paths.BUILD).free / 2**30
    return free > ROOM_GIB, f"{free:.0f} GiB free at {paths.BUILD}"


def _models() -> tuple[bool, str]:
    found = sorted(p.parent.name for p in paths.MODELS.glob("*/config.json"))
    fetched = [one.key for one in registry.load().values() if one.fetched]
    text = ", ".join(found) or f"none in {paths.MODELS}"
    return bool(found), f"{text}; fetched: {', '.join(fetched) or 'none'} (`{registry.LISTED}`)"


def _records() -> tuple[bool, str]:
    found = {
        path.name: sum(
            sum(1 for _ in file.open("rb"))
            for file in path.glob("*.jsonl")
            if file.name != "examples.jsonl"
        )
        for path in sorted(paths.RESULTS.glob("*"))
        if path.is_dir()
    }
    text = ", ".join(f"{name} {n}" for name, n in found.items())
    return bool(found), text or "none"


# What is looked at, in order, and whether nothing works without it.
LOOKS: dict[Callable[[], tuple[bool, str]], bool] = {
    _python: True,
    _libraries: True,
    _device: True,
    _threads: False,
    _time: False,
    _nf4: True,
    _hub: False,
    _cache: False,
    _disk: True,
    _models: True,
    _records: False,
}
