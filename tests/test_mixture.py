"""Mixing: rates, caps, purity, exemplars, refused and dropped leaks."""

import re
import shutil
from collections import Counter
from dataclasses import fields, replace
from itertools import islice

import pytest
from toy_collection import SIZES, reword, toy_catalogue, write_rows

from flanlib.core.errors import LeakageError, MissingResultError, ParameterError
from flanlib.core.tokens import token_ids
from flanlib.data.adapters import Example
from flanlib.models.language_model import load_tokenizer
from flanlib.prompts import overlap, stream, templates
from flanlib.prompts.mixture import RATE_CAP, mixture
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.stream import few_shot


@pytest.fixture
def toys(tmp_path):
    return toy_catalogue(tmp_path)


def test_held_out_cluster_and_neighbours_are_absent(toys):
    found = mixture(toys, "weather", seed=1)
    assert {p.task for p in found.take(500)} == {"soup", "bread", "spell"}
    excluded = {t.task: t.excluded for t in found.audit().tasks if t.excluded}
    assert excluded == {"stars": "cluster sky is a neighbour of weather"}


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_held_out_mixes_all(toys, nothing):
    assert {p.task for p in mixture(toys, nothing, seed=1).take(800)} == set(SIZES)


def test_rates_follow_sizes_up_to_the_cap(toys):
    rows = [{"text": f"loaf {i}", "answer": f"crumb {i}"} for i in range(RATE_CAP + 500)]
    write_rows(toys.root, "bread", "train", rows)
    rows = [{"text": f"broth {i}", "label": i % 2} for i in range(2_000)]
    write_rows(toys.root, "soup", "train", rows)
    found = mixture(toys, "weather", seed=1)
    rates = {p.task.key: p.rate for p in found.parts}
    assert rates == pytest.approx({"soup": 2000 / 5005, "bread": 3000 / 5005, "spell": 5 / 5005})
    counts = Counter(p.task for p in found.take(6000))
    for task, rate in rates.items():
        assert counts[task] / 6000 == pytest.approx(rate, abs=0.025)


def test_train_rows_are_capped(toys):
    assert mixture(toys, "weather", seed=1, limit=10**6).settings["limit"] == 30_000
    found = mixture(toys, "weather", seed=1, limit=7)
    assert {p.task.key: len(p.rows) for p in found.parts} == {"soup": 7, "bread": 7, "spell": 5}


def test_same_arguments_same_sequence_another_seed_another(toys):
    one, two = mixture(toys, "weather", seed=1), mixture(toys, "weather", seed=1)
    assert one.take(300) == one.take(300) == two.take(300)
    assert one.digest(300) == two.digest(300)
    assert mixture(toys, "weather", seed=2).digest(300) != one.digest(300)


def test_the_sequence_is_the_same_in_every_version(toys):
    settings = {"n_templates": 4, "exemplar_share": 0.3}
    assert mixture(toys, "weather", seed=1, **settings).digest(2_000) == "a283275f69f2"


@pytest.mark.parametrize("start", [1, 1023, 1024, 2500])
def test_stream_starts_anywhere(toys, start):
    found = mixture(toys, "weather", seed=3, exemplar_share=0.5)
    assert found.take(40, start) == list(islice(found, start, start + 40))


def test_each_pass_takes_every_row_once_in_another_order(toys):
    found = mixture(toys, None, seed=1, tasks=["soup"])
    passes = [[p.example for p in found.take(20, start)] for start in (0, 20, 40)]
    assert all(sorted(rows) == sorted(passes[0]) and len(set(rows)) == 20 for rows in passes)
    assert passes[0] != passes[1] != passes[2]


def test_all_templates_are_drawn_inverted_ones_too(toys):
    found = mixture(toys, "weather", seed=1)
    prompts = found.take(3000)
    assert {p.template for p in prompts if p.task == "soup"} == {
        *(f"ask-{i}" for i in range(8)),
        "turn-0",
        "turn-1",
    }
    assert found.audit().inverted_share == pytest.approx(0.2)
    assert sum(p.inverted for p in prompts) / 3000 == pytest.approx(0.2, abs=0.03)


def test_fewer_templates_are_a_nested_seeded_choice(toys):
    def kept(n, seed=1):
        found = mixture(toys, "weather", seed=seed, n_templates=n)
        return {p.task.key: {t.id for t in p.templates} for p in found.parts}

    for n in (1, 2, 4):
        assert all(len(ids) == n for ids in kept(n).values())
        assert all(ids <= kept(n + 1)[task] for task, ids in kept(n).items())
    assert all("turn" not in next(iter(ids)) for s in range(9) for ids in kept(1, s).values())
    assert len({str(kept(1, seed)) for seed in range(5)}) > 1


def test_fewer_examples_are_a_seeded_choice_and_lower_the_rate(toys):
    def kept(n, seed=1):
        found = mixture(toys, None, seed=seed, n_examples=n, tasks=["bread", "spell"])
        return {p.example for p in found.take(600) if p.task == "bread"}, found.parts

    rows, parts = kept(10)
    assert len(rows) == 10
    assert {p.task.key: p.rate for p in parts} == pytest.approx({"bread": 10 / 15, "spell": 5 / 15})
    assert rows < kept(20)[0]
    assert rows != kept(10, seed=2)[0]


def test_clusters_and_tasks_restrict(toys):
    found = mixture(toys, "weather", seed=1, clusters=["letters"])
    assert {p.task for p in found.take(50)} == {"spell"}
    with pytest.raises(LeakageError, match="sky"):
        mixture(toys, "weather", seed=1, clusters=["sky"])
    with pytest.raises(LeakageError, match=r"'stars'.*neighbour"):
        mixture(toys, "weather", seed=1, tasks=["stars"])
    with pytest.raises(LeakageError, match=r"'rain'.*evaluated in weather"):
        mixture(toys, "weather", seed=1, tasks=["rain"])
    with pytest.raises(ParameterError, match="no task 'snow'"):
        mixture(toys, "weather", seed=1, tasks=["snow"])


def test_forms(toys):
    bare = mixture(toys, "weather", seed=1, form="none").take(1)[0]
    named = mixture(toys, "weather", seed=1, form="dataset-name").take(1)[0]
    assert named.input == f"The {named.task} set\n{bare.input}"
    with pytest.raises(MissingResultError, match="no template of form cloze"):
        mixture(toys, "weather", seed=1, form="cloze")


def test_few_shot_places_solved_exemplars_in_front(toys):
    a, b, c = mixture(toys, None, seed=1, tasks=["bread"]).take(3)
    found = few_shot(a, [b, c])
    assert found.input == f"{b.input}\n{b.target}\n\n{c.input}\n{c.target}\n\n{a.input}"
    assert (found.target, found.example) == (a.target, a.example)
    assert few_shot(a, []) == a


def test_exemplars_come_from_other_rows_under_the_same_template(toys):
    plain = mixture(toys, "weather", seed=1)
    found = mixture(toys, "weather", seed=1, exemplar_share=0.5, max_exemplars=3)
    counts = Counter()
    for bare, prompt in zip(plain.take(2000), found.take(2000), strict=True):
        *solved, last = prompt.input.split("\n\n")
        assert (last, prompt.target) == (bare.input, bare.target)
        counts[len(solved)] += 1
        assert len(set(solved)) == len(solved)
        if not prompt.inverted:
            way = re.match(r"Way \d", last).group()
            own = last.splitlines()[0]
            assert all(s.startswith(f"{way}: {prompt.task} train") for s in solved)
            assert all(s.splitlines()[0] != own for s in solved)
    assert counts[0] / 2000 == pytest.approx(0.5, abs=0.04)
    assert set(counts) == {0, 1, 2, 3}


def test_a_repeated_evaluation_text_is_refused(toys):
    reword(toys.root, {("soup", "train-3"): "  RAIN  eval 2 "})
    with pytest.raises(LeakageError, match=r"row train-3 of task soup.*rain, row eval-2"):
        mixture(toys, "weather", seed=1)
    assert mixture(toys, "letters", seed=1).parts


def test_a_repeated_dev_text_is_dropped(toys):
    reword(toys.root, {(task, "train-3"): "rain dev 2" for task in SIZES})
    audit = mixture(toys, "weather", seed=1).audit()
    assert {t.n_similar for t in audit.tasks if not t.excluded} == {1}
    assert audit.shared_texts == 0


def test_the_audit_recounts_what_was_kept(toys):
    """Texts that mixing let through, here since they were no evaluation rows then, are found."""
    drizzle = {(task, "train-3"): "drizzle" for task in SIZES}
    reword(toys.root, drizzle)
    kept = mixture(toys, "weather", seed=1)
    reword(toys.root, {**drizzle, ("rain", "dev-2"): "drizzle"})
    texts = mixture(toys, "weather", seed=1).texts
    assert kept.audit().shared_texts == 0
    assert replace(kept, texts=texts).audit().shared_texts == 3


def test_near_duplicates_are_dropped_and_counted(toys):
    shared = "the river rose in the night and by morning the lower town stood under water"
    texts = {("rain", row): f"Reported: {shared}." for row in ("eval-1", "train-1")}
    heard = f"We heard that {shared.title()}!"
    reword(toys.root, texts | {("soup", row): heard for row in ("train-3", "train-4")})
    audit = mixture(toys, "weather", seed=1).audit()
    soup = next(t for t in audit.tasks if t.task == "soup")
    assert (soup.n_read, soup.n_similar, soup.n) == (20, 2, 18)
    assert audit.shared_texts == 0
    soup = next(t for t in mixture(toys, "letters", seed=1).audit().tasks if t.task == "soup")
    assert soup.n_similar == 0


def test_a_template_is_drawn_only_where_it_has_something_to_ask_for(toys):
    reword(toys.root, {(task, "train-0"): " " for task in SIZES})
    found = mixture(toys, "weather", seed=1, exemplar_share=0.5)
    bare = {p.template for p in found.take(4000) if p.example == "train-0"}
    assert bare == {f"ask-{i}" for i in range(8)}
    reword(toys.root, {(task, f"train-{n}"): "" for task in SIZES for n in range(SIZES[task])})
    with pytest.raises(MissingResultError, match="no train row is left"):
        mixture(turned(toys), "weather", seed=1)


def turned(catalogue):
    """The catalogue with its inverted templates alone."""
    for path in (catalogue.root / "templates").glob("*.yaml"):
        head, _, rest = path.read_text().partition("templates:\n")
        path.write_text(head + "templates:\n" + rest[rest.index("  - {id: turn-0") :])
    templates.load.cache_clear()
    return catalogue


def test_tasks_without_rows_are_named_not_fatal(toys):
    shutil.rmtree(toys.root / "rows" / "soup")
    (toys.root / "rows" / "rain" / "dev.jsonl").unlink()
    audit = mixture(toys, "weather", seed=1).audit()
    assert "soup: no rows in" in next(t.excluded for t in audit.tasks if t.task == "soup")
    (rain,) = audit.evaluation
    assert rain.n == 6 and "task rain: no rows for dev in" in rain.unchecked
    assert "no rows for dev in" in audit.table()
    with pytest.raises(MissingResultError, match="soup: no rows in"):
        mixture(toys, "weather", seed=1, tasks=["soup"])


def test_the_audit_adds_up_and_prints(toys):
    audit = mixture(toys, "weather", seed=1).audit(load_tokenizer("micro-300k"), sample=100)
    content = audit.to_dict()
    assert content["n"] == 85
    assert sum(t["rate"] for t in content["tasks"]) == pytest.approx(1)
    assert content["clusters"]["food"]["n"] == 80
    assert {t["side"]: t["n"] for t in content["tokens"]} == {"input": 100, "target": 100}
    text = audit.table()
    assert re.search(r"bread +bread +food +60 +0 +0 +60 +70.59", text)
    assert "texts shared with evaluation rows: 0" in text


def test_the_audit_counts_the_tokens_that_are_trained_on(toys):
    asked = Prompt("<eos> <pad>?", "<eos>", (), None, ("<eos>",), "t", "a", "0")

    class Fixed(stream.Mixture):
        def take(self, n, start=0):
            return [asked] * n

    tokenizer = load_tokenizer("micro-300k")
    found = mixture(toys, "weather", seed=1)
    audit = Fixed(**{f.name: getattr(found, f.name) for f in fields(found)}).audit(
        tokenizer, sample=3
    )
    sizes = [len(ids) for ids in token_ids(tokenizer, [asked.input, asked.target])]
    assert [t.mean for t in audit.tokens] == sizes and min(sizes) > 4


def test_text_ignores_field_names_order_case_and_width():
    def example(**fields):
        return Example("t", "1", fields, (), None, (fields["answer"],))

    one = example(premise="A  dog", hypothesis="Café", answer="yes")
    two = example(sentence1="cafe\u0301", sentence2="a DOG", answer="no")
    assert overlap.text(one) == overlap.text(two)
    assert overlap.text(one) != overlap.text(example(premise="a dog", answer="yes"))


def test_grams_need_thirteen_shared_words_or_a_whole_short_text():
    def shared(a, b):
        return not set(overlap.grams(a)).isdisjoint(overlap.grams(b))

    words = [f"w{i}" for i in range(40)]
    long = " ".join(words)
    assert shared(long, " ".join(["x", *words[5:18], "y"]))
    assert not shared(long, " ".join(["x", *words[5:17], "y"]))
    assert shared(" ".join(words[:8]), ", ".join(words[:8]).upper())
    assert not shared(" ".join(words[:7]), " ".join(words[:7]))
