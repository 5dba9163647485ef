"""A checkpoint is there whole or not at all."""

import os
import shutil
import subprocess
import sys

import pytest

from flanlib.errors import RunError
from flanlib.training import checkpoint


def writer(text: str):
    def write(folder):
        (folder / "weights").write_text(text)
        (folder / "state").write_text("s")

    return write


def test_newest_is_found_and_older_ones_go(tmp_path):
    assert checkpoint.latest(tmp_path) is None
    for step in (1, 2, 10):
        checkpoint.save(tmp_path, step, writer(str(step)))
    step, folder = checkpoint.latest(tmp_path)
    assert step == 10 and (folder / "weights").read_text() == "10"
    assert [p.name for p in sorted(tmp_path.glob("step-*"))] == ["step-0000002", "step-0000010"]


def test_half_written_one_is_not_there(tmp_path):
    checkpoint.save(tmp_path, 1, writer("a"))

    def dies(folder):
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, 2, dies)
    assert (tmp_path / checkpoint.STAGING / "weights").exists()
    assert checkpoint.latest(tmp_path)[0] == 1
    assert not (tmp_path / checkpoint.STAGING).exists()


@pytest.mark.parametrize("spoil", ["change", "remove", "cut", "manifest"])
def test_damage_is_named_with_a_way_out(tmp_path, spoil):
    checkpoint.save(tmp_path, 1, writer("good"))
    file = checkpoint.save(tmp_path, 2, writer("good")) / "weights"
    if spoil == "change":
        file.write_text("gooD")
    elif spoil == "remove":
        file.unlink()
    elif spoil == "cut":
        os.truncate(file, 1)
    else:
        file = file.with_name(checkpoint.MANIFEST)
        file.write_text("{")
    with pytest.raises(RunError, match=f"{file}.*delete this folder to go on from"):
        checkpoint.latest(tmp_path)


def test_full_disk_keeps_what_was_there(tmp_path):
    """A real limit on file size: the system refuses the write."""
    code = f"""
import resource, signal
from pathlib import Path
from flanlib.training import checkpoint
path = Path({str(tmp_path)!r})
checkpoint.save(path, 1, lambda f: (f / "weights").write_text("small"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
checkpoint.save(path, 2, lambda f: (f / "weights").write_bytes(bytes(1 << 20)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RunError" in done.stderr and "the disk is full" in done.stderr
    assert "goes on from the last checkpoint" in done.stderr
    assert checkpoint.latest(tmp_path)[0] == 1
    assert not (tmp_path / checkpoint.STAGING).exists()


def test_second_process_is_told(tmp_path):
    code = (
        "import sys; from flanlib.training import checkpoint; from pathlib import Path\n"
        f"with checkpoint.locked(Path({str(tmp_path)!r})): pass"
    )

    def second():
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

    with checkpoint.locked(tmp_path):
        told = second()
    assert told.returncode == 1 and f"process {os.getpid()} is tuning" in told.stderr
    assert second().returncode == 0


def test_lock_on_a_folder_that_was_taken_away_is_not_held(tmp_path, monkeypatch):
    """The first holder ends, and removes the folder, between opening and locking."""
    path, flock = tmp_path / "run", checkpoint.fcntl.flock
    calls = []

    def slow(file, how):
        if not calls:
            shutil.rmtree(path)
        calls.append(file.name)
        flock(file, how)

    monkeypatch.setattr(checkpoint.fcntl, "flock", slow)
    with checkpoint.locked(path):
        assert (path / "lock").read_text() == str(os.getpid())
    assert len(calls) == 2


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match="file/run: cannot be written"),
        checkpoint.locked(tmp_path / "file" / "run"),
    ):
        pass


def test_folder_stands_beside_the_outputs(tmp_path):
    assert checkpoint.folder(tmp_path / "run") == tmp_path / "run.checkpoints"
