"""What is too long gives way in one order, and never the instruction."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import byte_tokenizer, encoded, random_model

from flanlib.core.errors import TemplateError
from flanlib.data.adapters import Example
from flanlib.evaluation import score
from flanlib.models import encode
from flanlib.prompts import templates
from flanlib.prompts.stream import few_shot
from flanlib.prompts.template import Template

WORDS = byte_tokenizer()
READ = Template(id="read", input="Read this.\n{{ passage }}\nSo: {{ question }}")


def rendered(passage: str, question: str = "is it?", template: Template = READ, **given):
    fields = {"passage": passage, "question": question, "answer": "yes"}
    one = Example("t", "7", fields, ("no", "yes"), 1, ("yes",))
    return templates.render(one, template, **given)


def read(prompt, room: int, **given) -> tuple[str, encode.Encoded]:
    found = encoded(WORDS, prompt, max_input_tokens=room, **given)
    return WORDS.decode(found.prompt_ids).removesuffix("\n"), found


def test_the_longest_field_loses_its_end_and_all_else_stays():
    prompt = rendered("0123456789" * 20)
    room = len(prompt.input) - 150
    text, found = read(prompt, room)
    assert text == prompt.input.replace("0123456789" * 20, "0123456789" * 5)
    assert text.startswith("Read this.\n0123") and text.endswith(
        "So: is it?\nOPTIONS:\n- no\n- yes"
    )
    assert (found.n_cut, found.n_dropped) == (150, 0)


def test_fields_of_like_length_give_way_together():
    prompt = rendered("p" * 100, "q" * 90)
    text, found = read(prompt, len(prompt.input) - 50)
    assert (text.count("p"), text.count("q")) == (70, 70)
    assert found.n_cut == 50


def test_a_field_that_stands_twice_or_is_changed_is_cut_in_every_place():
    twice = Template(id="twice", input="{{ passage|upper }} ({{ passage }}) {{ question }}")
    prompt = rendered("ab" * 60, template=twice)
    text, _ = read(prompt, 100)
    assert len(text) <= 100 and "OPTIONS:\n- no\n- yes" in text and "is it?" in text
    first, second = text.split(" (")[0], text.split("(")[1].split(")")[0]
    assert first == second.upper() and 2 * len(first) + len(" () is it?") > 100 - 22 - 2


def test_exemplars_go_first_and_whole():
    shown = [rendered(f"{c}" * 30) for c in "xyz"]
    prompt = few_shot(rendered("p" * 60), shown)
    one = f"{shown[2].input}\nyes\n\n"
    own = rendered("p" * 60).input
    for room in (len(own) + len(one), len(own) + 2 * len(one) - 1):
        text, found = read(prompt, room)
        assert text == one + own and (found.n_cut, found.n_dropped) == (0, 2)
    text, found = read(prompt, len(own) - 10)
    assert text == own.replace("p" * 60, "p" * 50) and (found.n_cut, found.n_dropped) == (10, 3)


@settings(max_examples=80, deadline=None)
@given(st.text("ab \n\u00e9\u65e5", min_size=1, max_size=200), st.integers(60, 300))
def test_whatever_the_text_it_fits_and_the_instruction_is_there(passage, room):
    if not passage.strip():
        return
    text, found = read(rendered(passage), room)
    assert len(found.prompt_ids) <= room + 1
    assert text.startswith("Read this.") and text.endswith("So: is it?\nOPTIONS:\n- no\n- yes")
    assert (found.n_cut > 0) == (len(rendered(passage).input.encode()) > room)


def test_an_instruction_that_is_too_long_by_itself_is_an_error():
    prompt, alone = rendered("p" * 300), len("Read this.\n\nSo:\nOPTIONS:\n- no\n- yes")
    with pytest.raises(
        TemplateError, match=f"example 7: the instruction alone has {alone} .*for 34"
    ):
        read(prompt, 17)
    with pytest.raises(TemplateError, match="the instruction alone has"):
        score.generate(random_model("llama"), WORDS, [prompt], max_input_tokens=16)


def test_where_the_instruction_alone_needs_more_than_the_limit_the_limit_gives_way():
    alone = "Read this.\n\nSo:\nOPTIONS:\n- no\n- yes"
    text, found = read(rendered("p" * 300), len(alone) - 5)
    assert text.startswith("Read this.") and text.endswith("- no\n- yes")
    assert len(found.prompt_ids) <= 2 * (len(alone) - 5) + 1 and found.n_cut > 0


def test_a_ready_made_prompt_loses_its_beginning():
    text, found = read(encode.ready_made("passage " * 9 + "so?", "yes"), 10)
    assert text == "assage so?"
    assert found.n_cut == 9 * 8 + 3 - 10


def test_tuning_and_scoring_cut_the_same():
    lm, prompt = random_model("llama"), rendered("0123456789" * 50)
    tuned = encoded(WORDS, prompt, max_input_tokens=90)
    (item,), (one,) = score.items_of(WORDS, [prompt], None, 90)
    assert item.prompt_ids == tuned.prompt_ids and one.n_cut == tuned.n_cut > 400
    assert set(score.rank(lm, WORDS, [prompt], max_input_tokens=90)["n_cut"]) == {tuned.n_cut}
    written = score.generate(lm, WORDS, [prompt], max_new_tokens=4, max_input_tokens=90)
    assert written["n_cut"].tolist() == [tuned.n_cut]


def test_reversed_options_and_cloze_are_phrased_again_as_they_were():
    text, _ = read(rendered("p" * 300, reversed_options=True), 80)
    assert text.endswith("OPTIONS:\n- yes\n- no")
    cloze = rendered("p" * 300, separator=" ")
    assert read(cloze, 80)[0].endswith("So: is it?")


def test_a_target_is_not_cut_with_its_field():
    inverted = Template(
        id="turn", inverted=True, input="Ask about: {{ question }}", target="{{ question }}!"
    )
    prompt = rendered("p", "q" * 100, inverted)
    text, found = read(prompt, 40)
    assert len(text) == 40 and WORDS.decode(found.target_ids) == "q" * 100 + "!"
