"""Faults put in on purpose: kills, a full disk, several writers, damaged files.

A command is run unbroken in one folder. In another it is killed with SIGKILL
at random touches of the disk, then given again; then both hold the same bytes,
but for clocks. With a limit on the size of files, which is what a full disk is
to a program, it names the path that was given and leaves what was there. The
commands run in processes forked from one that has imported what they need.
"""

import hashlib
import json
import os
import pickle
import random
import re
import resource
import shutil
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pytest

SEED = 20
ROOT = Path(__file__).resolve().parents[1]
PLACES = re.compile(r"(^|/)(out|build|figures|data/results)(/|$)")  # where commands write
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(
    """pytest records datasets nbconvert bitsandbytes flanlib.commands.cli flanlib.commands.verbs_study
    flanlib.commands.verbs_sweep flanlib.training.tune flanlib.evaluation.shards flanlib.reporting.report
    flanlib.data.hub flanlib.figures.fig3_taxonomy flanlib.prompts.export""".split()
)
CATALOGUE = """
title: Pets
clusters:
  - {key: sentiment, title: Sentiment, domain: NLU}
  - {key: habits, title: Habits, domain: NLU}
tasks:
  - {key: vets, title: Reviews of vets, dataset: vets, cluster: sentiment, kind: rank,
     metric: accuracy, options: [bad, good], columns: {fields: [text], label: label},
     source: {route: ROUTE, splits: {train: train, eval: test}}}
  - {key: food, title: What a pet eats, dataset: food, cluster: habits, kind: generate,
     metric: exact_match, columns: {fields: [animal], answer: food},
     source: {route: ROUTE, splits: {train: train, eval: test}}}
"""
TEMPLATES = {
    "vets": ("text", "{{ text }}\\nHow was the visit?", "Was it good? {{ text }}"),
    "food": ("animal", "What does a {{ animal }} eat?", "Food of a {{ animal }}:"),
}
PETS = ("--collection", "./pets", "--rows", "rows")
MODEL = ("--model", "micro-300k")
TUNE = (*MODEL, "--held-out", "habits", "--steps", "6", "--examples-per-step", "2")


@dataclass(frozen=True)
class Case:
    """A command, what it writes, and what has to be given before."""

    words: tuple[str, ...]
    out: str
    before: tuple[tuple[str, ...], ...] = ()
    status: int = 0


FIGURE = ("figures", *PETS, "--only", "fig3")
CASES = {
    "render": Case(("render", *PETS, "--out", "out/p.jsonl"), "out"),
    "mix": Case(
        ("mix", *PETS, "--held-out", "habits", "--n", "300", "--out", "out/m.jsonl"), "out"
    ),
    "export": Case(("export", *PETS, "--to", "lm-eval", "--out", "out/e"), "out"),
    "fetch": Case(("fetch", "--collection", "./hub"), "build/cache"),
    "score": Case(("score", *PETS, *MODEL, "--max-new-tokens", "4", "--out", "out"), "out"),
    "tune": Case(("tune", *PETS, *TUNE, "--checkpoint-every", "2", "--out", "out/ad"), "out"),
    "figures": Case(FIGURE, "build/figures"),
    "report": Case(("report", *PETS, "--out", "out"), "out", before=(FIGURE,)),
    "merge": Case(("merge", "a", "b", "--only", "fig5"), "data/results", status=3),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a collection of two datasets, its rows, and two folders of records."""
    from flanlib.results import store

    made = tmp_path_factory.mktemp("world")
    (made / "data").mkdir()
    for name in ("models", "micro", "flan", "published", "benchmarks"):
        (made / "data" / name).symlink_to(ROOT / "data" / name)
    (made / "notebooks").symlink_to(ROOT / "notebooks")
    for name, route in (("pets", "manual"), ("hub", "hub")):
        (made / name / "templates").mkdir(parents=True)
        (made / name / "catalogue.yaml").write_text(CATALOGUE.replace("ROUTE", route))
        for stem, (field, *inputs) in TEMPLATES.items():
            lines = [f'  - {{id: way-{n}, input: "{text}"}}' for n, text in enumerate(inputs)]
            (made / name / "templates" / f"{stem}.yaml").write_text(
                f"dataset: {stem}\nname: {stem}\nfields: [{field}]\nplain: '{{{{ {field} }}}}'\n"
                "templates:\n" + "\n".join(lines) + "\n"
            )
    for stem in TEMPLATES:
        (made / "rows" / stem).mkdir(parents=True)
        for split, n in (("train", 60), ("test", 12)):
            with (made / "rows" / stem / f"{split}.jsonl").open("w") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows_of(stem, split, n))
    real = ROOT / "data" / "results" / "micro"
    known = [r for r in store.load(real) if r.factors.held_out == "nli" and r.factors.seed]
    for seed, name in ((1, "a"), (2, "b")):
        mine = [r for r in known if r.factors.seed == seed]
        store.take(mine, [real], made / name)
    return made


def rows_of(stem, split, n):
    for i in range(n):
        word = f"{split} {'fine' if i % 2 else 'awful'} {i}"
        yield (
            {"text": word, "label": i % 2} if stem == "vets" else {"animal": word, "food": f"f{i}"}
        )


@pytest.fixture(scope="module", autouse=True)
def forks():
    """The process that others are forked from; folders are those below where they run."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLANLIB_ROOT", ".")
        patched.setenv("FLANLIB_BUILD", "build")
        patched.setenv("OMP_NUM_THREADS", "1")
        process = FORKS.Process(target=int)
        process.start()
        process.join()


def copied(world, to):
    return shutil.copytree(world, to / "here", symlinks=True)


@pytest.fixture
def here(world, tmp_path):
    """A copy of the world."""
    return copied(world, tmp_path)


def command(root, words, die_at, limit, log):
    """In a process of its own: one command in `root`.

    It dies at the touch of the disk of this number, or the first that has this pattern.
    """
    import torch

    from flanlib.commands import cli
    from flanlib.data import hub

    torch.set_num_threads(1)
    os.chdir(root)
    sys.stdout = sys.stderr = open(log, "w", buffering=1)  # noqa: SIM115
    hub.split_of = given_rows
    touches = 0

    def of_case(argument):
        return isinstance(argument, str | os.PathLike) and bool(PLACES.search(str(argument)))

    def touched(event, args):
        nonlocal touches
        if event == "os.kill" or not event.startswith(("open", "os.", "shutil.")):
            return
        touches += any(map(of_case, args))
        named = isinstance(die_at, str) and any(re.search(die_at, str(a)) for a in args)
        if touches == die_at or named:
            os.kill(os.getpid(), signal.SIGKILL)

    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.addaudithook(touched)
    try:
        status = cli.main(list(words))
    except BaseException:  # what a user would see as a traceback
        traceback.print_exc()
        status = 99
    if not limit:
        Path(f"{log}.touches").write_text(str(touches))
    os._exit(status)


def given_rows(task, name):
    """What the hub gives, without a hub."""
    import datasets

    return datasets.Dataset.from_list(list(rows_of(task.key, name, 12)))


def start(root, words, log, die_at=None, limit=0):
    process = FORKS.Process(target=command, args=(root, words, die_at, limit, log))
    process.start()
    return process


def run(root, words, log, **faults):
    """Status of a command (negative: killed), and what it said."""
    process = start(root, words, log, **faults)
    process.join(120)
    return process.exitcode, log.read_text() if log.exists() else ""


CLOCKS = [
    (rb'"(started|wall_s|peak_memory_gib)": ("[^"]*"|[0-9.e+-]+)', rb'"\1": 0'),
    (rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC", b"WHEN"),
    (rb'("run\.json"): "[0-9a-f]+"', rb"\1: 0"),
    (rb", \d+ s on", b", 0 s on"),
    (rb"[0-9.]+ GiB at most", b"0 GiB at most"),
    (rb"pets-[0-9a-f]{8}", b"pets"),
]


def tree(folder):
    """Path -> content of every file, without locks and what clocks say."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            content = path.read_bytes()
            if path.suffix in (".json", ".jsonl", ".html", ".md"):
                for pattern, word in CLOCKS:
                    content = re.sub(pattern, word, content)
            found[re.sub("(hub|pets|rows)-[0-9a-f]{8}", r"\1", str(path.relative_to(folder)))] = (
                content
            )
    return found


def differences(a, b):
    return [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


@pytest.fixture(scope="module")
def unbroken(world, tmp_path_factory):
    """Case -> what it writes unbroken, and how often it touches the disk; run when asked for."""
    known = {}

    def result(name):
        if name not in known:
            root = copied(world, tmp_path_factory.mktemp("unbroken"))
            case, log = CASES[name], root.parent / "log"
            for words in case.before:
                assert run(root, words, log)[0] == 0, log.read_text()
            status, said = run(root, case.words, log)
            assert status == case.status, said
            known[name] = tree(root / case.out), int(Path(f"{log}.touches").read_text())
            assert known[name][0]
        return known[name]

    return result


@pytest.mark.parametrize("name", CASES)
def test_killed_and_given_again_equals_unbroken(name, here, tmp_path, unbroken):
    wanted, touches = unbroken(name)
    case, draw = CASES[name], random.Random(f"{SEED} {name}")
    for words in case.before:
        assert run(here, words, tmp_path / "log")[0] == 0
    moments = [draw.randint(1, touches), draw.randint(touches // 2, touches)]
    print(f"{name}: seed {SEED}, {touches} touches of the disk, killed at {moments}")
    for moment in moments:
        run(here, case.words, tmp_path / "log", die_at=moment)
    status, said = run(here, case.words, tmp_path / "log")
    assert status == case.status, said
    assert differences(tree(here / case.out), wanted) == []


@pytest.mark.parametrize("name", [name for name in CASES if name != "merge"])
def test_a_full_disk_is_named_and_leaves_what_was_there(name, here, tmp_path, unbroken):
    wanted, _ = unbroken(name)
    case, draw = CASES[name], random.Random(f"{SEED} {name}")
    for words in case.before:
        assert run(here, words, tmp_path / "log")[0] == 0
    largest = max(map(len, wanted.values()))
    limit = draw.randint(largest // 4, largest - 1)
    print(f"{name}: seed {SEED}, files of at most {limit} bytes")
    old = here / case.out
    kept = wanted if name in ("render", "mix", "report") else {}
    for path in kept:
        (old / path).parent.mkdir(parents=True, exist_ok=True)
        (old / path).write_bytes(b"earlier")
    status, said = run(here, case.words, tmp_path / "log", limit=limit)
    line = said.strip().splitlines()[-1]
    assert status == (3 if name == "fetch" else 1), said
    assert re.search(r"File too large|No space left|disk is full", said), said
    assert "Traceback" not in said and "system" not in line, said
    assert ".part" not in said
    left = tree(old) if old.exists() else {}
    assert set(kept) <= set(left)
    for path, content in left.items():
        if ".checkpoints/" not in path:  # from which tuning goes on
            assert content in (wanted.get(path), b"earlier" if kept else None), path
    if name in ("render", "mix"):
        assert set(left.values()) == {b"earlier"}
    status, said = run(here, case.words, tmp_path / "log")
    assert status == case.status, said
    assert differences(tree(here / case.out), wanted) == []


def test_an_executed_notebook_is_there_whole_or_not_at_all(here, tmp_path):
    words, out = (*INTO_A_FOLDER["run"], "--out", "out"), here / "out" / "fig3_taxonomy.ipynb"
    out.parent.mkdir()
    out.write_text("earlier")
    for fault in ({"die_at": r"tmp\w+/fig3_taxonomy"}, {"limit": 2_000}):
        status, said = run(here, words, tmp_path / "log", **fault)
        assert status in (-signal.SIGKILL, 1) and "Traceback" not in said, said
        assert out.read_text() == "earlier"
    assert "File too large" in said
    (here / "out" / "times.json").write_text("")
    status, said = run(here, words, tmp_path / "log")
    assert status == 0, said
    found = json.loads(out.read_text())
    assert found["metadata"]["papermill"]["output_path"] == "out/fig3_taxonomy.ipynb"
    assert "fig3_taxonomy" in (here / "out" / "times.json").read_text()


# Several writers ---------------------------------------------------------------------------------


def at_once(root, commands, log):
    """Statuses of commands that run at the same time, and what each said."""
    logs = [log.with_name(f"log-{n}") for n, _ in enumerate(commands)]
    running = [start(root, words, at) for words, at in zip(commands, logs, strict=True)]
    for process in running:
        process.join(120)
    return [process.exitcode for process in running], [at.read_text() for at in logs]


@pytest.mark.parametrize("name", ["render", "mix", "export", "fetch", "figures"])
def test_three_at_once_all_end_well(name, here, tmp_path, unbroken):
    wanted, _ = unbroken(name)
    statuses, said = at_once(here, [CASES[name].words] * 3, tmp_path / "log")
    assert statuses == [0, 0, 0], said
    assert differences(tree(here / CASES[name].out), wanted) == []


def test_two_that_score_into_one_folder_lose_no_task(here, tmp_path, unbroken):
    wanted, _ = unbroken("score")
    words = CASES["score"].words
    commands = [(*words, "--tasks", task) for task in ("vets", "food")]
    statuses, said = at_once(here, commands, tmp_path / "log")
    assert statuses == [0, 0], said
    found = tree(here / "out")
    assert differences(found, wanted) in ([], ["results.jsonl"])
    lines = [sorted(one["results.jsonl"].splitlines()) for one in (found, wanted)]
    assert lines[0] == lines[1]


def test_two_that_tune_into_one_folder(here, tmp_path, unbroken):
    """Each either does the run, reads it, or is told which process is at it."""
    wanted, _ = unbroken("tune")
    statuses, said = at_once(here, [CASES["tune"].words] * 2, tmp_path / "log")
    assert 0 in statuses and set(statuses) <= {0, 1}, said
    told = [text for status, text in zip(statuses, said, strict=True) if status]
    assert all(re.search(r"process \d+ is tuning into this folder", text) for text in told)
    assert differences(tree(here / "out"), wanted) == []


# Damaged files -----------------------------------------------------------------------------------

DAMAGED = ["", "{", "[]", "null", "\0\0"]


def refused(root, words, log, file):
    """The command ends with one line that names a file and what to do about it."""
    status, said = run(root, words, log)
    assert status == 1 and "Traceback" not in said, said
    line = said.strip().splitlines()[-1]
    assert line.startswith("flanlib: ") and file in line and "delete" in line, said
    assert len(line) < 600
    return line


@pytest.fixture(scope="module")
def scored(world, tmp_path_factory):
    """A world in which the tasks are scored."""
    root = copied(world, tmp_path_factory.mktemp("scored"))
    assert run(root, CASES["score"].words, root.parent / "log")[0] == 0
    return root


@pytest.mark.parametrize(
    ("file", "content"),
    [("vets/manifest.json", ""), ("vets/manifest.json", "[]"), ("vets/00000.parquet", "{")]
    + [("results.jsonl", text) for text in ("null\n", "[]", "{}", "\0")],
)
def test_a_damaged_file_of_scores_is_named(file, content, scored, tmp_path, unbroken):
    root = copied(scored, tmp_path)
    (root / "out" / file).write_text(content)
    refused(root, CASES["score"].words, tmp_path / "log", f"out/{file}")
    if "[]" not in content:
        return
    remedy = root / "out" / file
    shutil.rmtree(remedy.parent) if file.endswith("manifest.json") else remedy.unlink()
    assert run(root, CASES["score"].words, tmp_path / "log")[0] == 0
    found, (wanted, _) = tree(root / "out"), unbroken("score")
    assert differences(found, wanted) == []


@pytest.fixture(scope="module")
def stopped(world, tmp_path_factory):
    """A world in which tuning was killed after its second checkpoint."""
    root = copied(world, tmp_path_factory.mktemp("stopped"))
    status, said = run(root, CASES["tune"].words, root.parent / "log", die_at=r"(^|/)\.ad\.")
    assert status == -signal.SIGKILL, said
    assert len(list((root / "out" / "ad.checkpoints").glob("step-*"))) == 2
    return root


class Hostile:
    """What a pickle may do when it is read."""

    def __reduce__(self):
        return os.mkdir, ("reached",)


def damage(folder, how):
    """Spoil the checkpoints of a run; the name of what is spoilt."""
    step = folder / "step-0000004"
    if how.startswith("run.json"):
        (folder / "run.json").write_text(DAMAGED[int(how[-1])])
        return "ad.checkpoints/run.json"
    if how.startswith("manifest"):
        (step / "manifest.json").write_text(DAMAGED[int(how[-1])])
        return "step-0000004/manifest.json"
    if how == "half copied":
        (step / "optimizer.pt").unlink()
        return "step-0000004/optimizer.pt"
    if how == "cut":
        os.truncate(step / "trainable.safetensors", 100)
        return "step-0000004/trainable.safetensors"
    manifest = json.loads((step / "manifest.json").read_text())
    if how.startswith("pickle"):
        (step / how.split()[1]).write_bytes(pickle.dumps(Hostile()))
    else:
        (step / how).write_text("{}")
    for name in manifest:
        manifest[name] = hashlib.sha256((step / name).read_bytes()).hexdigest()
    (step / "manifest.json").write_text(json.dumps(manifest))
    return "step-0000004"


@pytest.mark.parametrize(
    "how",
    """run.json 1,manifest 2,half copied,cut,pickle optimizer.pt,pickle rng_state.pth,
    progress.json,trainer_state.json,trainable.safetensors""".replace("\n    ", "").split(","),
)
def test_a_damaged_checkpoint_is_named_and_runs_no_code(how, stopped, tmp_path, unbroken):
    root = copied(stopped, tmp_path)
    folder = root / "out" / "ad.checkpoints"
    line = refused(root, CASES["tune"].words, tmp_path / "log", damage(folder, how))
    assert not (root / "reached").exists()
    if how not in ("run.json 1", "half copied"):
        return
    shutil.rmtree(folder if "from the beginning" in line else folder / "step-0000004")
    assert run(root, CASES["tune"].words, tmp_path / "log")[0] == 0
    wanted, _ = unbroken("tune")
    assert differences(tree(root / "out"), wanted) == []


def test_what_is_left_of_a_finished_run_is_told_apart(world, tmp_path):
    root = copied(world, tmp_path)
    words, log, out = CASES["tune"].words, tmp_path / "log", root / "out" / "ad"
    assert run(root, words, log)[0] == 0
    (out / "README.md").write_text("my own words")
    status, said = run(root, words, log)
    assert status == 0 and "is there already" in said and (out / "README.md").stat().st_size == 12
    for content in DAMAGED[1:3]:
        (out / "run.json").write_text(content)
        refused(root, words, log, "out/ad/run.json")
    (out / "run.json").unlink()
    status, said = run(root, words, log)
    assert status == 2 and "out/ad: holds README.md, which was not written by" in said


# Where a command is told to write ----------------------------------------------------------------

INTO_A_FOLDER = {
    "export": ("export", *PETS, "--to", "trl", "--n", "5"),
    "score": CASES["score"].words[:-2],
    "tune": CASES["tune"].words[:-2],
    "report": ("report", *PETS),
    "run": ("run", *PETS, "--only", "fig3"),
    "pretrain": ("pretrain", "micro-300k"),
}


@pytest.mark.parametrize("place", ["file", "pipe", "loop"])
@pytest.mark.parametrize("name", INTO_A_FOLDER)
def test_what_is_no_folder_is_refused_before_any_work(name, place, here, tmp_path):
    (here / "file").write_text("mine")
    (here / "loop").symlink_to("loop")
    os.mkfifo(here / "pipe")
    before = sorted(p.name for p in here.iterdir())
    status, said = run(here, (*INTO_A_FOLDER[name], "--out", place), tmp_path / "log")
    assert status == 2 and said.startswith(f"flanlib: {place}: "), said
    assert sorted(p.name for p in here.iterdir()) == before
    assert (here / "file").read_text() == "mine" and (here / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["export", "tune", "pretrain"])
def test_a_folder_with_something_else_is_refused_before_any_work(name, here, tmp_path):
    for place, file in (("out", "out/mine.txt"), ("deep", "deep/er/README.md")):
        (here / file).parent.mkdir(parents=True)
        (here / file).write_text("mine")
        status, said = run(here, (*INTO_A_FOLDER[name], "--out", place), tmp_path / "log")
        assert status == 2 and said.startswith(f"flanlib: {place}: holds "), said
        assert [p for p in (here / place).rglob("*") if p.is_file()] == [here / file]
    status, said = run(here, (*INTO_A_FOLDER[name], "--out", "."), tmp_path / "log")
    assert status == 2 and said.startswith("flanlib: .: is the folder you are in"), said


@pytest.mark.parametrize("name", ["export", "score", "tune"])
def test_a_link_to_a_folder_is_followed(name, here, tmp_path):
    (here / "store").mkdir()
    (here / "link").symlink_to("store")
    status, said = run(here, (*INTO_A_FOLDER[name], "--out", "link"), tmp_path / "log")
    assert status == 0, said
    assert (here / "link").is_symlink() and any((here / "store").iterdir())


def test_an_export_takes_the_place_of_an_export(here, tmp_path):
    log = tmp_path / "log"
    for to in ("lm-eval", "axolotl", "llama-factory"):
        assert run(here, ("export", *PETS, "--to", to, "--n", "5", "--out", "e"), log)[0] == 0
        listed = json.loads((here / "e" / "manifest.json").read_text())
        assert (listed["export"], sorted(listed["files"])) == (to, sorted(tree(here / "e")))
    assert not list((here / "e").rglob("*.yaml")) and not (here / "e" / "data").exists()
    (here / "e" / "notes.txt").write_text("mine")
    status, said = run(here, ("export", *PETS, "--to", "trl", "--out", "e"), log)
    assert status == 2 and "e: holds notes.txt" in said
    assert (here / "e" / "dataset_info.json").exists()
