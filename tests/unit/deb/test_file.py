"""The deb format: what is not changed stays to the byte, what is faulty is refused, and dpkg-deb is the judge."""

from __future__ import annotations

import io
import lzma
import os
import random
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import handmade_debs as handmade
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import controltar
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.file import (
    build_deb,
    inspect_deb,
    rewrite_deb,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from handmade_debs import CONTROL, DATA_TAR, TOP, USUAL, ar, deb, entry, tar, unpacked
from hypothesis import example, given, settings
from hypothesis import strategies as st

NEW = CONTROL.replace(b"1.0-1", b"1.0-1-r468~lucid")
CONTROL_SUFFIXES = ("", ".gz", ".xz", ".zst")
DATA_SUFFIXES = ("", ".gz", ".xz", ".zst", ".bz2", ".lzma")


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "foo.deb"
    path.write_bytes(content)
    return path


def rewritten(path: Path, control: bytes = NEW, *, drop_signatures: bool = False) -> bytes:
    read = inspect_deb(path, drop_signatures=drop_signatures)
    return b"".join(bytes(piece) for piece in rewrite_deb(read, control))


def fault(tmp_path: Path, content: bytes) -> str:
    """The sentence about a faulty deb."""
    path = written(tmp_path, content)
    with pytest.raises(SlipwayError) as caught:
        inspect_deb(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"Could not use the deb {path}: ")
    assert sentence.endswith(". Nothing was written; replace that file and run again.")
    assert "\n" not in sentence
    return caught.value.came_back


@pytest.mark.parametrize("data", DATA_SUFFIXES)
@pytest.mark.parametrize("control", CONTROL_SUFFIXES)
def test_only_the_control_file_changes_in_any_compression(tmp_path: Path, control: str, data: str) -> None:
    content = deb(control=control, data=data)
    new = rewritten(written(tmp_path, content))
    before, after = unpacked(content), unpacked(new)
    assert list(before) == list(after) == ["debian-binary", f"control.tar{control}", f"data.tar{data}"]
    assert before[f"data.tar{data}"] == after[f"data.tar{data}"]
    assert handmade.dpkg_deb("--info", new).returncode == 0
    assert handmade.dpkg_deb("--contents", new).stdout == handmade.dpkg_deb("--contents", content).stdout
    old_entries, new_entries = handmade.entries(content), handmade.entries(new)
    assert [body for _header, body in new_entries] == [b"", NEW, handmade.POSTINST]
    assert old_entries[0] == new_entries[0]
    assert old_entries[2] == new_entries[2]


def test_what_dpkg_deb_builds_is_what_comes_out_but_for_the_control_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "etc" / "foo.conf").write_text("x\n")
    files = {"control": CONTROL, "conffiles": b"/etc/foo.conf\n", "triggers": b"interest foo\n", "shlibs": b"x 1 foo\n"}
    files |= {"symbols": b"lib.so.1 foo #MINVER#\n", "templates": b"Template: a/b\n", "md5sums": b"x" * 100_000}
    for name, content in files.items():
        (tree / "DEBIAN" / name).write_bytes(content)
    for number, name in enumerate(("preinst", "postinst", "prerm", "postrm", "config")):
        (tree / "DEBIAN" / name).write_bytes(b"#!/bin/sh\n")
        (tree / "DEBIAN" / name).chmod(0o755 - number % 2 * 0o200)
    for squeeze in ("none", "gzip", "xz", "zstd"):
        path = tmp_path / f"{squeeze}.deb"
        words = ["dpkg-deb", "--root-owner-group", "--uniform-compression", f"-Z{squeeze}", "-b", str(tree), str(path)]
        subprocess.run(words, check=True, capture_output=True)
        new = rewritten(path)
        old_entries, new_entries = handmade.entries(path.read_bytes()), handmade.entries(new)
        changed = [pair for pair in zip(old_entries, new_entries, strict=True) if pair[0] != pair[1]]
        assert [after for (_b, _before), (_a, after) in changed] == [NEW]
        assert len(old_entries) == 13
        assert handmade.dpkg_deb("--info", new).returncode == 0


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_kept(tmp_path: Path, form: int) -> None:
    entries = (TOP, entry("control", CONTROL, mtime=1.5), entry("./md5sums", b"x", uid=7, gname="staff"))
    inside = tar(*entries, form=form)
    content = ar(("debian-binary", b"2.0\n"), ("control.tar", inside), ("data.tar", DATA_TAR))
    new = unpacked(rewritten(written(tmp_path, content)))["control.tar"]
    with tarfile.open(fileobj=io.BytesIO(inside)) as old, tarfile.open(fileobj=io.BytesIO(new)) as changed:
        for before, after in zip(old, changed, strict=True):
            assert (before.name, before.mode, before.mtime) == (after.name, after.mode, after.mtime)
            assert (before.uid, before.gname) == (after.uid, after.gname)
        assert changed.extractfile("control").read() == NEW  # type: ignore[union-attr]  # it is a regular file
    assert len(new) % 10240 == 0


def test_the_same_deb_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in CONTROL_SUFFIXES:
        path = written(tmp_path, deb(control=suffix))
        assert rewritten(path) == rewritten(path)


def test_members_that_older_tools_may_skip_are_kept(tmp_path: Path) -> None:
    parts = handmade.members()
    content = ar(parts[0], ("_note", b"odd"), parts[1], ("_more", b"even"), parts[2], ("_last", b"x"), ("late", b"yy"))
    new = unpacked(rewritten(written(tmp_path, content)))
    assert list(new) == ["debian-binary", "_note", "control.tar.xz", "_more", "data.tar.xz", "_last", "late"]
    assert (new["_note"], new["_more"], new["_last"], new["late"]) == (b"odd", b"even", b"x", b"yy")


def test_a_missing_last_padding_byte_is_supplied(tmp_path: Path) -> None:
    parts = handmade.members(data="")
    content = ar(*parts[:2], ("data.tar", DATA_TAR + b"\0"))
    new = rewritten(written(tmp_path, content[:-1]))
    assert len(new) % 2 == 0
    assert new == rewritten(written(tmp_path, content))


def test_a_deb_that_is_signed_inside_is_refused_or_loses_the_signature(tmp_path: Path) -> None:
    content = ar(*handmade.members(), ("_gpgorigin", b"signature"))
    said = "it is signed inside (_gpgorigin), and another control file makes that void"
    assert fault(tmp_path, content) == said
    path = written(tmp_path, content)
    assert inspect_deb(path, drop_signatures=True).dropped == ("_gpgorigin",)
    assert rewritten(path, drop_signatures=True) == rewritten(written(tmp_path, deb()))


PARTS = handmade.members()
PLAIN = handmade.members(control="", data="")
GZIP = handmade.SQUEEZE[".gz"](handmade.control_tar())
LATE = entry("./triggers", pax_headers={"mtime": "soon"})


def with_number(place: int, digits: bytes) -> bytes:
    """A control tar with other bytes in the number at this place of its second header."""
    inside = bytearray(handmade.control_tar())
    inside[512 + place : 512 + place + len(digits)] = digits
    inside[512:1024] = controltar.resize_header(bytes(inside[512:1024]), len(CONTROL))
    return bytes(inside)


def with_tar(content: bytes) -> bytes:
    """A deb with this as its control.tar."""
    return ar(PLAIN[0], ("control.tar", content), PLAIN[2])


def with_entries(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return with_tar(tar(*entries))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not a deb"),
        (b"\x7fELF" + bytes(100), "it is not a deb"),
        (b"!<arch>\n", "its first member is not debian-binary"),
        (b"0.939000\n123\n", "it is a deb of the format before 1995"),
        (ar(("debian-binary", b"3.0\n"), *PARTS[1:]), "its format is not 2.x"),
        (ar(("debian-binary", b"2.0"), *PARTS[1:]), "its debian-binary is damaged"),
        (ar(("debian-binary", b"2.0" + bytes(1000)), *PARTS[1:]), "its debian-binary is damaged"),
        (ar(PARTS[1], PARTS[2]), "its first member is not debian-binary"),
        (ar(PARTS[1], PARTS[0], PARTS[2]), "its first member is not debian-binary"),
        (ar(PARTS[0], PARTS[2]), "it has no control.tar"),
        (ar(PARTS[0], PARTS[1]), "it has no data.tar"),
        (ar(PARTS[0], PARTS[2], PARTS[1]), "its members are in the wrong order"),
        (ar(PARTS[0], ("extra", b""), *PARTS[1:]), "its members are in the wrong order"),
        (ar(PARTS[0], PARTS[1], ("extra", b""), PARTS[2]), "its members are in the wrong order"),
        (ar(*PARTS, PARTS[1]), "it has more than one control.tar"),
        (ar(*PARTS, PLAIN[1]), "it has more than one control.tar"),
        (ar(*PARTS, PARTS[2]), "it has more than one data.tar"),
        (ar(*PARTS, PARTS[0]), "it has more than one debian-binary"),
        (ar(PARTS[0], ("control.tar.bz2", b"x"), PARTS[2]), "control.tar.bz2 is in a compression that dpkg does not"),
        (ar(*PARTS[:2], ("data.tar.Z", b"x")), "data.tar.Z is in a compression that dpkg does not take"),
        (ar(*PARTS[:2], ("data.tar.xz", PLAIN[2][1])), "its data.tar.xz is not what it is called"),
        (ar(*PARTS[:2], ("data.tar.gz", b"")), "its data.tar.gz is not what it is called"),
        (ar(*PARTS, *((f"_{number}", b"") for number in range(40))), "it has more than 32 members"),
        (deb() + b"x", "it is damaged or has trailing bytes after data.tar.xz"),
        (deb() + bytes(4096), "it is damaged or has trailing bytes after data.tar.xz"),
        (deb()[:-100], "it is cut off in data.tar.xz"),
        (deb()[:100], "it is damaged or has trailing bytes after debian-binary"),
        (deb()[:300], "it is cut off in control.tar.xz"),
        (deb().replace(b"`\n", b"``", 1), "it is damaged or has trailing bytes after its beginning"),
        (deb().replace(b"100644  4  ", b"100644  -4 ", 1), "it is damaged or has trailing bytes after its beginning"),
        (
            deb().replace(b"100644  4  ", b"100644  \xb24 ", 1),
            "it is damaged or has trailing bytes after its beginning",
        ),
        (ar(PARTS[0], ("control.tar.xz", b""), PARTS[2]), "control.tar.xz is cut off"),
        (ar(PARTS[0], ("control.tar.xz", PARTS[1][1][:-20]), PARTS[2]), "control.tar.xz is cut off"),
        (ar(PARTS[0], ("control.tar.xz", PARTS[1][1] + b"\0" * 4), PARTS[2]), "control.tar.xz has trailing bytes"),
        (ar(PARTS[0], ("control.tar.xz", PARTS[1][1] * 2), PARTS[2]), "control.tar.xz has trailing bytes"),
        (ar(PARTS[0], ("control.tar.xz", b"x" * 100), PARTS[2]), "control.tar.xz is damaged (Input format not supp"),
        (ar(PARTS[0], ("control.tar.gz", zlib.compress(b"x")), PARTS[2]), "control.tar.gz is damaged (Error -3"),
        (ar(PARTS[0], ("control.tar.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 50), PARTS[2]), "control.tar.zst is damaged"),
        (ar(PARTS[0], ("control.tar.zst", b""), PARTS[2]), "control.tar.zst is cut off"),
        (with_tar(b""), "control.tar is empty"),
        (with_tar(b"x" * 100), "control.tar is cut off"),
        (with_tar(bytes(10240)), "control.tar has no control file"),
        (with_tar(tar(*USUAL)[:-10240]), "control.tar is empty"),
        (with_tar(tar(*USUAL)[:1024]), "control.tar is cut off"),
        (with_tar(tar(*USUAL)[:1536] + b"x"), "control.tar is cut off"),
        (with_tar(tar(*USUAL) + b"x"), "control.tar has trailing bytes after its end"),
        (with_tar(b"x" + tar(*USUAL)[1:]), "control.tar is damaged (the checksum of a header is wrong)"),
        (with_entries(TOP, USUAL[2]), "control.tar has no control file"),
        (with_entries(*USUAL, USUAL[1]), "control.tar has control twice"),
        (with_entries(*USUAL, entry("control", CONTROL)), "control.tar has control twice"),
        (with_entries(TOP, *USUAL), "control.tar has its directory twice"),
        (with_entries(*USUAL, entry("../../etc/passwd")), "an entry with the name '../../etc/passwd', which no"),
        (with_entries(*USUAL, entry("/etc/passwd")), "an entry with the name '/etc/passwd', which no control"),
        (with_entries(*USUAL, entry("./a/b")), "an entry with the name './a/b', which no control file may have"),
        (with_entries(*USUAL, entry("a\nb")), "an entry with the name 'a?b', which no control file may have"),
        (with_entries(*USUAL, entry("a\x1b[31m")), "an entry with the name 'a?[31m', which no control file may"),
        (with_entries(*USUAL, entry("..")), "an entry with the name '..', which no control file may"),
        (ar(PARTS[0], ("control.tar.gz", GZIP + bytes(8)), PARTS[2]), "control.tar.gz has trailing bytes"),
        (ar(PARTS[0], ("control.tar.gz", GZIP * 2), PARTS[2]), "control.tar.gz has trailing bytes after its end"),
        (ar(PARTS[0], ("control.tar.gz", GZIP + GZIP[:9]), PARTS[2]), "control.tar.gz is cut off"),
        (with_tar(with_number(108, b"00000008")), "control.tar is damaged (the owner of an entry is not a number)"),
        (with_tar(with_number(136, b" " * 12)), "control.tar is damaged (the date of an entry is not a number)"),
        (with_tar(tar(*USUAL[:2], LATE, form=tarfile.PAX_FORMAT)), "damaged (the mtime of an extended header is not"),
        (with_entries(*USUAL, entry("x" * 150)), "control.tar has ././@LongLink, which is not a regular file"),
        (with_entries(*USUAL, entry("sub", type=tarfile.DIRTYPE)), "control.tar has sub/, which is a directory"),
        (with_entries(*USUAL, entry("s", type=tarfile.SYMTYPE, linkname="/")), "has s, which is a symbolic link"),
        (with_entries(*USUAL, entry("h", type=tarfile.LNKTYPE, linkname="control")), "has h, which is a hard link"),
        (with_entries(*USUAL, entry("d", type=tarfile.CHRTYPE)), "control.tar has d, which is not a regular file"),
        (with_entries(*USUAL, entry("f", type=tarfile.FIFOTYPE)), "control.tar has f, which is not a regular file"),
        (with_entries(TOP, entry("control", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "is a symbolic link"),
        (with_entries(TOP, entry("control", b"x" * (5 << 20))), "its control file is larger than 4 MiB"),
        (with_entries(*USUAL, *(entry(f"f{number}") for number in range(1001))), "has more than 1000 entries"),
        (with_tar(tar(*USUAL, entry("x" * 150), form=tarfile.PAX_FORMAT)), "an extended header with 'path'"),
        (
            with_tar(controltar.resize_header(tar(*USUAL)[:512], 1 << 32)),
            "control.tar has an entry of an impossible size",
        ),
    ],
)
def test_a_faulty_deb_is_refused_in_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in fault(tmp_path, content)


@pytest.mark.parametrize(
    "inside",
    [
        ("control.tar.gz", zlib.compress(tar(*USUAL)[:700], wbits=31) + zlib.compress(tar(*USUAL)[700:], wbits=31)),
        ("control.tar", tar(*USUAL)[: 512 * 5]),
        ("control.tar", tar(*USUAL)[: 512 * 5 + 100]),
        ("control.tar", tar(*USUAL, entry("./postinst~", b"x"), entry(".postinst.swp"), entry("./#prerm (1)#"))),
        ("control.tar", with_number(108, b"\x80\0\0\0\0\0\0\7")),
        ("control.tar", with_number(136, b"\xff" * 12)),
        ("control.tar", with_number(100, b"\000644 x")),
    ],
)
def test_what_dpkg_takes_comes_out_with_only_its_control_file_changed(
    tmp_path: Path, inside: tuple[str, bytes]
) -> None:
    path = written(tmp_path, ar(PARTS[0], inside, PARTS[2]))
    assert handmade.dpkg_takes(path, tmp_path / "root") is None
    before, new = handmade.entries(path.read_bytes()), rewritten(path)
    assert [content for _header, content in handmade.entries(new)] == [
        NEW if content == CONTROL else content for _header, content in before
    ]
    path.write_bytes(new)
    assert handmade.dpkg_takes(path, tmp_path / "root") is None


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_control_tar_that_expands_without_end_is_refused_early(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controltar, "MAX_TAR", 8 << 20)
    bomb = handmade.SQUEEZE[suffix](tar(TOP, entry("./md5sums", bytes(7 << 20)), entry("./triggers", bytes(7 << 20))))
    said = fault(tmp_path, ar(PARTS[0], (f"control.tar{suffix}", bomb), PARTS[2]))
    assert said == f"control.tar{suffix} unpacks to more than 8 MiB"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"none\.deb: No such file or directory"):
        inspect_deb(tmp_path / "none.deb")
    with pytest.raises(SlipwayError, match=r"Is a directory"):
        inspect_deb(tmp_path)


def test_a_deb_that_changes_between_two_looks_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, deb())
    read = inspect_deb(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SlipwayError, match="it has changed since it was read"):
        list(rewrite_deb(read, NEW))


SEEDS = {
    "plain": deb(control="", data=""),
    "gz": deb(control=".gz", data=".gz"),
    "xz": deb(),
    "zst": deb(control=".zst", data=".zst"),
    "signed": ar(*handmade.members(control=""), ("_note", b"odd"), ("_gpgorigin", b"signature")),
}
places = st.integers(0, 1 << 20)
changes = st.one_of(
    st.tuples(st.just("set"), places, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("cut"), places, st.integers(1, 2000)),
    st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=600)),
    st.tuples(st.just("repeat"), places, st.integers(1, 1024)),
    st.tuples(st.just("end"), places, st.just(b"")),
)


def mutated(content: bytes, changes: list[tuple[str, int, bytes | int]]) -> bytes:
    """``content`` after some damage."""
    for what, place, value in changes:
        at = place % (len(content) + 1)
        if isinstance(value, int):
            middle = b"" if what == "cut" else content[at : at + value] * 2
            content = content[:at] + middle + content[at + value :]
        elif what == "end":
            content = content[:at]
        else:
            content = content[:at] + value + content[at + (len(value) if what == "set" else 0) :]
    return content


@given(st.sampled_from(sorted(SEEDS)), st.lists(changes, min_size=1, max_size=3))
@settings(max_examples=600, deadline=None)
@example("plain", [("set", 68, b"`")])
def test_a_damaged_deb_is_refused_or_comes_out_right(
    tmp_path_factory: pytest.TempPathFactory, seed: str, changes: list[tuple[str, int, bytes | int]]
) -> None:
    content = mutated(SEEDS[seed], changes)
    path = written(tmp_path_factory.getbasetemp(), content)
    try:
        new = rewritten(path, drop_signatures=True)
    except SlipwayError as refused:
        said = refused
    else:
        said = None
    if said is not None:
        assert "\n" not in str(said)
        return
    judged = handmade.dpkg_deb("--info", content)
    assert judged.returncode == 0, judged.stderr
    assert handmade.dpkg_deb("--info", new).returncode == 0
    before, after = unpacked(content), unpacked(new)
    before.pop("_gpgorigin", None)
    changed = [name for name in before if before[name] != after[name]]
    assert list(before) == list(after)
    assert all(name.startswith("control.tar") for name in changed)
    old_entries, new_entries = handmade.entries(content), handmade.entries(new)
    assert len(old_entries) == len(new_entries)
    differing = [pair for pair in zip(old_entries, new_entries, strict=True) if pair[0] != pair[1]]
    assert all(after == NEW for _old, (_header, after) in differing)


ODD = (
    b"",
    b" ",
    b"9",
    b"-1",
    b"+7",
    b"0x1f",
    b"64 4",
    b"1e5",
    b"77777777777",
    b"\x80",
    b"\x80\0\0\0\0\0\0\1",
    b"\xff" * 12,
)
PAX_VALUES = ("", "-1", "1.5", "1.", ".5", "1e5", "abc", " 1", "1 ", "+1", "-0.5", "4294967295", "4294967296", "9" * 20)
#: Where a header says something: each number, kind, magic, and the names behind them.
PLACES = (*range(100, 148), 156, 157, *range(257, 300), *range(329, 360), 500)


def mutated_tar(dice: random.Random) -> bytes:
    """A control tar of any form in which one header or extended header says something odd, with the right checksum."""
    form = dice.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    keys = dice.sample(("mtime", "atime", "ctime", "uid", "gid", "uname", "comment"), 2)
    records = {key: dice.choice(PAX_VALUES) for key in keys} if dice.random() < 0.4 else {}
    last = entry("./triggers", b"interest foo\n", uname="root", pax_headers=records)
    inside = tar(*USUAL, last, form=tarfile.PAX_FORMAT if records else form)
    if records:
        return inside
    start = dice.choice([0, 512, 512 * 3, 512 * 5])  # the header of each entry
    odd = dice.choice(ODD) if dice.random() < 0.7 else dice.randbytes(dice.randint(1, 12))
    place = start + dice.choice(PLACES)
    changed = inside[:place] + odd + inside[place + len(odd) :]
    size = int(inside[start + 124 : start + 135], 8)
    return changed[:start] + controltar.resize_header(changed[start : start + 512], size) + changed[start + 512 :]


def test_numbers_that_dpkg_deb_refuses_are_refused(tmp_path: Path) -> None:
    dice, taken, path = random.Random(26), 0, tmp_path / "foo.deb"  # noqa: S311  # no secret
    for _number in range(500):
        path.write_bytes(with_tar(mutated_tar(dice)))
        try:
            inspect_deb(path)
        except SlipwayError:
            continue
        judged = subprocess.run(["dpkg-deb", "--info", str(path)], capture_output=True, check=False)
        assert judged.returncode == 0, judged.stderr
        taken += 1
    assert 150 < taken < 350


HUGE = """
import sys
sys.path[:0] = {path!r}
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import file as debfile
read = debfile.inspect_deb(sys.argv[1])
hasher = debfile.Hasher()
for piece in debfile.rewrite_deb(read, {new!r}):
    hasher.update(piece)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(hasher.digests().size, peak.split()[1])
"""


def peak_memory(path: Path) -> tuple[int, int]:
    """Bytes made and kilobytes of memory used by a process that rewrites the deb at ``path``."""
    program = HUGE.format(path=sys.path, new=NEW)
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True)
    seen, kilobytes = map(int, done.stdout.split())
    return seen, kilobytes


@pytest.mark.parametrize("suffix", CONTROL_SUFFIXES)
def test_memory_stays_the_same_for_a_deb_of_any_size(tmp_path: Path, suffix: str) -> None:
    lines = b"".join(b"%032x  usr/share/doc/foo/file-%d\n" % (number * 7919**5, number) for number in range(60_000))
    inside = tar(*USUAL, entry("md5sums", lines))
    path = tmp_path / "foo.deb"
    squeezed = handmade.SQUEEZE[suffix](inside) if suffix != ".xz" else lzma.compress(inside, preset=0)
    size = 256 << 20
    with open(path, "wb") as stream:
        stream.write(ar(PARTS[0], (f"control.tar{suffix}", squeezed)))
        stream.write(b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (b"data.tar", 0, 0, 0, b"100644", size))
        stream.truncate(stream.tell() + size)
    seen, kilobytes = peak_memory(path)
    assert seen > size
    assert kilobytes < 80_000


def test_memory_stays_small_for_the_largest_control_tar_in_the_largest_dictionary(tmp_path: Path) -> None:
    inside = lzma.compress(tar(*USUAL, entry("md5sums", bytes(39 << 20))), preset=9)
    _seen, kilobytes = peak_memory(written(tmp_path, ar(PARTS[0], ("control.tar.xz", inside), PARTS[2])))
    assert kilobytes < 80_000


def test_a_deb_is_built_from_a_control_text(tmp_path: Path) -> None:
    control = "Package: foo-all\nVersion: 1-r1\nArchitecture: all\nMaintainer: A <a@b.org>\nDepends: foo (= 1)\n"
    control += "Description: all of foo\n"
    content = build_deb(
        control,
        {"usr/share/doc/foo-all/copyright": b"free\n", "usr/lib/foo": b"x" * 3000},
        mtime=1_600_000_000,
    )
    assert content == build_deb(
        control,
        {"usr/lib/foo": b"x" * 3000, "usr/share/doc/foo-all/copyright": b"free\n"},
        mtime=1_600_000_000,
    )
    path = written(tmp_path, content)
    assert handmade.dpkg_takes(path, tmp_path / "root") is None
    listing = handmade.dpkg_deb("--contents", content).stdout.decode().splitlines()
    assert [line.split()[-1] for line in listing] == [
        *("./", "./usr/", "./usr/lib/", "./usr/share/", "./usr/share/doc/", "./usr/share/doc/foo-all/"),
        *("./usr/lib/foo", "./usr/share/doc/foo-all/copyright"),
    ]
    assert all(line.split()[1] == "root/root" for line in listing)
    subprocess.run(["dpkg-deb", "-R", str(path), str(tmp_path / "tree")], check=True)
    subprocess.run(["md5sum", "--quiet", "-c", "DEBIAN/md5sums"], cwd=tmp_path / "tree", check=True)
    assert "Installed-Size: 10\n" in (tmp_path / "tree" / "DEBIAN" / "control").read_text()
    assert rewritten(path).count(b"`\n") == 3


@pytest.mark.parametrize(
    ("control", "contents", "said"),
    [
        ("Package: a\n", {}, "its control file has no Version"),
        (CONTROL.decode() + "Depends: a,\n", {}, "its Depends has '', which is not a relation"),
        (CONTROL.decode(), {"/etc/x": b""}, "the path '/etc/x' is not one inside the package"),
        (CONTROL.decode(), {"etc/../x": b""}, "the path 'etc/../x' is not one inside the package"),
        (CONTROL.decode(), {"etc//x": b""}, "the path 'etc//x' is not one inside the package"),
        (CONTROL.decode(), {"": b""}, "the path '' is not one inside the package"),
        (CONTROL.decode(), {"etc": b"", "etc/x": b""}, "the path 'etc' is a file and a directory"),
        (CONTROL.decode(), {"x" * 120: b""}, "is longer than 100 bytes"),
    ],
)
def test_what_cannot_be_a_package_is_not_built(control: str, contents: dict[str, bytes], said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        build_deb(control, contents, mtime=0)
    assert said in str(caught.value)
