"""What a model and a tokenizer have to be able to do; needs no torch.

transformers and PEFT give such objects. Their own classes cannot stand in
signatures of modules that work without torch.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig


class LanguageModel(Protocol):
    """A causal language model of transformers, or one with PEFT adapters on it.

    Attributes
    ----------
    config
        Its settings, as transformers has them.
    device
        Where its weights are.
    """

    config: "PreTrainedConfig"
    device: "torch.device"
    __call__: Callable[..., Any]

    def parameters(self) -> "Iterator[torch.nn.Parameter]":
        """Its weights."""

    def get_input_embeddings(self) -> "torch.nn.Module":
        """The module with a vector for each token."""


class Tokenizer(Protocol):
    """A tokenizer of transformers.

    Attributes
    ----------
    bos_token_id, eos_token_id, pad_token_id
        Numbers of the tokens that begin a text, end it and fill it up; None
        where there is none.
    """

    eos_token_id: int | None
    pad_token_id: int | None
    bos_token_id: int | None
    __call__: Callable[..., Any]

    def get_vocab(self) -> dict[str, int]:
        """Token -> its number."""
