# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Indexes as they are read for plans."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro import packages
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.packages import (
    read_binaries,
    read_sources,
    unpack_index,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

ROS = Path(__file__).parents[2] / "data/ros"
SOURCES = b"""\
Package: foo
Binary: foo, foo-data,
 libfoo1
Version: 1.0-1
Architecture: any all
Build-Depends: debhelper (>= 9),
 libbar-dev [linux-any]
  | libbaz-dev
build-depends-indep: sphinx
Package-List:
 foo deb misc optional arch=any
 foo-data deb misc optional arch=all
 libfoo1 deb libs optional arch=amd64,i386 profile=!stage1,cross+nodoc
 foo-di udeb debian-installer optional arch=any
Files:
 d41d8cd98f00b204e9800998ecf8427e 0 foo_1.0.tar.gz


Package: installer
Version: 1
Binary: installer-udeb
Architecture: any
Package-List:
 installer-udeb udeb debian-installer optional arch=any

Package: old
Version: 1
Extra-Source-Only: yes
"""


def test_a_source_is_read_with_its_packages_and_what_each_part_needs() -> None:
    source, installer = read_sources(SOURCES, "Sources")
    assert installer.list_made("amd64", ()) == []
    assert source.needs == {"": "debhelper (>= 9), libbar-dev [linux-any] | libbaz-dev", "indep": "sphinx"}
    assert source.list_made("amd64", ()) == ["foo", "libfoo1"]
    assert source.list_made("armhf", ()) == ["foo"]
    assert source.list_made("amd64", ("stage1",)) == ["foo"]
    assert source.list_made("amd64", ("stage1", "cross", "nodoc")) == ["foo", "libfoo1"]
    assert source.list_made("all", ()) == ["foo-data"]


def test_a_package_is_of_its_source_in_the_version_of_that() -> None:
    text = (
        b"Package: a\nVersion: 1-1+b2\nArchitecture: amd64\n\n\n\r\nPackage: b\nVersion: 9\nSource: a (1-1)\n"
        b"Architecture: all\nPre-Depends: x\nDepends: y,\n z\n\nPackage: c\nVersion: 1+b1\nSource: a\nArch"
        b"itecture: i386"
    )
    found = read_binaries(text, "Packages")
    assert [(one.source, one.source_version) for one in found] == [("a", "1-1"), ("a", "1-1"), ("a", "1")]
    assert found[1].depends == "x, y, z"


def test_an_index_that_is_read_again_is_what_it_is_now() -> None:
    memory: packages.Memory[packages.Binary] = {}
    one, two = (f"Package: {name}\nVersion: 1\nArchitecture: all\n\n".encode() for name in ("one", "two"))
    first = read_binaries(one + two, "Packages", memory)
    assert first == read_binaries(one + two, "Packages")
    again = read_binaries(one.replace(b"1", b"2") + two, "Packages", memory)
    assert [(found.name, found.version) for found in again] == [("one", "2"), ("two", "1")]
    assert again[1] is first[1]
    assert sorted(found.version for found in memory.values()) == ["1", "2"], "what is gone is forgotten"
    with pytest.raises(SlipwayError, match="a paragraph has no name"):
        read_binaries(one + b"<html>\n", "Packages", memory)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bytes])
def test_indexes_are_read_however_they_are_compressed(pack: object) -> None:
    assert callable(pack)
    assert unpack_index(pack(SOURCES), "Sources") == SOURCES


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (gzip.compress(SOURCES, mtime=0)[:50], "it cannot be unpacked"),
        (lzma.compress(SOURCES)[:50], "it cannot be unpacked"),
        (lzma.compress(SOURCES)[:-9] + b"012345678", "it cannot be unpacked"),
        (b"<html>\nNot found\n</html>\n", "a paragraph has no name"),
        (b"Package: a/../b\nVersion: 1\n", "a paragraph has the name 'a/../b'"),
        (b"Package: a\nVersion: x\n", "the version 'x' of a does not begin with a digit"),
        (b"Package: a\n", "the version '' of a is not there"),
        (b"Package: a\nVersion: 1\nArchitecture: a\x1b[31mb\n", r"a 1 is for 'a\x1b[31mb', which is no architecture"),
        (b"Package: a\nVersion: 1\nArchitecture: all\nSource: b 1\n", "the source of a 1 is 'b 1'"),
    ],
)
def test_what_is_no_index_is_refused_with_its_name(data: bytes, sentence: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        read_binaries(unpack_index(data, "shadow/Packages"), "shadow/Packages")
    assert str(caught.value).startswith("Could not use the index shadow/Packages: ")
    assert sentence in str(caught.value)


def test_an_index_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_INDEX", 1 << 20)
    with pytest.raises(SlipwayError, match="it has more than 1 MiB when it is unpacked"):
        unpack_index(gzip.compress(bytes(2 << 20)), "Packages")


@pytest.mark.parametrize(("distribution", "count"), [("melodic", 2323), ("jazzy", 2152)])
def test_the_indexes_of_real_distributions_are_read_whole(distribution: str, count: int) -> None:
    sources = read_sources(unpack_index((ROS / distribution / "Sources.xz").read_bytes(), "Sources"), "Sources")
    binaries = read_binaries(unpack_index((ROS / distribution / "Packages.xz").read_bytes(), "Packages"), "Packages")
    assert len(sources) == len(binaries) == count
    assert [(one.name, one.version) for one in sources] == [(one.name, one.source_version) for one in binaries]
