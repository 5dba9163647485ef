"""No document has a number of its own: every interval comes from records."""

import json
import re

import pytest

from flanlib import figures as figures_of
from flanlib.commands import cli
from flanlib.core import paths
from flanlib.core.errors import DataError, MissingResultError
from flanlib.reporting import blocks, html, main_result, values
from flanlib.reporting.values import Tables, Value
from flanlib.results import effects
from flanlib.studies import arms

ROOT = paths.ROOT
NUMBER = r"[+\-−]?\d+(?:\.\d+)?"
BETWEEN = r"(?:[,，、;；–—~～至到]|to|\.\.)"
INTERVAL = re.compile(
    rf"[\[［【]\s*{NUMBER}\s*%?\s*{BETWEEN}\s*{NUMBER}\s*%?\s*[\]］】]|±\s*\d|\d\s*\+/-\s*\d"
)
PROSE = [
    *ROOT.glob("README*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("notebooks/*.ipynb"),
    *ROOT.glob("workflow/**/*.md"),
    *ROOT.glob("data/*.md"),
    *ROOT.glob("data/published/*.md"),
]
HEAD = ",".join(effects.COLUMNS) + "\n"


def outside(text):
    """Intervals that stand in no block."""
    return INTERVAL.findall(blocks.BLOCK.sub("", text))


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_no_interval_is_typed(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    assert outside(text) == []


def test_the_template_of_blocks_types_no_interval():
    text = (html.PAGES / blocks.TEMPLATE).read_text(encoding="utf-8")
    assert INTERVAL.findall(re.sub(r"\{#.*?#\}", "", text, flags=re.S)) == []


def test_a_typed_interval_is_found():
    typed = "gains +1.0 [+0.5, +1.5] points, 3 [−1, 2]"
    block = "<!-- results:start a -->\n4.0 [3.0, 5.0]\n<!-- results:end -->\n"
    assert len(outside(typed + block)) == 2 and outside(block) == []
    for text in (
        "[−1.3，+2.0]",
        "［49 至 51］",
        "【1.2～3】",
        "[49.1 to 50.8]",
        "12.3 ± 0.4",
        "[3 %; 4 %]",
    ):
        assert len(outside(text)) == 1, text
    for text in ("[1]", "[a, b]", "[text](1, 2)", "`[0]`", "1 to 2 hours", "[2022, the paper]"):
        assert outside(text) == [], text


def test_every_document_and_notebook_is_read():
    names = {path.name for path in PROSE}
    assert {"README.md", "README.zh-CN.md", "results.md", "python.md", "explore.ipynb"} <= names
    assert len([name for name in names if name.startswith("fig")]) == len(figures_of.STEMS)


@pytest.mark.parametrize("name", blocks.DOCUMENTS)
def test_blocks_are_what_records_give(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert blocks.BLOCK.search(text)
    assert blocks.filled(text, name) == text, "run `flanlib report --documents`"


def test_the_readme_is_short():
    for name in ("README.md", "README.zh-CN.md"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 130


def row(arm, cluster, value, against="", *, dataset="", seeds=3, ends=1.0):
    of = f",{'difference' if against else 'score'},{arm},{against},,,{cluster},{dataset}"
    return f"{of},{value},{value - ends},{value + ends},90,{seeds},recorded"


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """Figure folders in which a test may write; micro's are the tracked ones."""
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "micro").symlink_to(paths.FIGURES / "micro")
    monkeypatch.setenv("FLANLIB_FIGURES", str(folder))
    return folder


def small(folder, clusters, seeds, gain=-2.0):
    """A main result of some clusters, as `small` would have it."""
    lines = []
    for cluster in (*clusters, *(["all"] if len(clusters) > 1 else [])):
        lines.append(row("chance", cluster, 40.0, seeds=0))
        for n, arm in enumerate(arms.CONTROLS):
            lines += [row(arm, cluster, 50.0 + n, seeds=0)]
            lines += [row("tuned", cluster, gain - n, arm, seeds=seeds)]
        lines.append(row("tuned", cluster, 50.0 + gain, seeds=seeds))
        lines.append(row("tuned", cluster, gain, "base", dataset=f"{cluster}_a", seeds=seeds))
    (folder / "small").mkdir()
    (folder / "small" / f"{main_result.MAIN}.csv").write_text(HEAD + "\n".join(lines) + "\n")


def block(name):
    return blocks.filled(f"<!-- results:start {name} -->\n<!-- results:end -->\n", "x")


@pytest.mark.parametrize("name", ["answers", "page", "answers_zh", "results_zh"])
def test_what_is_not_on_record_is_said_and_not_shown(figures, name):
    text = block(name)
    assert "figures/small" not in text
    if name != "results_zh":
        assert "on record yet" in text or "尚无记录" in text


def test_a_part_of_the_main_result_says_that_it_is_one(figures):
    small(figures, ["nli", "commonsense", "closed_book_qa"], seeds=1)
    text = block("answers")
    assert (
        "one tuning seed; 3 of 10 clusters so far (not measured: sentiment, paraphrase, struct-to-text,"
        " translation, reading comprehension, reading with commonsense, coreference)" in text
    )
    assert "| **−2.0 [−3.0, −1.0]** | **+" in text and "−5.0 [−6.0, −4.0]" in text
    assert "figures/small/fig5_zero_shot_gains.svg" in text and "not on record" not in text
    assert "costs 2.0 [1.0, 3.0] points" in text and "with a part of the study" in text
    assert "the mean falls in the same templates and falls against its own chat template" in text
    assert "Up over every way of asking the untuned model: none." in text
    assert "its own chat template" in text, "the control that gains least"
    assert "1 个微调种子，10 个任务簇中的 3 个，尚未测：情感分析、" in block("answers_zh")
    assert "**mean of three**" in block("page") and "3 个簇的平均" in block("results_zh")


def test_one_cluster_stands_for_itself(figures):
    small(figures, ["sentiment"], seeds=2, gain=5.0)
    text = block("answers")
    assert "two tuning seeds; 1 of 10 clusters so far" in text
    assert "on one cluster never tuned on, tuning adds 5.0 [4.0, 6.0] points" in text
    assert "Up over every way of asking the untuned model: sentiment." in text
    assert "**mean of" not in block("page").split("## A small")[0]


def test_the_whole_main_result_is_no_part(figures):
    small(figures, list(main_result.main_result("small").titles), seeds=3, gain=0.5)
    text = block("answers")
    assert "three tuning seeds; 10 of 10 clusters |" in text and "so far" not in text
    assert "changes the score by +0.5 [−0.5, +1.5] points" in text
    assert "(without natural language inference, which gains most: +0.5)" in text
    assert "undecided in the same templates and falls against its own chat template." in text


def test_clusters_with_other_numbers_of_seeds_are_named(figures):
    names = ["nli", "commonsense", "closed_book_qa"]
    small(figures, names, seeds=3)
    path = figures / "small" / f"{main_result.MAIN}.csv"
    text = path.read_text().replace(",90,3,recorded", ",90,1,recorded")
    one = "\n".join(line for line in text.splitlines() if ",closed_book_qa," in line)
    rest = "\n".join(x for x in path.read_text().splitlines() if ",closed_book_qa," not in x)
    path.write_text(f"{rest}\n{one}\n")
    said = "one tuning seed for closed-book QA; three for natural language inference, commonsense;"
    assert said in block("answers") and said in block("page")
    assert "微调种子：闭卷问答 1 个；自然语言推理、常识推理 3 个，10 个" in block("answers_zh")
    assert blocks.extent(main_result.main_result("small")).startswith(said)


def test_most_clusters_are_the_others(figures):
    names = ["nli", "commonsense", "closed_book_qa", "coreference"]
    small(figures, names, seeds=2)
    path = figures / "small" / f"{main_result.MAIN}.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join(x.replace(",90,2,", ",90,3,") if ",nli," in x else x for x in rows))
    assert "two tuning seeds for the others; three for natural language inference;" in block("page")
    assert "微调种子：其余的簇 2 个；自然语言推理 3 个，10 个" in block("answers_zh")


def test_figures_that_are_not_drawn_are_said_not_to_be_measured(figures):
    small(figures, ["nli", "commonsense"], seeds=1)
    text = block("page")
    assert ", 6 (held-out score against the number of tuning clusters), " in text
    assert "**Not measured for `small`**: figures 1 (what" in text and ", 5 (" not in text
    assert "anything on a GPU" in text and blocks.missing("micro") == []


def test_a_number_that_is_not_there_is_an_error(figures):
    micro = Tables("micro")
    with pytest.raises(MissingResultError, match=r"fig8.*no value of .*arm 'turned'"):
        micro("fig8", "turned")
    with pytest.raises(MissingResultError, match="0 tables begin with fig99_"):
        micro("fig99", "tuned")
    with pytest.raises(MissingResultError, match=r"fig9_few.*nearest: .*against 'tuned', x '3'"):
        micro("fig9", "tuned", against="tuned", x="4")
    with pytest.raises(MissingResultError, match="not on record"):
        main_result.main_result("small").gain("nli")
    with pytest.raises(MissingResultError, match="no probe is called 'no such'"):
        values.probe("micro-2m", "no such")
    assert values.probe("micro-2m", "who") == 55.8
    with pytest.raises(MissingResultError, match="nothing is called 'no such'"):
        values.remedy("no such", "all", "remedy")
    (figures / "small").mkdir()
    path = figures / "small" / "fig8_x.csv"
    path.write_text(HEAD + (row("tuned", "all", 1.0) + "\n") * 2)
    with pytest.raises(DataError, match="2 values of statistic 'score', arm 'tuned'"):
        Tables("small")("fig8", "tuned")
    path.write_text("arm,x\n")
    with pytest.raises(DataError, match="has no column group"):
        Tables("small")("fig8", "tuned")


def test_numbers_are_picked_by_name_and_rounded_once(figures):
    (figures / "small").mkdir()
    (figures / "small" / "fig8_x.csv").write_text(
        HEAD + row("tuned", "nli", -2.25, ends=0.5) + "\n"
    )
    found = Tables("small")("fig8", "tuned", cluster="nli")
    assert found == Value(value=-2.25, low=-2.75, high=-1.75, n=90, seeds=3)
    assert (found.side, found.turned.side) == ("lower", "higher")
    assert values.plain(found.turned) == "2.2 [1.8, 2.8]" and blocks.bare(found) == "−2.2"


def test_marks_without_counterpart_and_unknown_blocks_are_named():
    with pytest.raises(DataError, match="a mark has no counterpart"):
        blocks.filled("<!-- results:start answers -->\ntext\n", "x.md")
    with pytest.raises(DataError, match=r"no block 'anwsers' \(did you mean 'answers'"):
        blocks.filled("<!-- results:start anwsers -->\n<!-- results:end -->\n", "x.md")


def test_the_command_writes_documents(tmp_path, monkeypatch, capsys):
    for name in ("DATA", "FIGURES"):
        monkeypatch.setenv(f"FLANLIB_{name}", str(paths.folder(name)))
    monkeypatch.setenv("FLANLIB_ROOT", str(tmp_path))
    (tmp_path / "docs").mkdir()
    for name in blocks.DOCUMENTS:
        (tmp_path / name).write_text("# A\n<!-- results:start answers -->\n<!-- results:end -->\n")
    assert cli.main(["report", "--documents"]) == 0
    assert capsys.readouterr().out.count("\n") == len(blocks.DOCUMENTS)
    assert "| measured |" in (tmp_path / "README.md").read_text()
    assert cli.main(["report", "--documents"]) == 0
    assert capsys.readouterr().out == ""
