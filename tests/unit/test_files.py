from __future__ import annotations

import hashlib
import threading

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import (
    hash_file,
    link_atomic,
    move_synced,
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
