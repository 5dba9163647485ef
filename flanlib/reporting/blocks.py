"""Documents whose numbers come from records: README, docs/results.md.

Words stand in `flanlib/pages/results.md`, one macro for each block; numbers
are picked by name from tracked figures. A document holds a block between two
marks, `<!-- results:start NAME -->` and `<!-- results:end -->`.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flanlib import figures
from flanlib.core import naming, paths, storage
from flanlib.core.errors import DataError
from flanlib.reporting import costs, html, values, verdicts
from flanlib.reporting.main_result import MainResult, main_result
from flanlib.studies import profiles

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "results.md"
DOCUMENTS = ("README.md", "README.zh-CN.md", "docs/results.md")
BLOCK = re.compile(r"(<!-- results:start (\w+) -->\n)(.*?)(<!-- results:end -->)", re.S)
MARK = re.compile(r"<!-- results:(start|end)")
WAYS = {  # of asking the untuned model
    "base": "the same templates",
    "base-no-options": "the same templates without the OPTIONS block",
    "base-cloze": "plain cloze questions",
    "base-chat": "its own chat template",
}
SHORT = {
    "base": "base",
    "base-no-options": "base, no OPTIONS",
    "base-cloze": "base, cloze",
    "base-chat": "base, its chat template",
}


def write() -> list[Path]:
    """Write the blocks of `DOCUMENTS` again; the ones that changed."""
    changed = []
    for path in (paths.ROOT / name for name in DOCUMENTS):
        text = path.read_text(encoding="utf-8")
        if (new := filled(text, path.name)) != text:
            storage.write(path, new)
            changed.append(path)
    return changed


def filled(text: str, name: str) -> str:
    """A document with each of its blocks as records have it today.

    Raises
    ------
    DataError
        If a mark has no counterpart, or no macro has a block's name.
    """
    if len(MARK.findall(text)) != 2 * len(BLOCK.findall(text)):
        raise DataError(
            f"{name}: a mark has no counterpart; a block begins with <!-- results:start NAME -->"
            " and ends with <!-- results:end -->"
        )
    words = _words()

    def fill(found: re.Match[str]) -> str:
        block = found[2]
        known = [key for key, macro in vars(words).items() if callable(macro) and key[0] != "_"]
        if block not in known:
            raise DataError(
                f"{name}: no block {naming.shown(block)}{naming.alternatives(block, known)}"
            )
        return f"{found[1]}{tidy(str(getattr(words, block)()))}{found[4]}"

    return BLOCK.sub(fill, text)


def tidy(text: str) -> str:
    """Text without spaces at the ends of lines, and with one line break at its end.

    Examples
    --------
    >>> tidy("\\n\\na  \\n\\n\\n\\nb\\n\\n")
    'a\\n\\nb\\n'
    """
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"


def _words() -> "jinja2.environment.TemplateModule":
    """The macros of the template, with what they pick numbers by."""
    made = html.environment(autoescape=False)
    made.filters |= {"plain": values.plain, "signed": values.signed, "bare": bare, "less": less}
    made.filters |= {"probe": values.probe}
    made.globals |= {
        "micro": values.Tables("micro"),
        "small": values.Tables("small"),
        "real": main_result("small"),
        "world": main_result("micro"),
        "remedy": values.remedy,
        "probe": values.probe,
        "bases": profiles.PROFILES["micro"].ladder,
        "missing": missing,
        "minutes": costs.minutes,
        "verdicts": verdicts,
        "word": word,
        "ways": WAYS,
        "short": SHORT,
    }
    return made.get_template(TEMPLATE).module


def said(main: MainResult) -> list[str]:
    """The answer of a study in plain sentences, as the README has it."""
    text = re.sub(r"[*`]", "", str(_words().sentences(main)))
    return [" ".join(part.split()) for part in re.split(r"^\d\. ", text, flags=re.M)[1:]]


def extent(main: MainResult) -> str:
    """How many tuning seeds and clusters of a study are on record, and which are not."""
    return " ".join(str(_words().extent(main)).split())


def subject(stem: str) -> str:
    """What a figure shows, such as `7 (base and tuned models over the ladder of sizes)`."""
    number, _, shows = (figures.module(stem).__doc__ or "").split("\n")[0].partition(": ")
    return f"{number.removeprefix('Figure ')} ({shows.rstrip('.')})"


def missing(profile: str) -> list[str]:
    """Figures that a profile could have and that are not drawn; see `subject`."""
    tables, usual = values.Tables(profile), profiles.PROFILES[profile]
    fitting = (stem for stem in figures.STEMS if figures.applies(stem, usual.collection))
    return [subject(stem) for stem in fitting if not tables.has(stem.split("_")[0])]


def bare(found: values.Value, form: str = ".1f") -> str:
    """A value without its interval, in a `form` such as `+.1f`.

    Examples
    --------
    >>> bare(values.Value(value=-7.34), "+.1f")
    '−7.3'
    """
    return format(found.value, form).replace("-", "−")


def less(new: values.Value, old: values.Value) -> str:
    """The difference of two values that have no interval, such as published ones.

    Examples
    --------
    >>> less(values.Value(value=78.1), values.Value(value=63.8))
    '+14.3'
    """
    return bare(values.Value(value=new.value - old.value), "+.1f")


def word(n: int) -> str:
    """A small number as a word.

    Examples
    --------
    >>> word(3), word(35)
    ('three', '35')
    """
    small = "no one two three four five six seven eight nine ten".split()
    return small[n] if n < len(small) else str(n)
