"""Text to token ids and back: one way for tuning and scoring.

Text is text. What looks like a control token in it (`<eos>`, `<|im_start|>`,
`[INST]`) is spelled like any other word; control tokens are put in by flanlib
alone, before a text and after it. Every other character reaches the tokenizer
as it stands; `data.cleaners.visible` says what a row loses before that.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from flanlib.core.errors import TemplateError
from flanlib.core.protocols import Tokenizer

if TYPE_CHECKING:
    import tokenizers

_MARK = re.compile(r"[<>\[\]{}|\uff5c]")
_HIDDEN = f"\uffff{uuid4().hex}"  # no text has it
PROBES = 500  # texts tried for what stands before every text


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one tokenizer reads text.

    Attributes
    ----------
    state
        What the tokenizer was when this was made.
    control
        Ids that no text becomes: of special tokens, and of added tokens that
        look like marks. Other added tokens are words or runs of white space.
    special
        Those of them that an answer does not show.
    unknown
        Id of what the tokenizer has no token for; None where there is none.
    backend
        The tokenizer with its control tokens hidden; None for one in Python.
    telling
        The same, but what `backend` leaves out without a word is the token
        `left_out`; None where `backend` leaves out nothing.
    left_out
        Id that no other token has.
    """

    state: tuple
    control: frozenset[int]
    special: frozenset[int]
    unknown: int | None
    backend: "tokenizers.Tokenizer | None"
    telling: "tokenizers.Tokenizer | None" = None
    left_out: int = -1


_READERS: WeakKeyDictionary = WeakKeyDictionary()


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, none of them a control token's.

    Raises
    ------
    TemplateError
        If a text cannot be tokenised (half of a surrogate pair), or would
        become a control token after all.
    """
    texts = list(texts)
    if not texts:
        return []
    reader = _reader(tokenizer)
    try:
        if reader.backend is not None:
            found = reader.backend.encode_batch_fast(texts, add_special_tokens=False)
            ids = [one.ids for one in found]
        else:
            ids = tokenizer(
                texts,
                add_special_tokens=False,
                split_special_tokens=True,
                return_attention_mask=False,
                verbose=False,
            )["input_ids"]
    except Exception as error:  # tokenizers raises plain Exceptions, too
        raise _unreadable(texts, error) from None
    for text, one in zip(texts, ids, strict=True):
        if not reader.control.isdisjoint(one):
            token = next(i for i in one if i in reader.control)
            raise TemplateError(
                f"text {shortened(text)}: {type(tokenizer).__name__} takes a part of it for the"
                f" control token {tokenizer.convert_ids_to_tokens(token)!r}; use the model's fast"
                " tokenizer (tokenizer.json), or leave the text out"
            )
    return ids


def n_unknown(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> int:
    """How often a text holds what the tokenizer has no token for.

    Parameters
    ----------
    text
        Whose every character counts that became no token at all.
    ids
        Of it, or of what was kept of it.
    """
    reader = _reader(tokenizer)
    n = 0 if reader.unknown is None else ids.count(reader.unknown)
    if reader.telling is not None:
        n += reader.telling.encode(text, add_special_tokens=False).ids.count(reader.left_out)
    return n


def head(tokenizer: Tokenizer, text: str, n: int) -> str:
    """The first `n` tokens of a text, as text; all of it where it has no more."""
    if n < 1:
        return ""
    backend = _reader(tokenizer).backend
    if backend is None:
        (ids,) = token_ids(tokenizer, [text])
        return text if n >= len(ids) else text[: len(text) * n // len(ids)]
    offsets = backend.encode(text, add_special_tokens=False).offsets
    return text if n >= len(offsets) else text[: offsets[n - 1][1]]


def text_of(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text that ids stand for.

    Special tokens show nothing. All else is kept: no space is tidied away, and
    bytes that are no character, as where an answer breaks off inside one, show
    as U+FFFD.
    """
    special = _reader(tokenizer).special
    kept = [token for token in ids if token not in special]
    return tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def begin_ids(tokenizer: Tokenizer) -> list[int]:
    """What the tokenizer puts before every text by default: a begin token, or nothing."""
    words = (text_of(tokenizer, [i]) for i in range(len(tokenizer)))
    for text in islice(chain(["a"], words), PROBES):  # not every vocabulary has an "a"
        whole, (bare,) = tokenizer(text)["input_ids"], token_ids(tokenizer, [text])
        starts = range(len(whole) - len(bare) + 1)
        found = next((n for n in starts if bare and whole[n : n + len(bare)] == bare), None)
        if found is not None:
            return whole[:found]
    return []


def _reader(tokenizer: Tokenizer) -> _Reader:
    """How a tokenizer reads; found out again when it was given other tokens."""
    state = len(tokenizer), tuple(tokenizer.all_special_tokens)
    known = _READERS.get(tokenizer)
    if known is None or known.state != state:
        known = _READERS[tokenizer] = _made(tokenizer, state)
    return known


def _made(tokenizer: Tokenizer, state: tuple) -> _Reader:
    added = {int(i): token for i, token in tokenizer.added_tokens_decoder.items()}
    named = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    special = {i for i, token in added.items() if token.special}
    special |= {i for i, token in named if _MARK.search(token)}
    control = special | {i for i, token in added.items() if _MARK.search(token.content)}
    unknown, backend = tokenizer.unk_token_id, getattr(tokenizer, "backend_tokenizer", None)
    telling, left_out = None, -1
    if backend is not None:
        content = json.loads(backend.to_str())
        unknown, backend = _hiding(content, control)
        telling, left_out = _telling(content)
    if unknown not in (tokenizer.eos_token_id, tokenizer.bos_token_id):
        control.discard(unknown)
    sets = frozenset(control), frozenset(special)
    return _Reader(state, *sets, unknown, backend, telling, left_out)


def _hiding(
    content: dict[str, Any], control: set[int]
) -> "tuple[int | None, tokenizers.Tokenizer]":
    """The id of unknown text, and a copy that finds no control token in any text.

    Asking a tokenizer to split special tokens is not enough: added tokens that
    are not special are still matched, a Unigram or word-level model has its
    control tokens among its words, and merges may lead to one. A text has one
    tokenisation: merges are not left out by chance, as some are tuned with.
    """
    from tokenizers import Tokenizer

    for token in content["added_tokens"]:
        if token["id"] in control:
            token |= {"content": _HIDDEN + token["content"], "normalized": False}
    model = content["model"]
    vocabulary = model["vocab"]
    named = isinstance(vocabulary, dict)
    words = vocabulary.items() if named else ((word, n) for n, (word, _) in enumerate(vocabulary))
    names = {word: _HIDDEN + word for word, n in words if n in control}
    if named:
        model["vocab"] = {names.get(word, word): n for word, n in vocabulary.items()}
    else:
        model["vocab"] = [[names.get(word, word), score] for word, score in vocabulary]
    if "merges" in model:
        pairs = (m.split(" ", 1) if isinstance(m, str) else m for m in model["merges"])
        model["merges"] = [pair for pair in pairs if "".join(pair) not in names]
    unknown = model.get("unk_id")
    if (word := model.get("unk_token")) is not None:
        model["unk_token"] = names.get(word, word)
        unknown = model["vocab"].get(model["unk_token"])
    if "dropout" in model:
        model["dropout"] = None
    content |= {"truncation": None, "padding": None, "post_processor": None}
    return unknown, Tokenizer.from_str(json.dumps(content))


def _telling(content: dict[str, Any]) -> "tuple[tokenizers.Tokenizer | None, int]":
    """A tokenizer that gives a token for what the hiding one leaves out, and its id.

    BPE without an unknown token leaves out characters that are not in its
    vocabulary; all others refuse them or have a token for them.
    """
    from tokenizers import Tokenizer, pre_tokenizers

    model, cut = content["model"], json.dumps(content["pre_tokenizer"])
    if model["type"] != "BPE" or model.get("unk_token") is not None:
        return None, -1
    needed = None
    if '"ByteLevel"' in cut:
        needed = pre_tokenizers.ByteLevel.alphabet()
    elif model.get("byte_fallback"):
        needed = [f"<0x{byte:02X}>" for byte in range(256)]
    if needed and model["vocab"].keys() >= set(needed):
        return None, -1
    left_out = 1 + max([*model["vocab"].values(), *(t["id"] for t in content["added_tokens"])])
    told = model | {"vocab": {**model["vocab"], _HIDDEN: left_out}, "unk_token": _HIDDEN}
    return Tokenizer.from_str(json.dumps(content | {"model": told | {"fuse_unk": False}})), left_out


def _unreadable(texts: Sequence[str], error: Exception) -> TemplateError:
    for text in texts:
        if not isinstance(text, str) or re.search("[\ud800-\udfff]", text):
            return TemplateError(
                f"text {shortened(text)}: holds half of a character (a lone surrogate), which no"
                " tokenizer can read; mend the text"
            )
    return TemplateError(f"text {shortened(texts[0])}: cannot be tokenised ({error})")
