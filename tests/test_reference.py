"""The API reference says what every public name does and what it is given."""

import doctest
import importlib
import re

import pytest

from flanlib.reporting import glossary, html, reference

MODULES = reference.modules()
EVERY = [(name, one) for name, m in MODULES.items() for entry in m.entries for one in entry.walk()]
FOREIGN = ("torch.", "Trainer", "TrainerCallback")  # their methods are explained there
DOCTESTED = [n for n, m in MODULES.items() if any(">>>" in e.doc for _, e in EVERY if _ == n)]


def stale_in(entry):
    """Names that a docstring explains and the source does not have."""
    members = {member.name.split(".")[-1] for member in entry.members}
    return sorted(set(entry.meanings) - {a.name for a in entry.arguments} - members)


def test_every_public_name_says_what_it_does():
    silent = [
        f"{name}.{one.name}"
        for name, one in EVERY
        if not one.doc
        and not name.startswith("micro.")  # generators of sentences: the module says what of
        and not any(base.startswith(FOREIGN) for base in one.inherits)
    ]
    assert silent == []


def test_every_parameter_is_explained():
    silent = [
        f"{name}.{one.name}: {a.name}"
        for name, one in EVERY
        if one.doc or not any(base.startswith(FOREIGN) for base in one.inherits)
        for a in one.arguments
        if not one.meaning(a.name)
        and not re.search(rf"`[^`\n]*\b{a.name}\b[^`\n]*`", one.doc)  # named in the prose
    ]
    assert silent == []


def test_docstrings_explain_no_parameter_that_is_gone():
    stale = [(name, one.name, stale_in(one)) for name, one in EVERY if stale_in(one)]
    assert stale == []


def test_summaries_are_one_short_line():
    long = [
        f"{name}.{one.name}"
        for name, one in EVERY
        if one.doc and len(one.doc.split("\n", 1)[0]) > 88
    ]
    assert long == []


def test_the_glossary_has_no_idle_word():
    used = {a.name for _, one in EVERY for a in one.arguments}
    assert set(glossary.TERMS) <= used


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_do_what_they_say(name):
    found = doctest.testmod(importlib.import_module(f"flanlib.{name}"))
    assert found.attempted and not found.failed


def test_source_is_read_without_being_run():
    source = '''"""Doc."""
raise SystemExit
class Box(Base):
    """A box.

    Attributes
    ----------
    side, old
        Length, `m`.
    """
    side: float = 1.0
    heft: float
    _own: int = 0

    @property
    def area(self) -> float:
        """Square metres."""

def _hidden(): ...

def put(box: Box, *, seed: int = 0, **rest) -> None:
    """Put it.

    Raises
    ------
    ValueError
        If full.
    """
'''
    module = reference.read(source, "boxes")
    box, put = module.entries
    assert [(a.name, a.type, a.default) for a in box.arguments] == [
        ("side", "float", "1.0"),
        ("heft", "float", ""),
    ]
    assert stale_in(box) == ["old"] and not stale_in(put)
    assert [(m.name, m.kind, m.returns) for m in box.members] == [("Box.area", "property", "float")]
    assert not put.meaning("box") and put.meaning("seed") == glossary.TERMS["seed"]
    assert reference.definitions(put.sections["Raises"]) == [("ValueError", "If full.")]


def test_prose_becomes_html():
    known = {"study.Study": "study.html#Study"}
    text = "See `study.Study`, *not* <b>.\n\n- one\n  more\n- two\n\n>>> 1 < 2\nTrue"
    found = reference.prose(text, known)
    assert (
        '<a href="study.html#Study"><code>study.Study</code></a>, <em>not</em> &lt;b&gt;' in found
    )
    assert found.count("<li>") == 2 and "<pre>&gt;&gt;&gt; 1 &lt; 2" in found


def test_prose_calls_a_module_of_a_package_by_its_own_name():
    found = reference.addresses(MODULES)
    assert found["axes.Axis"] == found["studies.axes.Axis"] == "studies.axes.html#Axis"
    assert "axes" not in found, "a bare word is not a module"
    assert not any(name.startswith("asking.") for name in found), "two packages have one"
    packages = reference.packages(MODULES)
    assert packages["results"][:2] == ["results", "results.agreement"]
    assert sorted(name for names in packages.values() for name in names) == sorted(MODULES)


def test_pages_link_to_each_other_and_nowhere_else(tmp_path):
    index = reference.write(tmp_path, html.environment())
    pages = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(pages) == len(MODULES) + 1 and index.name in pages
    for name, text in pages.items():
        for target in re.findall(r'(?:href|src)="([^"]*)"', text):
            page, _, anchor = target.partition("#")
            if page in ("data:,", "../index.html"):
                continue
            assert page in pages, f"{name}: {target}"
            assert not anchor or f'id="{anchor}"' in pages[page], f"{name}: {target}"
    assert (
        "Log-probability" in pages["evaluation.score.html"]
        or "Log-likelihood" in pages["evaluation.score.html"]
    )
