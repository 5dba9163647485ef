"""A word-level tokenizer with byte fallback, as an ordinary fast tokenizer.

Every word of the micro corpus is one token, wherever it stands in a line;
anything else is spelled with letters, or bytes. Decoding gives the text
back, but for the character U+2581, which stands for a space.
"""

import re
from itertools import islice

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from flanlib.micro.corpus import PHASES, documents
from flanlib.micro.qa_forms import plain
from flanlib.prompts.prompt import OPTIONS_HEAD

SPACE = "\u2581"
PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
CONTEXT = 512
N_PAGES = 6_000


def vocabulary(world_seed: int) -> list[str]:
    """All words of the corpus and the head of the OPTIONS block, sorted."""
    words = {OPTIONS_HEAD.strip(":")}
    for phase in PHASES:
        for text in islice(documents(world_seed, 0, phase), N_PAGES):
            words.update(re.findall(r"[a-z]+", plain(text)))
    return sorted(words)


def build(words: list[str]) -> PreTrainedTokenizerFast:
    """The tokenizer of a word list.

    Parameters
    ----------
    words
        Each becomes a token with the space before it.
    """
    pieces = [PAD, EOS, UNK, SPACE, "\n"]
    pieces += [chr(c) for c in range(33, 127)] + [SPACE + w for w in words]
    scores = [(p, -8.0 if len(p) > 1 else -12.0) for p in pieces]
    scores += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=pieces.index(UNK), byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [  # a word at the start of a line gets the space it has elsewhere
            normalizers.Replace(Regex(r"(?<![^\n])(?=[A-Za-z ])"), SPACE),
            normalizers.Replace(" ", SPACE),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(rf"{SPACE}?[A-Za-z]+|{SPACE}|\n|\d|[^\sA-Za-z\d{SPACE}]|\s"), "isolated"
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(Regex(rf"(?<![^\n]){SPACE}"), ""),
            decoders.Replace(SPACE, " "),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
