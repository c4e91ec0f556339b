"""The changelog inside an archive or a diff is replaced to the byte, and what is damaged is refused."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import tempfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import repack
from handmade_debs import entry, tar
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.text(st.sampled_from("ab./é"), min_size=1, max_size=160)


def pack(members: list[tuple[str, bytes]], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A plain tar archive of files."""
    mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
    return tar(*(entry(name, content, mtime=mtime) for name, content in members), form=form)


def read(plain: bytes) -> list[tuple[str, bytes, int]]:
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return [(info.name, archive.extractfile(info).read(), info.mode) for info in archive]  # type: ignore[union-attr]


def rewrite(plain: bytes, new: bytes, *, native: bool = False) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        old, target = Path(name, "old.tar.gz"), Path(name, "new.tar.xz")
        old.write_bytes(gzip.compress(plain, 1))
        repack.repack_tar(old, target, native=native, change=lambda _text: (new, 7))
        first = target.read_bytes()
        repack.repack_tar(old, target, native=native, change=lambda _text: (new, 7))
        assert target.read_bytes() == first
        return lzma.decompress(first)


@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=1100)), max_size=4),
    st.lists(st.tuples(NAMES, st.binary(max_size=1100)), max_size=4),
    st.binary(max_size=1100),
    st.binary(max_size=1100),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]),
)
@settings(max_examples=150)
def test_every_other_member_stays_as_it_was(
    before: list[tuple[str, bytes]], after: list[tuple[str, bytes]], old: bytes, new: bytes, form: int
) -> None:
    def prefix(rows: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return [
            (f"debian/x{name[: 90 if form == tarfile.USTAR_FORMAT else None].replace('..', 'b')}", data)
            for name, data in rows
        ]

    if form == tarfile.USTAR_FORMAT:
        before, after = before[:1], []
    plain = pack([*prefix(before), ("debian/changelog", old), *prefix(after)], form=form)
    made = rewrite(plain, new)
    wanted = [(name, new if name == "debian/changelog" else data, mode) for name, data, mode in read(plain)]
    assert read(made) == wanted
    assert len(made) % 512 == 0


PLAIN = pack(
    [("debian/rules", b"x" * 700), ("debian/changelog", b"y" * 100), ("debian/z", b"z")], form=tarfile.PAX_FORMAT
)


@given(st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0))
@settings(max_examples=300)
def test_a_damaged_archive_is_refused_or_still_has_one_changelog(changes: list[tuple[int, int]], cut: int) -> None:
    spoilt = bytearray(PLAIN)
    for place, value in changes:
        spoilt[place] = value
    try:
        made = rewrite(bytes(spoilt[: max(1, cut % (2 * len(PLAIN)))]), b"new\n")
    except ValueError:
        return
    assert [data for name, data, _mode in read(made) if name.endswith("debian/changelog")] == [b"new\n"]


@pytest.mark.parametrize(
    ("members", "native", "says"),
    [
        ([("debian/rules", b"")], False, "has no debian/changelog"),
        ([("debian/changelog", b""), ("./debian/changelog", b"")], False, "has 2 debian/changelog"),
        ([("a/debian/changelog", b"")], False, "has no debian/changelog"),
        ([("debian/changelog", b""), ("../x", b"")], False, "holds '../x', which leads out of it"),
        ([("debian/changelog", b""), ("/x", b"")], False, "holds '/x', which leads out of it"),
        ([("a/b/debian/changelog", b"")], True, "has no debian/changelog"),
    ],
)
def test_an_archive_without_one_changelog_is_refused(members: list[tuple[str, bytes]], native: bool, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rewrite(pack(members), b"", native=native)


@pytest.mark.parametrize(
    "names", [["one/debian/changelog", "one/x/debian/changelog"], ["./one/debian/changelog"], ["debian/changelog", "x"]]
)
def test_a_native_package_may_have_a_directory_around_it_or_none(names: list[str]) -> None:
    made = read(rewrite(pack([(name, b"old") for name in names]), b"new", native=True))
    assert [data for _name, data, _mode in made] == [b"new", *[b"old" for _unused in names[1:]]]


def test_a_date_that_a_header_cannot_say_makes_no_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "old.tar.gz").write_bytes(gzip.compress(PLAIN))
    target = tmp_path / "new.tar.xz"
    repack.repack_tar(tmp_path / "old.tar.gz", target, native=False, change=lambda text: (text, 253_402_300_799))
    made = lzma.decompress(target.read_bytes())
    assert (len(made), read(made)) == (len(PLAIN), read(PLAIN))


def diff(text: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        old, target = Path(name, "old.diff.gz"), Path(name, "new.diff.gz")
        old.write_bytes(gzip.compress(text.encode()))
        repack.repack_diff(old, target, change=lambda plain: (b"new\n" + plain, 0))
        return gzip.decompress(target.read_bytes())


OTHER = "--- a.orig/b\n+++ a/b\n@@ -1 +1 @@\n-x\n+y\n"
LOG = "--- a.orig/debian/changelog\n+++ a/debian/changelog\n"


@pytest.mark.parametrize("rest", ["", OTHER])
def test_a_diff_gets_the_lines_of_the_new_changelog(rest: str) -> None:
    made = diff(f"{OTHER}{LOG}@@ -0,0 +1,2 @@\n+one\n+two\n{rest}").decode()
    assert made == f"{OTHER}{LOG}@@ -0,0 +1,3 @@\n+new\n+one\n+two\n{rest}"
    assert diff(f"{LOG}@@ -0,0 +1 @@\n+one\n").decode() == f"{LOG}@@ -0,0 +1,2 @@\n+new\n+one\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OTHER, "the diff names debian/changelog 0 times"),
        (f"{LOG}@@ -0,0 +1 @@\n+one\n{LOG}@@ -0,0 +1 @@\n+one\n", "the diff names debian/changelog 2 times"),
        (f"{LOG}@@ -1 +1 @@\n-x\n+y\n", "the diff changes a debian/changelog that is upstream's"),
        (f"{LOG}@@ -0,0 +1,3 @@\n+one\n", "does not make debian/changelog in one piece"),
        (f"{LOG}@@ -0,0 +1 @@\n+one\n+two\n", "does not make debian/changelog in one piece"),
        (f"{LOG}@@ -0,0 +1 @@\n+one\n@@ -3 +3 @@\n-x\n+y\n", "does not make debian/changelog in one piece"),
        (f"{LOG}@@ -0,0 +1 @@\n+one\n\\ No newline at end of file\n", "does not make debian/changelog in one piece"),
    ],
)
def test_a_diff_that_does_not_make_all_of_the_changelog_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        diff(text)


def test_what_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path) -> None:
    for name, content in {
        "a.tar.gz": b"x",
        "a.tar.xz": b"x",
        "a.tar.bz2": b"x",
        "a.tar.zst": b"x",
        "b.tar.gz": gzip.compress(PLAIN)[:-9],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} (cannot be read|is compressed in a way)"):
            repack.repack_tar(tmp_path / name, tmp_path / "new.tar.gz", native=False, change=lambda text: (text, 0))
