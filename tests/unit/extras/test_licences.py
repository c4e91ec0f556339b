"""The licences of a tree: what licensecheck reads, and what somebody has written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.licences import (
    SourceFile,
    clip,
    is_text,
    judge_tree,
    name_by_spdx,
    read_machine_readable,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.manifest import UNKNOWN
from morphsystems import GPL, MIT

STATED = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: hello

Files: *
Copyright: 2020 Ada
License: GPL-2+ and Expat

Files: lib/*
Copyright: 2020 Bob
License: BSD-3-clause

License: GPL-2+
 On Debian systems ...
"""


def judge(tmp_path, **files):
    with ThreadPoolExecutor() as pool:
        listed = [SourceFile(path, text.encode()) for path, text in files.items()]
        return judge_tree(listed, name="hello", scratch=tmp_path, pool=pool)


def test_files_are_counted_and_the_licence_file_tells_the_main_one(tmp_path):
    found = judge(tmp_path, **{"a.c": GPL, "b\tc\n.c": GPL, "-d.c": GPL, "COPYING": MIT, "README": "It greets."})
    assert found.files == {"GPL-2.0-or-later": 3, "MIT": 1, UNKNOWN: 1}
    assert found.main == "MIT"
    assert found.known == ["GPL-2.0-or-later", "MIT"]


def test_a_machine_readable_copyright_file_counts_more_than_any_guess(tmp_path):
    found = judge(tmp_path, **{"debian/copyright": STATED, "a.c": MIT})
    assert found.files == {"BSD-3-Clause": 1, "GPL-2.0-or-later AND MIT": 1}
    assert found.main == "GPL-2.0-or-later AND MIT"
    assert next(tmp_path.rglob("a.c")).read_text() == MIT


def test_installed_packages_tell_their_licences_themselves(tmp_path):
    found = judge(tmp_path, **{"usr/share/doc/hello/copyright": STATED, "usr/bin/script": GPL})
    assert found.files == {"BSD-3-Clause": 1, "GPL-2.0-or-later AND MIT": 1}


def test_a_tree_without_any_text_has_no_licence(tmp_path):
    assert judge(tmp_path).known == []


@pytest.mark.parametrize(
    ("debian", "spdx"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("AGPL-3", "AGPL-3.0-only"),
        ("Expat or Apache-2", "MIT OR Apache-2.0"),
        ("GPL-3+ with Autoconf exception", "GPL-3.0-or-later WITH Autoconf exception"),
        ("Custom-1", "Custom-1"),
    ],
)
def test_licences_are_called_as_spdx_calls_them(debian, spdx):
    assert name_by_spdx(debian) == spdx


def test_a_copyright_file_that_says_nothing_is_unknown():
    assert read_machine_readable("Format: https://example.org/copyright-format/1.0/\n").files == {UNKNOWN: 1}


def test_only_beginning_and_end_of_large_files_are_judged_and_no_binaries():
    assert len(clip(b"x" * 1_000_000)) < 60_000
    assert not is_text(b"\x7fELF\0")
    assert not is_text(b"")
