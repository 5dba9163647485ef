"""Templates and mixtures in the formats of other tools.

`lm-eval` gets evaluation tasks: one per task and template, rendered. The
others get a mixture to tune on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import yaml

from flanlib.core import folders, storage
from flanlib.core.bounds import Count, PositiveInt, Seed, checked
from flanlib.core.config import Form
from flanlib.core.errors import DataError
from flanlib.core.protocols import Tokenizer
from flanlib.data import catalogue as catalogues
from flanlib.data.catalogue import Catalogue
from flanlib.data.source import Rows
from flanlib.prompts import harness, rendering
from flanlib.prompts.audit import Audit
from flanlib.prompts.mixture import mixture
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.stream import Mixture

Target = Literal["lm-eval", "jsonl", "trl", "axolotl", "llama-factory"]

MANIFEST = "manifest.json"  # names the files of an export, so that another may replace it


@dataclass(frozen=True, kw_only=True)
class Format:
    """How another tool wants a mixture.

    Attributes
    ----------
    row
        A prompt in its columns.
    settings
        Name and content of the file that tells it how to read them.
    use
        What a person does next.
    """

    row: Callable[[Prompt], dict[str, Any]]
    settings: Callable[[str, str], Mapping[str, str]]
    use: str


def _axolotl_settings(name: str, separator: str) -> Mapping[str, str]:
    asked = {"field_instruction": "instruction", "field_output": "output", "system_prompt": ""}
    shape = "{instruction}" + separator
    kind = asked | {"format": shape, "no_input_format": shape}
    dataset = {"path": "train.jsonl", "ds_type": "json", "type": kind}
    content = {"datasets": [dataset], "train_on_inputs": False}
    return {"dataset.yaml": yaml.safe_dump(content, sort_keys=False)}


def _llama_factory_settings(name: str, separator: str) -> Mapping[str, str]:
    columns = {"prompt": "instruction", "response": "output"}
    content = {name: {"file_name": "train.jsonl", "columns": columns}}
    return {"dataset_info.json": json.dumps(content, indent=2) + "\n"}


FORMATS: dict[str, Format] = {
    "jsonl": Format(
        row=rendering.record,
        settings=lambda name, separator: {},
        use="Each line is one example; the model reads `input` + `separator` and writes `target`.",
    ),
    "trl": Format(
        row=lambda p: {"prompt": p.input + p.separator, "completion": p.target},
        settings=lambda name, separator: {},
        use="Give `datasets.load_dataset('json', data_files='train.jsonl')['train']` to"
        " `trl.SFTTrainer`: loss falls on the completion and the end token alone.",
    ),
    "axolotl": Format(
        row=lambda p: {"instruction": p.input, "output": p.target},
        settings=_axolotl_settings,
        use="Copy the keys of `dataset.yaml` into the training configuration and start axolotl"
        " in this folder.",
    ),
    "llama-factory": Format(
        row=lambda p: {"instruction": p.input + p.separator, "output": p.target},
        settings=_llama_factory_settings,
        use="Set `dataset_dir` to this folder and `template: fewshot`, the template that adds"
        " nothing before the prompt and trains the end token.",
    ),
}


@checked
def export(
    collection: str | Path | Catalogue,
    to: Target,
    out: str | Path,
    *,
    rows: Rows = None,
    tasks: Sequence[str] = (),
    held_out: str = "",
    seed: Seed = 0,
    form: Form = "instruction",
    n: Count = 10_000,
    limit: PositiveInt | None = None,
) -> Path:
    """Write a collection for another tool.

    Parameters
    ----------
    to
        `lm-eval` for evaluation tasks; `jsonl`, `trl`, `axolotl` or
        `llama-factory` for a mixture.
    out
        Folder to write, whole or not at all. An earlier export there is
        replaced as a whole.
    tasks
        Task keys; empty means all whose rows are there.
    held_out, seed, n
        Of the mixture: cluster left out with its neighbours ("" leaves
        nothing out), seed, examples (0 writes as many as it draws from).
    limit
        Most rows read per task; without it, all of them.

    Returns
    -------
    Path
        The folder. Its `README.md` says how to go on.

    Raises
    ------
    ParameterError
        If there is no such target, a number is not what the types allow, or the
        folder holds what no export wrote.
    DataError
        If two parts of it would have the same file.
    """
    found = collection if isinstance(collection, Catalogue) else catalogues.load(collection)
    with folders.filling(out, owned=_exported) as part:
        if to == "lm-eval":
            harness.write(found, part, rows, tasks, form, limit)
        else:
            settings = {"seed": seed, "form": form, "tasks": tasks, "rows": rows, "limit": limit}
            mixed = mixture(found, held_out, **settings)
            _mixture(found, mixed, FORMATS[to], part, n or mixed.n_examples)
        content = {"export": to, "files": [*folders.files(part), MANIFEST]}
        folders.new_text(part / MANIFEST, _json(content))
    return Path(out)


def _exported(out: Path) -> set[str]:
    """The files of the export in a folder; none where there is none."""
    try:
        found = storage.read_json(out / MANIFEST, "delete the folder, or give another")
    except DataError:
        if (out / MANIFEST).exists():
            raise
        return set()
    files = found.get("files") if "export" in found else None
    return {str(name) for name in files} if isinstance(files, list) else set()


def write_mixture(mixed: Mixture, n: int, out: Path, tokenizer: Tokenizer | None = None) -> Audit:
    """Write examples of a mixture and, beside them, their audit: both or neither.

    The audit of `mixed` goes to the name of `out` with `.audit.json`; it counts tokens
    if there is a tokenizer.
    """
    with storage.together() as new:
        rendering.write(islice(mixed, n), new(out))
        audit = mixed.audit(tokenizer)
        beside = out.with_name(f"{out.name.removesuffix('.jsonl')}.audit.json")
        new(beside).write(_json(audit.to_dict()))
    return audit


def _mixture(catalogue: Catalogue, mixed: Mixture, shape: Format, out: Path, n: int) -> None:
    folders.new_lines(map(shape.row, islice(mixed, n)), out / "train.jsonl")
    folders.new_text(out / "audit.json", _json(mixed.audit().to_dict()))
    separators = {part.separator for part in mixed.parts}
    for name, content in shape.settings(catalogue.name, separators.pop()).items():
        folders.new_text(out / name, content)
    settings = ", ".join(f"{k}={v!r}" for k, v in mixed.settings.items() if v)
    folders.new_text(
        out / "README.md",
        f"# {catalogue.title}\n\n{n} examples in `train.jsonl`, mixed with {settings}."
        f" `audit.json` says what is in them and what was left out.\n\n{shape.use}\n",
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
