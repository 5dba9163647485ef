"""Template files: what they may say, and errors that name file, id and field."""

import pytest

from flanlib import templates
from flanlib.catalogue import Task
from flanlib.errors import DataError, TemplateError
from flanlib.prompts import language
from flanlib.rows.adapters import Example
from flanlib.templates import Template

HEAD = 'dataset: toy\nname: Toy\nfields: [text, title]\nplain: "{{ text }}"\ntemplates:\n'


def load(folder, content):
    (folder / "templates").mkdir(exist_ok=True)
    path = folder / "templates" / "toy.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    templates.load.cache_clear()
    return templates.load(folder, "toy")


def one(text, more=""):
    lines = "\n".join(f"      {line}" for line in text.splitlines())
    return f"{HEAD}  - id: ask\n{more}    input: |-\n{lines}\n"


def problem(folder, content):
    with pytest.raises(TemplateError) as caught:
        load(folder, content)
    assert str(caught.value).startswith(str(folder / "templates" / "toy.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }} {{ text }}",
        "{{ text.__class__.__mro__[1].__subclasses__() }}",
        "{{ text | attr('__class__') }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ cycler.__init__.__globals__ }} {{ text }}",
        "{{ self.__init__ }} {{ text }}",
        "{% for i in range(999999999) %}x{% endfor %}{{ text }}",
        "{{ 'x' * 10 ** 9 }} {{ text }}",
        "{{ text.center(999999999) }}",
        "{{ text | center(999999999) }}",
        "{{ '%0999999999d' % 1 }} {{ text }}",
        "{% include 'other' %} {{ text }}",
        "{% import 'os' as os %} {{ text }}",
        "{% extends 'other' %}",
        "{% set text = 'x' %}{{ text }}",
        "{% macro f() %}{% endmacro %}{{ text }}",
        "{% if text is nope %}x{% endif %}",
        "{{ text | nope }}",
    ],
)
def test_nothing_reaches_out_of_a_template(tmp_path, text):
    assert "template 'ask', input: " in problem(tmp_path, one(text))


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "namespace", "joiner"])
def test_what_jinja_offers_is_no_field(tmp_path, name):
    assert f"unknown field '{name}'" in problem(tmp_path, one(f"{{{{ {name} }}}} {{{{ text }}}}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ txt }}", "input: unknown field 'txt'; there are answer, text, title"),
        ("{% if titel %}x{% endif %}{{ text }}", "input: unknown field 'titel'"),
        ("{{ text ", "input: unexpected end of template"),
        ("{{ text() }}", "input: does not render: 'str' object is not callable"),
        ("{{ text }} {{ answer }}", "input: shows the answer, so it must be marked inverted"),
        ("Say something.", "input: names no field"),
        ("{{ text }}\nOPTIONS:\n- a", "input: has 'OPTIONS:' in it"),
    ],
)
def test_a_mistake_in_a_text_names_file_template_and_field(tmp_path, text, said):
    assert f"template 'ask', {said}" in problem(tmp_path, one(text))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("    inverteed: true\n", "template 'ask', inverteed: there is no such field"),
        ("    inverted: perhaps\n", "template 'ask', inverted: "),
        ("    options: true\n    options: false\n", ":8: not YAML: key 'options' stands twice"),
        ("    answers: [yes, no]\n", "template 'ask', answers.0: Input should be a valid string"),
        ('    answers: ["a", "a"]\n', "template 'ask', answers: a, a are not distinct"),
        ('    target: "{{ titel }}"\n', "template 'ask', target: unknown field 'titel'"),
    ],
)
def test_a_mistake_in_a_field_names_file_template_and_field(tmp_path, more, said):
    assert said in problem(tmp_path, one("{{ text }}", more))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty, not a mapping"),
        ("- a\n", "a list, not a mapping"),
        ("\t- a\n", ":1: not YAML: "),
        (b"name: caf\xe9\n", "not UTF-8 (byte 9)"),
        ("!!python/object/apply:os.system ['id']\n", ":1: not YAML: could not determine"),
        (HEAD, "templates: "),
        (one("{{ text }}").replace("dataset: toy", "dataset: boy"), "dataset: 'boy' is not"),
        (one("{{ text }}").replace("[text, title]", "[text, text]"), "each stands once"),
        (one("{{ text }}").replace("name: Toy\n", ""), "name: missing"),
        (one("{{ text }}").replace('"{{ text }}"', '"{{ tex }}"'), "plain: unknown field 'tex'"),
        (one("{{ text }}") + '  - {id: ask, input: "{{ title }}"}\n', "'ask' stands twice"),
    ],
)
def test_a_mistake_in_a_file_names_it(tmp_path, content, said):
    assert said in problem(tmp_path, content)


def test_a_turned_template_does_not_ask_for_what_it_shows(tmp_path):
    text = one("{{ answer }} {{ title }}", "    inverted: true\n")
    assert "target: is the answer, which the input shows already" in problem(tmp_path, text)
    assert load(tmp_path, text + '    target: "{{ text }}"\n').templates[0].inverted


def test_cloze_answers_are_as_many_as_the_options(tmp_path):
    load(tmp_path, one("{{ text }}", '    answers: ["a", "b", "c"]\n'))
    options = ("no", "yes")
    task = Task(
        key="toy", title="", dataset="toy", cluster="c", kind="rank", metric="m", options=options
    )

    class Catalogue:
        root = tmp_path

    with pytest.raises(TemplateError, match="'ask', answers: 3, but task toy has 2 options"):
        templates.of_task(Catalogue, task)


def test_an_error_while_rendering_names_task_template_and_example():
    example = Example("toy", "r1", {"text": "x", "answer": "y"}, (), None, ("y",))
    for text in ("{{ text[9] }}", "{{ text + 1 }}", "{{ absent }}", "{{ 1 // 0 }}"):
        with pytest.raises(TemplateError, match="task toy, template 'ask', example r1: "):
            templates.render(example, Template(id="ask", input=text))


@pytest.mark.parametrize(
    "text",
    [
        "{{ text }}, {{ title | lower }}",
        "{% if title and title != 'none' %}{{ title }}{% elif text %}a{% else %}b{% endif %}",
        "{{ {'x': 'a'}.get(text, text) }} {{ text.split('|')[3] }}",
    ],
)
def test_fields_conditions_and_filters_may_be_said(text):
    language.check(text, ("text", "title", "answer"))


def test_a_catalogue_names_the_task_of_a_mistake(tmp_path):
    from flanlib import catalogue

    (tmp_path / "catalogue.yaml").write_text(
        "title: T\nclusters: [{key: c, title: C, domain: NLU}]\ntasks:\n"
        "  - {key: one, title: One, dataset: one, cluster: c, kind: guess, metric: accuracy}\n"
    )
    with pytest.raises(DataError, match=r"catalogue.yaml: task 'one', kind: .*found 'guess'"):
        catalogue.load(tmp_path)
