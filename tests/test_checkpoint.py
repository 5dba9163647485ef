"""A checkpoint is there whole or not at all."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from flanlib.core.errors import RunError
from flanlib.models.manifest import MANIFEST, verify
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
    assert checkpoint.latest(tmp_path)[0] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000001"]


def test_a_copy_beside_the_checkpoints_is_none(tmp_path):
    checkpoint.save(tmp_path, 1, writer("a"))
    for name in ("step-0000002 (copy)", "step-x", ".step-0000003.part"):
        shutil.copytree(tmp_path / "step-0000001", tmp_path / name)
    assert checkpoint.latest(tmp_path)[0] == 1


@pytest.mark.parametrize("spoil", ["change", "remove", "cut", "{", "", "[]", "\0", '{"state": 1}'])
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
        manifest = file.with_name(MANIFEST)
        manifest.write_text(spoil)
        file = file.with_name("state") if "state" in spoil else manifest
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
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000001"]


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


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    code = (
        "import os, signal; from flanlib.training import checkpoint; from pathlib import Path\n"
        f"with checkpoint.locked(Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    assert (tmp_path / checkpoint.HOLDER).exists()
    with checkpoint.locked(tmp_path):
        assert (tmp_path / checkpoint.HOLDER).read_text() == str(os.getpid())


def test_lock_on_a_folder_that_was_taken_away_is_not_held(tmp_path, monkeypatch):
    """The first holder ends and removes the folder just before the second asks for the lock."""
    path, acquire, calls = tmp_path / "run", checkpoint.FileLock.acquire, []

    def slow(lock):
        if not calls:
            shutil.rmtree(path)
        calls.append(lock)
        return acquire(lock)

    monkeypatch.setattr(checkpoint.FileLock, "acquire", slow)
    told = pytest.raises(RunError, match=f"process {os.getpid()} is tuning")
    with checkpoint.locked(path), told, checkpoint.locked(path):
        pass


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match="file/run: cannot be written"),
        checkpoint.locked(tmp_path / "file" / "run"),
    ):
        pass


def test_checkpoints_of_another_run_or_a_damaged_note_are_refused(tmp_path):
    checkpoint.claim(tmp_path, {"run_id": "a"})
    checkpoint.claim(tmp_path, {"run_id": "a"})
    with pytest.raises(RunError, match="checkpoints of another run"):
        checkpoint.claim(tmp_path, {"run_id": "b"})
    for damage in ("", "{", "[]", "null", '"text"'):
        (tmp_path / "run.json").write_text(damage)
        with pytest.raises(RunError, match=r"run\.json: .*; delete .* and tune from"):
            checkpoint.claim(tmp_path, {"run_id": "a"})


def test_the_card_may_be_edited_and_other_files_may_not(tmp_path):
    out = tmp_path / "run"

    def write(folder):
        (folder / "README.md").write_text("card")
        (folder / "weights").write_text("w")

    checkpoint.whole(out, write)
    (out / "README.md").write_text("another card")
    verify(out, "tune again")
    manifest = json.loads((out / MANIFEST).read_text())
    assert set(manifest) == {"weights"}
    (out / MANIFEST).write_text(json.dumps({**manifest, "README.md": "0" * 64}))
    verify(out, "tune again")  # of a run that listed its card
    (out / "weights").write_text("x")
    with pytest.raises(RunError, match="weights: is damaged"):
        verify(out, "tune again")


def test_folder_stands_beside_the_outputs(tmp_path):
    assert checkpoint.folder(tmp_path / "run") == tmp_path / "run.checkpoints"
