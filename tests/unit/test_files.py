from __future__ import annotations

import hashlib
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import (
    CHUNK,
    copy_hashed,
    hash_file,
    link_atomic,
    make_directory,
    make_scratch,
    move_synced,
    open_below,
    replace_file,
    write_atomic,
)


def test_content_and_mode_are_set(tmp_path):
    write_atomic(tmp_path / "f", b"new", mode=0o600)
    assert (tmp_path / "f").read_bytes() == b"new"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_a_failure_leaves_the_old_content_and_no_temporary_file(tmp_path):
    target = tmp_path / "f"
    target.write_text("old")

    def fail_half_way():
        with replace_file(target) as stream:
            stream.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_link_never_dangles_while_it_moves(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "current"
    link_atomic(link, "a")
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(link.read_text())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(100):
        link_atomic(link, "b")
        link_atomic(link, "a")
    stop.set()
    watcher.join()
    assert seen <= {"a", "b"}
    assert seen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "current"]


def test_the_digest_of_a_file_larger_than_a_chunk(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"a" * 3_000_000)
    assert hash_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_complete_file_takes_its_place(tmp_path):
    (tmp_path / "new").write_bytes(b"whole")
    (tmp_path / "place").write_bytes(b"old")
    move_synced(tmp_path / "new", tmp_path / "place")
    assert (tmp_path / "place").read_bytes() == b"whole"
    assert not (tmp_path / "new").exists()


def in_a_child(work):
    """Run ``work`` in a process that waits at its end; end that process without a chance to tidy up."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with work():
            os.write(tell, b"x")
            signal.pause()
        os._exit(1)
    os.read(ready, 1)
    for descriptor in (ready, tell):
        os.close(descriptor)
    return child


def end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    target = tmp_path / "f"
    for _ in range(3):
        end(in_a_child(lambda: replace_file(target)))
        assert len(list(tmp_path.iterdir())) == 1
    write_atomic(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_writer_that_still_runs_loses_nothing_to_the_next(tmp_path):
    target = tmp_path / "f"
    with replace_file(target) as slow:
        slow.write(b"slow")
        with replace_file(target) as other:
            other.write(b"other")
            write_atomic(target, b"quick")
        assert target.read_bytes() == b"other"
    assert target.read_bytes() == b"slow"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_link_in_the_place_of_the_temporary_file_leads_nowhere(tmp_path):
    (tmp_path / ".f.00000000.tmp").symlink_to(tmp_path / "elsewhere")
    write_atomic(tmp_path / "f", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_scratch_directories_of_killed_processes_go_and_those_in_use_stay(tmp_path):
    child = in_a_child(lambda: make_scratch("work-", directory=tmp_path))
    with make_scratch("work-", directory=tmp_path) as mine:
        (mine / "f").write_text("x")
        assert len(list(tmp_path.iterdir())) == 2
        end(child)
        with make_scratch("work-", directory=tmp_path):
            assert len(list(tmp_path.iterdir())) == 2
        assert (mine / "f").read_text() == "x"
    assert list(tmp_path.iterdir()) == []


def test_many_make_scratch_directories_at_once(tmp_path):
    def make(_number):
        with make_scratch("work-", directory=tmp_path) as mine:
            (mine / "f").touch()
            return mine.name

    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(make, range(400)))) == 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_directories_and_files_have_their_modes_whatever_the_umask_is(tmp_path, mask):
    (tmp_path / "there").mkdir(mode=0o700)
    before = os.umask(mask)
    try:
        make_directory(tmp_path / "there/a/b")
        make_directory(tmp_path / "there/a/b", mode=0o700)
        write_atomic(tmp_path / "there/a/b/open", b"")
        write_atomic(tmp_path / "there/a/b/secret", b"", mode=0o600)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"there": 0o700, "a": 0o755, "b": 0o755, "open": 0o644, "secret": 0o600}


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(OSError, match="f"):
        make_directory(tmp_path / "f/below")


def test_a_copy_is_hashed_and_has_holes_where_there_are_zeros(tmp_path):
    content = b"a" + bytes(5 * CHUNK) + b"b" + bytes(3 * CHUNK)
    (tmp_path / "source").write_bytes(content)
    read = []
    with open(tmp_path / "source", "rb", buffering=0) as reader, replace_file(tmp_path / "copy") as writer:
        size, digest = copy_hashed(reader, writer, on_read=read.append)
    assert (tmp_path / "copy").read_bytes() == content
    assert (size, digest) == (len(content), hashlib.sha256(content).hexdigest())
    assert (tmp_path / "copy").stat().st_blocks * 512 <= 3 * CHUNK
    assert read[-1] == size


def test_what_is_opened_below_a_directory_is_there_and_nowhere_else(tmp_path):
    (tmp_path / "top/below").mkdir(parents=True)
    (tmp_path / "top/below/file").write_bytes(b"right")
    (tmp_path / "top/link").symlink_to("below")
    (tmp_path / "top/name").symlink_to("below/file")
    with open(open_below(tmp_path / "top", "below/file"), "rb") as stream:
        assert stream.read() == b"right"
    (tmp_path / "file").write_bytes(b"wrong")
    wrong = ("../file", "below/../../file", str(tmp_path / "file"), "below//file", "")
    for path in ("link/file", "name", "below", "nowhere/file", "below/file/more", *wrong):
        with pytest.raises(OSError):  # noqa: PT011  # of several kinds
            open_below(tmp_path / "top", path)
