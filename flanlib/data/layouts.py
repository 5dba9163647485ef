"""Source layouts that plain columns cannot describe, made flat.

A layout is a function `(row, settings) -> [flat row, ...]`: one dialogue
becomes one row per question, one table with three texts becomes three, and so
on. What a flat row means is said by the task's column settings. A layout
knows every form its dataset is found in, so that a local copy in another form
reads like the hub's.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flanlib.core import naming
from flanlib.data.cells import label_of, listed, number, text_of, texts, whole
from flanlib.data.cleaners import entities, stripped_lines

Row = Mapping[str, Any]
Layout = Callable[[Row, Mapping[str, Any]], list[Row]]
LAYOUTS: dict[str, Layout] = {}
CANNOT_ANSWER = "I don't know"  # what QuAC marks with CANNOTANSWER


class SkipRow(Exception):
    """A row that is not an example; the message says why, in a few words."""


def layout(function: Layout) -> Layout:
    """Register a layout under its function's name, a task's `adapter`."""
    LAYOUTS[function.__name__] = function
    return function


def part(value: object, name: str) -> Any:
    """One member of a record, or of every record in a list of them."""
    if isinstance(value, list):
        return [member[name] for member in value]
    return value[name]


@layout
def columns(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A row that is flat already."""
    return [row]


@layout
def hellaswag(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A text broken off; the broken-off sentence begins with a capital."""
    before, begun = row.get("ctx_a"), row.get("ctx_b")
    if not text_of(before) or not text_of(begun):
        return [{**row, "context": row["ctx"]}]
    begun = begun[:1].upper() + begun[1:] if before.rstrip().endswith((".", "!", "?")) else begun
    return [{**row, "context": f"{before} {begun}"}]


@layout
def stsb(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A similarity from 0 to 5, as it is and rounded half up; -1 is a hidden label."""
    if label_of(row["label"]) is None:
        raise SkipRow("no label")
    value = number(row["label"])
    if not 0 <= value <= 5:
        raise ValueError(f"label {value:g} is not between 0 and 5")
    return [{**row, "label": str(math.floor(value + 0.5)), "similarity": value}]


@layout
def trivia_qa(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """An answer in capitals is written as one of its aliases is."""
    answer = row["answer"]
    value, aliases = text_of(answer.get("value")), texts(answer.get("aliases"))
    if len(value) > 5 and value.isupper():
        same = (a for a in aliases if a.casefold() == value.casefold() and not a.isupper())
        value = max(same, key=lambda alias: sum(map(str.isupper, alias)), default=value)
    return [{**row, "value": value}]


@layout
def boolq(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A passage that begins with its title and two dashes."""
    title, mark, passage = row["passage"].partition(" -- ")
    if not mark:
        title, passage = text_of(row.get("title")), row["passage"]
    return [{**row, "title": title, "passage": passage}]


@layout
def squad(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """Answer spans; none means unanswerable where `unanswerable` is set."""
    found = texts(part(row["answers"], "text"))
    if not found:
        if "unanswerable" not in settings:
            raise SkipRow("no answer")
        found = [settings["unanswerable"]]
    return [{**row, "title": text_of(row.get("title")).replace("_", " "), "text": found}]


@layout
def drop(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A number, spans or a date: the tuple of an annotator's spans; others' answers follow.

    The layout of spans and types does not say whose a span is: a number or
    date is an annotator's whole answer, all other spans are one answer.
    """
    if "answers_spans" not in row:
        return [{**row, "text": [_drop_answer(row["answer"])], "others": _drop_others(row)}]
    spans, types = row["answers_spans"]["spans"], row["answers_spans"].get("types") or ()
    pairs = zip(listed(spans), types, strict=False)
    own = texts([span for span, kind in pairs if kind in ("number", "date")])
    rest = tuple(text for text in texts(spans) if text not in own)
    single = [(text,) for text in own]
    answers = [*single, rest] if texts(spans)[:1] == own[:1] else [rest, *single]
    return [{**row, "text": answers, "others": []}]


def _drop_answer(answer: Row) -> tuple[str, ...]:
    """The spans of one annotator; a number or a date is one."""
    for values in ([answer.get("number")], answer.get("spans") or []):
        if found := tuple(text for value in listed(values) if (text := text_of(value))):
            return found
    date = answer.get("date") or {}
    parts = (text_of(date.get(name)) for name in ("day", "month", "year"))
    return (" ".join(filter(None, parts)),)


def _drop_others(row: Row) -> list[tuple[str, ...]]:
    others = row.get("validated_answers") or []
    if isinstance(others, Mapping):
        names = [name for name in ("number", "date", "spans") if name in others]
        others = [
            dict(zip(names, values, strict=True))
            for values in zip(*(_members(others[name]) for name in names), strict=True)
        ]
    return [_drop_answer(other) for other in listed(others)]


def _members(column: object) -> list[Any]:
    """A list of records, also where it was stored as a record of lists."""
    if not isinstance(column, Mapping):
        return listed(column)
    return [dict(zip(column, v, strict=True)) for v in zip(*column.values(), strict=True)]


@layout
def record(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """News text, a gap, and the entities that may fill it."""
    body, _, _ = row["passage"].partition("@highlight")
    entities, answers = texts(row["entities"]), texts(row["answers"])
    if "@placeholder" not in row["query"]:
        raise ValueError("query has no @placeholder")
    right = [entities.index(answer) for answer in answers if answer in entities]
    if not right:
        raise SkipRow("no entity is the answer" if answers else "no label")
    return [
        {
            "passage": body.strip() or row["passage"].replace("@highlight", "").strip(),
            "query": row["query"].replace("@placeholder", "____"),
            "entities": entities,
            "right": right[0],
            "answers": answers,
        }
    ]


@layout
def coqa(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """One row per turn of a dialogue, with the turns before it."""
    questions = row["questions"]
    if isinstance(questions, Mapping) or (questions and isinstance(questions[0], Mapping)):
        questions = part(questions, "input_text")
    answers = part(row["answers"], "input_text")
    more = [part(m, "input_text") for m in (row.get("additional_answers") or {}).values() if m]
    others = [[m[i] for m in more if i < len(m)] for i in range(len(questions))]
    return _turns(questions, answers, others, {"story": row["story"]})


@layout
def quac(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """One row per turn; CANNOTANSWER becomes words a person would use."""
    answers = part(row["orig_answers"], "texts")
    others = part(row["answers"], "texts")
    shared = {
        "title": row["wikipedia_page_title"],
        "background": row["background"],
        "section": row["context"].strip().removesuffix("CANNOTANSWER").strip(),
    }
    known = {"CANNOTANSWER": CANNOT_ANSWER}
    more = [[known.get(a, a) for a in listed(turn)] for turn in listed(others)]
    answers = [known.get(a, a) for a in listed(answers)]
    for answer, turn in zip(answers, more, strict=False):
        if answer in turn:
            turn.remove(answer)  # the one trained on is an annotator's, and counts once
    return _turns(row["questions"], answers, more, shared)


def _turns(questions: list, answers: list, others: list, shared: dict[str, Any]) -> list[Row]:
    rows, history = [], []
    questions, answers = listed(questions), listed(answers)
    if not len(questions) == len(answers) == len(others):
        counts = f"{len(answers)} answers, {len(others)} lists of further answers"
        raise ValueError(f"{len(questions)} questions, {counts}")
    for question, answer, more in zip(questions, answers, others, strict=True):
        turn = {"question": question, "text": answer, "others": more}
        rows.append({**shared, **turn, "history": "\n".join(history) or "none"})
        history.append(f"Q: {text_of(question)}\nA: {text_of(answer)}")
    return rows


_MARK = re.compile(r"\[([A-Z_ ]+)\]")


@layout
def dart(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """Triples with one row per text; table marks are written as words."""
    lines = []
    for triple in listed(row["tripleset"]):
        if len(listed(triple)) != 3:
            raise ValueError(f"a triple has {len(triple)} parts: {naming.shown(triple)}")
        lines.append(" | ".join(_MARK.sub(_word, _one_line(text_of(part))) for part in triple))
    return _verbalised(row, lines, part(row["annotations"], "text") if "annotations" in row else ())


@layout
def web_nlg(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """Triples with one row per text; GEM's layout, or release 3's."""
    source = row["input"] if "input" in row else row["modified_triple_sets"]["mtriple_set"][0]
    lines = [
        " | ".join(_one_line(member.replace("_", " ")) for member in triple.split(" | "))
        for triple in listed(source)
    ]
    return _verbalised(row, lines, part(row["lex"], "text") if "lex" in row else ())


def _verbalised(row: Row, lines: list[str], found: Iterable[str]) -> list[Row]:
    triples, references = "\n".join(lines), texts(row.get("references"))
    told = texts([row["target"]] if "target" in row else found)
    if not told and not references:
        raise SkipRow("no text")
    more = {"triples": triples, "references": references}
    return [{**more, "text": text} for text in told or references[:1]]


def _word(match: re.Match) -> str:
    return {"TABLECONTEXT": "table"}.get(match[1], match[1].lower().replace("_", " "))


def _one_line(text: str) -> str:
    return " ".join(text.split())


@layout
def translation(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A sentence pair, from one named language to the other."""
    pair, (source, target) = row["translation"], settings["languages"]
    return [
        {
            "source": pair[settings["source"]],
            "target": pair[settings["target"]],
            "source_language": source,
            "target_language": target,
        }
    ]


REMOVED: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "punctuation": lambda text: _one_line(re.sub(r"[^\w\s]", "", text)),
    "spaces": lambda text: "".join(text.split()),
}


@layout
def retype(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """A sentence with case, punctuation or spaces removed, to be restored."""
    answer = _one_line(row["translation"]["en"])
    text = REMOVED[settings["remove"]](answer)
    if text == answer:
        raise SkipRow("nothing to restore")
    return [{"text": text, "answer": answer}]


_AGENCY = re.compile(
    r"^(.{8,110}?) \((?:AP|AFP|Reuters|[A-Z][\w.]+(?: [A-Z][\w.]+){0,3})\) (?=[^-\s])"
)
_PLACE_NAME = r"[A-Z]{2}[A-Z.]*(?:,? [A-Z]{2}[A-Z.]*)*(?:, [\w. ]{1,24})?"
_DATELINE = re.compile(rf"^(.{{8,110}}?) (?={_PLACE_NAME} ?(?:\([\w. ]{{2,24}}\) ?)?--? )")


@layout
def ag_news(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """Headline and lines, apart (labels from 1) or joined (labels from 0)."""
    if "description" in row:
        text = _plain_news(row["description"])
        label = label_of(row["label"])
        return [{**row, "text": text, "label": label if (n := whole(label)) is None else n - 1}]
    text = _plain_news(row["text"])
    for pattern in (_AGENCY, _DATELINE):
        if found := pattern.match(text):
            return [{**row, "title": found[1], "text": text[found.end() :]}]
    return [{**row, "title": "", "text": text}]


def _plain_news(text: str) -> str:
    """One line, with the backslashes that stand for line breaks removed."""
    return _one_line(entities(text).replace("\\", " "))


@layout
def gigaword(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """First sentence and headline, without rows that hide words."""
    article, summary = row["document"], row["summary"]
    if any(mark in text for text in (article, summary) for mark in ("UNK", "<unk>", "#")):
        raise SkipRow("hidden words")
    return [{"article": article, "summary": summary}]


@layout
def multi_news(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """Several articles of one story, told apart by blank lines."""
    article = row["document"].replace("NEWLINE_CHAR", "\n")
    members = map(stripped_lines, article.split("|||||"))
    summary = row["summary"].replace("NEWLINE_CHAR", "\n").strip().lstrip("–—-").strip()
    return [{"articles": "\n\n".join(m for m in members if m), "summary": summary}]


@layout
def wiki_lingua(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """One row per section; nested as in the original, or flat as in GEM."""
    if "article" not in row:
        return [{"article": row["source"], "text": row["target"], "references": row["references"]}]
    nested = row["article"]
    found = (listed(part(nested, name)) for name in ("document", "summary"))
    return [
        {"article": article, "text": text, "references": []}
        for article, text in zip(*found, strict=True)
    ]


@layout
def numbered(row: Row, settings: Mapping[str, Any]) -> list[Row]:
    """The first few texts of a record of texts, as a numbered list."""
    source = row[settings["items"]]
    found = texts(list(source.values()) if isinstance(source, Mapping) else source)
    lines = (_one_line(text) for text in found[: settings["n_items"]])
    return [{**row, "items": "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))}]
