"""Pretraining of the micro ladder: tiny Llama-shaped LMs, from scratch.

One pass over the phases of the corpus, documents packed into rows but never
seeing each other, answers weighted. Matrices learn by Muon, the rest by
AdamW. Runs resume from their last checkpoint and end the same.

Source
------
Muon: Jordan et al. 2024, as in `torch.optim.Muon`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from flanlib.core import folders, naming, paths, storage
from flanlib.core.bounds import PositiveInt, Seed, checked
from flanlib.core.errors import ParameterError, RunError
from flanlib.micro import corpus, probes
from flanlib.micro import tokenizer as micro_tokenizer
from flanlib.micro.batches import ROW_TOKENS, batches, n_steps
from flanlib.micro.world import REPORTED
from flanlib.models.rehearsal import model_files

MUON_RATE, ADAM_RATE = 5e-3, 3e-3
WARMUP_STEPS, DECAY_FROM, FLOOR = 50, 0.5, 0.05
RECORD = "pretraining.json"


@dataclass(frozen=True)
class Size:
    """Shape of one rung of the ladder.

    Attributes
    ----------
    hidden, inner
        Width of the hidden states, and of the feed-forward part.
    layers, heads
        Layers, and attention heads in each.
    """

    hidden: int
    layers: int
    heads: int
    inner: int


SIZES = {
    "micro-300k": Size(64, 4, 2, 176),
    "micro-600k": Size(96, 4, 3, 256),
    "micro-1m": Size(128, 4, 4, 352),
    "micro-2m": Size(192, 5, 4, 512),
    "micro-6m": Size(288, 6, 6, 768),
}


def build(size: Size, n_words: int, pad: int, eos: int) -> LlamaForCausalLM:
    """An untrained model for `n_words` tokens, one of them `pad`; seed the generator before."""
    config = LlamaConfig(
        vocab_size=n_words,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=micro_tokenizer.CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=eos,
        initializer_range=0.02,
    )
    model = LlamaForCausalLM(config)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.2)
    return model


def loss_of(model, ids, position, document, weight) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted and plain mean cross-entropy of a packed batch, nats per token."""
    earlier = torch.ones(ROW_TOKENS, ROW_TOKENS, dtype=torch.bool).tril()
    mask = (document[:, :, None] == document[:, None, :]) & earlier
    logits = model(
        input_ids=ids, position_ids=position, attention_mask=mask[:, None], use_cache=False
    ).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
    )
    weight = weight[:, 1:].flatten()
    return (loss * weight).sum() / weight.sum(), (
        (loss * (weight > 0)).sum() / (weight > 0).sum()
    ).detach()


def rate(step: int, total: int) -> float:
    """Share of the peak learning rate of `total` steps: warm-up, level, linear decay."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    done = max(0.0, (step / total - DECAY_FROM) / (1 - DECAY_FROM))
    return max(FLOOR, 1 - (1 - FLOOR) * done)


def optimisers(model) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    layers = [p for p in model.model.layers.parameters() if p.ndim == 2]
    ids = {id(p) for p in layers}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return [
        torch.optim.Muon(layers, lr=MUON_RATE, weight_decay=0.0),
        torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


@checked
def pretrain(
    name: str,
    *,
    out: Path | None = None,
    world_seed: Seed = REPORTED,
    seed: Seed = 0,
    compiled: bool = True,
    checkpoint_every: PositiveInt = 500,
    phases=corpus.PHASES,
    say: Callable[[str], None] = print,
) -> dict:
    """Pretrain one rung of the ladder; write model, tokenizer and record.

    Parameters
    ----------
    name
        A key of `SIZES`.
    out
        Folder to write, whole or not at all; `data/models/<name>` if None. A
        model that an earlier call left there is replaced.
    compiled
        Whether torch.compile is used (faster, other rounding).
    checkpoint_every
        Steps from one checkpoint to the next.

    Returns
    -------
    dict
        The record also written as `pretraining.json`: tokens, steps, curve
        (nats per token), seconds, settings.

    Raises
    ------
    ParameterError
        If there is no such size, or the folder holds something else.
    RunError
        If the loss is not finite, or the checkpoint is damaged.
    """
    if name not in SIZES:
        raise ParameterError(f"no size {naming.shown(name)}{naming.alternatives(name, SIZES)}")
    out = out or paths.MODELS / name
    folders.vacant(out, _pretrained)
    tokenizer = micro_tokenizer.build(micro_tokenizer.vocabulary(world_seed))
    torch.manual_seed(seed)
    model = build(SIZES[name], len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    opts = optimisers(model)
    state = {"step": 0, "tokens": 0, "seconds": 0.0, "curve": []}
    checkpoint = paths.RUNS / "pretrain" / f"{name}-w{world_seed}-s{seed}.pt"
    if checkpoint.is_file():
        state = _resume(checkpoint, model, opts)
        say(f"{name}: going on from step {state['step']}")
    loss_function = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    total, started, mean = n_steps(phases), time.monotonic() - state["seconds"], []
    model.train()
    for step, batch in enumerate(batches(tokenizer, world_seed, seed, phases)):
        if step < state["step"]:
            continue
        for opt, peak in zip(opts, (MUON_RATE, ADAM_RATE), strict=True):
            for group in opt.param_groups:
                group["lr"] = peak * rate(step, total)
        tensors = [
            torch.from_numpy(a) for a in (batch.ids, batch.position, batch.document, batch.weight)
        ]
        with torch.autocast("cpu", torch.bfloat16):
            loss, unweighted = loss_function(model, *tensors)
        if not torch.isfinite(loss):
            raise RunError(
                f"{name}: loss {loss.item()} at step {step}; the last checkpoint is kept"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        mean.append(unweighted.item())
        state["step"], state["tokens"] = step + 1, state["tokens"] + int((batch.document > 0).sum())
        state["seconds"] = time.monotonic() - started
        if state["step"] % 100 == 0:
            state["curve"].append((state["tokens"], round(sum(mean) / len(mean), 4)))
            mean = []
            speed = state["tokens"] / state["seconds"]
            left = (sum(p.n_tokens for p in phases) - state["tokens"]) / speed
            say(
                f"{name}: step {step + 1}/{total} loss {state['curve'][-1][1]:.3f}"
                f" {speed:.0f} tokens/s, {left / 60:.1f} min left"
            )
        if state["step"] % checkpoint_every == 0:
            _checkpoint(checkpoint, model, opts, state)
    model.eval()
    record = {
        "name": name,
        "n_parameters": model.num_parameters(),
        "world_seed": world_seed,
        "seed": seed,
        "tokens": state["tokens"],
        "steps": state["step"],
        "seconds": round(state["seconds"], 1),
        "muon_rate": MUON_RATE,
        "adam_rate": ADAM_RATE,
        "row_tokens": ROW_TOKENS,
        "torch": torch.__version__,
        "probes": probes.probe(model, tokenizer, world_seed),
        "curve": state["curve"],
    }
    with folders.filling(out, _pretrained) as part:
        model.to(torch.bfloat16).save_pretrained(part)
        tokenizer.save_pretrained(part)
        storage.write(part / RECORD, json.dumps(record) + "\n")
        storage.write(part / "README.md", card(record))
    checkpoint.unlink(missing_ok=True)
    return record


def _pretrained(folder: Path) -> list[str]:
    """The files of a model that was pretrained into a folder; none where none was."""
    return [*model_files(folder), RECORD, "README.md"] if (folder / RECORD).is_file() else []


def card(record: dict) -> str:
    """The model card of a rung, from its record.

    Parameters
    ----------
    record
        What pretraining.json holds.
    """
    probed = "\n".join(f"| {name} | {value} |" for name, value in record["probes"].items())
    return f"""---
license: apache-2.0
library_name: transformers
---
# {record["name"]}

A Llama-shaped language model of {record["n_parameters"]:,} parameters (bfloat16), pretrained from
scratch on {record["tokens"]:,} tokens of the micro world (seed {record["world_seed"]}) in
{record["seconds"] / 60:.0f} minutes on a CPU. It knows about a thousand words; its tokenizer spells
anything else. A model organism for studying instruction tuning: it says nothing about large
models, and is of no use outside this study.

Made by `flanlib pretrain {record["name"]} --seed {record["seed"]}`. No instruction
template, OPTIONS block or evaluation example is in its text; tests prove it.

Probes after pretraining, percent right ({probes.N_QUESTIONS} questions each):

| probe | percent |
|---|---|
{probed}
"""


def _checkpoint(path: Path, model, opts, state) -> None:
    optimisers = [o.state_dict() for o in opts]
    with storage.writing(path, "wb") as file:
        torch.save({"state": state, "model": model.state_dict(), "optimisers": optimisers}, file)


def _resume(path: Path, model, opts) -> dict:
    """Take model and optimisers back to a checkpoint; what was counted until then."""
    try:
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        for opt, value in zip(opts, saved["optimisers"], strict=True):
            opt.load_state_dict(value)
        return saved["state"]
    except Exception as error:  # torch and pickle raise errors of their own kinds
        why = " ".join(str(error).split())[:100]
        raise RunError(
            f"{path}: the checkpoint is damaged ({why}); delete it and pretrain from the beginning"
        ) from None
