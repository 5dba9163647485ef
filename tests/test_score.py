"""Tables of scores against values worked out by hand."""

import itertools
import json
import logging

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from small_models import (
    CONTEXT,
    bigram_model,
    byte_tokenizer,
    encoded,
    one_by_one,
    prompt,
    random_model,
)
from tokenizers import Tokenizer

from flanlib.core.errors import TemplateError
from flanlib.evaluation import backbone, score

WORDS = byte_tokenizer()
ID = {c: WORDS(c, add_special_tokens=False)["input_ids"][0] for c in "abcdynoe sAnswer:.\n"}
EOS = WORDS.eos_token_id


@pytest.fixture(autouse=True)
def _forget_ways():
    backbone.WAYS.clear()


def table_of(**favoured: dict[str, float]) -> torch.Tensor:
    """Logits of 0 but for the pairs named; rows by character."""
    logits = torch.zeros(258, 258)
    for before, after in favoured.items():
        for char, value in after.items():
            logits[ID[{"newline": "\n"}.get(before, before)], ID.get(char, EOS)] = value
    return logits


def log_p(chosen: float, *others: float) -> float:
    """Log-probability where all tokens not named have logit 0."""
    weights = np.exp([chosen, *others])
    return chosen - np.log(weights.sum() + 258 - len(weights))


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_rank_equals_hand_computed_values(family):
    lm = bigram_model(family, table_of(newline={"y": 5, "n": 4}, y={"e": 3}, n={"o": 2, "e": -1}))
    found = score.rank(lm, WORDS, [prompt("a b", ("yes", "no", "y"), gold=1)])
    yes = log_p(5, 4) + log_p(3) + log_p(0)
    no = log_p(4, 5) + log_p(2, -1)
    assert np.allclose(found["ll"], [yes, no, log_p(5, 4)], atol=1e-3, rtol=0)
    assert np.allclose(found["ll_null"], found["ll"], atol=1e-3, rtol=0)
    assert found["n_tokens"].tolist() == [3, 2, 1]
    assert found["n_bytes"].tolist() == [3, 2, 1]
    assert found["gold"].tolist() == [1, 1, 1]
    assert found["prompt_tokens"].tolist() == [4, 4, 4]
    assert found["ll"].dtype == np.float64


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_generation_equals_hand_computed_text(family):
    rows = table_of(newline={"y": 9}, y={"e": 9}, e={"s": 9}, s={"EOS": 9}, c={"d": 9}, d={"\n": 9})
    lm = bigram_model(family, rows)
    asked = [prompt("a b"), prompt("some longer text a", separator="c"), prompt("b")]
    found = score.generate(lm, WORDS, asked)
    assert found["prediction"].tolist() == ["yes", "d\nyes", "yes"]
    assert found["n_tokens"].tolist() == [3, 5, 3]
    assert found["references"].tolist() == [["yes"]] * 3
    lines = score.generate(lm, WORDS, asked, stop="newline")
    assert lines["prediction"].tolist() == ["yes", "d", "yes"]
    short = score.generate(lm, WORDS, asked, max_new_tokens=2)
    assert short["prediction"].tolist() == ["ye", "d", "ye"]


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gpt2"])
@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_generation_equals_transformers(family, budget):
    lm = random_model(family)
    asked = [prompt("word " * n + "end", example=str(n)) for n in (1, 7, 2, 5)]
    found = score.generate(lm, WORDS, asked, max_new_tokens=20, token_budget=budget)
    for p, prediction in zip(asked, found["prediction"], strict=True):
        ids = torch.tensor([encoded(WORDS, p).prompt_ids])
        whole = lm.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False
        )
        written = WORDS.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert prediction == written.strip()


def test_generation_with_soft_prompt_does_not_depend_on_batch():
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    lm = get_peft_model(random_model("llama"), config).eval()
    asked = [prompt("word " * n + "end", example=str(n)) for n in (1, 7, 2, 5)]
    together = score.generate(lm, WORDS, asked, max_new_tokens=12)
    alone = [score.generate(lm, WORDS, [p], max_new_tokens=12) for p in asked]
    assert together["prediction"].tolist() == [t["prediction"][0] for t in alone]
    ids = torch.tensor([encoded(WORDS, asked[1]).prompt_ids])
    first = lm(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].argmax()
    assert alone[1]["prediction"][0].startswith(WORDS.decode([first]).strip())


def test_generation_of_a_model_that_cannot_be_opened():
    lm = random_model("bloom")
    backbone.WAYS[type(lm), (), "eager", torch.float32, False, True] = ("whole", False)
    asked = [prompt("word " * n + "end", example=str(n)) for n in (1, 7)]
    together = score.generate(lm, WORDS, asked, max_new_tokens=8)
    ids = torch.tensor([encoded(WORDS, asked[0]).prompt_ids])
    whole = lm.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    written = WORDS.decode(whole[0, ids.shape[1] :], skip_special_tokens=True).strip()
    assert together["prediction"][0] == written


def merged_tokenizer():
    """Bytes, and one token for a full stop with the line feed behind it."""
    inner = byte_tokenizer().backend_tokenizer
    content = json.loads(inner.to_str())
    dot, feed = ID["."], ID["\n"]
    names = {i: name for name, i in content["model"]["vocab"].items()}
    content["model"]["vocab"][names[dot] + names[feed]] = 258
    content["model"]["merges"] = [[names[dot], names[feed]]]
    made = Tokenizer.from_str(json.dumps(content))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=True,
    )


def writing(chain: list[int], size: int = 259, way: str = "tree", **changes):
    """A model that writes a fixed text: each token of a chain is followed by the next."""
    lm = random_model("gpt_neox", hidden_size=288, num_hidden_layers=1, **changes)
    lm.resize_token_embeddings(size)
    logits = torch.zeros(size, size)
    for before, after in itertools.pairwise(chain):
        logits[before, after] = 9
    with torch.no_grad():
        for name, weight in lm.named_parameters():
            if any(part in name for part in ("dense", "4h_to_h")):
                weight.zero_()
        states = lm.base_model(input_ids=torch.arange(size)[:, None])[0][:, 0]
        head = torch.linalg.lstsq(states.double(), logits.double()).solution.T
        lm.get_output_embeddings().weight.copy_(head)
    if way == "whole":
        backbone.backbone(lm)
        for key in list(backbone.WAYS):
            backbone.WAYS[key] = ("whole", False)
    return lm


def chain(*parts: str | int) -> list[int]:
    return [
        i for part in parts for i in ([part] if isinstance(part, int) else [ID[c] for c in part])
    ]


@pytest.mark.parametrize("way", ["tree", "whole"])
@pytest.mark.parametrize(
    ("parts", "line", "whole", "n_tokens"),
    [
        (("\n", "yes", 258, "b", EOS), "yes.", "yes.\nb", (4, 5)),  # the feed shares its token
        (("\n", "yes", "\n"), "yes", "yes\nyes\nyes\n"[:11], (3, 12)),
        (("\n", 258, "b", EOS), ".", ".\nb", (1, 2)),
        (("\n", "\n"), "", "", (0, 12)),  # begins with a line feed: an empty answer
        (("\n", EOS), "", "", (0, 0)),
    ],
)
def test_an_answer_keeps_what_stands_before_the_line_feed(way, parts, line, whole, n_tokens):
    lm, words = writing(chain(*parts), way=way), merged_tokenizer()
    asked = [prompt("a b", separator="\n")]
    for stop, text, n in (("newline", line, n_tokens[0]), ("end", whole, n_tokens[1])):
        found = score.generate(lm, words, asked, stop=stop, max_new_tokens=12)
        assert (found["prediction"][0], found["n_tokens"][0]) == (text.strip(), n)


@pytest.mark.parametrize("way", ["tree", "whole"])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("generation", "config", "text"),
    [
        ([1, ID["d"]], 1, "no"),
        (ID["d"], None, "no"),
        (None, [ID["d"], 1], "no"),
        (None, None, "nodes"),
        ([1, 9_999], 1, "nodes"),
    ],
)
def test_every_end_token_of_a_model_ends(way, wrapped, generation, config, text):
    lm = writing(chain("\nodes"[0], "nodes", EOS), way=way)
    lm.generation_config.eos_token_id, lm.config.eos_token_id = generation, config
    if wrapped:
        lm = get_peft_model(
            lm, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")
        ).eval()
    found = score.generate(lm, WORDS, [prompt("a", ())], max_new_tokens=12)
    assert found["prediction"].tolist() == [text] and found["n_tokens"].tolist() == [len(text)]


@pytest.mark.parametrize("way", ["tree", "whole"])
def test_generation_is_greedy_whatever_the_folder_asks(way):
    lm = writing(chain("\n", "yes", "y"), way=way)
    config = lm.generation_config
    config.repetition_penalty, config.do_sample, config.min_new_tokens = 50.0, True, 3
    found = score.generate(lm, WORDS, [prompt("a")], max_new_tokens=7)
    assert found["prediction"].tolist() == ["yesyesy"]
    assert lm.generation_config is config


def test_control_tokens_show_nothing_and_words_are_kept():
    words = byte_tokenizer()
    words.pad_token = "."
    lm = writing(chain("\n", "a", 0, ".", EOS))
    found = score.generate(lm, words, [prompt("b")], max_new_tokens=9)
    assert found["prediction"].tolist() == ["a."]


def test_generation_stops_where_the_context_is_full():
    lm = random_model("llama")
    found = score.generate(lm, WORDS, [prompt("x" * 500), prompt("short")], max_new_tokens=500)
    assert found["n_cut"].tolist() == [500 + 1 + CONTEXT // 8 - CONTEXT, 0]
    assert found["n_tokens"][0] <= CONTEXT // 8
    assert found["n_tokens"][1] <= CONTEXT - 6


def test_encoding_is_the_one_of_tuning():
    asked = [prompt("a question, long enough", ("yes indeed", "no"), gold=1)]
    items, _ = score.items_of(WORDS, asked, None)
    tuned = encoded(WORDS, asked[0])
    assert items[0].prompt_ids == list(tuned.prompt_ids)
    assert items[0].options[1] == list(tuned.target_ids)


def test_long_ready_made_prompts_lose_their_beginning_and_it_is_told(caplog):
    lm = random_model("llama")
    asked = prompt("z" * 300 + "the end", ("yes", "certainly not"))
    with caplog.at_level(logging.WARNING):
        found = score.rank(lm, WORDS, [prompt("short"), asked])
    room = CONTEXT - (len("certainly not") - 1) - 1
    assert found["n_cut"].tolist() == [0, 0, 307 - room, 307 - room]
    assert "1 of 2 prompts were cut" in caplog.text
    assert "task t, template 'a', example 1" in caplog.text
    kept = asked.input[-room:] + "\n"
    assert found["ll"][3] == pytest.approx(one_by_one(lm, WORDS, kept, "certainly not"), abs=2e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("yes", ""), "option 1 .'' *.* has no tokens"),
        (("yes", "no", "yes"), "options 0 .'yes'. and 2 .'yes'. become the same tokens"),
        ((), "0 options; ranking needs two or more"),
        (("yes", "n" * 400), "the answer needs 400 tokens; the model's context is 160"),
    ],
)
def test_what_cannot_be_ranked_is_named(options, message):
    asked = [prompt("fine"), prompt("broken", options, template="b", example="7")]
    with pytest.raises(TemplateError, match=f"task t, template 'b', example 7: {message}"):
        score.rank(random_model("llama"), WORDS, asked)


def test_options_may_look_like_anything():
    lm = random_model("gpt2")
    options = ("\n", " ", "é", "日本", "<eos>", "- yes\n- no", "a" * 60, "a" * 59 + "b")
    found = score.rank(lm, WORDS, [prompt("OPTIONS:\n- é", options)])
    wanted = [one_by_one(lm, WORDS, "OPTIONS:\n- é\n", option) for option in options]
    assert np.allclose(found["ll"], wanted, atol=5e-4, rtol=0)
    assert found["n_bytes"].tolist() == [len(o.encode()) for o in options]


def test_no_prompts_give_an_empty_table():
    lm = random_model("llama")
    assert len(score.rank(lm, WORDS, [])) == 0
    assert len(score.generate(lm, WORDS, [])) == 0
    assert score.loglikelihoods(lm, WORDS, []) == []


def test_ready_made_prompts_count_the_prefix():
    lm = random_model("gpt_neox")
    requests = [("Is it so?", ["yes", "no"]), ("Which one?", ["é", "b", "c"])]
    found = score.loglikelihoods(lm, WORDS, requests, option_prefix="\n- ")
    for (text, options), scores in zip(requests, found, strict=True):
        for option, one in zip(options, scores, strict=True):
            wanted = one_by_one(lm, WORDS, text, "\n- " + option)
            assert one["ll"] == pytest.approx(wanted, abs=2e-4)
            assert one["n_tokens"] == one["n_bytes"] == len(("\n- " + option).encode())


def test_ready_made_prompts_are_named_in_errors():
    with pytest.raises(TemplateError, match="question 9: options 0"):
        score.loglikelihoods(
            random_model("llama"), WORDS, [("x", ["a", "a"])], names=["question 9"]
        )


def test_calibration_weighs_options_alone():
    lm = random_model("llama")
    found = score.rank(lm, WORDS, [prompt("a"), prompt("b", separator=" ")])
    apart = [("Answer:\n", "yes"), ("Answer:\n", "no"), ("Answer:", " yes"), ("Answer:", " no")]
    wanted = [one_by_one(lm, WORDS, text, option) for text, option in apart]
    assert np.allclose(found["ll_null"], wanted, atol=2e-4, rtol=0)
    assert "ll_null" not in score.rank(lm, WORDS, [prompt("a")], calibrate=False)
