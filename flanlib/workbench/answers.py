"""What is typed to two models, and what they answer, as a page shows it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from flanlib.core.errors import ParameterError
from flanlib.prompts.prompt import Prompt, Wording

MODELS = ("base", "tuned")
COLOURS = {"base": "#8a93a0", "tuned": "#2f6db5"}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What base and tuned model make of one prompt.

    Attributes
    ----------
    written
        Model -> what it writes, greedily.
    table
        One row per option: `option`, `right`, and per model its probability
        among the options (`base`, `tuned`) and its summed log-likelihood in
        nats (`base_ll`, `tuned_ll`). No rows for a prompt without options.
    n_cut
        Tokens of the input that were left out because it is too long.
    """

    prompt: Prompt
    written: dict[str, str]
    table: pd.DataFrame
    n_cut: int = 0

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left;width:40%'>{name}</th>" for name in MODELS)
        wrote = "".join(
            f"<td style='text-align:left'>writes: {_shown(self.written[name])}</td>"
            for name in MODELS
        )
        lines = [
            f"<tr><td style='text-align:left'>{escaped(row.option)}{' ✓' * bool(row.right)}"
            f"</td>{_bar(row.base, 'base')}{_bar(row.tuned, 'tuned')}</tr>"
            for row in self.table.itertuples()
        ]
        cut = f"<p>{self.n_cut} tokens were left out: too long</p>" if self.n_cut else ""
        right = f"<p>Right: {escaped(self.prompt.target)}</p>" if self.prompt.target else ""
        return (
            "<table class='flanlib-answers' style='width:100%;max-width:60em;text-align:left'>"
            f"<thead><tr><th></th>{head}</tr></thead><tbody><tr style='text-align:left'>"
            f"<td></td>{wrote}</tr>{''.join(lines)}</tbody></table>{right}{cut}"
        )


def _shown(text: str) -> str:
    if not text.strip():
        return "<em>only white space</em>" if text else "<em>nothing</em>"
    return f"<code style='white-space:pre-wrap'>{escaped(text)}</code>"


def escaped(text: str) -> str:
    """Text for a page: no markup, and half a character, which UTF-8 has not, as its code."""
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def _bar(p: float, name: str) -> str:
    bar = f"width:{70 * p:.1f}%;background:{COLOURS[name]};height:.8em;display:inline-block"
    return f"<td style='text-align:left'><span style='{bar}'></span> {100 * p:.1f} %</td>"


def typed(text: str, options: str | Sequence[str] = "") -> Prompt:
    """A prompt of one's own, with the OPTIONS block where there are options.

    Parameters
    ----------
    options
        Answers to choose from: a list, or text with `|` or line breaks.

    Examples
    --------
    >>> print(typed("is snow white?", "yes | no").input)
    is snow white?
    OPTIONS:
    - yes
    - no
    """
    if isinstance(options, str):
        options = options.replace("|", "\n").splitlines()
    chosen = tuple(dict.fromkeys(part.strip() for part in options if part.strip()))
    if not text.strip():
        raise ParameterError("instruction: it is empty; type what the models should do")
    for name, said in (("instruction", text), *(("options", option) for option in chosen)):
        try:
            said.encode()
        except UnicodeEncodeError as error:
            half = f"half a character ({said[error.start]!r}, number {error.start + 1})"
            raise ParameterError(f"{name}: has {half}; type it again") from None
    if len(chosen) == 1:
        raise ParameterError(f"options: only {chosen[0]!r}; give two or more, or none")
    wording = Wording(lambda fields: text, {}, chosen)
    return Prompt(
        input=wording.input(),
        target="",
        options=chosen,
        gold=None,
        references=(),
        task="own",
        template="typed",
        example="0",
        wording=wording,
    )
