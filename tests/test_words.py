"""ROUGE and BLEU in scripts other than Latin, and metrics named in catalogues."""

import shutil
import string
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from flanlib.commands import cli
from flanlib.core.errors import DataError, ParameterError
from flanlib.data import catalogue
from flanlib.data.catalogue import Task
from flanlib.data.metric_names import METRICS
from flanlib.evaluation import metrics, ngrams, tokens

PERFECT = {
    "Chinese": "东京是日本的首都。",
    "Japanese": "東京は日本の首都です",
    "Thai": "กรุงเทพเป็นเมืองหลวงของประเทศไทย",
    "Lao": "ວຽງຈັນເປັນນະຄອນຫຼວງ",
    "Khmer": "ភ្នំពេញជារាជធានី",
    "Burmese": "ရန်ကုန်မြို့သည်ကြီးသည်",
    "Hindi": "दिल्ली भारत की राजधानी है",
    "Russian": "Москва столица России",
    "Arabic": "القاهرة عاصمة مصر",
    "Greek": "η Αθήνα είναι πόλη",
    "Korean": "서울은 한국의 수도이다",
    "Hebrew": "ירושלים בירת ישראל",
    "French": "l’été où le cœur s’apaise",
    "Vietnamese": "Hà Nội là thủ đô của Việt Nam",
}
tried = settings(max_examples=60, deadline=None, derandomize=True)


def task(metric, **more):
    return Task(
        key="t", title="t", dataset="t", cluster="c", kind="generate", metric=metric, **more
    )


def scored(metric, pairs, **more):
    rows = [
        ("t", str(i), said, [*true] if isinstance(true, tuple) else [true])
        for i, (said, true) in enumerate(pairs)
    ]
    table = pd.DataFrame(rows, columns=["template", "example", "prediction", "references"])
    return metrics.evaluate(task(metric, **more), table)


@pytest.mark.parametrize("metric", ngrams.ROUGE)
@pytest.mark.parametrize("language", PERFECT)
def test_a_perfect_answer_is_perfect_in_every_script(language, metric):
    text = PERFECT[language]
    assert scored(metric, [(text, text)] * 2).value == pytest.approx(100)
    assert scored(metric, [("zzz qqq", text)] * 2).value == 0
    assert "words by Unicode" in scored(metric, [(text, text)] * 2).signature


def test_words_of_many_scripts():
    assert tokens.words("东京2020年") == ["东", "京", "2020", "年"]
    assert tokens.words("दिल्ली है।") == ["दिल्ली", "है"]
    assert tokens.words("นี้ ๑๒") == ["นี้", "๑๒"]
    assert tokens.words("ภาษา") == ["ภ", "า", "ษ", "า"]
    assert tokens.words("Straße co\u00adop a_b 한국어") == ["straße", "coop", "a", "b", "한국어"]
    assert tokens.words("می\u200cروم") == ["میروم"], "what is not seen parts no word"
    assert tokens.words("\u0301 !? 👍") == [] and not tokens.has_words("…！👍")


def test_accents_tell_words_apart_however_they_are_composed():
    assert scored("rouge_l", [("ôté", "été")]).value == 0
    assert scored("rouge_l", [("e\u0301te\u0301 ÉTÉ", "été été")]).value == pytest.approx(100)
    assert scored("rouge1", [("le café noir", "le café vert")]).value == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize("kind", ngrams.ROUGE.values())
def test_rouge_of_ascii_is_that_of_rouge_score(kind):
    usual, own = RougeScorer([kind], use_stemmer=True), ngrams.scorer_of(kind)
    words = st.sampled_from(
        ["the", "cats", "running", "don't", "a_b", "U.S.", "3.5", "NATIONAL", "-", "\n"]
    )
    text = st.one_of(
        st.text(string.printable, max_size=40), st.lists(words, max_size=12).map(" ".join)
    )

    @tried
    @given(text, text)
    def same(one, other):
        assert own.score(one, other) == usual.score(one, other)

    same()


def test_ascii_words_beside_others_are_stemmed_as_alone():
    mixed = tokens.Words().tokenize("running cafés nationally")
    assert mixed == ["run", "cafés", *tokens.Words().tokenize("nationally")]


def test_sentences_of_chinese_are_lines_of_rouge_lsum():
    said, true = "天很蓝。海很大。", "海很大。天很蓝。"
    assert scored("rouge_lsum", [(said, true)]).value == pytest.approx(100)
    assert scored("rouge_l", [(said, true)]).value < 100


def test_a_reference_without_a_word_is_named():
    with pytest.raises(DataError, match=r"example 1: no reference has a word .* found \['👍👍'\]"):
        scored("rouge_l", [("a", "a"), ("👍👍", "👍👍")])
    assert scored("rouge_l", [("a", ("!!", "a"))]).value == pytest.approx(100)
    assert scored("rouge_l", [("", "a")]).value == 0


# BLEU

HYPOTHESES = ["东京是日本首都，也是最大城市。", "我今天去学校上学。"]
REFERENCES = ["东京是日本的首都，也是最大的城市。", "我今天去学校上课。"]


@pytest.mark.parametrize("named", ["zh", "char"])
def test_bleu_of_chinese_is_that_of_sacrebleu(named):
    found = scored("bleu", list(zip(HYPOTHESES, REFERENCES, strict=True)), bleu_tokenizer=named)
    wanted = sacrebleu.BLEU(tokenize=named).corpus_score(HYPOTHESES, [REFERENCES])
    assert found.value == pytest.approx(wanted.score) and wanted.score > 60
    assert f"|tok:{named}|" in found.signature


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh_TW", "zh"),
        ("th", "char"),
        ("de", "13a"),
        ("", "13a"),
        ("en", "13a"),
    ],
)
def test_the_tokenizer_is_that_of_the_target_language(code, wanted):
    columns = {"source": "en", "target": code, "languages": ["English", "Other"]}
    assert tokens.bleu_tokenizer(task("bleu", adapter="translation", columns=columns)) == wanted
    assert tokens.bleu_tokenizer(task("bleu", columns=columns)) == "13a", "another layout's column"
    both = task("bleu", adapter="translation", columns=columns, bleu_tokenizer="intl")
    assert tokens.bleu_tokenizer(both) == "intl"


@pytest.mark.parametrize("code", ["ja", "ko"])
def test_japanese_and_korean_without_their_packages_are_split_into_signs(
    code, tmp_path, monkeypatch
):
    columns, packages = {"target": code}, tokens.PACKAGES[f"{code}-mecab"]
    if any(map(find_spec, packages)):
        pytest.skip("the packages are there")
    assert tokens.bleu_tokenizer(task("bleu", adapter="translation", columns=columns)) == "char"
    with pytest.raises(ParameterError, match=rf"sacrebleu\[{code}\]"):
        tokens.bleu_tokenizer(task("bleu", bleu_tokenizer=f"{code}-mecab"))
    for name in packages:
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert (
        tokens.bleu_tokenizer(task("bleu", adapter="translation", columns=columns))
        == f"{code}-mecab"
    )


@pytest.mark.parametrize("language", ["Chinese", "Japanese", "Thai", "Lao", "Khmer", "Burmese"])
@pytest.mark.parametrize("named", ["", "13a", "intl", "none"])
def test_a_tokenizer_that_takes_sentences_for_words_is_refused(language, named):
    text = PERFECT[language]
    with pytest.raises(DataError, match=r"script without spaces.*set bleu_tokenizer"):
        scored("bleu", [(text, text)] * 3, bleu_tokenizer=named)
    assert scored("bleu", [(text, text)] * 3, bleu_tokenizer="char").value == pytest.approx(100)


def test_a_few_foreign_words_do_not_stop_bleu():
    text = "the city of 東京 is the capital of Japan and very large"
    assert scored("bleu", [(text, text)]).value == pytest.approx(100)
    with pytest.raises(DataError, match="script without spaces"):
        scored("bleu", [(PERFECT["Thai"], PERFECT["Thai"])], bleu_tokenizer="zh")
    spaced = PERFECT["Korean"] + " 서울은 크다"
    assert scored("bleu", [(spaced, spaced)]).value == pytest.approx(100)


# Names in a catalogue


def pets(folder: Path, old: str, new: str) -> Path:
    words = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for block in words.split("```yaml\n")[1:]:
        path = folder / block.split("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.split("```")[0].replace(old, new), encoding="utf-8")
    return folder / "pets"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "metric: accuracy",
            "metric: acuracy",
            "task vets: no metric 'acuracy' .*mean 'accuracy'.*there are accuracy",
        ),
        (
            "metric: accuracy",
            "metric: bleu",
            "task vets: no metric 'bleu' for ranked options .*one for written answers",
        ),
        (
            "metric: exact_match",
            "metric: accuracy",
            "task food: no metric 'accuracy' for written answers .*ranked",
        ),
        ("metric: exact_match", "metric: Exact_Match", "task food: .*did you mean 'exact_match'"),
        ("metric: exact_match", "metric: ''", "task food: no metric ''"),
        (
            "metric: accuracy",
            "metric: multirc_em",
            "task vets: metric 'multirc_em' .*paragraph and question",
        ),
        (
            "metric: exact_match",
            "metric: exact_match, bleu_tokenizer: zh",
            "task food: bleu_tokenizer is 'zh'",
        ),
        (
            "metric: exact_match",
            "metric: bleu, bleu_tokenizer: spm",
            "task 'food', bleu_tokenizer.*13a.*char.*found 'spm'",
        ),
    ],
)
def test_a_wrong_metric_is_said_when_the_catalogue_is_read(tmp_path, capsys, old, new, said):
    root = pets(tmp_path, old, new)
    with pytest.raises(DataError, match=rf"catalogue\.yaml: {said}"):
        catalogue.load(root)
    verbs = (
        ["render", "--check"],
        ["score", "--model", "micro-300k", "--out", str(tmp_path / "o")],
        ["tune", "--held-out", "habits", "--model", "micro-300k", "--out", str(tmp_path / "a")],
        ["run", "--only", "fig5"],
    )
    for verb in verbs:
        assert cli.main([*verb, "--collection", str(root)]) != 0
        assert "catalogue.yaml" in capsys.readouterr().err
    shutil.rmtree(root)


def test_every_metric_named_is_read(tmp_path):
    for kind, old in (("rank", "metric: accuracy"), ("generate", "metric: exact_match")):
        for metric in set(METRICS[kind]) - {"multirc_em"}:
            folder = tmp_path / f"{kind}-{metric}"
            assert catalogue.load(pets(folder, old, f"metric: {metric}")).tasks
