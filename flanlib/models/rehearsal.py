"""A language model that has learnt nothing, to rehearse and to measure with."""

import re
from pathlib import Path
from typing import NamedTuple

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    set_seed,
)

from flanlib.core import folders
from flanlib.core.quiet import quiet

# What transformers writes of a model and its tokenizer.
MODEL_FILES = re.compile(
    r"((generation_|tokenizer_)?config|tokenizer|special_tokens_map)\.json|model.*\.safetensors.*"
)


class Shape(NamedTuple):
    """The shape of a GPT-NeoX.

    Attributes
    ----------
    layers, heads
        Layers, and attention heads in each.
    width, inner
        Of the hidden states, and of the feed-forward part.
    vocabulary
        Rows of the embedding.
    """

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int


# Pythia's shapes (Biderman et al. 2023, table 1), and a small one for rehearsals.
SHAPES = {
    "tiny": Shape(2, 64, 4, 256, 320),
    "14m": Shape(6, 128, 4, 512, 50_304),
    "70m": Shape(6, 512, 8, 2_048, 50_304),
    "160m": Shape(12, 768, 12, 3_072, 50_304),
    "410m": Shape(24, 1_024, 16, 4_096, 50_304),
    "1.4b": Shape(24, 2_048, 16, 8_192, 50_304),
    "2.8b": Shape(32, 2_560, 32, 10_240, 50_304),
    "6.9b": Shape(32, 4_096, 32, 16_384, 50_432),
    "12b": Shape(36, 5_120, 40, 20_480, 50_688),
}


def model_files(folder: Path) -> list[str]:
    """The files in a folder that transformers writes of a model and its tokenizer."""
    return list(filter(MODEL_FILES.fullmatch, folders.files(folder)))


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of one token per byte, end token 0 and pad token 1."""
    specials = ("<|endoftext|>", "<|padding|>")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate((*specials, *alphabet))}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(s, special=True) for s in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=specials[0], pad_token=specials[1]
    )


def random_neox(out_dir: str | Path, seed: int = 1) -> Path:
    """Write a tiny GPT-NeoX with random weights and a byte tokenizer.

    It has learnt nothing: it rehearses a run, and measures speed and memory.

    Parameters
    ----------
    out_dir
        Folder of the model, whole or not at all; a model that is there is replaced.
    """
    model = neox("tiny", seed)
    with folders.filling(out_dir, owned=model_files) as part, quiet():
        model.save_pretrained(part)
        byte_tokenizer().save_pretrained(part)
    return Path(out_dir)


def neox(size: str, seed: int = 1) -> PreTrainedModel:
    """A GPT-NeoX of one of `SHAPES` with random weights."""
    shape = SHAPES[size]
    set_seed(seed)
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.inner,
            max_position_embeddings=2_048,
            rotary_pct=0.25,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
