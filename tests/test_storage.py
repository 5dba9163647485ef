"""Files are written whole or not at all, and never over what was not meant."""

import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from flanlib.core import folders, storage
from flanlib.core.errors import DataError, ParameterError


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
        "import sys; from pathlib import Path; from flanlib.core import storage\n"
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


# Devices, pipes and outputs of the shell ---------------------------------------------------------


def device(path, minor):
    """A character device of its own: 3 swallows all, 7 is always full."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        path.open("w").close()
    except OSError:
        pytest.skip("no devices can be made here")


def test_a_device_is_written_into(tmp_path):
    device(tmp_path / "null", 3)
    storage.write(tmp_path / "null", "gone")
    assert (tmp_path / "null").is_char_device() and storage.special(tmp_path / "null")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_device_is_named(tmp_path):
    device(tmp_path / "full", 7)
    with pytest.raises(OSError, match="No space") as caught:
        storage.write(tmp_path / "full", "x")
    assert caught.value.filename == str(tmp_path / "full")
    assert (tmp_path / "full").is_char_device()


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no /dev/fd here")
def test_an_open_file_of_the_process_is_added_to(tmp_path):
    """As with `--out /dev/stdout > file`: what the shell or another command wrote stays."""
    with (tmp_path / "file").open("w") as file:
        file.write("before\n")
        file.flush()
        storage.write(f"/dev/fd/{file.fileno()}", "text\n")
    assert (tmp_path / "file").read_text() == "before\ntext\n"
    reader, writer = os.pipe()
    storage.write(f"/dev/fd/{writer}", "through")
    os.close(writer)
    with open(reader) as file:
        assert file.read() == "through"


def test_a_link_to_a_pipe_is_written_into(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    storage.write(tmp_path / "link", "through")
    reader.join(10)
    assert got == ["through"] and (tmp_path / "link").is_symlink()


# Files together, and what is left behind ---------------------------------------------------------


def test_files_come_together_or_not_at_all(tmp_path):
    names = [tmp_path / name for name in ("a", "b", "c")]
    for name in names:
        name.write_text("old")
    with pytest.raises(RuntimeError), storage.together() as new:
        for name in names:
            new(name).write("new")
        raise RuntimeError
    with pytest.raises(ParameterError), storage.together() as new:
        new(names[0]).write("new")
        new(tmp_path).write("a folder")
    assert [name.read_text() for name in names] == ["old"] * 3
    with storage.together() as new:
        for name in names:
            new(name).write("new")
            assert name.read_text() == "old"
    assert [name.read_text() for name in names] == ["new"] * 3
    assert sorted(tmp_path.iterdir()) == names


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    code = (
        "import os, sys; from flanlib.core import storage\n"
        "with storage.writing(sys.argv[1]) as file: os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    other = tmp_path / left.name.replace("a.txt", "b.txt")
    other.write_text("of another file")
    with storage.writing(path) as file:  # what is being written is no leftover
        file.write("outer")
        storage.write(path, "inner")
        assert not left.exists()
    assert path.read_text() == "outer" and sorted(tmp_path.iterdir()) == [other, path]


@pytest.mark.parametrize("name", ["x" * 250, "語" * 80, "a.b.part", ".hidden", "new\nline"])
def test_names_of_any_kind(tmp_path, name):
    for text in ("one", "two"):
        storage.write(tmp_path / name, text)
    assert (tmp_path / name).read_text() == "two" and len(list(tmp_path.iterdir())) == 1


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("mine")
    (tmp_path / "a").chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, how: os.stat(path).st_mode & 0o222 != 0)
    with pytest.raises(PermissionError) as caught:
        storage.write(tmp_path / "a", "x")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize("library", ["safetensors", "torch"])
def test_a_full_disk_is_named_whatever_library_writes(tmp_path, library):
    """A real limit on the size of files, and libraries that raise errors of their own."""
    lines = {
        "safetensors": "safetensors.numpy.save_file({'a': numpy.ones(99999)}, at / 'x')",
        "torch": "torch.save(torch.ones(99999), at / 'x')",
    }
    code = (
        f"import resource, numpy\n{'import safetensors.numpy' * (library == 'safetensors')}\n"
        f"{'import torch' * (library == 'torch')}\nfrom flanlib.core import folders\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        f"with folders.filling({str(tmp_path / 'out')!r}) as at:\n    {lines[library]}\n"
    )
    (tmp_path / "out").mkdir()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("OSError") and str(tmp_path / "out") in last
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and not any((tmp_path / "out").iterdir())


# Folders that are whole or absent ----------------------------------------------------------------


def put(path, text="x", owned=lambda folder: ["a"]):
    with folders.filling(path, owned) as part:
        (part / "a").write_text(text)


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "out"
    put(out, "old")
    with pytest.raises(RuntimeError), folders.filling(out, folders.files) as part:
        (part / "a").write_text("half")
        raise RuntimeError
    assert (out / "a").read_text() == "old" and [*out.parent.iterdir()] == [out]
    put(out, "new")
    assert (out / "a").read_text() == "new" and [*out.parent.iterdir()] == [out]


def test_a_folder_with_anything_else_is_not_replaced(tmp_path):
    put(tmp_path / "out")
    (tmp_path / "out" / "deep").mkdir()
    (tmp_path / "out" / "deep" / "mine.txt").write_text("mine")
    with pytest.raises(ParameterError, match=r"out: holds deep/mine\.txt, which was not written"):
        put(tmp_path / "out")
    with pytest.raises(ParameterError, match="holds a, "), folders.filling(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "deep" / "mine.txt").read_text() == "mine"


def test_what_is_put_into_a_folder_meanwhile_is_not_lost(tmp_path):
    put(tmp_path / "out")
    told = pytest.raises(ParameterError, match="holds b")
    with told, folders.filling(tmp_path / "out", lambda folder: ["a"]) as part:
        (part / "a").write_text("x")
        (tmp_path / "out" / "b").write_text("mine")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "b"]


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    (tmp_path / "later").symlink_to("not-yet")
    put(tmp_path / "link")
    put(tmp_path / "later")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "store" / "a").exists()
    assert (tmp_path / "later").is_symlink() and (tmp_path / "not-yet" / "a").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "/", "file", "pipe", "loop", "nul\0byte", "/proc"])
@pytest.mark.parametrize("use", [put, folders.make])
def test_what_is_no_place_for_a_folder_is_refused(tmp_path, name, use, monkeypatch):
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / ("in" if name.startswith(".") else "."))
    if use is folders.make and name in (".", "..", "/proc"):
        folders.make(name)  # there already; what goes into it is another matter
    else:
        with pytest.raises(ParameterError):
            use(name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "in", "loop", "pipe"]
    assert (tmp_path / "file").read_text() == "mine"


def test_folders_put_at_once_leave_one_whole_folder(tmp_path):
    threads = [
        threading.Thread(target=put, args=(tmp_path / "out", str(n) * 1000)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "out" / "a").read_text() in [str(n) * 1000 for n in range(8)]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
