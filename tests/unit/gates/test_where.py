"""What differs is told down to the file in an image, the sources that changed and the elements that use them."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.where import (
    Limits,
    find_changed_sources,
    has_diffoscope,
    locate_difference,
    order_names,
)
from spdxbills import write_bill


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_files_in_an_archive_that_differ_are_named_and_diffoscope_shows_them(tmp_path: Path) -> None:
    published = pack(tmp_path / "a.tar.gz", {"etc/hello": b"hello\n", "etc/same": b"", "old": b""})
    made = pack(tmp_path / "b.tar.gz", {"etc/hello": b"hallo\n", "etc/same": b"", "new": b""})
    (tmp_path / "scratch").mkdir()
    found = locate_difference(
        *(published, made), name="x.tar.gz", kind="tar", scratch=tmp_path / "scratch", reports=tmp_path, limits=Limits()
    )
    assert found.paths == {
        "etc/hello": "differs", "new": "was made, and is not published", "old": "is published, and was not made",
    }  # fmt: skip
    assert found.tell({"etc/hello": "hello.bst"})[0] == "x.tar.gz: etc/hello differs, which hello.bst makes"
    assert "hallo" in (tmp_path / "difference-x.tar.gz.txt").read_text()
    assert (tmp_path / "difference-x.tar.gz.html").is_file()


def test_of_two_bills_the_components_that_differ_are_named(tmp_path: Path) -> None:
    published = write_bill(
        tmp_path / "a", {"base": ("1", "MIT"), "figlet": ("2.2.5", "BSD-3-Clause"), "old": ("1", "MIT")}
    )
    made = write_bill(tmp_path / "b", {"base": ("1", "MIT"), "figlet": ("2.2.6", "MIT"), "new": ("1", "MIT")})
    name = "x-tiny.spdx.json"
    found = locate_difference(
        *(published, made), name=name, kind="bill", scratch=tmp_path, reports=tmp_path, limits=Limits()
    )
    assert found.tell({}) == [
        f"{name}: figlet:amd64 was 2.2.5 BSD-3-Clause, is 2.2.6 MIT",
        f"{name}: new:amd64 was made, and is not published",
        f"{name}: old:amd64 is published, and was not made",
    ]


def test_what_says_most_is_looked_into_first() -> None:
    names = ["x-b.cdx.json", "x-a.img.gz", "x-b.tar.gz", "x-a.cdx.json", "x-a.tar.gz", "x-b.spdx.json"]
    assert order_names(names) == [
        "x-b.spdx.json", "x-a.tar.gz", "x-b.tar.gz", "x-a.img.gz", "x-a.cdx.json", "x-b.cdx.json"
    ]  # fmt: skip


def test_that_diffoscope_is_missing_is_no_fault_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published, made = (pack(tmp_path / f"{each}.tar.gz", {"x": each.encode()}) for each in "ab")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = locate_difference(
        *(published, made), name="x.tar.gz", kind="tar", scratch=tmp_path / "scratch", reports=tmp_path, limits=Limits()
    )
    assert (found.tell({}), has_diffoscope()) == (["x.tar.gz: x differs"], False)


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"cut off" * 100, mtime=0)[:40]])
def test_what_is_no_image_is_told_and_no_failure(tmp_path: Path, content: bytes) -> None:
    published = pack(tmp_path / "a.tar.gz", {"x": b"1"})
    made = tmp_path / "made"
    made.write_bytes(content)
    (tmp_path / "scratch").mkdir()
    limits = Limits(seconds=0.0)  # nothing more is asked of diffoscope
    found = locate_difference(
        *(published, made), name="x.tar.gz", kind="tar", scratch=tmp_path / "scratch", reports=tmp_path, limits=limits
    )
    assert found.note or found.paths == {"x": "is published, and was not made"}


def test_sources_of_two_commits_are_compared_and_elements_that_use_them_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "definitions"
    (top / "files/base").mkdir(parents=True)
    (top / "elements").mkdir()
    (top / "elements/base.bst").write_text("kind: import\nsources:\n- kind: local\n  path: files/base\n")
    commits = []

    def git(*words: str) -> str:
        who = ["-c", "user.name=D", "-c", "user.email=d@example.org"]
        return subprocess.run(["git", *who, *words], cwd=top, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for day, byte in enumerate("ab", 1):
        (top / "files/base/README").write_text(byte)
        git("add", "-A")
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2026-11-0{day}T13:00:00+0200")
        git("commit", "-qm", byte)
        commits.append(git("rev-parse", "HEAD"))
    told, dates = find_changed_sources(str(top), (commits[0], commits[1]), elements=top)
    assert told.startswith("source: files/base/README differs between ")
    assert told.endswith(", used by elements/base.bst")
    assert "2026-11-01T11:00:00Z and 2026-11-02T11:00:00Z" in dates
    assert find_changed_sources(str(top), (commits[0], commits[0])) == []
    assert find_changed_sources(str(top), (commits[0], "1" * 40)) == [], "one that is not to be had"
