"""A Debian source package is taken with the files that its .dsc names, and with no others."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.checkout import check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.dsc import parse_dsc
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.source import read_source
from aptclient import served

TARBALL = b"the tarball"


def make_dsc(top: Path, name: str = "hello_1.0.tar.xz", **said: Any) -> Path:
    """A source package that dpkg-source would name like this; what it says of its file can be wrong."""
    top.mkdir(exist_ok=True)
    (top / "hello_1.0.tar.xz").write_bytes(TARBALL)
    digest, size = said.get("digest", hashlib.sha256(TARBALL).hexdigest()), said.get("size", len(TARBALL))
    text = (
        f"Format: 3.0 (native)\nSource: hello\nVersion: 1.0\nChecksums-Sha256:\n {digest} {size} {name}\n"
        f"Files:\n {'0' * 32} {size} {said.get('listed', name)}\n"
    )
    (top / "hello_1.0.dsc").write_text(text)
    return top / "hello_1.0.dsc"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path / "pool") as url:
        yield url


@pytest.mark.parametrize("way", ["http", "file", "path"])
def test_all_its_files_are_taken_once(server: str, tmp_path: Path, way: str) -> None:
    dsc = make_dsc(tmp_path / "pool")
    uri = {"http": f"{server}/hello_1.0.dsc", "file": f"file://{dsc}", "path": str(dsc)}[way]
    source, directory = read_source("dsc", {"uri": uri}), tmp_path / "out"
    done = check_out(source, directory)
    assert (done.changed, done.place.revision) == (True, hashlib.sha256(dsc.read_bytes()).hexdigest())
    assert done.epoch is None
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        "hello_1.0.dsc": dsc.read_bytes(),
        "hello_1.0.tar.xz": TARBALL,
    }
    assert not check_out(source, directory, at="release").changed
    assert not check_out(source, directory, at="revision", revision=done.place.revision).changed
    with pytest.raises(SlipwayError, match=f"its SHA-256 should be 00, but is {done.place.revision}"):
        check_out(source, directory, at="revision", revision="00")


@pytest.mark.parametrize("way", ["http", "path"])
@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"digest": "0" * 64}, "the SHA-256 of hello_1.0.tar.xz is [0-9a-f]{64}, and should be 0{64}"),
        ({"size": 12}, "hello_1.0.tar.xz has 11 bytes, and should have 12"),
        ({"size": 10}, "hello_1.0.tar.xz(: the answer has more than 10 bytes| has 11 bytes, and should have 10)"),
        ({"size": 10**14}, "it has 1000000000[0-9]+ bytes, and at most 2147483648 are allowed"),
        ({"name": "gone.tar.xz"}, "gone.tar.xz: (it answers 404|.*No such file)"),
        ({"name": "../pool/hello_1.0.tar.xz"}, "is not the name of a file beside it"),
        ({"name": "/etc/passwd"}, "'/etc/passwd' is not the name of a file beside it"),
        ({"name": "-x"}, "'-x' is not the name of a file beside it"),
        ({"name": ".hidden"}, "'.hidden' is not the name of a file beside it"),
        ({"name": "hello_1.0.dsc"}, "it names itself among its files"),
        ({"listed": "other"}, "Files and Checksums-Sha256 name different files"),
    ],
)
def test_what_is_not_as_it_says_is_refused_and_leaves_nothing(
    server: str, tmp_path: Path, way: str, said: dict[str, Any], fault: str
) -> None:
    dsc = make_dsc(tmp_path / "pool", **said)
    uri = f"{server}/hello_1.0.dsc" if way == "http" else str(dsc)
    with pytest.raises(SlipwayError, match=fault):
        check_out(read_source("dsc", {"uri": uri}), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_what_is_no_dsc_is_refused(server: str, tmp_path: Path) -> None:
    make_dsc(tmp_path / "pool")
    (tmp_path / "pool/big.dsc").write_bytes(b"x" * (1 << 20) + b"y")
    for name, fault in {
        "hello_1.0.tar.xz": "its name is not that of a .dsc",
        "gone.dsc": "gone.dsc: it answers 404",
        "big.dsc": "the answer has more than 1 MiB",
    }.items():
        with pytest.raises(SlipwayError, match=fault):
            check_out(read_source("dsc", {"uri": f"{server}/{name}"}), tmp_path / "out")
    # By its path it is read as by its address, and no part of it is taken for all of it.
    for name, fault in {"gone.dsc": "gone.dsc: No such file", "big.dsc": "more than 1 MiB"}.items():
        with pytest.raises(SlipwayError, match=fault):
            check_out(read_source("dsc", {"uri": str(tmp_path / "pool" / name)}), tmp_path / "out", write=False)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "not ended"),
        (b"\n", "it has no Source, Version, Checksums-Sha256"),
        (b"Source: a\nVersion: 1\nChecksums-Sha256: x 1 y\n", "'x 1 y' is not digest, size and name"),
        (b"Source: a\nVersion: 1\nChecksums-Sha256:\n %s 1 y\n %s 1 y\n" % (b"0" * 64, b"0" * 64), "a file twice"),
        (b"x\n-----BEGIN PGP SIGNED MESSAGE-----\n\nSource: a\n", "neither one signed text nor a text"),
    ],
)
def test_a_broken_dsc_is_refused(text: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_dsc(text)


def test_a_signed_dsc_says_what_it_said_unsigned(tmp_path: Path) -> None:
    dsc, home = make_dsc(tmp_path / "pool"), tmp_path / "gnupg"
    key = make_key(home, "Dev <dev@example.org>")
    plain = parse_dsc(dsc.read_bytes())
    words = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--local-user",
        key,
        "--clearsign",
        "--output",
        tmp_path / "x.dsc",
        dsc,
    ]
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    assert parse_dsc((tmp_path / "x.dsc").read_bytes()) == plain
    assert plain[0].name == "hello_1.0.tar.xz"
