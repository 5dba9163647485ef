"""Templates: data that phrase an example as a natural-language request.

One YAML file per dataset holds its templates. Text is sandboxed Jinja2 with
strict undefined names. Answers to choose from follow the request as a block

    OPTIONS:
    - yes
    - no

as in FLAN; a template with `options: false` is never ranked.

Source
------
Wei et al. 2022, section 2.1 and 2.3 ("classification with options").
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from flanlib.core import documents, naming
from flanlib.core.errors import TemplateError
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Catalogue, Task
from flanlib.prompts import language
from flanlib.prompts.prompt import OPTIONS_HEAD, SEPARATOR, Prompt, Wording
from flanlib.prompts.template import Template, TemplateSet, check_form


@cache
def load(catalogue_root: Path, stem: str) -> TemplateSet:
    """Read and check one template file of a collection's folder, `catalogue_root`.

    Raises
    ------
    TemplateError
        Naming file, template id and field.
    """
    path = catalogue_root / "templates" / f"{stem}.yaml"
    if not path.is_file():
        raise TemplateError(f"{path}: no such template file")
    content = documents.read(path, TemplateSet, TemplateError)
    _check(path, content)
    return content


def _check(path: Path, content: TemplateSet) -> None:
    if content.dataset != path.stem:
        raise TemplateError(
            f"{path}: dataset: {naming.shown(content.dataset)} is not the file's name"
        )
    names = content.fields
    if "answer" in names or len(set(names)) < len(names):
        raise TemplateError(
            f"{path}: fields: {naming.shown(names)}; each stands once, and 'answer', which"
            " is always there, never"
        )
    for name in names:
        if name in language.RESERVED or not name.isidentifier():
            raise TemplateError(
                f"{path}: fields: {naming.shown(name)} cannot be named in a template; a field is"
                " letters, digits and _, and no word of Jinja2's"
            )
    seen: set[str] = set()
    for where, text, known in _texts(content):
        try:
            language.check(text, known)
        except ValueError as error:
            raise TemplateError(f"{path}: {where}: {error}") from None
    for template in (*content.templates, *content.cloze, *content.form("none")):
        if template.id in seen:
            raise TemplateError(f"{path}: template {naming.shown(template.id)} stands twice")
        seen.add(template.id)
        if problem := _misused(template):
            raise TemplateError(f"{path}: {_place(template, problem)}")


def _texts(content: TemplateSet) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every text that is rendered: where it stands, and the fields that it may name."""
    known = (*content.fields, "answer")
    yield "name", content.name, ()
    yield "plain", content.plain, known
    for template in (*content.templates, *content.cloze):
        for part in ("input", "target"):
            yield _place(template, part), getattr(template, part), known


def _place(template: Template, part: str) -> str:
    """Where a template's part stands in its file."""
    return f"template {naming.shown(template.id)}, {part}"


def _misused(template: Template) -> str:
    """What is wrong with a template whose texts are right."""
    asked = language.fields(template.input)
    if "answer" in asked and not template.inverted:
        return "input: shows the answer, so it must be marked inverted"
    if "answer" in asked & template.target_fields:
        return "target: is the answer, which the input shows already"
    if not asked and not template.inverted:
        return "input: names no field, so it asks the same of every row"
    if OPTIONS_HEAD in template.input:
        return f"input: has {OPTIONS_HEAD!r} in it; the options follow by themselves"
    if not template.target.strip():
        return "target: is empty"
    words = template.answers
    if len(set(words)) < len(words) or len(words) == 1:
        return f"answers: {language.line(', '.join(words))} are not distinct"
    if marked := [word for word in words if any(mark in word for mark in ("{{", "{%", "{#"))]:
        return f"answers: {naming.shown(marked[0])} is shown as it stands; write it without {{}}"
    return ""


def of_task(catalogue: Catalogue, task: Task, form: str = "instruction") -> tuple[Template, ...]:
    """The templates of a task in one form.

    Raises
    ------
    TemplateError
        If a template has another number of answers than the task has options,
        or an option is blank.
    ParameterError
        If there is no such form.
    """
    check_form(form)
    found = load(catalogue.root, task.template_set).form(form)
    for template in found:
        where = f"{catalogue.root / 'templates' / task.template_set}.yaml: template {template.id!r}"
        options = template.answers or task.options
        if not all(option.strip() for option in options):
            raise TemplateError(
                f"{where}: an option of task {task.key} is empty or white space alone"
                f" ({naming.shown(options)}); give every one a word"
            )
        if task.options and len(options) != len(task.options):
            raise TemplateError(
                f"{where}, answers: {len(options)}, but task {task.key} has"
                f" {len(task.options)} options ({', '.join(task.options)})"
            )
    return found


def rankable(templates: Iterable[Template]) -> tuple[Template, ...]:
    """Templates a rank task may be scored with."""
    return tuple(t for t in templates if t.options and not t.inverted)


def render(
    example: Example,
    template: Template,
    *,
    show_options: bool = True,
    reversed_options: bool = False,
    separator: str = SEPARATOR,
) -> Prompt:
    """Phrase an example.

    Parameters
    ----------
    show_options
        False leaves the OPTIONS block out but still ranks (a base control).
    reversed_options
        Whether the OPTIONS block shows them in reverse; the prompt's own
        `options` and `gold` stay in their order.

    Raises
    ------
    TemplateError
        If a field is missing, or input or target come out empty.
    """
    options, fields = example.options, example.fields
    if template.answers and options:
        options = template.answers
        fields = {**fields, "answer": options[example.gold]}
    ranked = bool(options) and template.options and not template.inverted
    block = options if ranked and show_options and separator == SEPARATOR else ()
    try:
        write_input, write_target = template.renderers
        shown = block[::-1] if reversed_options else block
        wording = Wording(write_input, fields, shown, template.shown)
        text, target = wording.input(), write_target(fields).strip()
        if not text or text[0] == "\n":  # nothing, or nothing before the block
            raise ValueError("empty input")
        if not target:
            raise ValueError("empty target")
    except language.FAILURES as error:
        raise TemplateError(
            f"task {example.task}, template {template.id!r}, example {example.id}: {error}"
        ) from None
    plain = target == example.fields["answer"] and not options
    first = example.answers[0] if plain else target
    return Prompt(
        input=text,
        target=target,
        options=options if ranked else (),
        gold=example.gold if ranked else None,
        references=(first, *example.answers[1:]) if not template.inverted else (target,),
        task=example.task,
        template=template.id,
        example=example.id,
        inverted=template.inverted,
        separator=separator,
        wording=wording,
    )
