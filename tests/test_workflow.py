"""The Snakefile: a tiny sweep on this machine, what the Slurm profile asks for, the manifest.

`SNAKEMAKE=PATH` names the command where it is not on the path.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flanlib.results import store
from flanlib.studies.profiles import Settings

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / "workflow"
SNAKEMAKE = shutil.which(os.environ.get("SNAKEMAKE", "snakemake"))
CONFIG = {"profile": "rehearsal", "collections": "./pets", "rows": "rows", "figures": "fig5"}

needs_snakemake = pytest.mark.skipif(
    not SNAKEMAKE, reason="needs snakemake; workflow/README.md says how to install it"
)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A folder with the collection of CONTRIBUTING.md and rows for it."""
    at = tmp_path_factory.mktemp("sweep")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n# (pets/\S+)\n(.*?)```", text, re.S):
        path = at / block[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block[1])
    rows = {
        "vets": [{"text": f"Visit {n} was fine.", "label": n % 2} for n in range(20)],
        "food": [{"animal": f"cat {n}", "food": f"fish {n}"} for n in range(20)],
    }
    for key, every in rows.items():
        (at / "rows" / key).mkdir(parents=True)
        for split, part in (("train", every[:15]), ("test", every[15:])):
            lines = "".join(json.dumps(row) + "\n" for row in part)
            (at / "rows" / key / f"{split}.jsonl").write_text(lines)
    return at


def sweep(at, where, *words, **config):
    """Run Snakemake in a folder; its exit status and everything it says."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "FLANLIB_BUILD": str(at / "build")}
    given = [f"{name}={value}" for name, value in {**CONFIG, **config}.items()]
    command = [SNAKEMAKE, "--snakefile", WORKFLOW / "Snakefile", "--config", *given, "--profile"]
    done = subprocess.run(
        [*map(str, command), str(WORKFLOW / "profiles" / where), *words],
        cwd=at,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@needs_snakemake
def test_a_tiny_sweep_ends_with_a_report_and_is_then_done(pets):
    config = {"seeds": "1,2", "held_out": "sentiment"}
    status, told = sweep(pets, "local", "--cores", "1", **config)
    logs = [path.read_text() for path in (pets / "build" / "sweep" / "log").glob("*.log")]
    assert status == 0, "\n".join([told, *logs])
    (at,) = (pets / "build" / "rehearsal" / "results").glob("pets-*")
    records = store.load(at)
    found = {(r.factors.arm, r.factors.held_out, r.factors.seed) for r in records}
    assert found == {("base", "sentiment", 0), *(("tuned", "sentiment", seed) for seed in (1, 2))}
    assert len(list((pets / "build" / "sweep" / "done" / "base").iterdir())) == 1
    (page,) = (pets / "build" / "sweep" / "report").glob("*/index.html")
    assert "REHEARSAL" in page.read_text()
    assert "Nothing to be done" in sweep(pets, "local", "--cores", "1", **config)[1]


@needs_snakemake
def test_a_setting_that_is_none_is_refused(pets):
    status, told = sweep(pets, "local", "-n", modles="a")
    assert status == 1 and "--config modles: there are profile, collections" in told


@needs_snakemake
def test_what_flanlib_refuses_is_told(pets):
    status, told = sweep(pets, "local", "-n", held_out="nile")
    assert status == 1 and "'nile' is no cluster to hold out" in told


@needs_snakemake
@pytest.mark.parametrize(("profile", "gpu", "runtime"), [("rehearsal", 0, 60), ("gpu", 1, 720)])
def test_slurm_jobs_ask_for_time_memory_and_a_gpu(pets, profile, gpu, runtime):
    out = pets / f"build/dry-{profile}"
    status, told = sweep(pets, "slurm", "-n", profile=profile, models="tiny", out=out)
    if "snakemake-executor-plugin-slurm" in told or "invalid choice: 'slurm'" in told:
        pytest.skip("needs snakemake-executor-plugin-slurm")
    assert status == 0, told
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^\[|^Job stats)", told, re.M | re.S)
    tuning = [text for name, text in rules if name == "tune"]
    assert len(tuning) == 2 and len([name for name, _ in rules if name == "score_base"]) == 2
    for text in tuning:
        assert f"gpu={gpu}" in text and f"runtime={runtime}" in text and "mem_mb=" in text


def manifest():
    """The container of the manifest in README.md."""
    text = (WORKFLOW / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    job = yaml.safe_load(block)
    assert job["spec"]["completionMode"] == "Indexed"
    return job["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("index", [0, 2])
def test_an_index_of_the_manifest_is_a_run(tmp_path, index):
    container = manifest()
    flanlib = tmp_path / "flanlib"
    table = "run  arm\naaa  tuned\nbbb  tuned\nccc  base"
    calls = tmp_path / "calls"
    flanlib.write_text(
        f"""#!/bin/sh
[ "$1" = grid ] && echo '{table}'
echo "$@" >> '{calls}'
"""
    )
    flanlib.chmod(flanlib.stat().st_mode | stat.S_IXUSR)
    study = next(one["value"] for one in container["env"] if one["name"] == "STUDY")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
        "STUDY": study,
        "JOB_COMPLETION_INDEX": str(index),
    }
    subprocess.run([*container["command"], *container["args"]], env=environment, check=True)
    run = table.splitlines()[index + 1][:3]
    assert calls.read_text().splitlines() == [
        f"grid {study}",
        f"work {run} {study} --records build/sweep/records/{run}",
    ]


def test_documented_commands_parse():
    from flanlib.commands import cli

    text = (WORKFLOW / "README.md").read_text(encoding="utf-8")
    typed = re.findall(r"^flanlib .*?(?=  +#|$)", text, re.M)
    found = [cli.parsed(shlex.split(line)[1:]) for line in typed]
    assert [space.verb for _, _, space in found] == [line.split()[1] for line in typed]
    assert len(typed) == 3


def test_the_settings_are_told_with_their_defaults():
    """README's table of settings is the Snakefile's."""
    source = (WORKFLOW / "Snakefile").read_text(encoding="utf-8")
    (block,) = re.findall(r"^SETTINGS = \{\n(.*?)^\}", source, re.M | re.S)
    names = re.findall(r'^    "(\w+)":', block, re.M)
    text = (WORKFLOW / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| `--config` |") :].split("\n\n")[0]
    told = [
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert sorted(told) == sorted(names)
    assert set(Settings.__dataclass_fields__) - {"collection", "model", "seed", "recompute"} <= set(
        names
    )
