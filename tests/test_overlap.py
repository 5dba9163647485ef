"""Shared text is found in every script, and however it is encoded."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flanlib.data.adapters import Example
from flanlib.prompts import overlap

UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u202e\ufe0f\ufe00\u034f\x00\x07\U000e0061"
FRENCH = (
    "la vieille clinique près du marché était très propre et le vétérinaire a été très doux"
    " avec notre chat inquiet et âgé"
)
CHINESE = "街角那家老诊所非常干净而且兽医对我们紧张的猫非常温柔账单也很公道我们以后还会再来这里"
JAPANESE = (
    "角の古い動物病院はとても清潔で獣医さんは緊張しているうちの猫にとても優しくしてくれましたし"
    "会計も公正でした"
)
THAI = "คลินิกเก่าตรงหัวมุมสะอาดมากและสัตวแพทย์ก็ใจดีกับแมวขี้กลัวของเราค่าใช้จ่ายก็ยุติธรรมเราจะกลับมาที่นี่อีก"
HINDI = "कोने वाला पुराना क्लिनिक बहुत साफ़ था और डॉक्टर हमारी डरी हुई बिल्ली के साथ बहुत दयालु थे"
KOREAN = "모퉁이에 있는 오래된 동물 병원은 아주 깨끗했고 수의사는 겁먹은 우리 고양이에게 정말 친절했으며 비용도 적당했다"
MIXED = "先週 iPhone 15 Pro の新しい clinic アプリで予約しました。とても便利で、the vet was kind でした。"
TEXTS = [FRENCH, CHINESE, JAPANESE, THAI, HINDI, KOREAN, MIXED]


def example(text, id="1"):
    return Example("t", id, {"text": text, "answer": ""}, (), None, ("",))


def known(text, **more):
    found = overlap.Texts()
    found.add([example(text)], **more)
    return found


def shared(a, b):
    return not set(overlap.grams(a)).isdisjoint(overlap.grams(b))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_near_copy_is_seen_in_every_script_and_form(text, form):
    copy = unicodedata.normalize(form, f"… {text.upper()} !? ") + " 猫 cat แมว"
    assert known(text).resembles(example(copy))
    sprinkled = "".join(sign + UNSEEN[n % len(UNSEEN)] for n, sign in enumerate(copy))
    assert known(text).resembles(example(sprinkled))
    assert known(text).scored(example(sprinkled)) is None
    assert not known(text[: len(text) // 4]).resembles(example(copy))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_text_is_recognised_in_any_form_with_anything_unseen_in_it(data):
    text = data.draw(st.text() | st.text("aZ é\u0301ßİΐｱ漢ก\u0e34ि한ᄒ ½\t\n-_9", min_size=5))
    form = data.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    copy = [*unicodedata.normalize(form, text)]
    places = st.tuples(st.integers(0, len(copy)), st.sampled_from(UNSEEN))
    for place, sign in data.draw(st.lists(places, max_size=8)):
        copy.insert(place, sign)
    copy = data.draw(st.sampled_from(["", " ", "\n "])) + "".join(copy)
    assert overlap.normalise(copy) == overlap.normalise(text)
    assert set(overlap.grams(copy)) == set(overlap.grams(text))
    if overlap.normalise(text):
        assert known(text).scored(example(copy)) == "t, row 1"
        assert known(text, dev=True).resembles(example(copy))
        assert known(text).repeats(example(copy))


@pytest.mark.parametrize(
    ("unit", "run", "whole"),
    [("w{} ", 13, 8), ("{}", 20, 12), ("ก{}", 26, 16)],
    ids=["words", "Chinese", "Thai and Chinese"],
)
def test_a_run_is_as_long_as_thirteen_words(unit, run, whole):
    units = [unit.format(n if "w" in unit else chr(0x4E00 + n)) for n in range(60)]
    step = 2 if "ก" in unit else 1  # two signs in each: 2 + 4 parts of 6 make a word
    run, whole = run // step, whole // step
    text = "".join(units)
    assert shared(text, "x " + "".join(units[5 : 5 + run]) + " y")
    assert not shared(text, "x " + "".join(units[5 : 5 + run - 1]) + " y")
    short = "".join(units[:whole])
    assert shared(short, f"「{short}」") and not shared(short, "".join(units[: whole + 1]))
    assert not list(overlap.grams("".join(units[: whole - 1])))


def test_accents_letters_and_order_still_tell_texts_apart():
    assert overlap.normalise("pâte") != overlap.normalise("pate")
    assert overlap.normalise("a b") != overlap.normalise("ab")
    assert overlap.normalise("कि") != overlap.normalise("क")
    assert not shared(CHINESE, CHINESE[::-1])
    assert not shared(
        FRENCH, unicodedata.normalize("NFKD", FRENCH).encode("ascii", "ignore").decode()
    )


def test_plain_english_is_compared_as_ever():
    words = [f"w{n}" for n in range(40)]
    runs = {hash(tuple(words[n : n + 13])) for n in range(28)}
    assert set(overlap.grams(", ".join(words).upper())) == runs
    assert set(overlap.grams("It's 8 words - isn't it, my_dear?")) == {
        hash(("it", "s", "8", "words", "isn", "t", "it", "my_dear"))
    }
