"""The policy of runs and threads: affinity, cgroups, OMP_NUM_THREADS, and other processes."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
import torch

from flanlib.core import devices, threads


@pytest.mark.parametrize(
    ("cores", "busy", "asked", "jobs", "at_a_time", "runs", "each"),
    [
        (2, 0.0, "", 5, 0, 2, 1),  # runs first
        (2, 0.1, "", 1, 0, 1, 2),  # a run by itself has what is free
        (2, 1.0, "", 1, 0, 1, 1),  # beside a busy process two threads would wait
        (2, 1.0, "", 5, 0, 1, 1),
        (2, 2.6, "", 5, 0, 1, 1),
        (16, 0.0, "", 9, 0, 4, 4),
        (16, 8.2, "", 9, 0, 4, 2),
        (16, 0.0, "", 9, 2, 2, 8),
        (2, 0.0, "", 9, 3, 3, 1),  # as the user asks
        (16, 0.0, "8", 9, 0, 2, 8),
        (2, 0.0, "1", 1, 0, 1, 1),
        (2, 1.0, "2", 5, 0, 1, 2),
        (1.5, 0.0, "", 5, 0, 2, 1),  # a quota, rounded
        (0.5, 0.0, "", 5, 0, 1, 1),
        (8, 0.0, "many", 1, 0, 1, 8),
        (8, 0.0, "2,1", 1, 0, 1, 2),
    ],
)
def test_what_is_free_goes_to_runs_first(
    monkeypatch, cores, busy, asked, jobs, at_a_time, runs, each
):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    machine = threads.Machine(cores=cores, busy=busy, device="cpu")
    found = threads.share(jobs, at_a_time, machine)
    assert (found.runs, found.threads) == (runs, each)
    assert ("OMP_NUM_THREADS" in found.why) == asked.replace(",", "").isdecimal()


def test_a_gpu_has_one_run_at_a_time(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = {
        device: threads.share(9, machine=threads.Machine(cores=16, busy=0.0, device=device)).runs
        for device in ("cpu", "cuda")
    }
    assert found == {"cpu": 4, "cuda": 1}


def test_this_machine_is_what_is_measured_here():
    here = threads.this_machine()
    assert here.cores == threads.cores() and here.device == devices.default() and here.busy >= 0


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1.0),
        ("0::/\n", {"cpu.max": "max 100000"}, 0.0),
        ("0::/\n", {}, 0.0),
        (
            "4:cpu,cpuacct:/c\n0::/\n",
            {"cpu/c/cpu.cfs_quota_us": "50000", "cpu/c/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        (
            "4:cpu:/c\n",
            {"cpu/c/cpu.cfs_quota_us": "-1", "cpu/c/cpu.cfs_period_us": "100000"},
            0.0,
        ),
        ("4:memory:/c\n", {"memory/c/cpu.max": "50000 100000"}, 0.0),
        ("0::/a\n", {"a/cpu.max": "nonsense"}, 0.0),
    ],
)
def test_cgroups_of_both_versions_are_read(tmp_path, own, files, cores):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (tmp_path / "own").write_text(own)
    assert threads.quota(tmp_path / "groups", tmp_path / "own") == cores


def test_a_machine_without_cgroups_has_no_quota(tmp_path):
    assert threads.quota(tmp_path, tmp_path / "none") == 0


def turn(seconds):
    """Keep a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_another_process_uses_is_seen():
    process = multiprocessing.get_context("spawn").Process(target=turn, args=(30,))
    process.start()
    try:
        time.sleep(2)  # until it has started
        assert threads.others(look_s=1.0) > 0.3
    finally:
        process.kill()
        process.join()


def test_threads_are_taken_back_after_a_run():
    before = torch.get_num_threads()
    with threads.limited(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_the_share_is_told_in_words():
    found = threads.Share(runs=2, threads=1, why="2 cores, of which other processes use 0.0")
    assert threads.told(found).startswith("2 runs at a time with 1 thread each (2 cores, of")


@pytest.mark.skipif(sys.platform != "linux", reason="torch comes with libgomp on Linux")
@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "77"}, "77"),
        ({"OMP_WAIT_POLICY": "active"}, None),  # as OpenMP has it
    ],
)
def test_threads_that_wait_go_to_sleep_soon(given, spins):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", "import flanlib, torch"],
        env={**kept, **given, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line.split("'")[1] for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    assert told and (told[0] == spins if spins else int(told[0]) > 10**6)
