"""Base systems are made once, and are the same bytes whoever makes them."""

from __future__ import annotations

import io
import json
import lzma
import stat
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import read_own_suite
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.base import (
    PERMISSIONS,
    Recipe,
    check_recipes,
    ensure_bases,
    format_command,
    write_canonical,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from publishing import run_module

EPOCH = 1_600_000_000

FAKE = """#!/bin/sh
# Stands in for mmdebstrap: logs its arguments, and makes a small tree.
echo "$SOURCE_DATE_EPOCH $*" >> "{calls}"
cat > "{calls}.read"
[ -e "{broken}" ] && {{ echo "E: first reason"; echo "E: mmdebstrap failed to run"; exit 25; }}
echo "I: downloading packages with apt..."
for word; do case "$word" in *.tar) target=$word ;; esac; done
cp "{tree}" "$target"
"""


def entry(name, kind=tarfile.REGTYPE, *, mode=0o644, uid=0, gid=0, content=b"", linkname="", mtime=EPOCH):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname, info.mtime = kind, mode, uid, gid, linkname, mtime
    info.size = len(content)
    return info, content


def write_tar(path, entries):
    with tarfile.open(path, "w") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


TREE = [
    entry("./", tarfile.DIRTYPE, mode=0o755),
    entry("./dev/", tarfile.DIRTYPE, mode=0o755),
    entry("./dev/null", tarfile.CHRTYPE),
    entry("./etc/", tarfile.DIRTYPE, mode=0o755),
    entry("./etc/resolv.conf", content=b"nameserver 192.0.2.1\n"),
    entry("./etc/shadow", mode=0o640, gid=42, content=b"root:*\n"),
    entry("./tmp/", tarfile.DIRTYPE, mode=0o1777),
    entry("./usr/", tarfile.DIRTYPE, mode=0o755),
    entry("./usr/bin/", tarfile.DIRTYPE, mode=0o755),
    entry("./usr/bin/mawk", mode=0o755, content=b"awk", mtime=EPOCH + 5),
    entry("./usr/bin/su", mode=0o4755, content=b"su"),
    entry("./usr/bin/same", tarfile.LNKTYPE, mode=0o4755, linkname="./usr/bin/su"),
    entry("./var/log/", tarfile.DIRTYPE, mode=0o755),
    entry("./var/log/dpkg.log", content=b"today"),
]


@pytest.fixture
def recipe():
    return Recipe(
        name="bookworm-build-x86_64",
        suite="bookworm",
        sources=("deb http://deb.example.org/debian bookworm main",),
        architectures=("amd64",),
        method="extract",
        packages=("gcc", "make"),
        epoch=EPOCH,
        links={"usr/bin/awk": "mawk"},
    )


@pytest.fixture
def mmdebstrap(tmp_path, monkeypatch):
    """A stand-in for mmdebstrap; returns the paths of its log and of the file whose presence breaks it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    calls, broken = tmp_path / "calls", tmp_path / "broken"
    tree = write_tar(tmp_path / "tree.tar", TREE)
    program = tools / "mmdebstrap"
    program.write_text(FAKE.format(calls=calls, broken=broken, tree=tree))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return calls, broken


def listed(directory):
    return sorted(path.name for path in directory.iterdir())


def test_equal_trees_are_equal_bytes(tmp_path):
    one = write_tar(tmp_path / "one.tar", TREE)
    other = write_tar(tmp_path / "other.tar", [(info, content) for info, content in reversed(TREE) if not info.islnk()])
    with tarfile.open(other, "a") as tar:
        tar.addfile(next(info for info, _ in TREE if info.islnk()))
    for name in ("one", "other"):
        write_canonical(tmp_path / f"{name}.tar", tmp_path / f"{name}.out", epoch=EPOCH, links={})
    assert one.read_bytes() != other.read_bytes()
    assert (tmp_path / "one.out").read_bytes() == (tmp_path / "other.out").read_bytes()


def test_a_base_has_no_devices_no_traces_and_no_late_times(tmp_path):
    write_canonical(
        write_tar(tmp_path / "raw.tar", TREE), tmp_path / "out.tar", epoch=EPOCH, links={"usr/bin/awk": "mawk"}
    )
    with tarfile.open(tmp_path / "out.tar") as tar:
        members = {info.name: info for info in tar}
        assert tar.extractfile("usr/bin/same").read() == b"su"
    assert {"dev", "tmp", "var/log"} <= members.keys()
    assert not {"dev/null", "etc/resolv.conf", "var/log/dpkg.log"} & members.keys()
    assert max(info.mtime for info in members.values()) == EPOCH
    assert members["usr/bin/awk"].linkname == "mawk"
    assert not any(name.startswith(("./", "/")) for name in members)


def test_a_base_lists_owners_and_modes_that_a_content_store_does_not_keep(tmp_path):
    write_canonical(write_tar(tmp_path / "raw.tar", TREE), tmp_path / "out.tar", epoch=EPOCH, links={})
    with tarfile.open(tmp_path / "out.tar") as tar:
        text = tar.extractfile(PERMISSIONS).read().decode()
    assert text == "0640 0 42 etc/shadow\n1777 0 0 tmp\n4755 0 0 usr/bin/same\n4755 0 0 usr/bin/su\n"


def test_a_base_is_made_once(tmp_path, mmdebstrap, recipe):
    calls, _ = mmdebstrap
    bases = tmp_path / "bases"
    (made,) = ensure_bases([recipe], bases, jobs=2, progress=Progress(tmp_path / "progress"))
    (again,) = ensure_bases([recipe], bases, jobs=2, progress=Progress(None))
    assert (made.made, again.made) == (True, False)
    assert (made.file, made.sha256) == (again.file, again.sha256)
    assert made.file == f"bookworm-build-x86_64-{made.sha256[:12]}.tar.gz"
    assert len(calls.read_text().splitlines()) == 1
    assert calls.read_text().startswith(f"{EPOCH} --variant=extract --architectures=amd64 --include=gcc,make ")
    assert "1/1 bookworm-build-x86_64: bookworm-build-x86_64-" in (tmp_path / "progress").read_text()
    assert listed(bases) == sorted([".lock", made.file, "bookworm-build-x86_64.json", "bookworm-build-x86_64.log"])


def test_another_recipe_makes_another_base_and_keeps_the_old_file(tmp_path, mmdebstrap, recipe):
    bases = tmp_path / "bases"
    (first,) = ensure_bases([recipe], bases, jobs=1, progress=Progress(None))
    changed = Recipe(**{**recipe.__dict__, "links": {}})
    (second,) = ensure_bases([changed], bases, jobs=1, progress=Progress(None))
    assert second.made
    assert second.file != first.file
    assert {first.file, second.file} <= set(listed(bases))


def test_a_base_whose_file_is_gone_or_cut_is_made_again_with_the_same_bytes(tmp_path, mmdebstrap, recipe):
    bases = tmp_path / "bases"
    (first,) = ensure_bases([recipe], bases, jobs=1, progress=Progress(None))
    (bases / first.file).write_bytes(b"cut")
    (second,) = ensure_bases([recipe], bases, jobs=1, progress=Progress(None))
    assert second == first
    assert (bases / first.file).stat().st_size == first.size


def test_check_mode_makes_no_base(tmp_path, mmdebstrap, recipe):
    assert ensure_bases([recipe], tmp_path / "bases", jobs=1, progress=Progress(None), write=False) == [None]
    assert not (tmp_path / "bases").exists()
    assert not mmdebstrap[0].exists()


def test_a_failure_tells_the_first_error_and_leaves_the_other_bases(tmp_path, mmdebstrap, recipe):
    _, broken = mmdebstrap
    bases = tmp_path / "bases"
    ensure_bases([recipe], bases, jobs=2, progress=Progress(None))
    broken.touch()
    other = Recipe(**{**recipe.__dict__, "name": "other"})
    with pytest.raises(
        SlipwayError, match=r"Could not make the base system other: first reason\. .*other\.log"
    ) as caught:
        ensure_bases([recipe, other], bases, jobs=2, progress=Progress(None))
    assert caught.value.log == str(bases / "other.log")
    assert not [name for name in listed(bases) if name.startswith(".making")]
    assert json.loads((bases / "bookworm-build-x86_64.json").read_text())["key"] == recipe.key()


def test_what_a_killed_run_left_is_removed(tmp_path, mmdebstrap, recipe):
    left = tmp_path / "bases" / ".making-abc"
    left.mkdir(parents=True)
    (left / "raw.tar").touch()
    ensure_bases([recipe], tmp_path / "bases", jobs=1, progress=Progress(None))
    assert not left.exists()


def test_the_directory_that_the_user_namespace_needs_can_be_entered(tmp_path, mmdebstrap, recipe):
    (made,) = ensure_bases([recipe], tmp_path / "bases", jobs=1, progress=Progress(None))
    assert stat.S_IMODE((tmp_path / "bases" / made.file).stat().st_mode) == 0o644


def test_an_installed_base_does_not_pull_in_usrmerge(tmp_path, recipe):
    installed = Recipe(**{**recipe.__dict__, "method": "install", "packages": (), "exclude": ("/usr/share/doc/*",)})
    words = format_command(installed, tmp_path / "out.tar")
    assert "--variant=essential" in words
    assert "--dpkgopt=path-exclude=/usr/share/doc/*" in words
    assert any("usrmerge" in word for word in words)
    assert not any(word.startswith("--include") for word in words)
    assert words[-3:] == ["bookworm", str(tmp_path / "out.tar"), "-"]


def test_a_password_in_an_address_is_not_among_the_words_that_everybody_sees(tmp_path, mmdebstrap, recipe):
    calls, _ = mmdebstrap
    source = "deb https://me:secret@deb.example.org/debian bookworm main"
    ensure_bases(
        [Recipe(**{**recipe.__dict__, "sources": (source,)})], tmp_path / "bases", jobs=1, progress=Progress(None)
    )
    assert "secret" not in calls.read_text()
    assert Path(f"{calls}.read").read_text() == f"{source}\n"


def test_every_fault_of_the_recipes_is_told_at_once(recipe):
    faulty = [
        Recipe(**{**recipe.__dict__, "architectures": ()}),
        Recipe(**{**recipe.__dict__, "packages": ()}),
        Recipe(**{**recipe.__dict__, "name": "a/b"}),
    ]
    with pytest.raises(SlipwayError) as caught:
        check_recipes(faulty)
    assert caught.value.findings == [
        "bookworm-build-x86_64: it has no architecture",
        "bookworm-build-x86_64: the method extract needs packages",
        "bookworm-build-x86_64: it is there twice",
        "a/b: a name is one path component",
    ]


@pytest.mark.parametrize("before", ["", f"{read_own_suite()}-"])
def test_the_module_takes_the_machines_suite_and_pins_bases_by_either_name(tmp_path, mmdebstrap, before):
    suite = read_own_suite()
    base = {"name": f"{before}build-x86_64", "architectures": ["amd64"], "packages": ["gcc"], "method": "extract"}
    arguments = {"directory": str(tmp_path / "bases"), "bases": [base], "epoch": EPOCH}
    said = run_module("debian_base", {**arguments, "sources": ["deb http://deb.example.org/debian stable main"]})
    (made,) = said["bases"]
    assert made["file"].startswith(f"{suite}-build-x86_64-")
    assert [(pin["match"], pin["url"]) for pin in said["pins"]] == [
        (f"bases:{suite}-build-x86_64-*", f"bases:{made['file']}"),
        ("bases:build-x86_64-*", f"bases:{made['file']}"),
    ]
    assert f" {suite} " in mmdebstrap[0].read_text()


def make_module(*facts: str) -> bytes:
    return b"\x7fELF\0" + b"".join(fact.encode() + b"\0" for fact in facts)


def test_a_base_of_parts_has_the_named_files_and_the_wanted_modules_with_what_they_need(tmp_path):
    home = "lib/modules/6.1/kernel"
    tree = {
        "boot/vmlinuz-6.1": b"kernel",
        f"{home}/fs/ext4.ko.xz": lzma.compress(make_module("alias=fs-ext4", "depends=jbd2", "softdep=pre: crc-thing")),
        f"{home}/fs/jbd2.ko": make_module("depends=base-one"),
        f"{home}/lib/base_one.ko": make_module("depends="),
        f"{home}/lib/crc.ko": make_module("alias=crc-thing", "depends="),
        f"{home}/sound/loud.ko": make_module("depends="),
        "lib/modules/6.1/modules.builtin": b"kernel/drivers/tty/serial.ko\n",
        "etc/other": b"not named",
    }
    write_tar(
        tmp_path / "raw.tar",
        [entry(name.replace("lib/", "usr/lib/", 1) if name.startswith("lib/") else name, content=content)
         for name, content in tree.items()],
    )  # fmt: skip
    parts = ["/boot/vmlinuz-*", "/lib/modules/*"]
    arguments = {"epoch": EPOCH, "links": {}, "parts": parts}
    write_canonical(tmp_path / "raw.tar", tmp_path / "base.tar", modules=["ext4", "serial"], **arguments)
    with tarfile.open(tmp_path / "base.tar") as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}
    modules = f"usr/{home}"
    assert set(files) == {
        "boot/vmlinuz-6.1",
        *(f"{modules}/{name}.ko" for name in ("fs/ext4", "fs/jbd2", "lib/base_one", "lib/crc")),
        *(f"usr/lib/modules/6.1/modules.{name}" for name in ("alias", "builtin", "dep", "softdep")),
    }
    needs = files["usr/lib/modules/6.1/modules.dep"].decode()
    assert "kernel/fs/ext4.ko: kernel/fs/jbd2.ko kernel/lib/base_one.ko\n" in needs
    assert files["usr/lib/modules/6.1/modules.alias"] == b"alias crc-thing crc\nalias fs-ext4 ext4\n"
    with pytest.raises(SlipwayError, match="etx4 is no module of it, and not a part of it either"):
        write_canonical(tmp_path / "raw.tar", tmp_path / "b.tar", modules=["etx4"], **arguments)
    with pytest.raises(SlipwayError, match=r"no file is like /boot/Image\*"):
        write_canonical(tmp_path / "raw.tar", tmp_path / "c.tar", **{**arguments, "parts": ["/boot/Image*"]})
