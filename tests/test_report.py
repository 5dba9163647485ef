"""The report is one page that needs nothing but itself, and says what disagrees."""

import csv
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import browser
import nbformat
import pandas as pd
import pytest
from records import make_record

from flanlib import figures
from flanlib.core import paths
from flanlib.core.errors import DataError, MissingResultError
from flanlib.reporting import batch, blocks, chapters, costs, main_result, report, values
from flanlib.reporting import html as pages
from flanlib.studies.profiles import Settings

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
        monkeypatch.setenv(f"FLANLIB_{name}", str(tmp_path / name.lower()))
    (tmp_path / "notebooks").mkdir()
    for stem in STEMS:
        (tmp_path / "notebooks" / f"{stem}.ipynb").symlink_to(paths.NOTEBOOKS / f"{stem}.ipynb")
    monkeypatch.setenv("FLANLIB_NOTEBOOKS", str(tmp_path / "notebooks"))
    for stem in STEMS:
        figures.redraw(stem)
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_markdown_cell("# Seen"), nbformat.v4.new_code_cell("1 < 2")]
    (paths.BUILD / "notebooks" / "micro").mkdir(parents=True)
    nbformat.write(book, (paths.BUILD / "notebooks" / "micro") / "fig4_templates.ipynb")


def table(*differences):
    rows = [("nli", "tuned", 50.0, 50.0 + d, d, 2.0, abs(d) <= 2) for d in differences]
    return pd.DataFrame(rows, columns=NAMES)


def test_page_is_whole_and_needs_nothing_else(drawn):
    made = report.write(Settings())
    text = made.index.read_text()
    page = Page(text)
    assert made.figures == (paths.FIGURES / "micro",)
    assert page.open == [] and len(page.images) == len(STEMS)
    assert len(page.ids) == len(set(page.ids)) and {f"micro-{stem}" for stem in STEMS} < set(
        page.ids
    )
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
        rows = pd.read_csv(paths.FIGURES / "micro" / f"{stem}.csv")
        assert f"{len(rows)} rows" in text


def test_further_sheets_stand_under_the_figure(drawn, monkeypatch):
    module = figures.module("fig4_templates")
    sheets = {"more": (module.draw, lambda table: "Further words.")}
    monkeypatch.setattr(module, "SHEETS", sheets, raising=False)
    figures.redraw("fig4_templates")
    page = Page(report.write(Settings()).index.read_text())
    assert [image["alt"].startswith("Further words.") for image in page.images] == [0, 0, 1]
    assert page.images[1]["src"] != page.images[2]["src"]
    path = paths.FIGURES / "micro" / "fig4_templates_more.svg"
    path.write_text(path.read_text()[:400])
    with pytest.raises(DataError, match=r"_more\.svg: cannot be shown .*--only fig4_templates`"):
        report.write(Settings())


def csv_in(text, name):
    """The table that a page holds for a figure."""
    found = re.search(rf'<script type="application/json" id="{name}-csv"[^>]*>(.*?)</script>', text)
    return json.loads(found[1])


def test_the_page_holds_each_table_as_its_csv(drawn):
    path = paths.FIGURES / "micro" / "fig4_templates.csv"
    odd = 'micro,nli,snli,field,odd,"a </script> <!-- ""quoted"", and \n two lines",,,\n'
    path.write_text(path.read_text() + odd)
    text = report.write(Settings()).index.read_text()
    assert csv_in(text, "micro-fig4_templates") == path.read_text()
    assert csv_in(text, "micro-fig3_taxonomy") == (path.parent / "fig3_taxonomy.csv").read_text()
    assert Page(text).open == []


@pytest.fixture
def unchecked(monkeypatch):
    """Records are taken as they stand."""
    monkeypatch.setattr(chapters.validity, "refuse_stale", lambda *_: None)


def test_it_opens_with_the_answer_as_recorded(drawn, unchecked, monkeypatch):
    stem = main_result.MAIN
    for suffix in ("svg", "csv"):
        source = Path(__file__).parents[1] / "figures" / "micro" / f"{stem}.{suffix}"
        (paths.FIGURES / "micro" / source.name).symlink_to(source)
    monkeypatch.delenv("FLANLIB_NOTEBOOKS")
    text = report.write(Settings()).index.read_text()
    opening = text[text.index("<h1>") : text.index("<main>")]
    main = main_result.main_result("micro")
    assert len(main.controls) == opening.count("<dd>") == 3
    for arm in main.controls:
        number, _, interval = values.signed(main.gain("all", arm)).partition(" ")
        assert f"<b>{number}</b> <span>{interval}</span>" in opening
    assert opening.count("<img") == 1 and len(Page(text).images) == len(STEMS) + 2
    assert all(html.escape(said, quote=False) in opening for said in blocks.said(main))
    assert len(blocks.said(main)) == 3
    assert "Real language (<code>small</code>): not on record yet" in opening


def test_another_model_has_no_answer_of_the_repository(drawn):
    assert chapters.is_usual(Settings()) and chapters.is_usual(Settings(recompute="nli"))
    assert chapters.is_usual(Settings(profile="small", rows="x"))
    for other in ({"model": "micro-6m"}, {"collection": "pets/"}, {"profile": "gpu"}):
        assert not chapters.is_usual(Settings(**other))


def test_a_chapter_for_each_study_on_record(drawn):
    def names(**given):
        return chapters.named(Settings(**given))

    assert names() == ["micro"] and names(profile="small") == ["small", "micro"]
    (paths.FIGURES / "small").mkdir()
    (paths.FIGURES / "small" / "fig5_zero_shot_gains.csv").write_text("")
    assert names(recompute="nli") == ["small", "micro"]
    assert names(profile="rehearsal") == ["rehearsal"] and names(model="micro-6m") == ["micro"]


def _study(stem):
    from flanlib.studies.study import open_study

    return open_study(**figures.USUAL.get(stem, {}))


def test_notebooks_are_pages_without_addresses_elsewhere(drawn):
    made = report.write(Settings())
    found = list((made.index.parent / "notebooks" / "micro").iterdir())
    assert [path.name for path in found] == ["fig4_templates.html"]
    assert 'href="notebooks/micro/fig4_templates.html"' in made.index.read_text()
    text = found[0].read_text()
    assert "Seen" in text and "1" in re.sub("<[^>]+>", "", html.unescape(text))
    assert not re.search(r'(src|href)="https?:', text)


def test_nothing_drawn_is_missing_not_empty(drawn):
    for path in (paths.FIGURES / "micro").iterdir():
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
def test_the_verdict_is_the_tables(found, again, agrees, words, drawn):
    sentence = chapters.verdict(found, again)
    made = report.write(Settings(), compare=lambda study: found)
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
    first, second = pages.cells(frame)
    assert first[0] == "1.23" and second[0] == "" and len(first[1]) < 500
    assert (first[2], second[2]) == ("yes", "no")


def test_costs_are_those_of_records():
    found = [make_record(task=task, wall_s=1800.0) for task in ("a", "b")]
    unknown = costs.costs(found)
    assert list(unknown["step"]) == ["scoring", "tuning"]
    assert unknown["minutes"][0] == 60.0 and unknown["energy_wh"][0] == 15.0
    assert list(unknown["runs"]) == [1, 1] and list(unknown["known"]) == [1, 0]
    assert pages.cells(unknown)[1][6:] == ["", "", "", ""]
    spent = {"wall_s": 7200.0, "n_tokens": 42, "peak_memory_gib": 1.5}
    tuning = costs.costs([replace(record, tuning=spent) for record in found]).iloc[1]
    assert (tuning["known"], tuning["minutes"], tuning["tokens"]) == (1, 120.0, 42)
    assert (tuning["memory_gib"], tuning["energy_wh"]) == (1.5, 30.0)


def test_a_run_scored_on_two_devices_is_tuned_once_where_it_was():
    spent = {"device": "H100", "wall_s": 3600.0, "n_tokens": 42, "peak_memory_gib": 1.5}
    found = [make_record(task=t, device=d, tuning=spent) for t, d in (("a", "cpu"), ("b", "H100"))]
    table = costs.costs(found)
    tuning = table[table["step"] == "tuning"]
    assert list(tuning["device"]) == ["H100"] and list(tuning["energy_wh"]) == [costs.GPU_W]


def test_hours_on_a_gpu_come_from_records_alone(tmp_path):
    way = {"useful_tokens": 1000, "useful_tokens_per_s": 500.0}
    content = {"device": "x", "shape": "s", "recipe": {"steps": 2, "examples_per_step": 5}}
    path = tmp_path / "tuning.json"
    path.write_text(json.dumps({**content, "ways": {"flanlib-nf4": way}}))
    assert costs.gpu_hours(tmp_path).empty
    assert costs.benchmarks(tmp_path)[0].device == "x"
    path.write_text(json.dumps({**content, "ways": {"flanlib-nf4": {**way, "peak_device_gib": 3}}}))
    found = costs.gpu_hours(tmp_path).iloc[0]
    assert found["model"] == "s" and found["hours"] == pytest.approx(3000 * 32 * 100 / 500 / 3600)


def test_it_tells_what_was_not_measured(drawn):
    text = report.write(Settings()).index.read_text()
    for benchmark in costs.benchmarks():
        assert html.escape(benchmark.command) in text
    assert ("holds no record of tuning on a GPU" in text) is costs.gpu_hours().empty
    assert "Not measured in this study" not in text, "all that could be drawn is"


def test_figures_that_are_not_drawn_are_named(drawn, unchecked):
    notebook = paths.ROOT / "notebooks" / "fig7_scale.ipynb"
    (paths.NOTEBOOKS / notebook.name).symlink_to(notebook)
    text = report.write(Settings()).index.read_text()
    said = "Not measured in this study: figure 7 (base and tuned models over the ladder of sizes)."
    assert said in text


def test_the_page_says_how_large_it_is(drawn):
    index = report.write(Settings()).index
    text = index.read_text()
    said = re.search(r"It is ([\d.]+) MB in one file", text)
    assert float(said[1]) == pytest.approx(index.stat().st_size / 1e6, abs=0.06)
    assert report.SIZE not in text
    assert costs.ASSUMED in html.unescape(text)


@browser.needs_browser
def test_it_loads_alone_sorts_and_fits(drawn, tmp_path):
    """In a real browser: no request but for the page, wide or narrow, light or dark."""
    index = report.write(Settings(), compare=lambda study: table(0.5, -1.25, 1.0)).index
    with browser.tab(tmp_path / "profile") as page:
        page.look(width=390, height=844, phone=True)
        page.open(index.as_uri())
        assert page.requests == [index.as_uri()] and page.errors == []
        painted = page.wait("document.getElementById('speed').textContent")
        assert re.fullmatch(r" This browser first painted it after \d+\.\d\d s\.", painted)
        page.js("document.querySelectorAll('details').forEach(one => one.open = true)")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.js(wide) <= 0
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.js(paper)
        page.look(width=1200, dark=True)
        assert page.js(paper) != light and page.js(wide) <= 0
        page.look(width=800, dark=True, medium="print")
        assert page.js(paper) == light
        column = "[...document.querySelectorAll('#micro-comparison ~ .scroll td:nth-child(5)')]"
        values = f"{column}.map(cell => parseFloat(cell.textContent))"
        button = "document.querySelectorAll('#micro-comparison ~ .scroll thead button')[4].click()"
        page.js(button)
        assert page.js(values)[:3] == [-1.25, 0.5, 1.0]
        page.js(button)
        assert page.js(values)[:3] == [1.0, 0.5, -1.25]
        page.js("URL.createObjectURL = (blob) => { window.given = blob; return '#'; }")
        for stem in STEMS:
            path = paths.FIGURES / "micro" / f"{stem}.csv"
            rows = f"document.querySelector('[data-from=micro-{stem}-csv] tbody').rows"
            page.wait(f"{rows}.length > 0")
            cells = page.js(f"[...{rows}].map(row => [...row.cells].map(c => c.textContent))")
            with path.open(newline="") as file:
                wanted = list(csv.reader(file))[1:]
            assert [row[:3] for row in cells] == [row[:3] for row in wanted]
            page.js(f"document.querySelector('a.csv[data-from=micro-{stem}-csv]').click()")
            assert page.js("given.text()") == path.read_text()
        page.js("document.querySelector('a.csv[data-table=micro-comparison]').click()")
        assert page.js("given.text()").splitlines()[0] == ",".join(NAMES)
        page.open((index.parent / "api" / "index.html").as_uri())
        assert page.js("document.links.length") > 50
        assert all(address.startswith("file:") for address in page.requests)


@pytest.mark.parametrize("file", ["fig3_taxonomy.svg", "fig3_taxonomy.csv"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_figure_is_named_and_the_earlier_page_stays(drawn, file, size):
    made = report.write(Settings())
    before = made.index.read_bytes()
    path = paths.FIGURES / "micro" / file
    path.write_bytes(path.read_bytes()[:size])
    if (file, size) == ("fig3_taxonomy.csv", 100):
        path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=f"{file}: cannot be shown .*flanlib figures --only fig3"):
        report.write(Settings())
    assert made.index.read_bytes() == before


def test_a_damaged_notebook_is_named(drawn):
    path = (paths.BUILD / "notebooks" / "micro") / "fig4_templates.ipynb"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"fig4_templates\.ipynb: not a notebook .*; delete it"):
        report.write(Settings())


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0", '{"a": "b", "c": NaN}'])
def test_times_that_cannot_be_read_are_not_known(tmp_path, content, capsys):
    (tmp_path / "times.json").write_text(content)
    assert batch.run({"fig3_taxonomy": {}}, tmp_path, lambda *_: None) == {}
    assert "about 20 s left" in capsys.readouterr().err
    assert set(json.loads((tmp_path / "times.json").read_text())) == {"fig3_taxonomy {}"}
