"""Factors (what an axis varies), recipe (what stays fixed), scoring, and the run id.

A run is the pair of the first two. Its id is twelve hex digits of the SHA-256 of
their canonical JSON, so that equal settings are the same run everywhere.
"""

import hashlib
import json
from dataclasses import asdict, fields
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from flanlib.core.bounds import (
    Count,
    Dropout,
    Exemplars,
    InputTokens,
    NonNegativeFloat,
    PackTokens,
    PositiveFloat,
    PositiveInt,
    Rank,
    Seed,
    Share,
    Shots,
    Templates,
    Tokens,
    refusing,
)

STRICT = ConfigDict(extra="forbid")
# Fields that came after records were made. With its default, such a field is no part of an
# identity, so that older records keep theirs.
ADDED = frozenset({"templates_per_example", "chat"})

Arm = Literal["base", "tuned", "finetuned", "single-task", "prompt-tuned"]
Form = Literal["instruction", "dataset-name", "none", "cloze"]
Choice = Literal["sum", "token", "byte", "pmi"]
Quantization = Literal["nf4", "none"]
Schedule = Literal["cosine", "constant"]


@refusing
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Factors:
    """What an axis of a figure varies.

    Attributes
    ----------
    collection
        Name below `data/`, or a folder (with a `/` in it).
    model
        Name below `data/models/` or of the registry, a folder, or a hub id.
    held_out
        Cluster evaluated, and removed from tuning with its neighbours;
        several with `+` between are held out together.
    arm
        `base` is untuned; `tuned` is QLoRA on the mixture; `finetuned` is
        full fine-tuning on it; `single-task` is QLoRA on `tasks` alone;
        `prompt-tuned` learns a soft prompt.
    form
        How examples are phrased in tuning (and in scoring of a base).
    clusters
        Tuning clusters; empty means all that the held-out rule leaves.
    tasks
        Tuning tasks of the `single-task` and `prompt-tuned` arms.
    n_templates
        Templates per dataset used in tuning; 0 means all.
    n_examples
        Tuning examples drawn from each task; 0 means no limit but the cap.
    under
        Run id of the tuned model that a soft prompt is learned on; empty is
        the base.
    seed
        Of the mixture, the adapter's start, and the data order.
    """

    collection: str = "micro"
    model: str = "micro-2m"
    held_out: str = "nli"
    arm: Arm = "tuned"
    form: Form = "instruction"
    clusters: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    n_templates: Templates = 0
    n_examples: Count = 0
    under: str = ""
    seed: Seed = 1


@refusing
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe:
    """What a figure holds fixed: how a model is tuned.

    Attributes
    ----------
    steps
        Optimiser steps.
    examples_per_step
        Examples whose target tokens enter one optimiser step.
    learning_rate
        Peak, per step of AdamW.
    warmup
        Steps, or a share of `steps` when below 1.
    schedule
        Shape after warm-up.
    rank, alpha, dropout
        LoRA, on every linear layer but the head.
    weight_decay
        Decoupled, AdamW.
    max_gradient_norm
        Clipping threshold.
    max_input_tokens, max_target_tokens
        Each side is cut apart; FLAN's values are 1024 and 256.
    pack_tokens
        Tokens in one packed sequence.
    quantization
        `nf4` is 4-bit NormalFloat with double quantisation.
    prompt_tokens
        Length of a soft prompt; used by the `prompt-tuned` arm only.
    exemplar_share
        Share of tuning examples that carry one to `max_exemplars`
        solved exemplars in front.
    max_exemplars
        See `exemplar_share`.
    """

    steps: PositiveInt = 200
    examples_per_step: PositiveInt = 32
    learning_rate: PositiveFloat = 2e-3
    warmup: NonNegativeFloat = 0.05
    schedule: Schedule = "cosine"
    rank: Rank = 16
    alpha: PositiveInt = 32
    dropout: Dropout = 0.0
    weight_decay: NonNegativeFloat = 0.0
    max_gradient_norm: PositiveFloat = 1.0
    max_input_tokens: InputTokens = 1024
    max_target_tokens: Tokens = 256
    pack_tokens: PackTokens = 2048
    quantization: Quantization = "nf4"
    prompt_tokens: Tokens = 10
    exemplar_share: Share = 0.0
    max_exemplars: Exemplars = 3


@refusing
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Scoring:
    """How a run is scored; part of a record's key.

    Attributes
    ----------
    form
        How questions are phrased.
    show_options
        Whether the OPTIONS block follows the request.
    choice
        How log-likelihoods of options of unequal length are compared.
    split
        `eval` is the test; recipes are chosen on `dev`.
    max_examples
        Most examples of one task; 0 is all of them.
    shots
        Solved train examples in front of each question, as many of them as
        fit.
    reversed_options
        Whether the OPTIONS block shows them in reverse.
    templates_per_example
        Templates that each example is asked in, taking turns, so that every
        template is asked equally often; 0 is all of them.
    chat
        Whether the request is wrapped in the model's own chat template.
    """

    form: Form = "instruction"
    show_options: bool = True
    choice: Choice = "sum"
    split: Literal["eval", "dev"] = "eval"
    max_examples: Count = 120
    shots: Shots = 0
    reversed_options: bool = False
    templates_per_example: Count = 0
    chat: bool = False


def digest(value: object, n: int = 12) -> str:
    """First `n` hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:n]


def told(settings: Factors | Recipe | Scoring) -> dict[str, object]:
    """The fields that identify settings; a later one only where it is not its default.

    Parameters
    ----------
    settings
        An instance of a dataclass whose later fields (`ADDED`) have defaults.
    """
    later = {f.name: f.default for f in fields(settings) if f.name in ADDED}
    found = asdict(settings)
    return {k: v for k, v in found.items() if k not in later or v != later[k]}


def run_id(factors: Factors, recipe: Recipe) -> str:
    """Identity of a run: twelve hex digits over factors and recipe."""
    return digest({"factors": told(factors), "recipe": told(recipe)})
