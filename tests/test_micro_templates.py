"""The micro templates: vocabulary, no wording leaked from pretraining, variety."""

import re
from functools import cache
from itertools import combinations, islice

import pytest

from flanlib.core.paths import DATA
from flanlib.data.adapters import adapt_all
from flanlib.data.catalogue import load as load_catalogue
from flanlib.micro.corpus import PHASES, documents
from flanlib.micro.qa_forms import plain
from flanlib.micro.tasks import TASKS, rows
from flanlib.micro.tokenizer import vocabulary
from flanlib.micro.world import REPORTED
from flanlib.prompts import language
from flanlib.prompts.templates import load, render

ROOT = DATA / "micro"
N_DOCUMENTS = 4_000  # per phase; the check was run once with 30 000
FIELD = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
N_WORDS, N_SEGMENT, OVERLAP = 6, 4, 0.6
LEADING = re.compile(r"[^\sa-zA-Z][a-zA-Z]")  # such a word would be spelled with letters
UNSAID = {"source_language"}  # nothing is lost without it
keys = pytest.mark.parametrize("key", list(TASKS))


def words_of(text: str) -> tuple[str, ...]:
    """Words without punctuation, in order."""
    return tuple(re.findall(r"[A-Za-z]+", text))


def segments(template) -> list[tuple[str, ...]]:
    """Words of input and target between fields."""
    parts = FIELD.split(template.input) + FIELD.split(template.target)
    return [words for words in map(words_of, parts) if words]


def grams(words, n: int):
    """All runs of n words."""
    return zip(*(words[i:] for i in range(n)), strict=False)


def all_of(key: str):
    """Instruction and cloze templates of a task."""
    content = load(ROOT, key)
    return (*content.templates, *content.cloze)


@cache
def wanted() -> dict[tuple[str, ...], str]:
    """Runs of words that must not stand in the corpus, and where they come from."""
    found = {}
    for key in TASKS:
        for template in all_of(key):
            for words in segments(template):
                runs = list(grams(words, N_WORDS))
                if N_SEGMENT <= len(words) < N_WORDS:
                    runs.append(words)
                found.update({run: f"{key}/{template.id}" for run in runs})
    return found


def leaks(texts) -> dict[str, str]:
    """Template -> a run of its words that stands in one of the texts."""
    runs, found = wanted(), {}
    for text in texts:
        words = words_of(text)
        for n in range(N_SEGMENT, N_WORDS + 1):
            found.update({runs[g]: " ".join(g) for g in grams(words, n) if g in runs})
    return found


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: str(phase.n_tokens))
def test_wording_is_not_in_the_corpus(phase):
    assert not leaks(map(plain, islice(documents(REPORTED, 0, phase), N_DOCUMENTS)))


def test_a_leak_is_seen():
    assert leaks(["ann asks: is this opinion positive or negative? good."]) == {
        "sst2/opinion": "is this opinion positive or negative"
    }
    assert not leaks(["is this opinion good or negative"])


@cache
def known_words() -> frozenset[str]:
    """The vocabulary of the reported world."""
    return frozenset(vocabulary(REPORTED))


@keys
def test_words_are_in_the_vocabulary(key):
    known = known_words()
    for template in all_of(key):
        found = {w for words in segments(template) for w in words}
        assert found <= known, f"{key}/{template.id}: {sorted(found - known)}"
        for part in (template.input, template.target):
            shown = FIELD.sub("X", re.sub(r"\{%.*?%\}", "", part))
            clash = LEADING.search(shown)
            assert clash is None, f"{key}/{template.id}: {clash[0]!r} joins a word to a sign"


@keys
def test_templates_differ(key):
    content = load(ROOT, key)
    assert content.dataset == content.name == key
    assert 8 <= len(content.templates) <= 10
    assert len(content.cloze) == 3
    assert sum(t.inverted for t in content.templates) <= 3
    assert all(t.options != t.inverted and not t.answers for t in content.templates)
    runs = {}
    for template in content.templates:
        marked = re.sub(r"\{%.*?%\}", " ", template.input)
        marked = re.sub(r"\{\{ *(\w+) *\}\}", r" FIELD\1 ", marked)
        runs[template.id] = set(grams(re.findall(r"\w+", marked), 4))
    for a, b in combinations(runs, 2):
        shared = len(runs[a] & runs[b]) / max(1, min(len(runs[a]), len(runs[b])))
        assert shared <= OVERLAP, f"{key}: {a} and {b} share {shared:.0%} of their runs of words"


@keys
def test_templates_render(key):
    task = load_catalogue(ROOT).task(key)
    content = load(ROOT, key)
    assert set(content.fields) == set(task.columns["fields"])
    for row in rows(key, "eval", n=12):
        example = adapt_all(row, task, row["id"])[0]
        prompts = [render(example, template) for template in content.templates]
        assert len({prompt.input for prompt in prompts}) == len(prompts)
        for prompt, template in zip(prompts, content.templates, strict=True):
            assert prompt.input.replace("OPTIONS:", "") == prompt.input.lower().replace(
                "options:", ""
            )
            assert not re.search(r"\n\n|  |[.?]\s*[.?]", prompt.input), template.id
            assert template.inverted or not forgotten(example, template)
            assert not (template.inverted and "answer" in language.fields(template.target))
        for template in content.cloze:
            prompt = render(example, template, separator=" ")
            assert prompt.options == (template.answers or example.options)
            assert not ("\n" in template.input or "OPTIONS" in prompt.input) and not forgotten(
                example, template
            )


def forgotten(example, template) -> set[str]:
    """Fields an ordinary template must show and does not."""
    return {*example.fields} - {"answer", *UNSAID} - language.fields(template.input)
