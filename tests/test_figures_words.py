"""Words in figures: a user's, in any script and length, and the field's in place of idioms."""

import re
import shutil
import warnings
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from test_figures import made_up
from toy_collection import toy_catalogue

from flanlib import figures
from flanlib.core.errors import MissingResultError
from flanlib.figures import boxes, fig3_taxonomy, fig4_templates, fig5_zero_shot_gains, style
from flanlib.results import effects, estimates
from flanlib.studies import arms, profiles, study

WORDS = [
    *("a$b$c", "$", "_hidden", "x & <y> \"z\" 'q'", "]]> -- -->", "", " ", "\\frac{", "%s {}"),
    *(
        "兽医评论",
        "งานวิจัย",
        "مرحبا بالعالم",
        "😀 🧑‍⚕️",
        "a\nb",
        "a\r\nb\tc",
        "nul \x00 \x1b[0m \x7f \x9f",
    ),
    *("\uffff\ufdd0", "turned \u202eround", "x" * 200, "word " * 80, "漢" * 200),
]


def taxonomy(titles, n_clusters=3, generated=False):
    """A table as `fig3_taxonomy.collect` gives it."""
    rows = [
        {
            **{"collection": "own", "cluster": f"c{n % n_clusters}", "domain": "NLU"},
            **{"held_out_in_turn": True, "dataset": f"d{n}", "title": title, "tasks": 1},
            **{"n_train": pd.NA, "n_used": pd.NA, "in_paper": 0},
        }
        for n, title in enumerate(titles)
    ]
    table = pd.DataFrame(rows).astype({"n_train": "Int64", "n_used": "Int64"})
    table.attrs["generated"] = generated
    return table


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_any_words_give_whole_files(tmp_path, word, capsys):
    table = style.shown(taxonomy([word, "Plain"]).assign(cluster=f"c {word}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alt = fig3_taxonomy.describe(table)
        files = style.save(fig3_taxonomy.draw(table), "x", table, alt + word, tmp_path)
    described = ET.parse(files["svg"]).find("{*}desc").text
    clean = style.printable(word)
    assert clean.strip() in described or not clean.strip()
    assert Image.open(files["png"]).text["Description"] == style.printable(alt + word)
    read = pd.read_csv(files["csv"], keep_default_na=False)
    assert read["title"][0] == clean
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_missing_signs_are_told_once(tmp_path, capsys):
    table = taxonomy(["兽医评论", "兽医", "Vets"])
    style.save(fig3_taxonomy.draw(table), "x", table, "words", tmp_path)
    said = capsys.readouterr().err
    if style.fonts() == (style.FONT,):
        assert said.count("\n") == 1 and said.startswith("x: no installed font has 兽医论评; ")
    table = taxonomy(["Vets"])
    style.save(fig3_taxonomy.draw(table), "x", table, "words", tmp_path)
    assert capsys.readouterr().err == ""


def test_a_dollar_is_a_dollar():
    with style.look():
        _, ax = boxes.page(3, 1)
        boxes.put(ax, 0, 1, ["from $5 to $9_0"], 8)
    assert [text.get_text() for text in ax.texts] == ["from $5 to $9_0"]
    assert not ax.texts[0].get_parse_math()
    assert boxes.width_of("$$$$", 8) == pytest.approx(4 * boxes.width_of("$", 8), rel=0.05)


def test_rows_are_said_to_be_generated_by_their_route(tmp_path, monkeypatch):
    note = "rows are generated, as many as are asked for"

    def said(table):
        return [text.get_text() for text in fig3_taxonomy.draw(table).axes[0].texts]

    assert note in said(fig3_taxonomy.collect(study.open_study()))
    toy_catalogue(tmp_path)
    own = fig3_taxonomy.collect(study.open_study(collection=str(tmp_path)))
    assert note not in said(own) and own["n_used"].isna().all()
    assert any("(–: not stated)" in text for text in said(own))


@pytest.mark.parametrize("n", [1, 30])
def test_any_number_of_clusters_and_datasets_is_drawn(n, tmp_path):
    table = taxonomy(["A rather long title of a dataset " * 3] * n, n_clusters=n)
    assert fig3_taxonomy.draw(table).get_figheight() < 60
    found = [row.assign(cluster=f"own_cluster_{'x' * 40}_{k}") for k, row in chances(n)]
    found += [row[row["dataset"] == ""].assign(cluster=effects.ALL) for row in found[: n > 1]]
    fig = fig5_zero_shot_gains.draw(pd.concat(found, ignore_index=True))
    assert len(fig.axes[0].get_yticklabels()) >= n
    fig.canvas.draw_idle()


def chances(n):
    """Figure 5's table of one made-up cluster, `n` times."""
    records = list(made_up(("nli",)))
    groups = {"d" * 12: tuple(map(str, range(24)))}
    named = effects.named(records)
    parts = [estimates.chance(records), estimates.table(named, groups, arms.GAINS)]
    table = pd.concat(parts, ignore_index=True).assign(source="recorded")
    return [(k, table[table["cluster"] == "nli"]) for k in range(n)]


@pytest.mark.parametrize("text", ["漢" * 3_000, "x" * 3_000, "w " * 3_000, "\n" * 500, ""])
@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_long_text_is_wrapped_and_shortened(text, weight):
    lines = boxes.wrap(text, 1.0, 7, weight, max_lines=9)
    assert len(lines) <= 9 and all(boxes.width_of(line, 7, weight) <= 1.0 for line in lines)
    assert boxes.width_of(boxes.shorten(text, 1.0, 7, weight), 7, weight) <= 1.0
    assert boxes.shorten(text, -1.0, 7, weight) in ("…", "")


def test_a_long_row_makes_a_page_of_bounded_height():
    about = {"collection": "own", "cluster": "c", "task": "t", "target": "y" * 9_000}
    parts = [("field", "text", "漢" * 9_000), ("answer", "answer", "x" * 9_000)]
    parts += [("template", f"t{k}", "漢" * 9_000 + "\n" * 900) for k in range(4)]
    rows = [{**about, "part": p, "name": k, "text": t} for p, k, t in parts]
    fig = fig4_templates.draw(pd.DataFrame(rows).assign(inverted=False, ranked=True))
    assert fig.get_figheight() < 30


def test_a_collection_without_rows_is_told_and_not_drawn(toys, monkeypatch):
    profile = replace(profiles.PROFILES["micro"], what_there_is=True)
    monkeypatch.setitem(profiles.PROFILES, "micro", profile)
    shutil.rmtree(toys.catalogue.root / "rows")
    for stem in ("fig5_zero_shot_gains", "fig6_clusters", "fig9_few_shot", "fig11_templates"):
        with pytest.raises(MissingResultError, match=r"no task to score: .*no rows in"):
            figures.redraw(stem, figures.open_for(stem, held_out="food"))


def test_a_printable_table_is_the_same_table():
    table = pd.DataFrame({"a": ["x", "é 漢"], "b": [1.0, np.nan], "c": ["y", None]})
    assert style.shown(table) is table
    odd = table.assign(a=pd.Series(["x\x00", "y\ud83d"], dtype=object))
    assert list(style.shown(odd)["a"]) == ["x\ufffd", "y\ufffd"]
    assert odd["a"][0] == "x\x00", "the caller's own table stays"


# Words of the study that a reader from the field cannot know (design.md, "Names"). Ordinary
# English stays: "below 0" and "under every template" are prepositions, "again" is an adverb,
# and a soft prompt is the field's word.
IDIOMS = re.compile(
    r"\b(?:habits?|sureness|surer?|ask(?:s|ed|ing)?|opened|sheets?|cuts?|shapes?|behind|alone"
    r"|answering|scrutiny|ledger|folding|sparing|rehearsal|turned(?! (?:into|round|to)\b)"
    r"|options turned|soft(?! prompts?\b)|(?:below|under|again)(?= (?:model|study|run|set)s?\b))\b",
    re.IGNORECASE,
)


def idioms(text, quoted=""):
    """Private words of a text, but for text that a figure quotes from rows and templates."""
    words = " ".join(text.split())
    return IDIOMS.findall(words) if words not in quoted else []


def test_idioms_are_told_from_english():
    for text in ("label habits", "options turned", "asked with", "the soft recipe", "behind it"):
        assert idioms(text), text
    for text in ("below 0", "soft prompts", "task", "shortcut", "one example turned into two"):
        assert not idioms(text), text


@pytest.mark.parametrize("stem", figures.STEMS)
def test_a_figure_speaks_the_words_of_the_field(stem):
    """Titles, axes, legends, notes, alternative text, and the caption: the module's docstring."""
    module = figures.module(stem)
    assert not idioms(module.__doc__)
    if stem in figures.OF_THE_PAPER:
        return  # has no records here
    given = figures.USUAL.get(stem, {})
    table = module.collect(figures.open_for(stem, **given))
    texts = {str(x) for name in ("text", "target") for x in table.get(name, ())} - {""}
    quoted = " ".join(" ".join(texts).split())
    pages = [(module.draw, module.describe), *figures.sheets_of(stem).values()]
    for draw, describe in pages:
        shown = [x.get_text() for x in draw(table).findobj(Text) if x.get_visible()]
        assert not {text: found for text in shown if (found := idioms(text, quoted))}
        words = describe(table)
        for text in sorted(texts, key=len, reverse=True):
            words = words.replace(repr(text), "").replace(text, "")
        assert not idioms(words)
