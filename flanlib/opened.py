"""A causal LM opened up: hidden states at chosen places, then the head.

Which ways of running a model are right is not assumed but tried once per
model class: the same small random tree is run as a tree and path by path. A
class where the tree differs runs path by path; one where even body and head
cannot be told apart runs whole. In the last layer all that follows attention
is needed only where something is predicted, so it runs only there.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np
import torch

from flanlib.errors import RunError

Way = Literal["tree", "chain", "whole"]
WAYS: dict[tuple, tuple[Way, bool]] = {}
CACHED_FLOATS = 2**17  # hidden states that stay in one core's cache
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")
AFTER_ATTENTION = ("o_proj", "dense", "c_proj", "out_proj", "q_proj")

# A small tree: path 0 is 0..8, path 1 leaves it after 5 tokens, path 2 after 3.
TRIAL_PATHS = ((0, 1, 2, 3, 4, 5, 6, 7, 8), (0, 1, 2, 3, 4, 9, 10, 11), (0, 1, 2, 12, 13))
TRIAL_DEPTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 3, 4)
TRIAL_ENDS = (14, 14, 14, 12, 12, 9, 9, 9, 9, 12, 12, 12, 14, 14)


@dataclass
class Opened:
    """A causal LM split into soft prompt, body and head.

    Attributes
    ----------
    lm
        As given; used whole when the parts cannot be told apart.
    model
        The transformers model inside.
    soft
        Embeddings of a soft prompt, shape (S, hidden), or None.
    way
        How it may be run.
    narrow
        Whether the last layer may run at the chosen places only.
    """

    lm: Any
    model: Any
    soft: torch.Tensor | None
    way: Way = "tree"
    narrow: bool = False

    @property
    def tree(self) -> bool:
        """Whether branches may share a row."""
        return self.way == "tree"

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return self.embeddings.weight.device

    @cached_property
    def embeddings(self) -> torch.nn.Module:
        """Input embeddings."""
        return self.model.get_input_embeddings()

    @cached_property
    def config(self) -> Any:
        """Settings of the text part."""
        return self.model.config.get_text_config()

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        return self.config.vocab_size

    @property
    def n_soft(self) -> int:
        """Tokens of the soft prompt."""
        return 0 if self.soft is None else len(self.soft)

    @property
    def context(self) -> int | None:
        """Tokens that fit beside the soft prompt; None if unlimited."""
        limit = getattr(self.config, "max_position_embeddings", None)
        return limit and limit - self.n_soft

    @property
    def square_tokens(self) -> float:
        """Row length at which attention costs as much as all else."""
        return 2.0 * self.config.hidden_size

    @property
    def token_budget(self) -> int:
        """Tokens for one pass, when none is asked for: what a CPU's cache holds."""
        if self.device.type != "cpu":
            return 16384
        fits = torch.get_num_threads() * CACHED_FLOATS // self.config.hidden_size
        return min(4096, max(512, fits))

    def hidden(self, ids, sizes, places, tree) -> torch.Tensor:
        """Final hidden states (or logits, when run whole).

        Parameters
        ----------
        ids
            int64 array, shape (B, T), padded on the right.
        sizes
            Row lengths, shape (B,).
        places
            Flat indices into (B, T), shape (N,).
        tree
            None for causal rows, else depths and ends, each (B, T).

        Returns
        -------
        tensor, shape (N, hidden) or (N, vocabulary)
        """
        tokens = torch.from_numpy(ids).to(self.device)
        at = torch.from_numpy(places).to(self.device)
        if self.way == "whole":
            mask = torch.arange(ids.shape[1]) < torch.from_numpy(sizes)[:, None]
            output = self.lm(
                input_ids=tokens, attention_mask=mask.long().to(self.device), use_cache=False
            ).logits[:, -ids.shape[1] :]
            return output.reshape(-1, output.shape[-1])[at]
        n = self.n_soft
        at = at + (at // ids.shape[1] + 1) * n
        with self._narrowed(at):
            output = self._body(tokens, tree)
        return output.reshape(-1, output.shape[-1])[at]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits, shape (N, vocabulary)."""
        return hidden if self.way == "whole" else self.model.get_output_embeddings()(hidden)

    def _body(self, tokens: torch.Tensor, tree) -> torch.Tensor:
        body, n = self.model.base_model, self.n_soft
        if n:
            soft = self.soft.expand(len(tokens), -1, -1)
            inputs = {"inputs_embeds": torch.cat([soft, self.embeddings(tokens)], dim=1)}
        else:
            inputs = {"input_ids": tokens}
        if tree is not None:
            depths, ends = (torch.from_numpy(a).to(self.device) for a in tree)
            before = torch.arange(n, device=self.device).expand(len(tokens), -1)
            whole = torch.full_like(before, tokens.shape[1] + n)
            inputs["position_ids"] = torch.cat([before, depths + n], dim=1)
            inputs["attention_mask"] = self._mask(torch.cat([whole, ends + n], dim=1))
        return body(**inputs, use_cache=False)[0]

    @contextmanager
    def _narrowed(self, places: torch.Tensor) -> Iterator[None]:
        """The parts of the last layer that follow attention, there only."""
        with ExitStack() as stack:
            for module in self._last_parts if self.narrow else ():
                spread = _Spread(places)
                stack.callback(module.register_forward_pre_hook(spread.gather).remove)
                stack.callback(module.register_forward_hook(spread.scatter).remove)
            yield

    @cached_property
    def _last_parts(self) -> tuple[torch.nn.Module, ...]:
        """Feed-forward, query and output projection of the last layer."""
        n = self.config.num_hidden_layers
        lists = [m for m in self.model.base_model.children() if isinstance(m, torch.nn.ModuleList)]
        layer = next((m[-1] for m in lists if len(m) == n), None)
        if layer is None:
            return ()
        names = ("self_attn", "attention", "attn")
        attention = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
        found = [getattr(layer, "mlp", None)]
        found += [getattr(attention, name, None) for name in AFTER_ATTENTION]
        return tuple(m for m in found if isinstance(m, torch.nn.Module))

    def _mask(self, ends: torch.Tensor) -> torch.Tensor:
        """Additive mask, shape (B, 1, T, T), from subtree ends (B, T)."""
        at = torch.arange(ends.shape[1], device=ends.device)
        sees = (at[None, None, :] <= at[None, :, None]) & (at[None, :, None] < ends[:, None, :])
        dtype = self.embeddings.weight.dtype
        lowest = torch.tensor(torch.finfo(dtype).min, dtype=dtype, device=ends.device)
        return torch.where(sees, lowest.new_zeros(()), lowest)[:, None]


def opened(lm: Any) -> Opened:
    """Open a causal LM, and find out once per class how it may be run.

    Raises
    ------
    RunError
        If it carries an adapter that feeds neither weights nor embeddings.
    """
    model, soft = lm, None
    if getattr(lm, "peft_config", None):
        setting = lm.active_peft_config
        model = lm.get_base_model()
        if setting.is_prompt_learning:
            if setting.peft_type not in ("PROMPT_TUNING", "P_TUNING"):
                raise RunError(
                    f"adapter of type {setting.peft_type}: only weights (LoRA and kin) and"
                    " prompt tuning can be scored"
                )
            soft = lm.get_prompt(batch_size=1)[0].to(model.get_input_embeddings().weight.dtype)
    result = Opened(lm, model, soft)
    attention = getattr(model.config, "_attn_implementation", None)
    key = (
        type(model),
        windows(result.config),
        attention,
        result.embeddings.weight.dtype,
        _quantised(model),
        soft is None,
    )
    if key not in WAYS:
        found = _find_way(result, attention)
        if found is None:
            result.way, result.narrow = "whole", False
            return result
        WAYS[key] = found
    result.way, result.narrow = WAYS[key]
    return result


class _Spread:
    """Hooks that run a module on some rows of its input, zeros elsewhere."""

    def __init__(self, places: torch.Tensor) -> None:
        self.places, self.shape = places, ()

    def gather(self, module: torch.nn.Module, inputs: tuple) -> tuple:
        """Before the module: the rows at the places."""
        self.shape = inputs[0].shape[:-1]
        return (inputs[0].reshape(-1, inputs[0].shape[-1])[self.places], *inputs[1:])

    def scatter(self, module: torch.nn.Module, inputs: tuple, output: torch.Tensor):
        """After the module: back where they came from."""
        wide = output.new_zeros(self.shape.numel(), output.shape[-1])
        wide[self.places] = output
        return wide.view(*self.shape, output.shape[-1])


def _find_way(model: Opened, attention: str | None) -> tuple[Way, bool] | None:
    """The fastest way that is right; None where broken weights tell nothing."""
    ways: tuple[Way, ...] = ("tree", "chain")
    if windows(model.config) or attention not in ("eager", "sdpa"):
        ways = ("chain",)
    ids = np.random.default_rng(0).integers(0, model.vocabulary, 14)
    path_order = torch.tensor(sum(TRIAL_PATHS, ()))
    model.way = "whole"
    truth = torch.cat([_trial(model, ids[list(path)]) for path in TRIAL_PATHS])
    if not truth.isfinite().all():
        return None
    leaky = _trial(model, ids)[path_order]
    exact = model.embeddings.weight.dtype == torch.float32 and not _quantised(model.model)
    limit = 1e-4 * (1 + truth.abs().max()) if exact else 0.2 * (leaky - truth).abs().max()
    for way, narrow in product(ways, (True, False)):
        model.way, model.narrow = way, narrow
        try:
            if way == "tree":
                tree = tuple(np.array(a)[None] for a in (TRIAL_DEPTHS, TRIAL_ENDS))
                found = _trial(model, ids, tree)[path_order]
            else:
                found = torch.cat([_trial(model, ids[list(path)]) for path in TRIAL_PATHS])
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError):
            continue
        if found.shape == truth.shape and (found - truth).abs().max() <= limit:
            return way, narrow
    return "whole", False


def windows(config: Any) -> tuple:
    """Attention that does not reach all the way back, as a config tells it."""
    return tuple(value for name in WINDOWS if (value := getattr(config, name, None)))


def _quantised(model: Any) -> bool:
    return getattr(model, "is_quantized", False)


def _trial(model: Opened, ids: np.ndarray, tree=None) -> torch.Tensor:
    """Log-probabilities at every place, from two passes over half of them."""
    size, places = np.array([len(ids)]), np.arange(len(ids))
    parts = [model.hidden(ids[None], size, places[k::2], tree) for k in (0, 1)]
    found = torch.empty(len(ids), model.vocabulary)
    for k, part in enumerate(parts):
        found[k::2] = model.logits(part).float().log_softmax(-1).cpu()
    return found


def context_of(lm: Any) -> int | None:
    """Tokens a causal LM can read, without its soft prompt; None if unlimited."""
    return opened(lm).context
