"""BuildStream's cache on disk tells whether an artifact is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.build import find_built
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.cache import is_cached
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    Project,
)
from bstlogs import for_architecture
from hypothesis import given
from hypothesis import strategies as st


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer, its value shorter than 128 bytes or numbers."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A configuration whose cache holds mini/a/k: a directory with one file and a directory with another."""
    objects = tmp_path / "cache" / "cas" / "objects"

    def store(data: bytes) -> bytes:
        digest = hashlib.sha256(data).hexdigest()
        path = objects / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return field(1, digest.encode()) + field(2, len(data))

    inner = store(field(1, field(1, b"deep") + field(2, store(b"the deep file"))))
    top = store(
        field(1, field(1, b"file") + field(2, store(b"the file")) + field(4, 1))
        + field(2, field(1, b"directory") + field(2, inner))
        + field(3, field(1, b"link") + field(2, b"file"))
    )
    ref = tmp_path / "cache" / "artifacts" / "refs" / "mini" / "a" / "k"
    ref.parent.mkdir(parents=True)
    ref.write_bytes(field(1, 1) + field(2, 1) + field(5, b"strong" * 40) + field(8, top))
    config = tmp_path / "bst.conf"
    config.write_text(f"# ours\ncachedir: '{tmp_path}/cache' # here\nlogdir: /nowhere\n")
    return config


def test_a_whole_artifact_is_cached(cache: Path) -> None:
    assert is_cached(cache, "mini/a/k")


def test_an_artifact_nobody_made_is_not_cached(cache: Path) -> None:
    assert not is_cached(cache, "mini/b/k")


@pytest.mark.parametrize("content", [b"the file", b"the deep file"])
def test_an_artifact_that_lacks_one_file_is_not_cached(cache: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    (cache.parent / "cache" / "cas" / "objects" / digest[:2] / digest[2:]).unlink()
    assert not is_cached(cache, "mini/a/k")


@given(st.binary(max_size=64))
def test_a_broken_reference_is_not_cached(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    home = tmp_path_factory.mktemp("broken")
    (home / "cache" / "artifacts" / "refs").mkdir(parents=True)
    (home / "cache" / "artifacts" / "refs" / "k").write_bytes(data)
    (home / "bst.conf").write_text(f"cachedir: {home}/cache\n")
    assert not is_cached(home / "bst.conf", "k")


def test_the_default_cache_is_the_users(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").rename(tmp_path / "buildstream")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert is_cached(None, "mini/a/k")


def test_what_is_recorded_and_whole_need_not_be_built(cache: Path, tmp_path: Path) -> None:
    recorded = {("x86_64", "a.bst"): ("k", "mini/a/k"), ("x86_64", "gone.bst"): ("k", "mini/gone/k")}
    found = find_built(Project(tmp_path, cache), [for_architecture("x86_64", "a.bst", "gone.bst", "new.bst")], recorded)
    assert [(each.element, each.key, each.cached) for each in found] == [
        ("a.bst", "k", True),
        ("gone.bst", "k", False),
        ("new.bst", "", False),
    ]
