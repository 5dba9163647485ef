"""The one-pass engine against plain forward passes."""

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from small_models import byte_tokenizer, one_by_one, prompt, random_model

from flanlib.core.errors import RunError
from flanlib.evaluation import backbone, score
from flanlib.evaluation.likelihood import Item, Work, common_prefix, likelihoods

WORDS = byte_tokenizer()
PASSAGE = "Ada met Bo at the old mill."
PROMPTS = [
    prompt(text, options, template=f"t{n}", example=str(e))
    for e, name in enumerate(("Ada", "Bo", "nobody"))
    for n, (text, options) in enumerate(
        [
            (f"{PASSAGE} Was it {name}?", ("yes", "no")),
            (f"{PASSAGE} Who met {name}?", ("Ada", "Bo", "it is not said")),
            (f"Read: {PASSAGE} Is {name} there?", ("y", "n")),
        ]
    )
]


@pytest.fixture(autouse=True)
def _forget_ways():
    backbone.WAYS.clear()


def expected(lm, prompts, soft=0):
    return [
        one_by_one(lm, WORDS, p.input + p.separator, option, soft)
        for p in prompts
        for option in p.options
    ]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2", "qwen3", "olmo2"])
def test_tree_equals_separate_passes(family, attention):
    lm, work = random_model(family, attention), Work()
    table = score.rank(lm, WORDS, PROMPTS, work=work)
    assert np.allclose(table["ll"], expected(lm, PROMPTS), atol=2e-4, rtol=0)
    assert next(iter(backbone.WAYS.values())) == ("tree", True)
    assert work.computed < 0.5 * work.separate


@pytest.mark.parametrize("family", ["bloom", "opt"])
def test_other_positions_fall_back_and_stay_right(family):
    lm = random_model(family)
    table = score.rank(lm, WORDS, PROMPTS)
    assert np.allclose(table["ll"], expected(lm, PROMPTS), atol=2e-4, rtol=0)


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2"])
def test_equals_lm_evaluation_harness(family):
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from lm_eval.models.huggingface import HFLM

    lm = random_model(family)
    harness = HFLM(pretrained=lm, tokenizer=WORDS, batch_size=4, device="cpu")
    requests = [
        (("", ""), *(WORDS(t, add_special_tokens=False)["input_ids"] for t in (p.input + "\n", o)))
        for p in PROMPTS
        for o in p.options
    ]
    theirs = [ll for ll, _ in harness._loglikelihood_tokens(requests, disable_tqdm=True)]
    assert np.allclose(score.rank(lm, WORDS, PROMPTS)["ll"], theirs, atol=1e-4, rtol=0)


def test_an_attention_window_is_never_run_as_a_tree():
    lm = random_model("qwen3", use_sliding_window=True, sliding_window=8, max_window_layers=0)
    assert lm.config.sliding_window == 8
    table = score.rank(lm, WORDS, PROMPTS)
    assert next(iter(backbone.WAYS.values()))[0] != "tree"
    assert np.allclose(table["ll"], expected(lm, PROMPTS), atol=2e-4, rtol=0)


class Closed(transformers.GPT2LMHeadModel):
    """A model that says of itself that it has no body apart from its head."""

    @property
    def base_model(self):
        return self

    def get_input_embeddings(self):
        return self.transformer.wte


def closed_model():
    lm = random_model("gpt2")
    found = Closed(lm.config).eval()
    found.load_state_dict(lm.state_dict())
    return found


def test_a_body_that_cannot_be_opened_runs_whole():
    lm = closed_model()
    table = score.rank(lm, WORDS, PROMPTS)
    assert next(iter(backbone.WAYS.values())) == ("whole", False)
    assert np.allclose(table["ll"], expected(lm, PROMPTS), atol=2e-4, rtol=0)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_adapter_counts(family):
    plain = random_model(family)
    before = score.rank(plain, WORDS, PROMPTS)["ll"]
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", lora_dropout=0.5)
    lm = get_peft_model(plain, config)
    with torch.no_grad():
        for name, weight in lm.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(1), std=0.1)
    lm.train()
    after = score.rank(lm, WORDS, PROMPTS)["ll"]
    assert lm.training
    lm.eval()
    assert np.allclose(after, expected(lm, PROMPTS), atol=2e-4, rtol=0)
    assert next(iter(backbone.WAYS.values())) == ("tree", True)
    assert np.abs(after - before).max() > 0.1


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2"])
def test_soft_prompt_counts(family):
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    lm = get_peft_model(random_model(family), config).eval()
    table = score.rank(lm, WORDS, PROMPTS)
    assert np.allclose(table["ll"], expected(lm, PROMPTS, soft=5), atol=2e-4, rtol=0)
    assert next(iter(backbone.WAYS.values())) == ("tree", True)
    assert backbone.context_of(lm) == 155


def test_soft_prompt_over_a_model_run_whole():
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    lm = get_peft_model(closed_model(), config).eval()
    table = score.rank(lm, WORDS, PROMPTS)
    assert next(iter(backbone.WAYS.values())) == ("whole", False)
    assert np.allclose(table["ll"], expected(lm, PROMPTS, soft=5), atol=2e-4, rtol=0)


def test_prefix_tuning_is_refused():
    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    with pytest.raises(RunError, match="PREFIX_TUNING"):
        score.rank(get_peft_model(random_model("llama"), config), WORDS, PROMPTS)


def test_four_bit_weights():
    bnb = pytest.importorskip("bitsandbytes")
    lm = random_model("llama", hidden_size=64, intermediate_size=64)
    layers = lm.base_model.layers
    for name, module in list(layers.named_modules()):
        if isinstance(module, torch.nn.Linear):
            small = bnb.nn.Linear4bit(64, 64, bias=False, quant_type="nf4")
            small.load_state_dict({"weight": module.weight.data})
            layers.set_submodule(name, small.to("cpu"))
    table = score.rank(lm, WORDS, PROMPTS)
    assert np.allclose(table["ll"], expected(lm, PROMPTS), atol=2e-3, rtol=0)


def test_scores_do_not_depend_on_batch_or_order():
    lm = random_model("llama")
    first = score.rank(lm, WORDS, PROMPTS)
    keys = ["example", "template", "option"]
    for budget, prompts in (
        (1, PROMPTS),
        (90, PROMPTS[::-1]),
        (100_000, PROMPTS[3:] + PROMPTS[:3]),
    ):
        other = score.rank(lm, WORDS, prompts, token_budget=budget)
        pair = first.merge(other, on=keys, validate="1:1")
        assert len(pair) == len(first)
        assert np.abs(pair["ll_x"] - pair["ll_y"]).max() < 1e-5
        assert np.abs(pair["ll_null_x"] - pair["ll_null_y"]).max() < 1e-5


@pytest.mark.parametrize(
    ("a", "b", "n"), [([1], [1, 2], 1), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 3], 1), ([1], [2], 0)]
)
def test_common_prefix(a, b, n):
    assert common_prefix(np.array(a), np.array(b)) == n


def test_work_is_counted_by_hand():
    items = [
        Item([5, 6, 7], [[8], [9]], "one"),
        Item([5, 6, 7], [[8, 9], [10, 9]], "two"),
        Item([5, 6, 11], [[8]], "three"),
    ]
    work = Work()
    likelihoods(random_model("llama"), items, work=work)
    assert (work.separate, work.distinct, work.computed) == (17, 6, 6)


def short_of_memory(lm, longest):
    """Let a model fail as a GPU does, in passes of more tokens than that."""

    def check(module, given, named):
        if named["input_ids"].numel() > longest:
            raise torch.cuda.OutOfMemoryError("no room")

    backbone.backbone(lm)  # the trial of ways is over
    lm.base_model.register_forward_pre_hook(check, with_kwargs=True)


def test_memory_trouble_halves_the_batch():
    lm, work = random_model("llama"), Work()
    first = score.rank(lm, WORDS, PROMPTS)
    short_of_memory(lm, 90)
    found = score.rank(lm, WORDS, PROMPTS, work=work)
    assert work.halvings > 2
    assert np.abs(found["ll"] - first["ll"]).max() < 1e-5


def test_memory_too_small_for_one_row_says_so():
    lm = random_model("llama")
    short_of_memory(lm, 0)
    with pytest.raises(RunError, match=r"task t, template 't.', example .*one row of .* tokens"):
        score.rank(lm, WORDS, PROMPTS)


def test_a_logit_that_is_no_number_is_named():
    lm = random_model("llama")
    with torch.no_grad():
        lm.get_output_embeddings().weight[WORDS.convert_tokens_to_ids("y")] = float("nan")
    with pytest.raises(RunError, match=r"task t, template 't0', example 0, option 0: .* nan"):
        score.rank(lm, WORDS, PROMPTS[:1])


@pytest.mark.parametrize("is_decoder", [True, False])
def test_a_model_that_reads_ahead_is_refused(is_decoder):
    """As BERT, whose every place sees the whole text, unless it is told to be a decoder."""
    transformers.set_seed(0)
    config = transformers.BertConfig(
        vocab_size=258,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        is_decoder=is_decoder,
    )
    lm = transformers.BertLMHeadModel(config).eval()
    if is_decoder:
        assert backbone.backbone(lm).way == "whole"
        return
    with pytest.raises(RunError, match="BertLMHeadModel: what it predicts depends on the words"):
        score.rank(lm, WORDS, [prompt("Is it so?")], calibrate=False)
