"""Files are written whole or not at all, and never over what was not meant."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from flanlib import storage
from flanlib.errors import DataError, ParameterError


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    storage.write(path, "old")
    with pytest.raises(RuntimeError), storage.writing(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_path_that_was_given(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError) as caught, storage.writing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, storage.writing(tmp_path / "a.txt"):
        (tmp_path / "absent").read_text()
    assert caught.value.filename == str(tmp_path / "absent")


def test_a_link_stays_and_its_target_changes(tmp_path):
    real, link = tmp_path / "store" / "real", tmp_path / "link"
    real.parent.mkdir()
    real.write_text("old")
    link.symlink_to(real)
    storage.write(link, "new")
    assert link.is_symlink() and real.read_text() == "new"


def test_a_dangling_link_gets_its_target(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "later")
    storage.write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "later").read_text() == "x"


def test_a_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    storage.write(pipe, "through")
    reader.join(10)
    assert got == ["through"] and pipe.is_fifo()


def test_the_mode_of_a_file_is_kept(tmp_path):
    path = tmp_path / "a"
    path.write_text("x")
    path.chmod(0o640)
    storage.write(path, b"y")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["", ".", "/", "folder", "folder/", "new/", "nul\0byte", "loop"])
def test_what_is_no_file_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ParameterError):
        storage.write(name, "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "loop"]


def test_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "a"
    texts = [str(n) * 100_000 for n in range(8)]
    threads = [threading.Thread(target=storage.write, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]


def test_processes_wait_for_a_lock(tmp_path):
    code = (
        "import sys; from pathlib import Path; from flanlib import storage\n"
        "for _ in range(50):\n"
        "    with storage.locked(sys.argv[1]):\n"
        "        file = Path(sys.argv[1], 'n'); n = int(file.read_text()); file.write_text(str(n+1))"
    )
    (tmp_path / "n").write_text("0")
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [p.wait() for p in running] == [0, 0, 0]
    assert (tmp_path / "n").read_text() == "150"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_damaged_json_names_file_and_remedy(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json: .*; delete it"):
        storage.read_json(path, "delete it")
