"""The micro world: what tuning sees, what evaluation sees, what is read before."""

import random
import re
from itertools import islice

import pytest
import torch

from flanlib.core.errors import ParameterError
from flanlib.data import catalogue
from flanlib.data.adapters import adapt_all
from flanlib.micro import (
    batches,
    corpus,
    lexicon,
    pretrain,
    probes,
    qa_forms,
    tasks,
    tokenizer,
    world,
)
from flanlib.prompts import templates

N_PAGES = 8_000


@pytest.fixture(scope="module")
def pages():
    """A sample of the text of the reported world, all phases."""
    return [
        qa_forms.plain(text)
        for phase in corpus.PHASES
        for text in islice(corpus.documents(world.REPORTED, 0, phase), N_PAGES)
    ]


@pytest.fixture(scope="module")
def words():
    return tokenizer.build(tokenizer.vocabulary(world.REPORTED))


def _words(text):
    return re.findall(r"[a-z]+|_+", text.lower())


def test_world_is_a_pure_function_of_its_seed():
    world.world.cache_clear()
    first = world.world(1)
    world.world.cache_clear()
    assert world.world(1) == first
    assert world.world(0).facts_of != first.facts_of


def test_sides_are_disjoint_and_complete():
    here = world.world(world.REPORTED)
    for what, members in lexicon.ENTITIES.items():
        tuning, kept = here.of(what, "tuning"), here.of(what, "evaluation")
        assert not set(tuning) & set(kept)
        assert sorted(tuning + kept) == sorted(members)
        assert min(len(tuning), len(kept)) >= 6


@pytest.mark.parametrize("key", tasks.TASKS)
def test_evaluation_rows_share_no_people_and_no_text_with_tuning(key):
    here = world.world(world.REPORTED)
    kept = {w for e in ("men", "women", "towns", "creatures") for w in here.of(e, "evaluation")}
    for split in ("train", "dev"):
        for row in islice(tasks.rows(key, split), 300):
            assert kept.isdisjoint(_words(repr(row))), row
    train = {repr({**r, "id": "", "group": ""}) for r in tasks.rows(key, "train")}
    found = catalogue.load("micro").task(key)
    if found.template_set in ("sst2", "imdb", "yelp", "trec", "cola", "qqp"):
        train = set()  # no entity but people stands in these, checked above
    assert all(repr({**r, "id": "", "group": ""}) not in train for r in tasks.rows(key, "eval"))


@pytest.mark.parametrize("key", tasks.TASKS)
def test_labels_are_balanced_and_rows_unique(key):
    task = catalogue.load("micro").task(key)
    found = [adapt_all(row, task, row["id"])[0] for row in tasks.rows(key, "eval")]
    assert len({(tuple(e.fields.items()), e.options) for e in found}) == len(found)
    if task.options:
        counts = [sum(e.gold == i for e in found) for i in range(len(task.options))]
        assert max(counts) <= 1.6 * min(counts)


def test_an_unknown_task_names_the_others():
    with pytest.raises(ParameterError, match="snli"):
        next(tasks.rows("sqad", "eval"))


def test_no_evaluation_example_is_in_the_corpus(pages):
    text = "\n".join(pages)
    for key in tasks.TASKS:
        task = catalogue.load("micro").task(key)
        content = templates.load(catalogue.load("micro").root, task.template_set)
        plain = content.form("none")[0]
        for row in tasks.rows(key, "eval"):
            example = adapt_all(row, task, row["id"])[0]
            shown = templates.render(example, plain, show_options=False)
            for between in ("\n", " ", " answer: ", " a: "):
                assert f"{shown.input}{between}{shown.target}" not in text


@pytest.mark.parametrize("key", tasks.TASKS)
def test_rows_use_words_of_the_corpus(key):
    known = {*tokenizer.vocabulary(world.REPORTED), "_"}
    fields = catalogue.load("micro").task(key).columns["fields"]
    for row in islice(tasks.rows(key, "eval"), 60):
        unknown = {w for f in fields for w in _words(row[f]) if w.strip("_")} - known
        assert not unknown


def test_no_options_block_in_the_corpus(pages):
    assert not any("OPTIONS" in page for page in pages)


def test_words_are_single_tokens_wherever_they_stand(words):
    ids = words("red ball\nred, red", add_special_tokens=False)["input_ids"]
    assert len(ids) == 6 and ids[0] == ids[3] == ids[5]


@pytest.mark.parametrize(
    "text",
    [
        "ann has a red ball.\nyes",
        "  Hello Ünï 🙂\n\n  x\ty",
        "OPTIONS:\n- yes\n- no",
        "\n ann",
        "x\n",
        "a  b ",
    ],
)
def test_any_text_comes_back(words, text):
    ids = words(text, add_special_tokens=False)["input_ids"]
    assert words.unk_token_id not in ids
    assert words.decode(ids) == text


def test_answers_and_only_answers_are_weighted(words):
    ids, weights = batches.encode(words, f"is it red?\n{qa_forms.OPEN}yes{qa_forms.CLOSE}. so", 9.0)
    heavy = [words.decode([i]) for i, w in zip(ids, weights, strict=True) if w == 9.0]
    assert [h.strip() for h in heavy] == ["yes"]
    assert weights[0] == 0 and ids[-1] == words.eos_token_id


def test_probes_ask_every_skill_and_a_random_model_is_at_chance(words):
    torch.manual_seed(0)
    model = pretrain.build(pretrain.Size(32, 2, 2, 64), len(words), 0, 1).eval()
    found = probes.probe(model, words, world.DEVELOPMENT, n=40)
    assert list(found) == list(probes.PROBES)
    assert all(20 <= found[name] <= 80 for name in ("one_fact", "same_meaning", "opinion"))


def test_packed_documents_do_not_see_each_other(words):
    texts = [qa_forms.PAGES["several"](random.Random(i), world.world(0)) for i in range(6)]
    row = next(batches.rows(words, iter(texts * 9), 1.0))
    torch.manual_seed(0)
    model = pretrain.build(pretrain.Size(32, 2, 2, 64), len(words), 0, 1).eval()
    tensors = [torch.tensor([part]) for part in row]
    packed, _ = pretrain.loss_of(model, *tensors)
    losses, weights = 0.0, 0.0
    for number in range(1, int(tensors[2].max()) + 1):
        at = tensors[2][0] == number
        ids, weight = tensors[0][:, at], tensors[3][:, at]
        logits = model(input_ids=ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        losses += (loss * weight[0, 1:]).sum().item()
        weights += weight[0, 1:].sum().item()
    assert packed.item() == pytest.approx(losses / weights, abs=1e-4)


def test_pretraining_resumes_to_the_same_weights(tmp_path, monkeypatch):
    phases = (corpus.Phase(3_000, 4, {"retrieve": 1.0}),)
    monkeypatch.setitem(pretrain.SIZES, "tiny", pretrain.Size(16, 1, 1, 32))
    monkeypatch.setenv("FLANLIB_RUNS", str(tmp_path / "runs"))
    settings = {"compiled": False, "checkpoint_every": 2, "phases": phases, "say": lambda _: None}
    pretrain.pretrain("tiny", out=tmp_path / "whole", **settings)

    def die(step, total, real=pretrain.rate):
        if step == 3:
            raise KeyboardInterrupt
        return real(step, total)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "rate", die)
        with pytest.raises(KeyboardInterrupt):
            pretrain.pretrain("tiny", out=tmp_path / "broken", **settings)
    pretrain.pretrain("tiny", out=tmp_path / "broken", **settings)
    name = "model.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
