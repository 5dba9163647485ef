"""The template files of the flan collection: ten ways to ask, all different."""

import itertools
import re
from dataclasses import replace

import pytest

from flanlib.core.paths import DATA
from flanlib.data import catalogue
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Task
from flanlib.prompts import language, templates
from flanlib.prompts.prompt import options_block
from flanlib.prompts.template import Template, TemplateSet

ROOT = DATA / "flan"
CATALOGUE = catalogue.load(ROOT)
STEMS = sorted(path.stem for path in (ROOT / "templates").glob("*.yaml"))
SHARED_AT_MOST = 0.6

LEFT_OVER = re.compile(r"\b(?:None|nan|NaN|null|undefined)\b|[{}]|\S  |[ \t]\n|\n{3}")
"""What a badly filled template leaves behind."""

HOLE = re.compile(r'""|\(\)|: ?\)|: \n|^\s')
"""What stays of a template around a field with nothing in it."""

VALUES = {"relation": ("cause", "effect")}
"""Fields whose few values a template may ask for."""


def test_every_task_has_its_templates_and_every_file_a_task():
    assert sorted({task.template_set for task in CATALOGUE.tasks.values()}) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_ten_templates_of_which_at_most_three_inverted(stem):
    content = templates.load(ROOT, stem)
    assert content.dataset == stem
    assert len(content.templates) == 10
    assert sum(t.inverted for t in content.templates) <= 3
    assert not any(t.inverted for t in content.cloze)


@pytest.mark.parametrize("stem", STEMS)
def test_ids_are_unique_across_forms(stem):
    content = templates.load(ROOT, stem)
    ids = [t.id for t in (*content.templates, *content.cloze)] + ["none", "dataset-name"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("stem", STEMS)
def test_inverted_templates_are_never_ranked(stem):
    content = templates.load(ROOT, stem)
    assert not any(t.options for t in content.templates if t.inverted)
    assert len(templates.rankable(content.templates)) >= 5


@pytest.mark.parametrize("stem", STEMS)
def test_no_options_block_is_written_by_hand(stem):
    for template in _all_ways(templates.load(ROOT, stem)):
        assert "OPTIONS" not in template.input, template.id


@pytest.mark.parametrize("stem", STEMS)
def test_every_field_is_used(stem):
    content = templates.load(ROOT, stem)
    texts = [text for way in _all_ways(content) for text in (way.input, way.target)]
    used = set().union(*map(language.fields, texts))
    assert set(content.fields) <= used


@pytest.mark.parametrize("task", CATALOGUE.tasks.values(), ids=lambda task: task.key)
def test_filled_templates_leave_nothing_behind(task):
    content = templates.load(ROOT, task.template_set)
    for template, example in itertools.product(_all_ways(content), _examples(task, content)):
        prompt = templates.render(example, template)
        for text in (prompt.input, prompt.target):
            assert not LEFT_OVER.search(text), f"{template.id}: {text!r}"


@pytest.mark.parametrize("task", CATALOGUE.tasks.values(), ids=lambda task: task.key)
def test_a_field_that_may_be_empty_leaves_no_hole(task):
    content = templates.load(ROOT, task.template_set)
    for name in task.columns.get("optional", ()):
        for template, full in itertools.product(_all_ways(content), _examples(task, content)):
            example = replace(full, fields={**full.fields, name: ""})
            if template.applies(example):
                prompt = templates.render(example, template)
                assert not HOLE.search(prompt.input), f"{template.id}: {prompt.input!r}"
                assert not LEFT_OVER.search(prompt.input), f"{template.id}: {prompt.input!r}"


@pytest.mark.parametrize("task", CATALOGUE.tasks.values(), ids=lambda task: task.key)
def test_options_follow_where_they_should(task):
    content = templates.load(ROOT, task.template_set)
    for template, example in itertools.product(_all_ways(content), _examples(task, content)):
        prompt = templates.render(example, template)
        ranked = task.kind == "rank" and template.options and not template.inverted
        assert bool(prompt.options) == ranked, template.id
        if ranked:
            assert prompt.input.endswith(options_block(prompt.options))
            assert len(set(prompt.options)) == len(example.options)
            assert prompt.options[prompt.gold] == prompt.target


@pytest.mark.parametrize("stem", STEMS)
def test_no_near_duplicates(stem):
    """No two templates share over 60 % of the smaller one's 4-grams."""
    pairs = itertools.combinations(templates.load(ROOT, stem).templates, 2)
    close = [(a.id, b.id) for a, b in pairs if shared_share(a.input, b.input) > SHARED_AT_MOST]
    assert not close


def test_shared_share_sees_copies_and_differences():
    text = "Read the text {{ x }} and say what it means"
    assert shared_share(text, "{{ y }} read the text and say what it means!") == 1
    assert shared_share(text, "Who wrote these four lines of verse? {{ x }}") == 0
    assert shared_share("{{ x }} Why?", "Why? {{ x }}") == 1
    assert shared_share("{{ x }} Why?", "How come? {{ x }}") == 0


def shared_share(a: str, b: str) -> float:
    """Word 4-grams two template texts share, over the smaller set's count."""
    words_a, words_b = _words(a), _words(b)
    if min(len(words_a), len(words_b)) < 4:
        return float(words_a == words_b)
    grams_a, grams_b = _four_grams(words_a), _four_grams(words_b)
    return len(grams_a & grams_b) / min(len(grams_a), len(grams_b))


def _words(text: str) -> list[str]:
    bare = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.DOTALL)
    return re.findall(r"[\w']+", bare.lower())


def _four_grams(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


def _all_ways(content: TemplateSet) -> tuple[Template, ...]:
    forms = ("instruction", "dataset-name", "none", "cloze")
    return tuple(template for form in forms for template in content.form(form))


def _examples(task: Task, content: TemplateSet) -> list[Example]:
    """Invented examples: every answer, with every value of a field of few values."""
    own = ("The one choice", "The other choice") if task.kind == "rank" else ()
    options = task.options or own
    answers = options or ("The answer",)
    values = [VALUES.get(name, (f"Text of the field {name}",)) for name in content.fields]
    return [
        Example(
            task=task.key,
            id=f"{gold}",
            fields={**dict(zip(content.fields, texts, strict=True)), "answer": answer},
            options=options,
            gold=gold if options else None,
            answers=(answer,),
        )
        for texts in itertools.product(*values)
        for gold, answer in enumerate(answers)
    ]
