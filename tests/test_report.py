"""The report is one page that needs nothing but itself, and says what disagrees."""

import html
import re
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest

from flanlib import batch, figures, paths, report
from flanlib.errors import MissingResultError
from flanlib.profiles import Settings

STEMS = ["fig3_taxonomy", "fig4_templates"]
NAMES = ["cluster", "arm", "recorded", "recomputed", "difference", "allowed", "agrees"]


class Page(HTMLParser):
    """Tags that stand open, addresses, images, and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.images, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.addresses += [found[k] for k in ("src", "href", "srcset", "action") if k in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag == "img":
            self.images.append(found)
        if tag not in ("img", "meta", "link", "br", "hr", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Two figures that need no records, and one executed notebook."""
    for name in ("BUILD", "FIGURES", "REPORT"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(batch, "stems", lambda only=(): STEMS)
    for stem in STEMS:
        figures.redraw(stem)
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_markdown_cell("# Seen"), nbformat.v4.new_code_cell("1 < 2")]
    batch.folder("micro").mkdir(parents=True)
    nbformat.write(book, batch.folder("micro") / "fig4_templates.ipynb")


def table(*differences):
    rows = [("nli", "tuned", 50.0, 50.0 + d, d, 2.0, abs(d) <= 2) for d in differences]
    return pd.DataFrame(rows, columns=NAMES)


def test_page_is_whole_and_needs_nothing_else(drawn):
    made = report.write(Settings())
    text = made.index.read_text()
    page = Page(text)
    assert made.figures == (paths.FIGURES,)
    assert page.open == [] and len(page.images) == len(STEMS)
    assert len(page.ids) == len(set(page.ids)) and set(STEMS) < set(page.ids)
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif not address.startswith("data:"):
            assert (made.index.parent / address).is_file()
    assert "url(" not in text and "@import" not in text and "fetch(" not in text


def test_figures_are_told_in_words_and_tables(drawn):
    made = report.write(Settings())
    text = made.index.read_text()
    for stem, image in zip(STEMS, Page(text).images, strict=True):
        alt = figures.module(stem).describe(figures.module(stem).collect(_study(stem)))
        assert " ".join(alt.split())[:60] in " ".join(image["alt"].split())
        rows = pd.read_csv(paths.FIGURES / f"{stem}.csv")
        assert f"{len(rows)} rows" in text


def _study(stem):
    from flanlib.study import open_study

    return open_study(**figures.USUAL.get(stem, {}))


def test_notebooks_are_pages_without_addresses_elsewhere(drawn):
    made = report.write(Settings())
    found = list((made.index.parent / "notebooks").iterdir())
    assert [path.name for path in found] == ["fig4_templates.html"]
    text = found[0].read_text()
    assert "Seen" in text and "1" in re.sub("<[^>]+>", "", html.unescape(text))
    assert not re.search(r'(src|href)="https?:', text)


def test_nothing_drawn_is_missing_not_empty(drawn):
    for path in paths.FIGURES.iterdir():
        path.unlink()
    with pytest.raises(MissingResultError, match="flanlib figures"):
        report.write(Settings())


@pytest.mark.parametrize(
    ("found", "again", "agrees", "words"),
    [
        (table(), (), True, "nothing was computed again"),
        (table(), ("nli",), True, "Of nli nothing is on record"),
        (table(0.5, -1.25), ("nli",), True, "largest difference 1.25 points"),
        (table(0.5, -9.0), ("nli",), False, "DISAGREEMENT in 1 of 2 values: nli tuned -9.0"),
    ],
)
def test_the_verdict_is_the_tables(found, again, agrees, words, drawn, monkeypatch):
    monkeypatch.setattr(report, "compared", lambda study: found)
    sentence = report.verdict(found, again)
    made = report.write(Settings())
    assert words in sentence and made.agrees is agrees
    assert (made.index.read_text().count('class="bad"') > 0) is (not agrees)
    shown = report.Report(
        index=made.index, figures=(), agreement=found, verdict=sentence
    ).comparison()
    assert sentence in shown and ("nli" in shown) is bool(again)


def test_cells_are_short_and_numbers_plain():
    frame = pd.DataFrame(
        {"a": [1.23456, float("nan")], "b": ["x" * 999, "<b>"], "c": [True, False]}
    )
    first, second = report._plain(frame)
    assert first[0] == "1.23" and second[0] == "" and len(first[1]) < 500
    assert (first[2], second[2]) == ("yes", "no")
