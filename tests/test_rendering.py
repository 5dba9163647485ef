"""The fast substitution equals Jinja2; the check finds what is wrong."""

import io
import json
import random
import re
import shutil

import pytest
import yaml
from jinja2 import TemplateSyntaxError, UndefinedError
from toy_collection import SIZES, reword, toy_catalogue, toy_rows, write_rows

from flanlib.core import paths
from flanlib.core.errors import MissingResultError, TemplateError
from flanlib.data import catalogue
from flanlib.data.adapters import Example
from flanlib.prompts import rendering, templates
from flanlib.prompts.language import ENVIRONMENT, renderer
from flanlib.prompts.template import Template

VALUES = ("", "plain", "100 %s %d %%", "{{ answer }}", "{% raw %}", "line\nline\n", "  é 中 ", "{}")
PIECES = ("\n", " ", "%", "%s", "100%", "{", "}", "{ {", "Ask:", "\n\n", "{# note #}", "\\n", "'")


@pytest.fixture
def toys(tmp_path):
    return toy_catalogue(tmp_path)


def jinja(text, fields):
    return ENVIRONMENT.from_string(text).render(fields)


def test_substitution_equals_jinja():
    rng, same = random.Random(0), 0
    names = ("text", "answer", "title")
    substitutions = [*(f"{{{{ {name} }}}}" for name in names), "{{text}}", "{{- answer -}}"]
    for _ in range(400):
        fields = {name: rng.choice(VALUES) for name in names}
        text = "".join(
            rng.choice(substitutions + list(PIECES)) for _ in range(rng.randrange(1, 12))
        )
        try:
            expected = jinja(text, fields)
        except TemplateSyntaxError:
            with pytest.raises(ValueError, match=r"template|expected|unknown|has"):
                renderer(text)
            continue
        assert renderer(text)(fields) == expected, text
        same += renderer(text).__name__ == "substitute"
    assert same > 200


@pytest.mark.parametrize(
    "text",
    [
        "{{ text | upper }}",
        "{% if title %}{{ title }}{% else %}-{% endif %}",
        "{{ text }}{{ 3 }}",
        "{{ text.upper() }}{{ title | title }}",
        "{{ text.split()[1] }}{{ text | replace('o', '0', 1) }}{{ [text, answer] | join('+') }}",
    ],
)
def test_logic_is_left_to_jinja(text):
    fields = {"text": "one two", "answer": "x", "title": ""}
    assert renderer(text)(fields) == jinja(text, fields)


@pytest.mark.parametrize("text", ["{{ absent }}", "{{ absent | upper }}"])
def test_an_absent_field_is_an_error_either_way(text):
    with pytest.raises(UndefinedError, match="'absent' is undefined"):
        renderer(text)({"text": "x"})


def shipped():
    return sorted(paths.DATA.glob("*/templates/*.yaml"))


@pytest.mark.parametrize("path", shipped(), ids=lambda p: f"{p.parent.parent.name}-{p.stem}")
def test_every_shipped_template_renders_as_jinja_does(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    fields = {name: f"<{name} 50% {{{{ x }}}}>" for name in [*content["fields"], "answer"]}
    for template in content["templates"] + content.get("cloze", []):
        for text in (template["input"], template.get("target", "{{ answer }}")):
            assert renderer(text)(fields) == jinja(text, fields)


def test_render_gives_every_example_under_every_template(toys):
    found = list(rendering.render(toys, tasks=["soup", "spell"], split="eval"))
    assert len(found) == 2 * 6 * 10
    one = list(rendering.render(toys, split="train", template="ask-3", limit=2))
    assert [p.task for p in one] == [task for task in SIZES for _ in range(2)]
    assert one[4].input == "Way 3: soup train 0?\nOPTIONS:\n- no\n- yes"
    with pytest.raises(TemplateError, match="no template 'ask-99'"):
        list(rendering.render(toys, template="ask-99"))


def test_written_lines_hold_the_whole_prompt(toys):
    prompts = list(rendering.render(toys, tasks=["soup"], limit=2))
    out = io.StringIO()
    assert rendering.write(prompts, out) == 20
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    for prompt, line in zip(prompts, lines, strict=True):
        assert line == json.loads(json.dumps(rendering.record(prompt)))
        assert line["input"] == prompt.input
        assert (line["gold"], tuple(line["options"])) == (prompt.gold, prompt.options)


def test_check_passes_what_is_right_and_counts(toys):
    unlabelled = [{"text": "soup", "label": None}] * 2
    write_rows(toys.root, "soup", "dev", [*toy_rows("soup", "dev"), *unlabelled])
    found = rendering.check(toys)
    assert found.n_problems == 0
    soup = next(t for t in found.tasks if t.task == "soup")
    assert (soup.n_rows, soup.n_templates, soup.n_prompts) == (32, 12, 32 * 12)
    assert soup.skipped == {"no label": 2}
    assert "0 problems" in found.table()
    json.dumps(found.to_dict())


def broken(text="soup", options=("no", "yes"), gold=0):
    return lambda e: Example(
        e.task, e.id, {"text": text, "answer": options[gold % len(options)]}, options, gold, ("no",)
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (broken(text="None"), "field text is 'None'"),
        (broken(text="nan"), "field text is 'nan'"),
        (broken(options=("no", "no")), "options .* are not distinct"),
        (broken(gold=2), "gold 2 is no option"),
        (broken(options=("no",)), "are not distinct"),
    ],
)
def test_check_names_what_is_wrong(toys, monkeypatch, change, problem):
    every = rendering.sources.examples

    def examples(*given, **settings):
        return (change(e) if e.id == "eval-2" else e for e in every(*given, **settings))

    monkeypatch.setattr(rendering.sources, "examples", examples)
    found = rendering.check(toys, tasks=["soup"])
    assert found.n_problems > 0
    assert any(re.search(problem, p) for p in found.tasks[0].problems)
    assert all("soup, " in p and "eval-2" in p for p in found.tasks[0].problems)
    assert found.tasks[0].problems[0] in found.table()


def test_check_finds_braces_and_none_that_the_row_does_not_have(toys, monkeypatch):
    bad = Template(id="bad", input="{{ '{{' }} text }} {{ text }} None-such", target="{{ 0 }}")
    odd = Template(id="odd", input="{{ text }} {{ none }}")
    monkeypatch.setattr(
        templates,
        "of_task",
        lambda catalogue, task, form="instruction": (bad, odd) if form == "instruction" else (),
    )
    problems = rendering.check(toys, tasks=["spell"], limit=1).tasks[0].problems
    assert "template bad: {{, }} is not in the row" in problems[0]
    assert "template odd: None is not in the row" in problems[1]
    natural = "None of us can {{ read }} this, nan said"
    reword(toys.root, {("spell", f"{split}-0"): natural for split in ("train", "dev", "eval")})
    assert rendering.check(toys, tasks=["spell"], limit=1).n_problems == 0


def test_check_skips_what_a_template_cannot_ask_and_lets_people_say_none(toys):
    reword(toys.root, {("soup", "eval-1"): "", ("soup", "eval-2"): "None"})
    found = rendering.check(toys, tasks=["soup"]).tasks[0]
    assert (found.n_problems, found.n_prompts) == (1, 32 * 12 - 3)
    assert "template 'none', example eval-1: empty input" in found.problems[0]
    assert found.not_asked == {"turn-0": 1, "turn-1": 1}


def test_check_names_missing_and_skipped_rows(toys):
    shutil.rmtree(toys.root / "rows" / "rain")
    write_rows(toys.root, "soup", "dev", [{"text": "soup", "label": None}] * 2)
    found = rendering.check(toys, tasks=["soup", "rain"])
    soup, rain = found.table().splitlines()[1:3]
    assert soup.endswith("2 no label")
    assert "no rows in" in rain
    assert "26 rows of 1 of 2 tasks; 2 rows skipped" in found.table()


def test_an_absent_folder_of_rows_is_an_error_and_no_pass(tmp_path):
    flan = catalogue.load("flan")
    with pytest.raises(MissingResultError, match="absent: no such folder of rows"):
        rendering.check(flan, tmp_path / "absent")
    with pytest.raises(MissingResultError, match="no rows in"):
        list(rendering.render(flan, rows=tmp_path))
