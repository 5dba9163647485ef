"""Input, separator and target become tokens apart, and only within bounds."""

import pytest
from small_models import encoded

from flanlib.core import tokens
from flanlib.core.errors import TemplateError
from flanlib.models import encode, language_model, rehearsal
from flanlib.prompts.prompt import Prompt


@pytest.fixture(scope="module")
def tokenizer():
    return rehearsal.byte_tokenizer()


def prompt(text: str, target: str, separator: str = "\n") -> Prompt:
    return Prompt(text, target, (), None, (target,), "task", "plain", "7", separator=separator)


def test_parts_are_tokenised_apart(tokenizer):
    got = encoded(tokenizer, prompt("is it so?", "yes"))
    assert tokenizer.decode(got.prompt_ids) == "is it so?\n"
    assert tokenizer.decode(got.target_ids) == "yes"
    assert (got.n_cut, got.n_cut_target) == (0, 0)


def test_text_and_prompt_give_the_same(tokenizer):
    text = encoded(tokenizer, "is it so?", "yes", separator=" ")
    assert text == encoded(tokenizer, prompt("is it so?", "yes", " "))


def test_many_equals_one_by_one(tokenizer):
    asked = [prompt("a" * n, "b" * m, s) for n, m, s in ((3, 1, "\n"), (40, 30, " "), (9, 2, "\n"))]
    bounds = {"max_input_tokens": 12, "max_target_tokens": 5, "context": 16}
    got = encode.encode_many(tokenizer, asked, **bounds)
    assert got == [encoded(tokenizer, p, **bounds) for p in asked]
    assert encode.encode_many(tokenizer, []) == []


def test_ready_made_input_loses_its_beginning_and_target_its_end(tokenizer):
    asked = prompt("passage " * 50 + "OPTIONS:\n- yes\n- no", "abcdef")
    got = encoded(tokenizer, asked, max_input_tokens=19, max_target_tokens=4)
    assert tokenizer.decode(got.prompt_ids) == "OPTIONS:\n- yes\n- no\n"
    assert tokenizer.decode(got.target_ids) == "abcd"
    assert (got.n_cut, got.n_cut_target) == (402, 2)


def test_context_shortens_the_input_not_the_target(tokenizer):
    got = encoded(tokenizer, prompt("0123456789", "abcd"), context=10)
    assert tokenizer.decode(got.prompt_ids) == "56789\n"
    assert tokenizer.decode(got.target_ids) == "abcd"
    assert len(got.prompt_ids) + len(got.target_ids) == 10


def test_target_that_cannot_fit_is_an_error(tokenizer):
    with pytest.raises(
        TemplateError, match=r"task task.*example 7: a target of 9 tokens.*max_target"
    ):
        encoded(tokenizer, prompt("q", "123456789"), context=10)


def test_no_tokens_is_an_error(tokenizer):
    with pytest.raises(TemplateError, match="target has no tokens"):
        encoded(tokenizer, "q", "")
    with pytest.raises(TemplateError, match="input has no tokens"):
        encoded(tokenizer, "", "a")


def test_begin_token_only_where_the_tokenizer_puts_it(tokenizer):
    from tokenizers import processors

    assert tokens.begin_ids(tokenizer) == []
    begins = rehearsal.byte_tokenizer()
    begins.bos_token = "<|endoftext|>"
    begins.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    assert tokens.begin_ids(begins) == [0]
    assert encoded(begins, "ab", "c").prompt_ids[0] == 0
    assert 0 not in encoded(begins, "ab", "c").target_ids
    assert len(encoded(begins, "abcdef", "c", context=5).prompt_ids) == 4


def test_a_space_goes_with_the_answer_as_the_tokenizer_has_it(tokenizer):
    micro = language_model.load_tokenizer("micro-2m")
    assert encode.border(micro, " ") == ([], ""), "its words bring their space"
    assert encode.border(tokenizer, " ") == ([], " ")
    (newline,) = tokens.token_ids(tokenizer, ["\n"])
    assert encode.border(tokenizer, "\n") == (newline, "")
    found = encoded(tokenizer, "The sky is", "blue", separator=" ")
    assert tokenizer.decode(found.target_ids) == " blue"
    assert tokenizer.decode(found.prompt_ids) == "The sky is"
