"""Scoring that survives being killed: Parquet shards, each whole or absent.

A run's prompts are cut into shards of fixed size. A shard is written under
another name and then moved into place, so what is there is complete; going
on means scoring the shards that are not. Batches never cross a shard, so the
table is the same, bit for bit, however often a run was stopped.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow
import torch

from flanlib.core import storage
from flanlib.core.config import digest
from flanlib.core.errors import ParameterError, RunError
from flanlib.core.protocols import LanguageModel, Tokenizer
from flanlib.evaluation import score
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.rendering import record

MANIFEST = "manifest.json"
SHARD_PROMPTS = 2_000
NAMES = ("task", "template", "example")


def run(
    lm: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    out: Path,
    kind: Literal["rank", "generate"],
    say: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> pd.DataFrame:
    """`score.rank` or `score.generate`, shard by shard into a folder.

    Parameters
    ----------
    out
        Folder of this run alone. Shards that are there are not made again.
    say
        Told after each shard: done, rate, time left.
    settings
        Handed to the scoring function.

    Returns
    -------
    The whole table, in the order of the prompts.

    Raises
    ------
    RunError
        If the folder holds shards of other prompts, settings or weights, or
        one that is damaged.
    ParameterError
        If there are no prompts.
    """
    _claim(out, lm, prompts, [kind, SHARD_PROMPTS, settings])
    act = {"rank": score.rank, "generate": score.generate}[kind]
    starts = range(0, len(prompts), SHARD_PROMPTS)
    shards = [
        (out / f"{number:05}.parquet", prompts[first : first + SHARD_PROMPTS])
        for number, first in enumerate(starts)
    ]
    # Those that are there are read first, so that damage shows before hours of scoring.
    tables = {path: _read(path, part) for path, part in shards if path.is_file()}
    began, done, fresh = time.monotonic(), 0, 0
    for path, part in shards:
        done += len(part)
        if path in tables:
            continue
        with storage.writing(path, "wb") as file:
            table = act(lm, tokenizer, part, **settings)
            table.to_parquet(file, index=False, write_page_checksum=True)
        tables[path] = _read(path, part)
        fresh += len(part)
        say(_line(done, len(prompts), fresh / (time.monotonic() - began)))
    return pd.concat([tables[path] for path, _ in shards], ignore_index=True)


def _read(path: Path, prompts: Sequence[Prompt]) -> pd.DataFrame:
    """A shard, which has to hold its prompts."""
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
        found = list(dict.fromkeys(zip(*(table[name] for name in NAMES), strict=True)))
        why = "" if found == _names(prompts) else "it holds other prompts"
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())[:100]
    if why:
        raise RunError(
            f"{path}: is damaged ({why}); delete it, and the same command makes it again"
        )
    return table


def _names(prompts: Sequence[Prompt]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys((p.task, p.template, p.example) for p in prompts))


def _line(done: int, total: int, rate: float) -> str:
    return f"{done:,} of {total:,} prompts, {rate:,.1f}/s, {(total - done) / rate:,.0f} s left"


def _claim(out: Path, lm: LanguageModel, prompts: Sequence[Prompt], settings: list) -> None:
    """Make the folder this run's, or see that it is."""
    if not prompts:
        raise ParameterError("there are no prompts to score")
    content = {
        "prompts": len(prompts),
        "asked": digest([record(p) for p in prompts]),
        "weights": fingerprint(lm),
        "settings": digest(settings),
    }
    path = out / MANIFEST
    with storage.locked(out):
        if not path.exists() and not any(out.glob("*.parquet")):
            storage.write(path, json.dumps(content, indent=1) + "\n")
    found = storage.read_json(path, f"delete the folder {out} and score again")
    if other := [name for name, value in content.items() if found.get(name) != value]:
        raise RunError(
            f"{out}: holds shards of another run (other {', '.join(other)}); give another"
            " folder, or delete this one"
        )


def fingerprint(lm: torch.nn.Module) -> str:
    """Twelve hex digits over names, shapes and a sample of the weights."""
    mark = hashlib.sha256()
    for name, weight in lm.state_dict().items():
        if not isinstance(weight, torch.Tensor):
            continue
        flat = weight.detach().reshape(-1)
        sample = flat[:: max(1, len(flat) // 64)].float().cpu().numpy().tobytes()
        mark.update(f"{name}{tuple(weight.shape)}".encode() + sample)
    return mark.hexdigest()[:12]
