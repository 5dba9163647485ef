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

from collections.abc import Iterable
from dataclasses import dataclass as plain_dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from flanlib import documents
from flanlib.catalogue import Catalogue, Task
from flanlib.errors import TemplateError
from flanlib.prompts import language
from flanlib.prompts.language import Renderer, renderer
from flanlib.rows.adapters import Example

OPTIONS_HEAD = "OPTIONS:"
SEPARATOR = "\n"


@plain_dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered example: what the model reads and what it should write.

    Attributes
    ----------
    input
        Request without trailing whitespace.
    target
        The right answer; what is trained on.
    options
        Answers to rank, in label order; empty when the task generates or
        the template may not be ranked.
    gold
        Index of the right option.
    references
        Acceptable targets, the first equals `target`.
    task, template, example
        Key of the task, ids of the template and of the example.
    inverted
        Whether the template turns the task round.
    separator
        Stands between input and target, tokenised on its own.
    """

    input: str
    target: str
    options: tuple[str, ...]
    gold: int | None
    references: tuple[str, ...]
    task: str
    template: str
    example: str
    inverted: bool = False
    separator: str = SEPARATOR


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Template:
    """One way to ask.

    Attributes
    ----------
    id
        Unique in its file; part of every record, so it never changes.
    input, target
        Jinja2 text over the dataset's fields.
    inverted
        The task turned round: the answer is given, something else is asked.
    options
        Whether the OPTIONS block follows (rank tasks) and the template may
        be ranked.
    answers
        Replaces the task's option words, in label order (cloze prompts).
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    input: Annotated[str, Field(min_length=1)]
    target: str = "{{ answer }}"
    inverted: bool = False
    options: bool = True
    answers: tuple[str, ...] = ()

    @cached_property
    def renderers(self) -> tuple[Renderer, Renderer]:
        """Functions from fields to the input's and the target's text."""
        return renderer(self.input), renderer(self.target)

    @cached_property
    def asked(self) -> frozenset[str]:
        """Fields the target names."""
        return fields_used(self, "target")

    def applies(self, example: Example) -> bool:
        """Whether an example has something in every field the target names."""
        return all(example.fields[name].strip() for name in self.asked)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TemplateSet:
    """All ways to ask for one dataset.

    Attributes
    ----------
    fields
        Names the adapter provides besides `answer`; templates use no other.
    name
        What the `dataset-name` form puts before the input.
    plain
        The bare input of the `dataset-name` and `none` forms.
    cloze
        Plain continuations for an untuned model (GPT-3 style).
    """

    dataset: str
    name: str
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    plain: str
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    cloze: tuple[Template, ...] = ()

    def form(self, form: Literal["instruction", "dataset-name", "none", "cloze"]):
        """Templates of one form of asking."""
        if form == "instruction":
            return self.templates
        if form == "cloze":
            return self.cloze
        text = self.plain if form == "none" else f"{self.name}\n{self.plain}"
        return (Template(id=form, input=text),)


@cache
def load(catalogue_root: Path, stem: str) -> TemplateSet:
    """Read and check one template file.

    Parameters
    ----------
    catalogue_root
        The collection's folder.
    stem
        Of the file in templates/.

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
        raise TemplateError(f"{path}: dataset: {content.dataset!r} is not the file's name")
    if "answer" in content.fields or len(set(content.fields)) < len(content.fields):
        raise TemplateError(
            f"{path}: fields: {', '.join(content.fields)}; each stands once, and 'answer', which"
            " is always there, never"
        )
    seen: set[str] = set()
    for template in (*content.templates, *content.cloze, *content.form("none")):
        if template.id in seen:
            raise TemplateError(f"{path}: template {template.id!r} stands twice")
        seen.add(template.id)
        for part, text in (("input", template.input), ("target", template.target)):
            try:
                language.check(text, (*content.fields, "answer"))
            except ValueError as error:
                where = "plain" if template.id == "none" else f"template {template.id!r}, {part}"
                raise TemplateError(f"{path}: {where}: {error}") from None
        if problem := _misused(template):
            raise TemplateError(f"{path}: template {template.id!r}, {problem}")


def _misused(template: Template) -> str:
    """What is wrong with a template whose texts are right."""
    asked = language.fields(template.input)
    if "answer" in asked and not template.inverted:
        return "input: shows the answer, so it must be marked inverted"
    if "answer" in asked & template.asked:
        return "target: is the answer, which the input shows already"
    if not asked and not template.inverted:
        return "input: names no field, so it asks the same of every row"
    if OPTIONS_HEAD in template.input:
        return f"input: has {OPTIONS_HEAD!r} in it; the options follow by themselves"
    if len(set(template.answers)) < len(template.answers) or len(template.answers) == 1:
        return f"answers: {', '.join(template.answers)} are not distinct"
    return ""


def of_task(catalogue: Catalogue, task: Task, form: str = "instruction") -> tuple[Template, ...]:
    """The templates of a task in one form.

    Raises
    ------
    TemplateError
        If a template has another number of answers than the task has options.
    """
    found = load(catalogue.root, task.template_set).form(form)
    for template in found:
        if task.options and template.answers and len(template.answers) != len(task.options):
            raise TemplateError(
                f"{catalogue.root / 'templates' / task.template_set}.yaml: template"
                f" {template.id!r}, answers: {len(template.answers)}, but task {task.key} has"
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
    turned: bool = False,
    separator: str = SEPARATOR,
) -> Prompt:
    """Phrase an example.

    Parameters
    ----------
    show_options
        False leaves the OPTIONS block out but still ranks (a base control).
    turned
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
    write_input, write_target = template.renderers
    try:
        text, target = write_input(fields).strip(), write_target(fields).strip()
    except language.FAILURES as error:
        raise TemplateError(
            f"task {example.task}, template {template.id!r}, example {example.id}: {error}"
        ) from None
    if not text or not target:
        raise TemplateError(
            f"task {example.task}, template {template.id!r}, example {example.id}:"
            f" empty {'input' if not text else 'target'}"
        )
    ranked = bool(options) and template.options and not template.inverted
    if ranked and show_options and separator == SEPARATOR:
        text = f"{text}\n{options_block(options[::-1] if turned else options)}"
    return Prompt(
        input=text,
        target=target,
        options=options if ranked else (),
        gold=example.gold if ranked else None,
        references=(target, *example.answers[1:]) if not template.inverted else (target,),
        task=example.task,
        template=template.id,
        example=example.id,
        inverted=template.inverted,
        separator=separator,
    )


@lru_cache(maxsize=1_024)
def options_block(options: tuple[str, ...]) -> str:
    """The answers to choose from, as FLAN shows them.

    Examples
    --------
    >>> print(options_block(("yes", "no")))
    OPTIONS:
    - yes
    - no
    """
    return "\n".join((OPTIONS_HEAD, *(f"- {option}" for option in options)))


def fields_used(template: Template, part: Literal["input", "target", ""] = "") -> frozenset[str]:
    """Names a template's input, its target, or both refer to.

    Parameters
    ----------
    part
        Empty for both.
    """
    texts = (getattr(template, part),) if part else (template.input, template.target)
    return frozenset().union(*map(language.fields, texts))
