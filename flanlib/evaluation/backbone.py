"""A causal LM opened up: hidden states at chosen places, then the head.

Which ways of running a model are right is not assumed but tried once per
model class: the same small random tree is run as a tree and path by path. A
class where the tree differs runs path by path; one where even body and head
cannot be told apart runs whole. In the last layer attention and all that
follows it are needed only where something is predicted, so they run only
there. A soft prompt is the root of every path: its places have the token ids
-S to -1.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedConfig

from flanlib.core.errors import RunError
from flanlib.core.protocols import LanguageModel
from flanlib.evaluation.tree import ATTENTION, Calls, Tree, along, calls
from flanlib.models import llama

Way = Literal["written", "tree", "chain", "whole"]
WAYS: dict[tuple, tuple[Way, bool]] = {}
CACHED_FLOATS = 2**17  # hidden states that stay in one core's cache
WRITTEN_TOKENS = 2048  # of one pass over layers written out, whose buffers last
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")
AFTER_ATTENTION = ("o_proj", "dense", "c_proj", "out_proj", "q_proj")

# Three paths: the second leaves the first after 5 tokens, the third after 3.
TRIAL_PATHS = ((0, 1, 2, 3, 4, 5, 6, 7, 8), (0, 1, 2, 3, 4, 9, 10, 11), (0, 1, 2, 12, 13))


@dataclass
class Backbone:
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
        `tree` lays paths flat as one tree, and `written` runs that by `models.llama`;
        `chain` takes padded rows, `whole` leaves the model uncut.
    narrow
        Whether the last layer may run at the chosen places only.
    """

    lm: LanguageModel
    model: LanguageModel
    soft: torch.Tensor | None
    way: Way = "tree"
    narrow: bool = False

    @property
    def tree(self) -> bool:
        """Whether branches may share a row."""
        return self.way in ("written", "tree")

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return self.embeddings.weight.device

    @cached_property
    def embeddings(self) -> torch.nn.Module:
        """Input embeddings."""
        return self.model.get_input_embeddings()

    @cached_property
    def config(self) -> PreTrainedConfig:
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
    def token_budget(self) -> int:
        """Tokens for one pass, when none is asked for: what a CPU's cache holds.

        Layers written out fill their rows up (`llama.filled`); a larger pass wastes less of it.
        """
        if self.device.type != "cpu":
            return 16384
        if self.way == "written":
            return WRITTEN_TOKENS
        fits = torch.get_num_threads() * CACHED_FLOATS // self.config.hidden_size
        return min(4096, max(512, fits))

    def hidden(self, ids: np.ndarray, places: np.ndarray, tree: Tree | None) -> torch.Tensor:
        """Final hidden states (or logits, when run whole).

        Parameters
        ----------
        ids
            Rows of paths, int64, shape (B, T), padded on the right; or one
            tree, shape (1, T).
        places
            Flat indices into (B, T), sorted, shape (N,).
        tree
            Whose branches `ids` is; None where ids are rows.

        Returns
        -------
        tensor, shape (N, hidden) or (N, vocabulary)
        """
        tokens = torch.from_numpy(ids).to(self.device)
        at = torch.from_numpy(places).to(self.device)
        if self.way == "whole":
            words = tokens[:, self.n_soft :]
            output = self.lm(
                input_ids=words, attention_mask=torch.ones_like(words), use_cache=False
            ).logits[:, -words.shape[1] :]
            output = functional.pad(output, (0, 0, self.n_soft, 0))
        elif self.way == "written":
            body, depths = llama.body_of(self.model), torch.from_numpy(tree.depths)[None]
            attend = along(body.heads, tree, places, self.embeddings.weight, len(body.layers))
            return body.read(tokens[0], depths, attend, at)
        else:
            with self._narrowed(at), self._attending(tree, places) as inputs:
                output = self._body(**inputs, **self._read(tokens))
        return output.reshape(-1, output.shape[-1])[at]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits, shape (N, vocabulary), of what `hidden` gave."""
        if self.way == "written":
            return llama.body_of(self.model).logits(hidden)
        return hidden if self.way == "whole" else self.model.get_output_embeddings()(hidden)

    def _body(self, **inputs: object) -> torch.Tensor:
        return self.model.base_model(**inputs, use_cache=False)[0]

    def _read(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the body reads: token ids, or embeddings where some are of a soft prompt."""
        if self.soft is None:
            return {"input_ids": tokens}
        words, soft = self.embeddings(tokens.clamp(min=0)), self.soft[tokens.clamp(max=-1)]
        return {"inputs_embeds": torch.where(tokens[..., None] < 0, soft, words)}

    @contextmanager
    def _attending(self, tree: Tree | None, places: np.ndarray) -> Iterator[dict[str, Any]]:
        """Inputs that make attention follow a tree, for the block's duration."""
        if tree is None:
            yield {}
            return
        weight, together = self.embeddings.weight, self.device.type != "cpu"
        layers = calls(tree, None, weight, together=together)
        last = calls(tree, places, weight, together=together) if self.narrow else layers
        before = self.model.config._attn_implementation
        self.model.config._attn_implementation = ATTENTION
        try:
            yield {
                "position_ids": torch.from_numpy(tree.depths)[None].to(self.device),
                "tree_calls": Calls(layers, last, self.config.num_hidden_layers),
            }
        finally:
            self.model.config._attn_implementation = before

    @contextmanager
    def _narrowed(self, places: torch.Tensor) -> Iterator[None]:
        """The parts of the last layer around attention, there only."""
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


def backbone(lm: LanguageModel) -> Backbone:
    """Open a causal LM, and find out once per class how it may be run.

    Raises
    ------
    RunError
        If it carries an adapter that feeds neither weights nor embeddings, or
        sees the words that it is to predict.
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
    result = Backbone(lm, model, soft)
    attention = getattr(model.config, "_attn_implementation", None)
    key = (
        type(model),
        windows(result.config),
        getattr(result.config, "is_decoder", None),
        attention,
        result.embeddings.weight.dtype,
        _quantised(model),
        soft is None,
        llama.fits(model),
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


def _find_way(model: Backbone, attention: str | None) -> tuple[Way, bool] | None:
    """The fastest way that is right; None where broken weights tell nothing."""
    ways: tuple[Way, ...] = ("tree", "chain")
    if windows(model.config) or attention not in ("eager", "sdpa"):
        ways = ("chain",)
    elif model.soft is None and llama.fits(model.model):
        ways = ("written", *ways)
    words = np.random.default_rng(0).integers(0, model.vocabulary, 14)
    soft = np.arange(-model.n_soft, 0)
    paths = [np.concatenate([soft, words[list(path)]]) for path in TRIAL_PATHS]
    tree = Tree.of(paths, [0, len(soft) + 5, len(soft) + 3])
    path_order = np.concatenate(tree.nodes)
    model.way = "whole"
    truth = torch.cat([_trial(model, path) for path in paths])
    if not truth.isfinite().all():
        return None
    leaky = _trial(model, tree.ids)[path_order]
    exact = model.embeddings.weight.dtype == torch.float32 and not _quantised(model.model)
    _check_causal(model, paths, 1e-3 if exact else 0.05)
    limit = 1e-4 * (1 + truth.abs().max()) if exact else 0.2 * (leaky - truth).abs().max()
    for way, narrow in product(ways, (True, False)):
        model.way, model.narrow = way, narrow
        try:
            if model.tree:
                found = _trial(model, tree.ids, tree)[path_order]
            else:
                found = torch.cat([_trial(model, path) for path in paths])
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError):
            continue
        if found.shape == truth.shape and (found - truth).abs().max() <= limit:
            return way, narrow
    return "whole", False


def _check_causal(model: Backbone, paths: list[np.ndarray], tolerance: float) -> None:
    """Refuse a model whose predictions depend on what comes after them.

    Two paths part after five words: before that, nothing may change.
    """
    n, shared = len(paths[1]), model.n_soft + 5
    change = (_trial(model, paths[0][:n]) - _trial(model, paths[1])).abs()
    if change[:shared].max() > tolerance * change.max():
        raise RunError(
            f"{type(model.model).__name__}: what it predicts depends on the words that come after,"
            " so it is no causal language model; give one (for a model of the BERT kind,"
            " is_decoder true in config.json, if it was trained so)"
        )


def windows(config: PreTrainedConfig) -> tuple:
    """Attention that does not reach all the way back, as a config tells it."""
    return tuple(value for name in WINDOWS if (value := getattr(config, name, None)))


def _quantised(model: LanguageModel) -> bool:
    return getattr(model, "is_quantized", False)


def _trial(model: Backbone, ids: np.ndarray, tree: Tree | None = None) -> torch.Tensor:
    """Log-probabilities at every place, from two passes over half of them.

    Places of a soft prompt have none; they count as 0.
    """
    places = np.arange(len(ids))[ids >= 0]
    found = torch.zeros(len(ids), model.vocabulary)
    for half in (places[::2], places[1::2]):
        states = model.hidden(ids[None], half, tree)
        found[half] = model.logits(states).float().log_softmax(-1).cpu()
    return found


def context_of(lm: LanguageModel) -> int | None:
    """Tokens a causal LM can read, without its soft prompt; None if unlimited."""
    return backbone(lm).context
