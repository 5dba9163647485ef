"""Models and a tokenizer small enough to check by hand."""

from dataclasses import replace

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from flanlib.core.tokens import token_ids
from flanlib.models import encode
from flanlib.prompts.prompt import SEPARATOR, Prompt

PAD, EOS = "<pad>", "<eos>"
CONTEXT = 160
FAMILIES = {
    "llama": (transformers.LlamaConfig, {"intermediate_size": 48}),
    "gpt_neox": (transformers.GPTNeoXConfig, {"intermediate_size": 64}),
    "gpt2": (transformers.GPT2Config, {}),
    "qwen3": (
        transformers.Qwen3Config,
        {"intermediate_size": 48, "head_dim": 8, "num_key_value_heads": 2},
    ),
    "olmo2": (transformers.Olmo2Config, {"intermediate_size": 48, "num_key_value_heads": 4}),
    "bloom": (transformers.BloomConfig, {}),
    "opt": (transformers.OPTConfig, {"ffn_dim": 64, "word_embed_proj_dim": 32}),
}


def byte_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """One token per byte, a pad token and an end token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate([PAD, EOS, *alphabet])}
    model = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token=PAD, eos_token=EOS
    )


def random_model(family: str, attention: str = "sdpa", seed: int = 0, **changes):
    """A model of random weights, large enough for attention to matter."""
    kind, own = FAMILIES[family]
    names = {
        "gpt2": ("n_embd", "n_layer", "n_head", "n_positions"),
        "bloom": ("hidden_size", "n_layer", "n_head", "seq_length"),
    }.get(
        family,
        ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"),
    )
    shape = dict(zip(names, (32, 2, 4, CONTEXT), strict=True))
    config = kind(
        **{**shape, **own, **changes},
        vocab_size=258,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    transformers.set_seed(seed)
    attention = "eager" if family == "bloom" else attention
    return transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation=attention
    ).eval()


def bigram_model(family: str, logits: torch.Tensor):
    """A model whose next-token logits depend on the last token alone.

    Parameters
    ----------
    logits
        Shape (258, 258): row i follows token i.
    """
    sizes = {"hidden_size": 288, "num_hidden_layers": 1}
    lm = random_model(family, **sizes)
    with torch.no_grad():
        for name, weight in lm.named_parameters():
            if any(part in name for part in ("o_proj", "down_proj", "dense", "4h_to_h")):
                weight.zero_()
        states = lm.base_model(input_ids=torch.arange(258)[:, None])[0][:, 0]
        head = torch.linalg.lstsq(states.double(), logits.double()).solution.T
        lm.get_output_embeddings().weight.copy_(head)
    return lm


def prompt(text: str, options=("yes", "no"), gold=0, **changes) -> Prompt:
    """A prompt with made-up origin."""
    given = {"task": "t", "template": "a", "example": "1", "separator": "\n"} | changes
    target = options[gold] if options else "yes"
    return Prompt(text, target, tuple(options), gold if options else None, (target,), **given)


def one_by_one(lm, tokenizer, text: str, option: str, soft: int = 0) -> float:
    """Log-likelihood by a plain forward pass over one sequence."""
    before, after = token_ids(tokenizer, [text, option])
    with torch.inference_mode():
        ids = torch.tensor([before + after])
        logits = lm(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    log_p = logits[0, soft:].double().log_softmax(-1)
    return sum(log_p[len(before) - 1 + n, token].item() for n, token in enumerate(after))


def encoded(tokenizer, asked, target="", separator=SEPARATOR, **limits) -> encode.Encoded:
    """A prompt, or a text, as token ids; a `target` takes the place of its own."""
    if not isinstance(asked, Prompt):
        asked = encode.ready_made(asked, target, separator)
    (found,) = encode.encode_many(
        tokenizer, [replace(asked, target=target or asked.target)], **limits
    )
    return found
