# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.rebuild.buildinfo import (
    compare_environments,
    parse_buildinfo,
    read_buildinfo,
)

DIGEST = "0123456789abcdef" * 4
TEXT = f"""\
Format: 1.0
Source: tiny (1.0)
Binary: tiny
Architecture: all amd64
Version: 1:1.0+b1
Binary-Only-Changes:
 tiny (1.0+b1) bookworm; urgency=low, binary-only=yes
 .
   * Rebuild for bookworm.
 .
  -- Nobody <nobody@localhost>  Thu, 01 Feb 2024 10:00:00 +0000
Checksums-Sha256:
 {DIGEST} 1234 tiny-doc_1.0+b1_all.deb
 {DIGEST} 1234 tiny_1.0+b1_amd64.deb
 {DIGEST} 12 tiny_1.0.dsc
Build-Origin: Debian
Build-Architecture: amd64
Build-Path: /build/reproducible-path/tiny-1.0
Installed-Build-Depends:
 base-files (= 12.4+deb12u5),
 libc6:i386 (= 1:2.36-9)
Environment:
 DEB_BUILD_OPTIONS="parallel=2"
 CFLAGS="-DNAME=\\"it's\\""
 SOURCE_DATE_EPOCH="1706781600"
"""


def test_what_a_build_was_done_with_is_read() -> None:
    found = parse_buildinfo(TEXT.encode(), "tiny.buildinfo")
    assert (found.source, found.version, found.build_architecture, found.parts) == (
        "tiny",
        "1.0",
        "amd64",
        ("any", "all"),
    )
    assert found.debs == {"tiny-doc_1.0+b1_all.deb": DIGEST, "tiny_1.0+b1_amd64.deb": DIGEST}
    assert found.exactly.packages == ("base-files=12.4+deb12u5", "libc6:i386=1:2.36-9")
    assert found.exactly.path == "/build/reproducible-path"
    assert found.exactly.environment == {
        "DEB_BUILD_OPTIONS": "parallel=2",
        "CFLAGS": '-DNAME="it\'s"',
        "SOURCE_DATE_EPOCH": "1706781600",
    }
    assert found.exactly.entry == (
        "tiny (1.0+b1) bookworm; urgency=low, binary-only=yes\n\n  * Rebuild for bookworm.\n\n"
        " -- Nobody <nobody@localhost>  Thu, 01 Feb 2024 10:00:00 +0000"
    )


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("Format: 1.0\n", "", "it has no Format"),
        ("Format: 1.0\n", "Format: 2.0\n", "it is of the format '2.0', not of 1.x"),
        ("Source: tiny (1.0)", "Source: ../tiny", "its source '../tiny' is none"),
        ("Version: 1:1.0+b1\n", "", "it has no Version"),
        (DIGEST, "none", "it names no package with its SHA-256"),
        ("(= 12.4+deb12u5)", "(>= 1)", "what was installed is not all said with versions: 'base-files (>= 1)'"),
        (
            "base-files (=",
            "base-files;rm (=",
            "what was installed is not all said with versions: 'base-files;rm (= 12.4",
        ),
        ("/build/repro", "/build/../repro", "the path of the build before is none"),
        ("/build/repro", "/build/$(x)/repro", "the path of the build before is none"),
        (' SOURCE_DATE_EPOCH="1', ' bad name="1', "the line 'bad name="),
        ("parallel=2", "parallel=\x1b2", ""),
    ],
)
def test_what_no_program_may_get_is_refused_in_one_sentence(before: str, after: str, fault: str) -> None:
    assert before in TEXT
    with pytest.raises(ValueError, match=".") as refused:
        parse_buildinfo(TEXT.replace(before, after).encode(), "tiny.buildinfo")
    assert fault in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 100, b"Format: 1.0\n\nFormat: 1.0\n", b"a" * ((8 << 20) + 1)])
def test_what_is_no_buildinfo_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tiny.buildinfo"
    path.write_bytes(data)
    with pytest.raises(SlipwayError, match=r"^Could not read how it was built from .*tiny\.buildinfo"):
        read_buildinfo(path)


def test_in_what_two_builds_were_not_alike_is_told() -> None:
    first = parse_buildinfo(TEXT.encode(), "tiny.buildinfo")
    assert compare_environments(first, first) == []
    text = (
        TEXT.replace("12.4+deb12u5", "12.4+deb12u6").replace("parallel=2", "parallel=4").replace("/build/r", "/other/r")
    )
    second = parse_buildinfo(text.replace(' SOURCE_DATE_EPOCH="1706781600"\n', "").encode(), "tiny.buildinfo")
    assert compare_environments(first, second) == [
        "base-files was 12.4+deb12u5, and now 12.4+deb12u6",
        "DEB_BUILD_OPTIONS was 'parallel=2', and now 'parallel=4'",
        "SOURCE_DATE_EPOCH was '1706781600', and now not set",
        "it was built in /build/reproducible-path, and now in /other/reproducible-path",
    ]
