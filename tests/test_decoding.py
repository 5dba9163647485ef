"""Generation by written-out layers gives the texts that transformers gives."""

import itertools

import numpy as np
import pytest
import torch
from test_fused import tuned

from flanlib.evaluation import backbone, decoding
from flanlib.evaluation.generate import greedy
from flanlib.models import llama


def prompts(n=9, seed=0):
    """Prompts of many lengths; several begin alike, one begins another, two are the same."""
    draw = np.random.default_rng(seed)
    shared = draw.integers(0, 300, 60).tolist()
    found = [shared[: int(draw.integers(1, 60))] for _ in range(2)]
    found += [shared[:k] + draw.integers(0, 300, 3 + k).tolist() for k in range(0, 5 * n, 5)]
    return [*found, found[3]]


def by_transformers(lm, prompt, n):
    """The n likeliest next tokens, one prompt at a time."""
    ids = torch.tensor([prompt])
    given = {"attention_mask": torch.ones_like(ids), "max_new_tokens": n, "do_sample": False}
    found = lm.generate(input_ids=ids, eos_token_id=None, pad_token_id=0, **given)
    return found[0, len(prompt) :].tolist()


def until(tokens, ends, last):
    """What is left of an answer."""
    before = list(itertools.takewhile(lambda token: token not in ends, tokens))
    at = next((k + 1 for k, token in enumerate(before) if token in last), len(before))
    return before[:at]


def written(lm, asked, ends=(), last=(), n=12, **given):
    """Answers by flanlib; the layers have to be written out."""
    assert backbone.backbone(lm).way == "written"
    stops = {"ends": ends.__contains__, "last": last.__contains__}
    return greedy(lm, asked, **stops, max_new_tokens=n, **given)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("adapted", [True, False])
def test_answers_are_those_of_transformers(kind, adapted):
    lm = tuned(kind).eval()
    lm = lm if adapted else lm.unload().eval()
    assert written(lm, prompts()) == [by_transformers(lm, prompt, 12) for prompt in prompts()]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("budget", [1, 70, 10_000])
def test_rows_that_end_make_room_and_move_nothing(rows, budget, monkeypatch):
    """However few rows there are, and whenever they end, answers are the same."""
    lm, asked = tuned().eval(), prompts()
    whole = [by_transformers(lm, prompt, 12) for prompt in asked]
    ends, last = {whole[2][3], whole[5][0]}, {whole[7][6], whole[1][1]}
    wanted = [until(answer, ends, last) for answer in whole]
    assert len(set(map(len, wanted))) > 3
    monkeypatch.setattr(decoding, "ROWS", rows)
    assert written(lm, asked, ends, last, token_budget=budget) == wanted


def test_little_memory_means_few_rows_and_no_longer_ones_than_needed(monkeypatch):
    lm = tuned().eval()
    long, short = list(range(90)), [[k, 3 * k] for k in range(20)]
    asked = [*short, long]
    wanted = [by_transformers(lm, prompt, 5) for prompt in asked]
    found = [[] for _ in asked]

    def goes_on(n, token):
        found[n].append(token)
        return len(found[n]) < 5

    room = [len(prompt) + 5 for prompt in asked]
    monkeypatch.setattr(decoding, "CACHE_BYTES", 3 * 2 * 32 * 4 * 200)  # 200 tokens
    with torch.inference_mode():
        model = backbone.backbone(lm)
        turns = decoding.decode(model, asked, goes_on, room, token_budget=10_000)
    assert found == wanted
    assert turns == [(2, 95), (20, 7)]


def test_what_no_row_has_written_is_finite():
    """A masked place has the weight 0, and 0 times what is not a number is none either."""
    lm = tuned().eval()
    before = [torch.full((9, 40, 32), torch.nan) for _ in range(20)]
    del before
    for _ in range(20):
        rows = decoding.Rows(backbone.backbone(lm), 3, 20)
        assert rows.held.shape == (3, 3, 20, 64) and not rows.held.any()


def test_answers_end_where_the_context_does():
    lm = tuned(max_position_embeddings=30).eval()
    found = written(lm, [list(range(28)), list(range(30)), [4, 5]], n=100)
    assert [len(answer) for answer in found] == [2, 0, 28]
    assert written(lm, [[1, 2]], n=0) == [[]]
    assert written(lm, [], n=5) == []


@pytest.mark.parametrize("words", [1, 63, 64, 65, 300])
def test_the_likeliest_word_is_float32s(words):
    """In bfloat16 many logits are the same; float32 tells which one is larger, or the first."""
    lm = tuned(dtype=torch.bfloat16, vocab_size=words, tie_word_embeddings=False).eval()
    body = backbone.llama.body_of(lm.get_base_model())
    hidden = (
        3 * torch.randn(50, llama.NARROWEST, generator=torch.Generator().manual_seed(words)) + 2
    )
    weight = lm.get_output_embeddings().weight.detach()
    weight += 0.5  # so that logits are large, and lie close to each other
    weight[words // 2 :: words // 2 + 1] = weight[:1]
    wanted = hidden @ weight.float().t()
    found = decoding.likeliest(body, hidden)
    assert torch.equal(found, wanted.argmax(1))
    if words == 300:
        assert not torch.equal(wanted.bfloat16().argmax(1), wanted.argmax(1))


def test_bfloat16_writes_what_float32_does_as_often_as_transformers():
    exact, half = tuned().eval(), tuned(dtype=torch.bfloat16).eval()
    asked = prompts(40)
    wanted = [by_transformers(exact, prompt, 3) for prompt in asked]
    theirs = [by_transformers(half, prompt, 3) for prompt in asked]
    ours = written(half, asked, n=3)
    agree = [sum(a == b for a, b in zip(found, wanted, strict=True)) for found in (ours, theirs)]
    assert agree[0] >= agree[1] - 2 and agree[0] > len(asked) / 2  # chance moves it by as much
