"""One template, and all templates of a dataset."""

from functools import cached_property
from typing import Annotated, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from flanlib.core import naming
from flanlib.core.config import STRICT, Form
from flanlib.core.errors import ParameterError
from flanlib.data.adapters import Example
from flanlib.data.keys import LONGEST_KEY, Option
from flanlib.prompts import language
from flanlib.prompts.language import Renderer, renderer
from flanlib.prompts.prompt import SEPARATOR

FORMS: tuple[str, ...] = get_args(Form)


@dataclass(frozen=True, kw_only=True, config=STRICT)
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

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=LONGEST_KEY)]
    input: Annotated[str, Field(min_length=1)]
    target: str = "{{ answer }}"
    inverted: bool = False
    options: bool = True
    answers: tuple[Option, ...] = ()

    @cached_property
    def renderers(self) -> tuple[Renderer, Renderer]:
        """Functions from fields to the input's and the target's text."""
        return renderer(self.input), renderer(self.target)

    @cached_property
    def target_fields(self) -> frozenset[str]:
        """Fields the target names."""
        return language.fields(self.target)

    @cached_property
    def shown(self) -> frozenset[str]:
        """Fields the input names."""
        return language.fields(self.input)

    def applies(self, example: Example) -> bool:
        """Whether an example has something in every field the target names."""
        return all(example.fields[name].strip() for name in self.target_fields)


@dataclass(frozen=True, kw_only=True, config=STRICT)
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

    def form(self, form: str) -> tuple[Template, ...]:
        """Templates of one form of asking.

        Raises
        ------
        ParameterError
            If it is none of them.
        """
        check_form(form)
        if form == "instruction":
            return self.templates
        if form == "cloze":
            return self.cloze
        text = self.plain if form == "none" else f"{self.name}\n{self.plain}"
        return (Template(id=form, input=text),)


def check_form(form: str) -> None:
    """Refuse a form of asking that does not exist by a `ParameterError` that names them."""
    if form not in FORMS:
        raise ParameterError(f"form: {naming.shown(form)} is none of {', '.join(FORMS)}")


def separator_of(form: str) -> str:
    """What stands between input and target in a form of asking: a cloze goes on in its line."""
    check_form(form)
    return " " if form == "cloze" else SEPARATOR
