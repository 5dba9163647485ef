"""Every arm through one function; a run that stops loses nothing."""

import itertools
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_collection import toy_catalogue

from flanlib.core import progress
from flanlib.core.config import Factors, Recipe
from flanlib.core.errors import ParameterError, RunError, TemplateError
from flanlib.models import language_model, rehearsal
from flanlib.prompts.mixture import of_run
from flanlib.prompts.prompt import Prompt
from flanlib.training import checkpoint, packing, result, trainer, tune

RECIPE = Recipe(
    steps=6, examples_per_step=4, rank=4, alpha=8, dropout=0.1, pack_tokens=200, prompt_tokens=3
)


def prompts(n: int = 20) -> list[Prompt]:
    draw = random.Random(3)
    found = []
    for i in range(n):
        text = "".join(draw.choice("abcdef ") for _ in range(draw.randrange(10, 60))) + "?"
        target = text[: draw.randrange(1, 6)].strip() or "a"
        found.append(Prompt(text, target, (), None, (target,), f"task{i % 3}", "plain", str(i)))
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return rehearsal.random_neox(tmp_path_factory.mktemp("models") / "tiny", seed=4)


@pytest.fixture
def go(base, tmp_path):
    """Tune in silence; keyword arguments replace parts of the call."""

    def call(out="run", *, recipe=RECIPE, source=None, factors=None, **given):
        factors = factors or Factors(model=str(base))
        source = prompts() if source is None else source
        given = {"progress": None, "checkpoint_every": 2, **given}
        return tune.tune(factors, recipe, out=tmp_path / out, mixture=source, **given)

    return call


def weights(out) -> dict[str, torch.Tensor]:
    (file,) = out.glob("*.safetensors")
    return load_file(file)


def same(one, other) -> bool:
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


class Stop(Exception):
    pass


class Until:
    """The usual prompts, as a mixture that ends the run after a step and its checkpoint."""

    def __init__(self, step: int):
        self.n, self.settings = step * RECIPE.examples_per_step, {}

    def digest(self):
        return tune.described(prompts())["digest"]

    def stream(self, start):
        yield from itertools.islice(tune.prompts_from(prompts(), start), self.n - start)
        raise Stop


# What is left behind ---------------------------------------------------------------------------


def test_run_leaves_adapter_record_and_card(go, base):
    made = go()
    config = json.loads((made.out / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert not checkpoint.folder(made.out).exists()
    found = result.TuneResult.read(made.out)
    assert found == made
    assert len(found.losses) == 6 and found.progress.wall_s > 0
    assert found.base == str(base) and found.quantization == "nf4"
    assert found.versions["torch"] and found.peak_memory_gib > 0
    card = (made.out / "README.md").read_text()
    assert found.run_id in card and "`nli`" in card and "| learning_rate | 0.002 |" in card


def test_tokens_are_counted_as_they_are_used(go):
    source, recipe = prompts(), replace(RECIPE, max_input_tokens=20, max_target_tokens=3)
    made = go(recipe=recipe, source=source).progress
    used = [source[i % 20] for i in range(24)]
    assert made.n_prompt == sum(min(20, len(p.input)) + 1 for p in used)
    assert made.n_target == sum(min(3, len(p.target)) + (len(p.target) <= 3) for p in used)
    assert made.n_cut_targets == sum(len(p.target) > 3 for p in used) > 0
    assert made.n_cut == sum(max(0, len(p.input) - 20) + max(0, len(p.target) - 3) for p in used)


@pytest.mark.parametrize(
    ("arm", "rate", "fall"),
    [("tuned", 3e-2, 0.3), ("finetuned", 3e-3, 0.3), ("prompt-tuned", 0.3, 0.02)],
)
def test_loss_falls_in_every_arm(go, base, arm, rate, fall):
    factors = Factors(model=str(base), arm=arm, tasks=("task0",))
    made = go(factors=factors, recipe=replace(RECIPE, steps=25, learning_rate=rate))
    assert sum(made.losses[-5:]) / 5 < sum(made.losses[:5]) / 5 - fall


@pytest.mark.parametrize("arm", ["tuned", "finetuned", "prompt-tuned"])
def test_what_was_tuned_loads_and_differs_from_its_base(go, base, arm):
    made = go(factors=Factors(model=str(base), arm=arm, tasks=("task0",)))
    tuned, tokenizer = made.load()
    assert tokenizer.eos_token_id == 0
    plain, _ = language_model.load(base, quantization="none" if arm == "finetuned" else "nf4")
    ids = torch.tensor([[70, 80, 90]])
    with torch.no_grad():
        gap = (tuned(input_ids=ids).logits[:, -1] - plain(input_ids=ids).logits[:, -1]).abs().max()
    assert gap > 1e-6


def test_soft_prompt_on_a_tuned_model(go, base):
    tuned = go("tuned")
    factors = Factors(model=str(base), arm="prompt-tuned", tasks=("task0",))
    made = go("soft", factors=factors, adapter=tuned.out)
    alone = go("alone", factors=factors)
    assert weights(made.out).keys() == {"prompt_embeddings"}
    assert made.adapters == [str(tuned.out)] and alone.adapters == []
    assert not same(made.out, alone.out)
    net, _ = made.load()
    assert any("lora" in n for n, _ in net.named_parameters())


# What each arm is tuned on ----------------------------------------------------------------------


@pytest.fixture
def toys(tmp_path, monkeypatch):
    folder = tmp_path / "toys"
    folder.mkdir()
    toy_catalogue(folder)
    return str(folder)


def seen(toys, n=200, recipe=RECIPE, **factors) -> list[Prompt]:
    found = of_run(Factors(collection=toys, held_out="weather", **factors), recipe)
    return found.take(n)


def test_held_out_cluster_and_neighbours_are_not_tuned_on(toys):
    assert {p.task for p in seen(toys)} == {"soup", "bread", "spell"}
    assert {p.task for p in seen(toys, clusters=("letters",))} == {"spell"}


def test_arms_of_one_task_tune_on_that_task_even_if_it_is_evaluated(toys):
    for arm in ("single-task", "prompt-tuned"):
        assert {p.task for p in seen(toys, arm=arm, tasks=("rain",))} == {"rain"}


def test_forms_templates_examples_and_exemplars_reach_the_mixture(toys):
    assert all(p.input.startswith("The ") for p in seen(toys, form="dataset-name"))
    assert all(p.template == "none" for p in seen(toys, form="none"))
    assert len({p.template for p in seen(toys, arm="single-task", tasks=("bread",))}) == 10
    one = seen(toys, arm="single-task", tasks=("bread",), n_templates=1)
    assert len({p.template for p in one}) == 1
    few = seen(toys, arm="single-task", tasks=("rain",), n_examples=32)
    assert len({p.example for p in few}) == 32
    shown = seen(toys, recipe=replace(RECIPE, exemplar_share=1.0))
    assert any("\n\n" in p.input for p in shown)


@pytest.mark.parametrize(
    "factors",
    [
        {},
        {"form": "dataset-name", "clusters": ("food",)},
        {"arm": "finetuned", "form": "none", "n_templates": 1},
        {"arm": "single-task", "tasks": ("rain",)},
        {"arm": "prompt-tuned", "tasks": ("rain",), "n_examples": 32},
    ],
)
def test_every_arm_and_form_is_tuned_by_the_same_call(toys, base, tmp_path, factors):
    factors = Factors(collection=toys, model=str(base), held_out="weather", **factors)
    made = tune.tune(factors, RECIPE, out=tmp_path / "run", progress=None)
    assert made.mixture["settings"]["form"] == factors.form
    assert made.mixture["digest"] == of_run(factors, RECIPE).digest()
    assert (tmp_path / "run" / result.RUN).is_file() and made.progress.n_target > 0


# Same in, same out -----------------------------------------------------------------------------


def test_same_seed_same_weights_bit_for_bit(go, base):
    assert same(go("a").out, go("b").out)
    other = Factors(model=str(base), seed=2)
    assert not same(go("a").out, go("c", factors=other).out)


def test_step_does_not_depend_on_packing(go):
    recipe = replace(RECIPE, dropout=0.0, steps=3)
    one = go("one", recipe=recipe)
    many = go("many", recipe=replace(recipe, pack_tokens=16))
    assert one.losses == pytest.approx(many.losses, abs=1e-5)


def test_first_loss_is_the_mean_over_the_steps_target_tokens(go, base):
    made = go(recipe=replace(RECIPE, dropout=0.0, steps=1))
    net, tokenizer = language_model.load(base)
    total, n = 0.0, 0
    for p in prompts()[:4]:
        ids = tokenizer(p.input + "\n" + p.target)["input_ids"] + [tokenizer.eos_token_id]
        k = len(p.target) + 1
        with torch.no_grad():
            scores = net(torch.tensor([ids])).logits[0].log_softmax(-1)
        total -= sum(scores[len(ids) - k - 1 + j, ids[len(ids) - k + j]].item() for j in range(k))
        n += k
    assert made.losses[0] == pytest.approx(total / n, abs=1e-5)


@pytest.mark.parametrize("arm", ["tuned", "finetuned", "prompt-tuned"])
def test_stopped_run_goes_on_to_the_same_weights(go, base, arm):
    factors = Factors(model=str(base), arm=arm, tasks=("task0",))
    whole = go("whole", factors=factors)
    with pytest.raises(Stop):
        go("broken", factors=factors, source=Until(4))
    lines = []
    broken = go("broken", factors=factors, progress=lines.append)
    assert any("going on after step 4" in line for line in lines)
    assert same(whole.out, broken.out)
    assert broken.losses == whole.losses
    assert broken.progress.n_target == whole.progress.n_target


KILLED = """
import os, random, signal, sys
import torch
torch.set_num_threads(1)
from test_tune import RECIPE, prompts
from flanlib.training import tune
from flanlib.core.config import Factors

base, folder, seed = sys.argv[1:]
draw = random.Random(int(seed))

def run(out):
    tune.tune(Factors(model=base), RECIPE, out=out, mixture=prompts(), checkpoint_every=1,
              progress=None)

def at_each_touch(name, act):
    # Python reports each open, rename and removal; those of the files of a run count.
    def hook(event, args):
        if event.startswith(("open", "os.", "shutil.")) and any(name in str(a) for a in args):
            act()
    sys.addaudithook(hook)

def kill_at(touches):
    def act():
        nonlocal touches
        touches -= 1
        if touches == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    at_each_touch("broken", act)

def child(out, touches):
    pid = os.fork()
    if pid == 0:
        kill_at(touches)
        try:
            run(out)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

seen = []
at_each_touch("whole", lambda: seen.append(1))
run(f"{folder}/whole")
while child(f"{folder}/broken", draw.randrange(2, len(seen) // 2)):
    beside = f"{folder}/broken.checkpoints"
    print("killed", sorted(os.listdir(beside)) if os.path.isdir(beside) else "", flush=True)
"""


@pytest.mark.parametrize("seed", [1, 3])
def test_killed_at_random_moments_ends_in_the_same_weights(base, tmp_path, seed):
    """SIGKILL at random reads and writes of the run, then the same call, until it is done."""
    tests = Path(__file__).parent
    search = f"{tests}{os.pathsep}{tests.parent}"
    environment = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(base), str(tmp_path), str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("killed") >= 2 and "step-" in done.stdout, done.stdout
    assert same(tmp_path / "whole", tmp_path / "broken")
    whole, broken = (result.TuneResult.read(tmp_path / name) for name in ("whole", "broken"))
    assert whole.losses == broken.losses
    assert not (tmp_path / "broken.checkpoints").exists()


# What a GPU run does, on a CPU ------------------------------------------------------------------


@pytest.fixture
def instead(monkeypatch):
    """Computes the loss of a pack by another function, which may call packing's own."""
    return partial(monkeypatch.setattr, packing, "loss_sum")


def test_recomputing_activations_changes_nothing(go, tmp_path, instead, monkeypatch):
    """A forward pass more for every backward pass, and the same weights."""

    loss_sum, usual = packing.loss_sum, trainer.arguments

    def run(recompute):
        hooks, passes = [], []

        def watched(net, packed):
            if not hooks:
                first = packing.bare(net).base_model.layers[0].attention
                hooks.append(first.register_forward_pre_hook(lambda *_: passes.append(1)))
            return loss_sum(net, packed)

        def arguments(*given):
            made = usual(*given)
            made.activation_checkpointing = recompute
            return made

        instead(watched)
        monkeypatch.setattr(tune, "arguments", arguments)
        return go(f"{recompute}").out, len(passes)

    (plain, once), (recomputed, twice) = run(False), run(True)
    assert same(plain, recomputed) and twice == 2 * once > 0
    kept = trainer.arguments(RECIPE, 1, tmp_path, "cpu", torch.float32)
    assert not kept.activation_checkpointing


def test_bfloat16_is_computed_under_autocast_and_trained_in_float32(go, instead):
    recipe, kinds = replace(RECIPE, dropout=0.0, steps=3), set()
    loss_sum = packing.loss_sum
    plain = go("plain", recipe=recipe)

    def watched(net, packed):
        kinds.add((torch.is_autocast_enabled("cpu"), packing.logits(net, packed).dtype))
        return loss_sum(net, packed)

    instead(watched)
    made = go("half", recipe=recipe, dtype="bfloat16")
    assert kinds == {(True, torch.bfloat16)} and made.dtype == "bfloat16"
    assert made.losses == pytest.approx(plain.losses, abs=0.05)
    assert made.losses != plain.losses
    assert all(v.dtype == torch.float32 for v in weights(made.out).values())


# What is refused -------------------------------------------------------------------------------


def test_finished_run_is_read_not_repeated(go):
    made, lines = go(), []
    again = go(progress=lines.append)
    assert again == made and "is there already" in lines[0]


def test_finished_run_is_read_while_another_process_reads_it(go):
    made = go()
    folder = checkpoint.folder(made.out)
    with checkpoint.locked(folder):
        assert go() == made
        assert folder.exists(), "not taken away under the other's feet"
    assert go() == made and not folder.exists()


def test_folder_of_another_run_is_refused(go, base):
    go()
    with pytest.raises(RunError, match="holds another run"):
        go(recipe=replace(RECIPE, steps=7))
    with pytest.raises(RunError, match="holds another run"):
        go(source=prompts(19))


def test_base_pretrained_anew_is_another_run(go, base):
    again = base.parent / "again"
    factors = Factors(model=str(rehearsal.random_neox(again, seed=4)))
    made = go(factors=factors)
    assert go(factors=factors) == made
    rehearsal.random_neox(again, seed=5)
    with pytest.raises(RunError, match="holds another run"):
        go(factors=factors)


def test_checkpoints_of_another_run_are_refused(go):
    with pytest.raises(Stop):
        go(source=Until(2))
    with pytest.raises(RunError, match=r"checkpoints of another run.*delete the folder"):
        go(source=prompts(19))


def test_damaged_checkpoint_is_named(go, tmp_path):
    with pytest.raises(Stop):
        go(source=Until(4))
    file = tmp_path / "run.checkpoints" / "step-0000004" / trainer.TRAINABLE
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(RunError, match=f"{file}: is damaged"):
        go()


def test_damaged_adapter_is_named(go):
    made = go()
    (made.out / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match=r"adapter_model\.safetensors: is damaged"):
        go()


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_numbers_that_are_not_finite_stop_the_run(go, tmp_path, what, instead, monkeypatch):
    calls, loss_sum = [], packing.loss_sum

    def spoilt(net, packed):
        calls.append(1)
        loss = loss_sum(net, packed)
        if len(calls) <= 4:
            return loss
        if what == "loss":
            return loss * float("nan")
        parameter = next(p for p in net.parameters() if p.requires_grad)
        return loss + (parameter - parameter.detach()).clamp(min=0).sum().sqrt()

    recipe = replace(RECIPE, pack_tokens=10_000)
    instead(spoilt)
    with pytest.raises(
        RunError, match=rf"step 5: the {what} is (nan|inf) on examples of tasks task0, "
    ):
        go(recipe=recipe)
    monkeypatch.undo()
    assert checkpoint.latest(tmp_path / "run.checkpoints")[0] == 4
    kept = load_file(tmp_path / "run.checkpoints" / "step-0000004" / trainer.TRAINABLE)
    assert all(torch.isfinite(v).all() for v in kept.values())
    assert same(go(recipe=recipe).out, go("whole", recipe=recipe).out)


def test_second_call_on_one_folder_is_told(go, tmp_path):
    with (
        checkpoint.locked(tmp_path / "run.checkpoints"),
        pytest.raises(RunError, match=f"process {os.getpid()} is tuning"),
    ):
        go()


def test_target_that_cannot_fit_is_named(go):
    long = Prompt("q", "y" * 3000, (), None, ("y",), "poems", "plain", "4")
    with pytest.raises(
        TemplateError, match=r"task poems.*example 4: a target of 2999 tokens leaves"
    ):
        go(source=[long], recipe=replace(RECIPE, max_target_tokens=2999))


def test_leaky_architecture_is_refused(go, tmp_path):
    from transformers import OPTConfig, OPTForCausalLM

    from flanlib.models import rehearsal

    folder = tmp_path / "opt"
    shape = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 1, "ffn_dim": 32}
    OPTForCausalLM(
        OPTConfig(**shape, num_attention_heads=2, word_embed_proj_dim=32)
    ).save_pretrained(folder)
    rehearsal.byte_tokenizer().save_pretrained(folder)
    with pytest.raises(RunError, match="opt: packed examples of this architecture"):
        go(factors=Factors(model=str(folder)))


@pytest.mark.parametrize(
    ("factors", "given", "message"),
    [
        ({"arm": "base"}, {}, "'base' is not tuned"),
        ({"arm": "tuned"}, {"adapter": "x"}, "starts from a base"),
        ({"under": "0123456789ab"}, {}, "under: '0123456789ab', and no adapter"),
    ],
)
def test_arms_that_make_no_sense_are_refused(go, base, factors, given, message):
    with pytest.raises(ParameterError, match=message):
        go(factors=Factors(model=str(base), **factors), **given)


def test_empty_mixture_is_refused(go):
    with pytest.raises(ParameterError, match="mixture is empty"):
        go(source=[])


def test_single_task_needs_a_task(base, tmp_path):
    factors = Factors(model=str(base), arm="single-task")
    with pytest.raises(ParameterError, match="needs tasks"):
        tune.tune(factors, RECIPE, out=tmp_path / "x", progress=None)


def test_progress_is_lines_not_a_flood(go, capfd):
    go(progress=progress.say, recipe=replace(RECIPE, steps=30))
    captured = capfd.readouterr()
    lines = captured.err.strip().splitlines()
    assert captured.out == "" and "\r" not in captured.err
    assert 1 <= len(lines) < 10 and lines[-1].startswith("step 30/30  loss ")
