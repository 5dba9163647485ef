"""A sweep on a real Slurm: two jobs are killed, and the records are those of a plain run.

Starts munge, a Slurm controller and a node on the loopback address, all below
one folder, and runs the Snakefile with the slurm profile in a clone of this
repository: a micro model, two clusters held out, two seeds. One tuning job is
cancelled half way (`scancel`), another loses its process (`kill -9`). Then the
same study runs in a second clone, in one process and without Snakemake, and
the records of the two are compared, all but clock times.

    python workflow/slurm_test.py --snakemake PATH/bin/snakemake

needs Debian's slurmctld, slurmd, slurm-client and munge, root, flanlib in
this Python, and Snakemake with its slurm plugin, which may be in an
environment of its own. The record goes to data/benchmarks/slurm.json; status
1 if the sweep failed or a record differs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "data" / "benchmarks" / "slurm.json"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo", "git")
SWEEP = {"models": "micro-300k", "held_out": "nli,sentiment", "seeds": "1,2", "figures": "fig5"}
KILLS = ("scancel", "kill -9")
AFTER_STEP = 150  # of 800; checkpoints are 50 steps apart
CLOCK = ("started", "wall_s", "tuning")  # what records of equal runs may differ in
LIMIT_S = 40 * 60
PLAIN = """
from flanlib.studies.study import open_study
for seed in ({seeds},):
    open_study(model={models!r}, held_out={held_out!r}, seed=seed).ensure(jobs=1)
"""
USUAL = Path("/etc/slurm/slurm.conf")  # where jobs look: SLURM_* variables do not reach them
CONFIGURATION = """
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={at}/munge/socket
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd.pid
SlurmctldLogFile={at}/slurmctld.log
SlurmdLogFile={at}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={at}/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=16000 State=UNKNOWN
PartitionName=loopback Nodes=localhost Default=YES MaxTime=120 State=UP
"""


def main() -> int:
    """Run both, compare, write the record."""
    given = _arguments()
    if missing := [name for name in (*NEEDED, given.snakemake) if not shutil.which(name)]:
        print(f"not here: {', '.join(missing)}; install slurmctld, slurmd, slurm-client, munge")
        return 2
    at = given.at.resolve()
    shutil.rmtree(at, ignore_errors=True)
    clones = {name: _clone(at / name) for name in ("sweep", "plain")}
    with _slurm(at, given.cpus):
        swept = _sweep(given.snakemake, clones["sweep"], at)
    say("the same runs in one process")
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", PLAIN.format(**SWEEP)],
        cwd=clones["plain"],
        env=_environment(clones["plain"]),
        check=True,
    )
    plain_s = round(time.monotonic() - began)
    differences, n = _compare(*clones.values())
    record = {
        "command": "workflow/slurm_test.py --snakemake snakemake",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _output("git", "-C", str(clones["sweep"]), "rev-parse", "--short=12", "HEAD"),
        "versions": {
            "slurm": _output("slurmctld", "-V").split()[-1],
            "snakemake": _output(given.snakemake, "--version"),
        },
        "sweep": SWEEP,
        "node": {"address": "127.0.0.1", "cpus": given.cpus},
        **swept,
        "plain_wall_s": plain_s,
        "records": n,
        "compared": f"every field but {' and '.join(CLOCK)}",
        "differences": differences,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))
    good = swept["status"] == 0 and n and not differences and len(swept["kills"]) == len(KILLS)
    return 0 if good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--snakemake", default="snakemake", help="the command (default: on PATH)")
    parser.add_argument("--at", type=Path, default=ROOT / "build" / "slurm", help="folder, emptied")
    parser.add_argument("--cpus", type=int, default=2, help="of the node: jobs at a time")
    return parser.parse_args()


def say(line: str) -> None:
    """A progress line."""
    print(f"[slurm_test] {line}", file=sys.stderr, flush=True)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _clone(at: Path) -> Path:
    """What is committed, so that records and figures of this checkout stay as they are."""
    _output("git", "clone", "--quiet", "--shared", str(ROOT), str(at))
    return at


def _environment(clone: Path) -> dict[str, str]:
    """So that `flanlib` is this Python's command with the clone's code and folders."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    here = {"PATH": path, "PYTHONPATH": str(clone), "FLANLIB_ROOT": str(clone)}
    return {**os.environ, **here, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@contextmanager
def _slurm(at: Path, cpus: int) -> Iterator[None]:
    """Munge, controller and node, running."""
    for name in ("munge", "state", "spool"):
        (at / name).mkdir(parents=True, mode=0o700)
    key, configuration = at / "munge" / "key", at / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    configuration.write_text(CONFIGURATION.format(at=at, cpus=cpus))
    if USUAL.exists():
        raise SystemExit(f"slurm_test: {USUAL} is there: this machine has a Slurm of its own")
    USUAL.unlink(missing_ok=True)
    USUAL.symlink_to(configuration)
    munge = {"key-file": key, "socket": at / "munge" / "socket", "pid-file": at / "munged.pid"}
    munge |= {"log-file": at / "munge" / "log", "seed-file": at / "munge" / "seed"}
    try:
        _output("munged", "--force", *(f"--{name}={value}" for name, value in munge.items()))
        _output("slurmctld", "-c")
        _output("slurmd", "-c", "-N", "localhost")
        _wait(lambda: "idle" in _output("sinfo", "-h", "-o", "%T"), 60, "the node is not idle")
        say(_output("sinfo"))
        yield
    finally:
        USUAL.unlink()
        for name in ("slurmd", "slurmctld", "munged"):
            if (at / f"{name}.pid").is_file():
                os.kill(int((at / f"{name}.pid").read_text()), signal.SIGTERM)
        time.sleep(2)


def _wait(happened: Callable[[], bool], limit_s: float, otherwise: str) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        if time.monotonic() > end:
            raise SystemExit(f"slurm_test: after {limit_s} s {otherwise}")
        time.sleep(0.5)


def _sweep(snakemake: str, clone: Path, at: Path) -> dict:
    """The sweep with its kills: how it ended, and every Slurm job."""
    command = [
        *(snakemake, "--profile", "workflow/profiles/slurm"),
        *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5"),
        *("--latency-wait", "10", "--config", *(f"{k}={v}" for k, v in SWEEP.items())),
    ]
    say(" ".join(command))
    began, kills = time.monotonic(), []
    with (at / "snakemake.log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=clone, env=_environment(clone), stdout=log, stderr=log
        )
        while running.poll() is None:
            if time.monotonic() - began > LIMIT_S:
                running.terminate()
            if len(kills) < len(KILLS) and (found := _half_way(clone, [k["run"] for k in kills])):
                kills.append(_kill(KILLS[len(kills)], *found))
            time.sleep(0.5)
    for kill in kills:
        text = (clone / "build" / "sweep" / "log" / f"{kill['run']}.log").read_text()
        kill["gone_on_after_step"] = _last(r"going on after step (\d+)", text)
    reports = (clone / "build" / "sweep" / "report").glob("*/index.html")
    return {
        "status": running.returncode,
        "wall_s": round(time.monotonic() - began),
        "kills": kills,
        "slurm_jobs": _jobs(at / "jobs.txt"),
        "reports": len(list(reports)),
    }


def _half_way(clone: Path, killed: list[str]) -> tuple[str, int] | None:
    """A run in the middle of tuning, and its step; none that was killed before."""
    for path in sorted((clone / "build" / "sweep" / "log").glob("*.log")):
        step = _last(r"step (\d+)/", path.read_text())
        if path.stem not in killed and step >= AFTER_STEP and "scoring" not in path.read_text():
            return path.stem, step
    return None


def _last(pattern: str, text: str) -> int:
    """The last number that a log tells; 0 if none."""
    return int(["0", *re.findall(pattern, text)][-1])


def _kill(how: str, run: str, step: int) -> dict:
    """Cancel a run's Slurm job, or kill the process that does its work."""
    if how == "scancel":
        rows = [line.split("|") for line in _output("squeue", "-h", "-o", "%i|%k").splitlines()]
        (job,) = [number for number, comment in rows if comment.endswith(run)]
        _output("scancel", job)
    else:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if words[2:4] == ["work", run]:
                os.kill(int(path.parent.name), signal.SIGKILL)
    say(f"{how}: run {run} after step {step}")
    return {"how": how, "run": run, "after_step": step}


def _jobs(path: Path) -> list[dict[str, str]]:
    """What Slurm's own book says of every job: number, state, seconds."""
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in path.read_text().splitlines()]
    return [
        {key: row.get(key, "") for key in ("JobId", "JobState", "StartTime", "EndTime")}
        for row in rows
    ]


def _compare(one: Path, other: Path) -> tuple[list[str], int]:
    """Records that are not equal in all but clock times; how many there are."""
    found = []
    for clone in (one, other):
        records = {}
        for arm in ("base", "tuned"):
            path = clone / "data" / "results" / "micro" / f"{arm}.jsonl"
            for line in map(json.loads, path.read_text().splitlines()):
                if line["factors"]["model"] == SWEEP["models"]:
                    key = f"{line['run_id']} {line['task']} {json.dumps(line['scoring'])}"
                    records[key] = {k: v for k, v in line.items() if k not in CLOCK}
        found.append(records)
    first, second = found
    return [k for k in {**first, **second} if first.get(k) != second.get(k)], len(first)


if __name__ == "__main__":
    sys.exit(main())
