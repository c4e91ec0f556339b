# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian sources are read as dpkg reads them, and a .dsc with every file that it names."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.debian import (
    read_debian_tree,
    read_dsc,
)
from stacktrees import write_debian, write_tree


@pytest.fixture
def dsc(tmp_path: Path) -> Path:
    """A source package that dpkg-source built."""
    top = write_debian(tmp_path / "tree", style="3.0 (native)", version="1:2.3")
    (top / "debian/rules").chmod(0o755)
    out = tmp_path / "built"
    out.mkdir()
    subprocess.run(["dpkg-source", "--build", top], cwd=out, check=True, capture_output=True)
    return out / "libhello_2.3.dsc"


def test_a_tree_says_what_dpkg_reads_of_it(tmp_path: Path) -> None:
    top = write_debian(tmp_path / "s")
    found, faults = read_debian_tree(top)
    said = subprocess.run(
        ["dpkg-parsechangelog", f"-l{top}/debian/changelog"], capture_output=True, text=True, check=True
    ).stdout
    fields = dict(re.findall(r"^(Source|Version): (.*)$", said, re.MULTILINE))
    assert (found.source, found.version) == (fields["Source"], fields["Version"]) == ("libhello", "1:2.3-4")
    assert faults == []
    assert (found.maintainer, found.homepage) == ("Ann Other <ann@example.org>", "https://example.org/hello")
    assert (found.brief, found.description) == ("Says hello", "To everybody.\n\n  verbatim")
    assert found.format == "3.0 (quilt)"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"debian/changelog": ""}, None),
        ({"debian/changelog": "libhello 2.3\n"}, "debian/changelog line 1: it is no heading <source> (<version>)"),
        (
            {"debian/changelog": "\nlibhello (2_3) x; u=l\n"},
            "debian/changelog line 2: the version '2_3' has a character",
        ),
        ({"debian/changelog": "lib/hello (2) x; u=l\n"}, "debian/changelog line 1: 'lib/hello' cannot name a source"),
        (
            {"debian/changelog": "other (1) x; urgency=low\n"},
            "debian/control is of the source 'libhello', and debian/ch",
        ),
        ({"debian/control": "Source libhello\n"}, "debian/control: line 1 of its control file is not a field"),
        ({"debian/control": "# nothing\n"}, "debian/control is empty"),
        ({"debian/control": b"x" * (5 << 20)}, "debian/control: It is larger than 4 MiB"),
        ({"debian/control": "-> /etc/passwd"}, "debian/control: It is a link out of the tree"),
    ],
)
def test_what_is_wrong_with_a_tree_is_named(tmp_path: Path, files: dict[str, str], said: str | None) -> None:
    top = write_debian(tmp_path / "s")
    for name in files:
        (top / name).unlink()
    found, faults = read_debian_tree(write_tree(top, files))
    if said is None:
        assert (found.source, found.version) == ("", "")
    else:
        assert any(fault.startswith(said) for fault in faults), faults


def test_a_dsc_is_read_with_its_files(dsc: Path) -> None:
    found, faults = read_dsc(dsc)
    assert faults == []
    assert (found.source, found.version, found.format) == ("libhello", "1:2.3", "3.0 (native)")
    assert [file.name for file in found.files] == ["libhello_2.3.dsc", "libhello_2.3.tar.xz"]
    for file in found.files:
        assert file.sha256 == hashlib.sha256((dsc.parent / file.name).read_bytes()).hexdigest()
        assert file.size == (dsc.parent / file.name).stat().st_size


def sign(text: str) -> str:
    """As gpg --clearsign writes a text; who signed it is not looked at here."""
    dashed = re.sub("^-", "- -", text, flags=re.MULTILINE)
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{dashed}\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCgAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n"
    )


def test_a_signed_dsc_says_the_same(dsc: Path) -> None:
    plain = read_dsc(dsc)[0]
    dsc.write_text(sign(dsc.read_text()))
    found, faults = read_dsc(dsc)
    assert faults == []
    assert (found.source, found.version, found.files[1:]) == (plain.source, plain.version, plain.files[1:])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Source: libhello", "Source: ../x", "'../x' cannot name a source package"),
        ("Version: 1:2.3", "Version: 1:2_3", "the version '1:2_3' has a character that is not allowed"),
        ("Version: 1:2.3\n", "", "has no Version"),
        ("Checksums-Sha256", "Checksums-Other", "has no Checksums-Sha256"),
        (" libhello_2.3.tar.xz", " ../libhello_2.3.tar.xz", "'../libhello_2.3.tar.xz' is not usable as the name"),
        ("Format: 3.0 (native)\n", "Format 3\n", "line 1 of its control file is not a field"),
        ("Format:", "\n\nFormat:", None),
    ],
)
def test_what_is_wrong_with_a_dsc_is_named(dsc: Path, before: str, after: str, said: str | None) -> None:
    dsc.write_text(dsc.read_text().replace(before, after))
    faults = read_dsc(dsc)[1]
    assert faults == [] if said is None else any(said in fault for fault in faults), faults


def test_files_of_a_dsc_that_are_missing_or_changed_are_named(dsc: Path) -> None:
    tarball = dsc.parent / "libhello_2.3.tar.xz"
    tarball.write_bytes(b"other")
    assert hashlib.sha256(b"other").hexdigest() in read_dsc(dsc)[1][0]
    tarball.unlink()
    assert read_dsc(dsc)[1] == ["libhello_2.3.tar.xz is missing"]
    (dsc.parent / "elsewhere").write_bytes(b"x")
    tarball.symlink_to("elsewhere")
    assert read_dsc(dsc)[1] == ["libhello_2.3.tar.xz is missing"]


def test_half_a_signature_is_none(dsc: Path) -> None:
    dsc.write_text(sign(dsc.read_text()).partition("-----BEGIN PGP SIGNATURE")[0])
    assert read_dsc(dsc)[1] == ["libhello_2.3.dsc: it is neither one signed text nor a text without a signature"]
