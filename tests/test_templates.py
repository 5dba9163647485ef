"""Template files: what they may say, and errors that name file, id and field."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.core import paths
from flanlib.core.errors import DataError, ParameterError, TemplateError
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Task
from flanlib.prompts import language, mixture, templates
from flanlib.prompts.template import Template, separator_of

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
        "{{ text['ljust'](999999999) }}",
        "{{ text['zfill'](999999999) }}",
        "{{ text['encode']() }}",
        "{{ {'x': text}['get']('x') }}",
        "{{ text['format_map'](title) }}",
        "{{ text[title] }}",
        "{{ (text if title else title)() }}",
        "{{ text.split(*title) }}",
        "{{ text.upper }}",
        "{{ self }} {{ text }}",
        "{{ text | indent(999999999) }}",
        "{{ text | join(',', '__class__') }}",
        "{{ '%999999999d' | format(1) }} {{ text }}",
        "{{ text | batch(999999999) }}",
        "{% filter upper %}{{ text }}{% endfilter %}",
    ],
)
def test_nothing_reaches_out_of_a_template(tmp_path, text):
    assert "template 'ask', input: " in problem(tmp_path, one(text))


BOMBS = {
    "nested if": "{% if text %}" * 300 + "x" + "{% endif %}" * 300,
    "nested brackets": "{{ " + "(" * 900 + "text" + ")" * 900 + " }}",
    "nested lists": "{{ " + "[" * 90 + "text" + "]" * 90 + " }}",
    "not": "{{ " + "not " * 900 + "text }}",
    "else": "{{ " + "text if text else " * 300 + "text }}",
    "filters": "{{ text" + " | lower" * 300 + " }}",
    "and": "{{ text" + " and text" * 300 + " }}",
    "parts": "{{ text }}" * 600,
    "length": "{{ text }}" + "x" * 20_000,
    "replace": "{{ text" + " | replace('x', 'xxxxxxxxxx')" * 10 + " }}",
    "replace a constant": "{{ 'x'" + " | replace('x', 'xxxxxxxxxx')" * 10 + " }}{{ text }}",
    "replace by its method": "{{ text" + ".replace('x', 'xxxxxxxxxx')" * 10 + " }}",
    "join": "{{ text" + " | join(text)" * 6 + " }}",
    "in a condition": "{% if text" + " | join(text)" * 6 + " %}a{% endif %}{{ text }}",
    "number": "{{ " + "9" * 5_000 + " }}",
    "half a character": "{{ '\\ud800' }}{{ text }}",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_text_without_bound_is_refused_when_it_is_loaded(tmp_path, kind):
    said = problem(tmp_path, one(BOMBS[kind]))
    assert "template 'ask', input: " in said and len(said.split("input: ")[1]) < 300


@pytest.mark.parametrize("place", ["name", "plain", "target"])
@pytest.mark.parametrize(
    "text", ["{{ 'x' * 20000000000 }}", "{% for a in 'ab' %}{{ a }}{% endfor %}", "{{ nope }}"]
)
def test_every_text_that_is_rendered_is_checked(tmp_path, place, text):
    content = yaml.safe_load(one("{{ text }}"))
    (content["templates"][0] if place == "target" else content)[place] = text
    where = "template 'ask', target: " if place == "target" else f"{place}: "
    assert where in problem(tmp_path, yaml.safe_dump(content))


def test_a_long_row_makes_no_longer_prompt_than_the_bound():
    ask = Template(id="ask", input="{{ text }}{{ text | replace('x', 'xxxx') }}")
    for n, fits in ((1_000, True), (language.LONGEST // 2, False)):
        example = Example("toy", "r1", {"text": "x" * n, "answer": "y"}, (), None, ("y",))
        if fits:
            assert templates.render(example, ask).input == "x" * 5 * n
        else:
            with pytest.raises(TemplateError, match="'ask', example r1: more than 10,000,000"):
                templates.render(example, ask)
    with pytest.raises(ValueError, match="more than 10,000,000"):
        language.renderer("{{ text }}" * 3)({"text": "x" * (language.LONGEST // 2)})


PIECES = """{{ }} {% %} {# #} ( ) [ ] { } text title answer none 'x' "y" 9 999999999 1e9 | . , ~ + * ** //
 % - not and or if else elif endif for in endfor set macro endmacro is raw endraw replace join
 center upper split ljust format get __class__ attr : = == < loop self range \n \\""".split(" ")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=12).map(lambda p: "{{ " + " ".join(p) + " }}")
    | st.tuples(st.sampled_from(PIECES), st.integers(1, 3_000)).map(lambda p: "{{ " + p[0] * p[1])
    | st.text(max_size=60)
)
def test_any_text_renders_or_is_refused_in_a_line(text):
    known = ("text", "title", "answer")
    try:
        language.check(text, known)
        assert isinstance(language.renderer(text)(dict.fromkeys(known, "a b")), str)
    except language.FAILURES as error:
        assert len(str(error).splitlines()) <= 1 and len(str(error)) < 400


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(PIECES) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("dataset name fields plain templates cloze x".split()), VALUES),
    st.dictionaries(st.sampled_from("id input target inverted options answers".split()), VALUES),
)
def test_any_file_loads_or_is_refused_in_a_line(tmp_path_factory, changed, template):
    content = yaml.safe_load(one("{{ text }}"))
    content["templates"] += [{"id": "other", "input": "{{ title }}"} | template]
    try:
        load(tmp_path_factory.mktemp("c"), yaml.safe_dump(content | changed))
    except TemplateError as error:
        assert "toy.yaml" in str(error) and len(str(error).splitlines()) == 1
        assert len(str(error)) < 1_000


@pytest.mark.parametrize("form", ["instructions", "Instruction", "", "none ", None, 3, ["none"]])
def test_a_form_that_is_none_is_refused(tmp_path, form):
    content = load(tmp_path, one("{{ text }}"))
    for ask in (
        content.form,
        separator_of,
        lambda form: templates.of_task(None, None, form),
        lambda form: mixture.mixture(None, "c", seed=1, form=form),
    ):
        with pytest.raises(ParameterError, match="instruction, dataset-name, none"):
            ask(form)
    assert content.form("dataset-name")[0].input == "Toy\n{{ text }}"


def test_every_shipped_template_loads():
    found = [
        templates.load(path.parents[1], path.stem)
        for path in sorted(paths.DATA.glob("*/templates/*.yaml"))
    ]
    assert sum(len(one.templates) for one in found if one.dataset) > 900


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "namespace", "joiner"])
def test_what_jinja_offers_is_no_field(tmp_path, name):
    assert f"unknown field '{name}'" in problem(tmp_path, one(f"{{{{ {name} }}}} {{{{ text }}}}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ txt }}", "input: unknown field 'txt'; there are answer, text, title"),
        ("{% if titel %}x{% endif %}{{ text }}", "input: unknown field 'titel'"),
        ("{{ text ", "input: unexpected end of template"),
        ("{{ text() }}", "input: 'call' of 'name' has no place; a call is one of endswith"),
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
        ('    answers: ["a", " "]\n', "template 'ask', answers.1: empty; an answer is wanted"),
        ('    answers: ["a", " b"]\n', "answers.1: begins or ends with white space"),
        ('    answers: ["a", "b\\nc"]\n', "answers.1: has a line break"),
        ('    answers: ["a", "{{ text }}"]\n', "answers: '{{ text }}' is shown as it stands"),
        ('    target: " "\n', "template 'ask', target: is empty"),
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
        (one("{{ text }}").replace("[text, title]", "[text, loop]"), "'loop' cannot be named"),
        (one("{{ text }}").replace("[text, title]", "[text, a b]"), "'a b' cannot be named"),
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
    from flanlib.data import catalogue

    (tmp_path / "catalogue.yaml").write_text(
        "title: T\nclusters: [{key: c, title: C, domain: NLU}]\ntasks:\n"
        "  - {key: one, title: One, dataset: one, cluster: c, kind: guess, metric: accuracy}\n"
    )
    with pytest.raises(DataError, match=r"catalogue.yaml: task 'one', kind: .*found 'guess'"):
        catalogue.load(tmp_path)
