"""A GGUF file's quantised weights as plain ones, with the tokenizer it holds."""

import copy
import io
from contextlib import redirect_stderr
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from flanlib.core.errors import DataError
from flanlib.core.quiet import quiet


def _bytes() -> pre_tokenizers.ByteLevel:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


# How text is parted before its bytes are merged, by `tokenizer.ggml.pre`. transformers passes it
# over and parts everything as GPT-2 does, by which spaces and line breaks in front of a digit
# become other tokens than the model was trained with.
PARTED = {
    "gpt-2": _bytes,
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), _bytes()]),
}


def convert(file: Path, out: Path) -> None:
    """Write a GGUF `file` into a folder that is there, as transformers saves one, in bfloat16.

    Quantised weights are taken back into 32 bits and then rounded, so that the
    same file gives the same folder everywhere. A chat template in the file is
    kept with the tokenizer.

    Raises
    ------
    DataError
        If the file does not say how it parts text, or in a way not known here.
    """
    given = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(**given)
        tokenizer.backend_tokenizer.pre_tokenizer = _parted(file)
        with redirect_stderr(io.StringIO()):  # a bar that no setting turns off
            packed = AutoModelForCausalLM.from_pretrained(**given, dtype=torch.float32)
        config = copy.deepcopy(packed.config)
        del config.quantization_config  # it would ask for the GGUF file again
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        plain.load_state_dict(packed.state_dict())
        plain.tie_weights()
        plain.save_pretrained(out)
        tokenizer.save_pretrained(out)


def _parted(file: Path) -> pre_tokenizers.PreTokenizer:
    field = GGUFReader(file).get_field("tokenizer.ggml.pre")
    name = field.contents() if field else None
    if name not in PARTED:
        raise DataError(
            f"{file}: tokenizer.ggml.pre is {name!r:.40}; known are {', '.join(PARTED)}"
        )
    return PARTED[name]()
