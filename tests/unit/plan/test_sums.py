"""The checksums that came with files from elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.sums import read_sums

DIGEST = "a" * 64


@pytest.mark.parametrize("words", [["sha256sum"], ["sha256sum", "--binary"]])
def test_what_sha256sum_writes_is_read(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a b.raw", "below/c.raw"):
        (tmp_path / name).write_bytes(b"x")
    done = subprocess.run([*words, "a b.raw", "./below/c.raw"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "SUMS").write_bytes(done.stdout + b"\n")
    digest = subprocess.run(["sha256sum", tmp_path / "a b.raw"], check=True, capture_output=True).stdout[:64].decode()
    assert read_sums(tmp_path, "SUMS") == {"a b.raw": digest, "below/c.raw": digest}
    (tmp_path / "SUMS").rename(tmp_path / "below/SUMS")
    assert set(read_sums(tmp_path, "below/SUMS")) == {"below/a b.raw", "below/below/c.raw"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"abc  x.raw\n", "line 1 is not a SHA-256 with two blanks"),
        (f"{DIGEST}  x\nSHA256 (y) = {DIGEST}\n".encode(), "line 2 is not a SHA-256"),
        (f"\\{DIGEST}  a\\nb\n".encode(), "line 1 is not a SHA-256"),
        (f"{DIGEST}  x\n{'b' * 64} *x\n".encode(), "line 2 has another digest for 'x' than a line before it"),
        (b"\xff", "it is not text"),
    ],
)
def test_another_form_is_refused_by_its_line(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "SUMS").write_bytes(content)
    with pytest.raises(SlipwayError, match=why):
        read_sums(tmp_path, "SUMS")


def test_a_file_that_cannot_be_read_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "directory").mkdir()
    for path in ("nowhere", "link", "directory", "../x"):
        with pytest.raises(SlipwayError, match="Could not read the checksums in"):
            read_sums(tmp_path, path)
