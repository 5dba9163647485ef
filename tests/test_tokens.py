"""Text stays text: no control token comes of it, and nothing of it is lost."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import encoded
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from flanlib.core import tokens
from flanlib.core.errors import TemplateError
from flanlib.data import catalogue
from flanlib.data.adapters import adapt_all
from flanlib.evaluation import score
from flanlib.models import encode, language_model, rehearsal
from flanlib.prompts.prompt import Prompt

MARKS = (
    "<eos>",
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    "<|endoftext|>",
    "<|im_start|>",
    "[INST]",
    "<mask>",
)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def added(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same with control tokens, special or not, and a word of its own."""
    tokenizer.add_tokens([AddedToken("<|im_start|>", special=True)], special_tokens=True)
    tokenizer.add_tokens(
        [AddedToken("[INST]", special=False, normalized=False), "<mask>", "covid19"]
    )
    return tokenizer


def neox() -> PreTrainedTokenizerFast:
    """Byte-level BPE with added runs of spaces, as GPT-NeoX and Pythia have them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        token: n for n, token in enumerate(["<|endoftext|>", *alphabet, "<e", "os", "os>"])
    }
    made = Tokenizer(models.BPE(vocabulary, [("<", "e"), ("o", "s"), ("os", ">")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>"])
    made.add_tokens([AddedToken(" " * n, normalized=False) for n in (4, 3, 2)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|endoftext|>")


def sentencepiece(kind: str) -> PreTrainedTokenizerFast:
    """Byte fallback as in Llama; in both kinds the words themselves lead to control tokens."""
    plain = ["<unk>", "<s>", "</s>", *BYTES, "\u2581", *map(chr, range(33, 127)), "s>", "\u2581y"]
    if kind == "bpe":
        pairs = [("s", ">"), ("<", "s>"), ("\u2581", "y")]
        vocabulary = {piece: n for n, piece in enumerate(plain)}
        made = models.BPE(vocabulary, pairs, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    else:
        scores = [(piece, 0.0 if n in (1, 2) else -10.0) for n, piece in enumerate(plain)]
        made = models.Unigram(scores, unk_id=0, byte_fallback=True)
    made = Tokenizer(made)
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


KINDS = {
    "micro": added(language_model.load_tokenizer("micro-300k")),
    "bytes": added(rehearsal.byte_tokenizer()),
    "neox": added(neox()),
    "llama": added(sentencepiece("bpe")),
    "unigram": sentencepiece("unigram"),
}
LETTERS = st.characters(blacklist_categories=("Cs",), blacklist_characters="\u2581")
TEXTS = st.lists(st.one_of(st.sampled_from(MARKS), st.text(LETTERS, max_size=6)), min_size=1).map(
    "".join
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_text_comes_back_and_holds_no_control_token(kind, text):
    tokenizer = KINDS[kind]
    if kind == "unigram":  # it has its words for bytes among its words
        text = text.replace("<0x", "")
    (ids,) = tokens.token_ids(tokenizer, [text])
    control = {i for i, t in tokenizer.added_tokens_decoder.items() if t.content in MARKS}
    assert control and control.isdisjoint(ids)
    assert tokens.text_of(tokenizer, ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_tuning_adds_the_one_end_token_and_scoring_none(kind):
    from flanlib.training.packing import trained

    tokenizer, text = KINDS[kind], "use " + " ".join(MARKS) + " here"
    asked = Prompt(text, text, (), None, (text,), "t", "a", "0")
    found = encoded(tokenizer, asked)
    end = tokenizer.eos_token_id
    assert trained(found, end).count(end) == 1 and trained(found, end)[-1] == end
    assert end not in found.prompt_ids
    assert tokens.text_of(tokenizer, found.target_ids) == text


def test_words_and_white_space_that_were_added_stay_tokens():
    tokenizer = KINDS["neox"]
    names = tokenizer.convert_ids_to_tokens(tokens.token_ids(tokenizer, ["a    covid19"])[0])
    assert names == ["a", "    ", "covid19"]
    assert tokens.text_of(tokenizer, tokenizer.convert_tokens_to_ids(["[INST]", "a"])) == "[INST]a"
    assert tokens.text_of(tokenizer, tokenizer.convert_tokens_to_ids(["<|im_start|>", "a"])) == "a"


def test_tokens_added_later_are_seen():
    tokenizer = rehearsal.byte_tokenizer()
    before = tokens.token_ids(tokenizer, ["<later>"])
    tokenizer.add_tokens(["<later>"])
    assert tokenizer("<later>")["input_ids"] != before[0]
    assert tokens.token_ids(tokenizer, ["<later>"]) == before


def test_a_pad_token_that_is_a_word_is_not_swallowed():
    tokenizer = rehearsal.byte_tokenizer()
    tokenizer.pad_token = "!"
    (ids,) = tokens.token_ids(tokenizer, ["no!!"])
    assert tokens.text_of(tokenizer, ids) == "no!!"


def words() -> PreTrainedTokenizerFast:
    """Whole words only; anything else is unknown."""
    vocabulary = {w: n for n, w in enumerate(("[UNK]", "<eos>", "is", "it", "so", "yes"))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", unk_token="[UNK]")


def test_what_has_no_token_is_counted_and_told(caplog):
    tokenizer = words()
    asked = [
        Prompt(text, "yes", (), None, ("yes",), "t", "a", str(n), separator=" ")
        for n, text in enumerate(("is it so", "is <eos> or foo so"))
    ]
    found = encode.encode_many(tokenizer, asked)
    assert [one.n_unknown for one in found] == [0, 3]
    encode.tell(["first", "second"], found)
    assert "1 of 2 prompts hold what the tokenizer has no token for" in caplog.text
    assert "the first is second, 3 times" in caplog.text


def test_half_a_character_is_an_error_and_no_traceback():
    with pytest.raises(TemplateError, match=r"half of a character"):
        tokens.token_ids(KINDS["micro"], ["fine", "half of an emoji \ud83d"])


def test_a_tokenizer_in_python_that_takes_text_for_control_tokens_is_refused():
    class Slow:
        unk_token_id = bos_token_id = None
        eos_token_id, all_special_ids, all_special_tokens = 1, (1,), ("<eos>",)
        added_tokens_decoder = MappingProxyType({1: AddedToken("<eos>", special=True)})

        def __len__(self):
            return 9

        def __call__(self, texts, **given):
            return {"input_ids": [[5, 1]] * len(texts)}

        def convert_ids_to_tokens(self, token):
            return "<eos>"

    with pytest.raises(
        TemplateError, match="Slow takes a part of it for the control token '<eos>'"
    ):
        tokens.token_ids(Slow(), ["a<eos>"])


def test_what_is_not_seen_reaches_the_tokenizer_as_documented(tmp_path):
    (tmp_path / "catalogue.yaml").write_text(
        "title: Unseen\nclusters: [{key: c, title: C, domain: NLU}]\ntasks:\n"
        "  - {key: t, title: T, dataset: t, cluster: c, kind: generate, metric: exact_match,\n"
        "     columns: {fields: [text], answer: answer},\n"
        "     source: {route: manual, obtain: o, splits: {train: train, eval: test}}}\n"
    )
    task = catalogue.load(tmp_path).task("t")
    kept = "a\u00adb\u200dc\u200ed\u202ee\x00f\r\ng\u2028h\u200ci"
    row = {"text": f" \r\n{kept}\u200b\u2060\ufeff", "answer": "x"}
    text = adapt_all(row, task, "0")[0].fields["text"]
    assert text == kept
    (ids,) = tokens.token_ids(KINDS["micro"], [text])
    assert tokens.text_of(KINDS["micro"], ids) == kept


ASKED = Prompt("caf\u00e9 \u4e1c?", "yes \u00e9", (), None, ("yes",), "t", "a", "0")


def bpe(*pieces, **given) -> PreTrainedTokenizerFast:
    """BPE that has no unknown token."""
    vocabulary = {piece: n for n, piece in enumerate(["<s>", "<eos>", *pieces])}
    made = Tokenizer(models.BPE(vocabulary, given.pop("merges", []), **given))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<eos>")


@pytest.mark.parametrize(
    ("tokenizer", "n"),
    [
        (bpe(*"abcdefsy ?\n"), 3),
        (bpe(*"abcdefsy ?\n", *BYTES[:0xE0], byte_fallback=True), 1),
        (bpe(*"abcdefsy ?\n", *BYTES, byte_fallback=True), 0),
        (KINDS["bytes"], 0),
        (KINDS["micro"], 0),
    ],
)
def test_what_bpe_leaves_out_is_counted(tokenizer, n):
    assert encoded(tokenizer, ASKED).n_unknown == n
    options = ("yes", "yes ?\u00e9")
    _, (found,) = score.items_of(tokenizer, [replace(ASKED, options=options, gold=1)], None)
    assert found.n_unknown == n


def test_merges_are_not_left_out_by_chance():
    made = bpe(*"abc ", "ab", "abc", merges=[("a", "b"), ("ab", "c")], dropout=0.5)
    whole = made.convert_tokens_to_ids(["abc", " ", "abc"])
    assert {tuple(tokens.token_ids(made, ["abc abc"])[0]) for _ in range(20)} == {tuple(whole)}


def test_the_begin_token_is_found_in_a_vocabulary_without_an_a():
    assert tokens.begin_ids(bpe("x", "y")) == [0] == tokens.begin_ids(bpe("a"))
