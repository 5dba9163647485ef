"""Packed examples do not see each other: loss and gradients say so."""

import random

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OPTConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from flanlib.core.config import Recipe
from flanlib.core.errors import RunError
from flanlib.models import language_model
from flanlib.models.encode import Encoded
from flanlib.training import packing

EOS = 2
SIZE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "pad_token_id": 0,
}
GROUPED = {**SIZE, "num_key_value_heads": 2}
CONFIGS = {
    "gpt_neox": GPTNeoXConfig(**SIZE),
    "llama": LlamaConfig(**GROUPED, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**GROUPED),
    "qwen3": Qwen3Config(**GROUPED, head_dim=8),
    "olmo2": Olmo2Config(**GROUPED),
    "smollm3": SmolLM3Config(**GROUPED),
    "mistral": MistralConfig(**GROUPED, sliding_window=64),
    "gpt2": GPT2Config(
        vocab_size=60, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=EOS
    ),
}
LEAKY = {
    "opt": OPTConfig(**{**SIZE, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "bloom": BloomConfig(vocab_size=60, hidden_size=32, n_layer=2, n_head=4),
}


def build(config):
    torch.manual_seed(3)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def examples(n: int = 8, seed: int = 0) -> list[Encoded]:
    draw = random.Random(seed)

    def ids(low: int, high: int) -> list[int]:
        return [draw.randrange(60) for _ in range(draw.randrange(low, high))]

    return [Encoded(ids(3, 25), ids(1, 6)) for _ in range(n)]


def gradients(net) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    return found


def largest_gap(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max((one[n] - other[n]).abs().max().item() for n in one)


def by_packs(net, rows: list[list[Encoded]]) -> tuple[float, dict[str, torch.Tensor]]:
    """Mean loss per target token and its gradients, over packs."""
    total = sum(len(e.target_ids) + 1 for row in rows for e in row)
    loss = 0.0
    with packing.isolating(net):
        for row in rows:
            part = packing.loss_sum(net, packing.pack(row, EOS)) / total
            part.backward()
            loss += part.item()
    return loss, gradients(net)


def one_by_one(net, found: list[Encoded]) -> tuple[float, dict[str, torch.Tensor]]:
    """The same by the model's own labels, each example alone."""
    total = sum(len(e.target_ids) + 1 for e in found)
    loss = 0.0
    for e in found:
        ids = torch.tensor([[*e.prompt_ids, *e.target_ids, EOS]])
        labels = ids.clone()
        labels[0, : len(e.prompt_ids)] = -100
        part = net(ids, labels=labels, use_cache=False).loss * (len(e.target_ids) + 1) / total
        part.backward()
        loss += part.item()
    return loss, gradients(net)


@pytest.mark.parametrize("name", CONFIGS)
def test_packed_equals_separate(name):
    net, found = build(CONFIGS[name]), examples()
    packed, grads = by_packs(net, [found])
    apart, expected = one_by_one(net, found)
    assert packed == pytest.approx(apart, abs=1e-6)
    assert largest_gap(grads, expected) < 1e-6


@pytest.mark.parametrize("name", CONFIGS)
def test_architectures_that_isolate_are_taken(name):
    packing.check_isolation(build(CONFIGS[name]))


@pytest.mark.parametrize("name", LEAKY)
def test_architectures_that_leak_are_refused(name):
    with pytest.raises(RunError, match=f"{name}: packed examples.*gpt_neox"):
        packing.check_isolation(build(LEAKY[name]))


def test_every_packable_architecture_is_tested():
    assert set(packing.PACKABLE) == set(CONFIGS)


def test_the_probe_sees_a_leak_whatever_the_name(monkeypatch):
    net = build(CONFIGS["llama"])
    lengths = packing.isolated_attention

    def leaky(module, query, key, value, mask, example_lengths=None, **given):
        return lengths(module, query, key, value, mask, example_lengths=[query.shape[2]], **given)

    packing.AttentionInterface.register(packing.ATTENTION, leaky)
    try:
        with pytest.raises(RunError, match="llama: packed logits differ"):
            packing.check_isolation(net)
    finally:
        packing.AttentionInterface.register(packing.ATTENTION, lengths)


def test_lengths_that_do_not_arrive_are_an_error():
    net = build(CONFIGS["llama"])
    with packing.isolating(net), pytest.raises(RunError, match="does not hand the examples'"):
        net(torch.tensor([[1, 2, 3]]), use_cache=False)


def test_attention_is_as_before_afterwards():
    net = build(CONFIGS["llama"])
    before = net.config._attn_implementation
    with pytest.raises(KeyError), packing.isolating(net):
        assert net.config._attn_implementation == packing.ATTENTION
        raise KeyError
    assert net.config._attn_implementation == before


def test_longer_than_the_sliding_window_is_an_error():
    net = build(CONFIGS["mistral"])
    with packing.isolating(net), pytest.raises(RunError, match="sliding window of 64"):
        packing.logits(net, packing.pack([Encoded([5] * 70, [6])], EOS))


def test_loss_does_not_depend_on_how_a_step_is_packed():
    net, found = build(CONFIGS["llama"]), examples()
    whole, expected = by_packs(net, [found])
    halves, grads = by_packs(net, [found[:4], found[4:]])
    assert halves == pytest.approx(whole, abs=1e-6)
    assert largest_gap(grads, expected) < 1e-6


def test_packs_keep_order_and_bounds():
    found = examples(20, seed=5)
    rows = packing.packs(found, EOS, 60)
    assert all(sum(r.lengths) <= 60 for r in rows) and len(rows) > 1
    assert torch.equal(
        torch.cat([r.targets for r in rows]),
        torch.cat([packing.pack([e], EOS).targets for e in found]),
    )
    assert [n for r in rows for n in r.lengths] == [
        len(e.prompt_ids) + len(e.target_ids) for e in found
    ]
    assert [len(r.lengths) for r in packing.packs(found, EOS, 1)] == [1] * 20


def test_only_target_and_end_token_carry_loss():
    made = packing.pack([Encoded([7, 8, 9], [4, 5]), Encoded([6], [3])], EOS)
    assert made.input_ids.tolist() == [[7, 8, 9, 4, 5, 6, 3]]
    assert made.position_ids.tolist() == [[0, 1, 2, 3, 4, 0, 1]]
    assert made.targets.tolist() == [4, 5, EOS, 3, EOS]
    assert made.where.tolist() == [2, 3, 4, 5, 6]
    assert made.lengths == (5, 2)


def test_a_cut_target_has_no_end_token():
    made = packing.pack([Encoded([7], [4, 5], n_cut=3, n_cut_target=3)], EOS)
    assert made.targets.tolist() == [4, 5]


def test_end_token_is_learnt():
    net = build(CONFIGS["llama"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    with packing.isolating(net):
        for _ in range(30):
            packing.loss_sum(net, packing.pack([Encoded([7, 8], [9])], EOS)).backward()
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        assert net(torch.tensor([[7, 8, 9]])).logits[0, -1].argmax() == EOS


def test_a_soft_prompt_is_packed_like_peft_lays_it_alone():
    net = language_model.attach(
        build(CONFIGS["gpt_neox"]), Recipe(prompt_tokens=4), 1, "prompt-tuned"
    ).eval()
    found = examples(5)
    with packing.isolating(net):
        packing.loss_sum(net, packing.pack(found, EOS, 4)).backward()
    grads = gradients(net)
    for e in found:
        ids = torch.tensor([[*e.prompt_ids, *e.target_ids, EOS]])
        labels = ids.clone()
        labels[0, : len(e.prompt_ids)] = -100
        (net(input_ids=ids, labels=labels).loss * (len(e.target_ids) + 1)).backward()
    expected = gradients(net)
    assert list(expected) == ["prompt_encoder.default.embedding.weight"]
    assert largest_gap(grads, expected) < 1e-4
