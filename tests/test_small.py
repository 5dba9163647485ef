"""The study on real rows: ways of asking, records that hold no text, and how few rows are enough."""

import json
import re
from collections import Counter
from dataclasses import fields, replace

import pandas as pd
import pytest
import torch
from records import make_record
from small_models import EOS, byte_tokenizer, encoded, prompt, random_model

from flanlib.core.config import ADDED, Factors, Recipe, Scoring, digest, told
from flanlib.core.errors import ParameterError
from flanlib.core.paths import RESULTS
from flanlib.data import catalogue
from flanlib.data.adapters import Example
from flanlib.evaluation import metrics, requests, score
from flanlib.models import adapters, language_model, weights
from flanlib.results import schema, validity
from flanlib.studies import arms, profiles, study

FLAN = catalogue.load("flan")
RTE = FLAN.task("rte")
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}" + EOS + "\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def entailments(n):
    return [
        Example(
            task="rte",
            id=f"r{i}",
            fields={
                "premise": f"It rained {i} times.",
                "hypothesis": "It rained.",
                "answer": ("yes", "no")[i % 2],
            },
            options=("yes", "no"),
            gold=i % 2,
            answers=(("yes", "no")[i % 2],),
        )
        for i in range(n)
    ]


def test_templates_take_turns_so_that_each_is_asked_equally_often():
    way = Scoring(templates_per_example=3)
    wording = requests.templates_for(FLAN, RTE, way)
    prompts = list(requests.prompts_of(entailments(len(wording) * 2), wording, way))
    assert set(Counter(p.template for p in prompts).values()) == {6}
    assert len({(p.example, p.template) for p in prompts}) == len(prompts) == 3 * len(wording) * 2
    every = list(requests.prompts_of(entailments(2), wording, Scoring()))
    many = replace(way, templates_per_example=99)
    assert list(requests.prompts_of(entailments(2), wording, many)) == every


def test_a_task_asked_in_turn_is_the_mean_of_its_templates_means():
    right = {("a", "1"): 1, ("b", "2"): 0, ("a", "3"): 0, ("b", "3"): 0, ("b", "1"): 1}
    rows = [
        (t, e, k, 0, float(hit if k == 0 else 1 - hit), 0)
        for (t, e), hit in right.items()
        for k in (0, 1)
    ]
    names = ["template", "example", "option", "gold", "ll", "n_cut"]
    table = pd.DataFrame(rows, columns=names)
    found = metrics.evaluate(RTE, table, in_turn=True)
    assert found.templates == {"a": 50.0, "b": pytest.approx(100 / 3)}
    assert found.value == pytest.approx((50 + 100 / 3) / 2)
    assert dict(zip(found.examples, found.scores, strict=True)) == {"1": 100, "2": 0, "3": 0}
    with pytest.raises(Exception, match="template 'a' has 2 of 3 examples"):
        metrics.evaluate(RTE, table)


def test_a_chat_is_the_models_own_template_around_the_same_request():
    words = byte_tokenizer()
    words.chat_template = TEMPLATE
    asked = replace(prompt(f"Is it {EOS} raining?"), chat=True)
    found = encoded(words, asked, "yes")
    assert found.prompt_ids.count(words.eos_token_id) == 1, "the template's own, not the request's"
    shown = words.decode(found.prompt_ids)
    assert shown == f"<|user|>\n{asked.input}{EOS}\n<|assistant|>\n"
    plain = encoded(words, replace(asked, chat=False), "yes")
    assert words.eos_token_id not in plain.prompt_ids
    assert words.decode(plain.prompt_ids) == asked.input + "\n"
    assert found.target_ids == plain.target_ids
    lm = random_model("llama")
    chat, bare = (score.rank(lm, words, [p]) for p in (asked, replace(asked, chat=False)))
    assert not chat["ll"].equals(bare["ll"])


def test_without_a_chat_template_a_chat_is_refused():
    with pytest.raises(ParameterError, match="no chat template"):
        encoded(byte_tokenizer(), replace(prompt("Is it?"), chat=True), "yes")


def test_a_later_field_with_its_default_changes_no_identity():
    assert {field.name for field in fields(Scoring)} >= ADDED
    cell = (Factors(), Recipe(), Scoring(), "rte")
    assert schema.key_of(cell)[1] == "621183280042" and schema.key_of(cell)[0] == "f0ecbf3d5010"
    for changed in (Scoring(chat=True), Scoring(templates_per_example=2)):
        assert digest(told(changed)) != schema.key_of(cell)[1]


def test_small_holds_groups_out_in_the_main_result_and_micro_single_clusters():
    small = study.open_study(profile="small")
    assert small.tuned_without("nli").held_out == "nli+closed_book_qa+commonsense"
    assert small.tuned_without("commonsense") == small.tuned_without("nli")
    assert study.open_study(profile="micro").tuned_without("nli").held_out == "nli"
    every = [c for group in profiles.GROUPS for c in group]
    evaluable = [key for key, cluster in FLAN.clusters.items() if cluster.evaluable]
    assert sorted(every) == sorted(evaluable)


def test_the_base_is_asked_in_every_way_that_a_task_allows():
    chat = [s.chat for s in arms.controls(FLAN, RTE, True)]
    assert chat == [False, False, False, True]
    written = arms.controls(FLAN, FLAN.task("trivia_qa"), True)
    assert arms.BARE not in written and arms.CHAT in written
    assert arms.CHAT not in arms.controls(FLAN, RTE, False)


@pytest.mark.parametrize("n", [29, 30])
def test_a_task_with_too_few_rows_is_left_out_and_says_so(tmp_path, n):
    row = {"premise": "It rained.", "hypothesis": "It is wet.", "label": 0}
    for name, many in (("train", 40), ("validation", n)):
        path = tmp_path / "rte" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = [
            json.dumps({**row, "premise": f"It rained {i} times.", "idx": i}) for i in range(many)
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = arms.left_out(FLAN, profiles.settings(profile="small", rows=str(tmp_path)))
    assert found.get("rte", "") == (
        "" if n == 30 else "task rte: 29 evaluation rows, and 30 are needed"
    )
    assert "no rows" in found["sst2"]


def test_an_adapter_keeps_its_numbers_over_a_base_of_16_bits(tmp_path):
    lm = random_model("llama").to(torch.bfloat16)
    laid = language_model.attach(lm, Recipe(rank=2, alpha=4), seed=1)
    with torch.no_grad():
        for name, weight in laid.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape) / 3)
    kept = {n: p.clone() for n, p in laid.named_parameters() if "lora_" in n}
    adapters.save(laid, tmp_path, "base")
    again = adapters.lay(random_model("llama").to(torch.bfloat16), tmp_path, "base")
    taken = {n: p for n, p in again.named_parameters() if "lora_" in n}
    assert kept and taken.keys() == kept.keys()
    assert all(torch.equal(taken[n], kept[n]) and taken[n].dtype == torch.float32 for n in kept)


def text_in(line):
    """What of a line of a record could be text of a row."""
    kept = {
        k: v for k, v in line.items() if k not in ("factors", "recipe", "versions", "signature")
    }
    words = []

    def walk(value):
        if isinstance(value, str):
            words.append(value)
        for part in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            walk(part)

    walk(kept)
    return [word for word in words if not re.fullmatch(r"[\w.:+/#()-]{0,60}", word)]


def test_what_counts_as_text():
    assert text_in({"ids": ["validation-3"], "sample": {}, "device": "cpu"}) == []
    assert text_in({"sample": {"input": "Was it good?"}}) == ["Was it good?"]


def test_records_of_real_rows_hold_no_text():
    lines = [
        (path.name, json.loads(line))
        for path in sorted((RESULTS / "flan").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    if not lines:
        pytest.skip("no records of real rows yet; `make small` makes them")
    for name, line in lines:
        assert not line.get("sample"), (name, line["task"])
        found = [word for word in text_in(line) if word != line.get("device")]
        assert not found, (name, line["task"], found[:3])


def test_another_tokenizer_makes_a_record_stale(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text('{"model": 1}')
    first = weights.tokenizer_digest(folder)
    record = make_record("rte", factors=Factors(collection="flan", model=str(folder)))
    today = validity.Today(FLAN)
    for then, stale in (("", False), (first, False), ("0" * 12, True)):
        changed = today.changed(replace(record, tokenizer_digest=then))
        assert ("tokenizer" in changed) == stale
    (folder / "tokenizer.json").write_text('{"model": 2}')
    assert "tokenizer" in validity.Today(FLAN).changed(replace(record, tokenizer_digest=first))
