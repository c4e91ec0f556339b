from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import (
    fetch_package_lists,
    name_sources,
    read_own_suite,
    resolve_mirrors,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    directory = tmp_path / "mirror/dists/bookworm/main/binary-amd64"
    directory.mkdir(parents=True)
    (directory / "Packages.gz").write_bytes(gzip.compress(b"Package: libc6\nVersion: 2.36\nArchitecture: amd64\n"))
    return f"deb [trusted=yes] copy:{tmp_path}/mirror bookworm main"


def test_lists_are_fetched_and_named_by_architecture(mirror: str, tmp_path: Path) -> None:
    found = fetch_package_lists([mirror], ["amd64"], directory=tmp_path / "lists")
    assert [path.read_text().splitlines()[0] for path in found["amd64"]] == ["Package: libc6"]


def test_temporary_files_of_a_killed_run_are_removed(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/.sources.list.0123abcd.tmp").touch()
    fetch_package_lists([mirror], ["amd64"], directory=tmp_path / "lists")
    assert not list((tmp_path / "lists").glob(".*"))


def test_an_architecture_without_a_list_is_a_failure(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="i386"):
        fetch_package_lists([mirror], ["amd64", "i386"], directory=tmp_path / "lists")


def test_a_mirror_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    source = "deb [trusted=yes] http://127.0.0.1:9/none bookworm main"
    with pytest.raises(SlipwayError, match="Could not fetch the package lists of 1 source for amd64"):
        fetch_package_lists([source], ["amd64"], directory=tmp_path / "lists")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources of a machine's own apt, which has no lists yet."""
    directory = tmp_path / "machine"
    directory.mkdir()
    (directory / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{directory}/sources.list"; Dir::Etc::sourceparts "/dev/null"; '
        f'Dir::State::lists "{directory}/lists"; Dir::Etc::parts "/dev/null";'
    )
    (directory / "lists/partial").mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(directory / "apt.conf"))
    return directory


def test_the_machines_own_mirror_takes_the_place_of_its_word(machine: Path) -> None:
    (machine / "sources.list").write_text(
        "deb http://mirror.example/debian bookworm-updates main\ndeb http://mirror.example/debian/ bookworm main\n"
    )
    lines = ["deb [signed-by=/k.gpg] machine bookworm main contrib", "deb-src machine bookworm main", "deb copy:/a b c"]
    assert resolve_mirrors(lines) == [
        "deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib",
        "deb-src http://mirror.example/debian bookworm main",
        "deb copy:/a b c",
    ]


def test_debians_own_archive_goes_before_others_with_a_suite_of_that_name(machine: Path) -> None:
    for name, origin in (("other", "Other"), ("debian", "Debian")):
        suite = machine / name / "dists/bookworm"
        packages = suite / "main/binary-amd64/Packages"
        packages.parent.mkdir(parents=True)
        packages.write_text("Package: a\nVersion: 1\nArchitecture: amd64\n")
        digest = hashlib.sha256(packages.read_bytes()).hexdigest()
        (suite / "Release").write_text(
            f"Origin: {origin}\nCodename: bookworm\nComponents: main\nArchitectures: amd64\n"
            f"SHA256:\n {digest} {packages.stat().st_size} {packages.relative_to(suite)}\n"
        )
    sources = [f"deb [trusted=yes arch=amd64] copy:{machine}/{name} bookworm main\n" for name in ("other", "debian")]
    (machine / "sources.list").write_text("".join(sources))
    assert resolve_mirrors(["deb machine bookworm main"]) == [
        f"deb copy:{machine}/other bookworm main"
    ]  # without lists
    subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)
    assert resolve_mirrors(["deb machine bookworm main"]) == [f"deb copy:{machine}/debian bookworm main"]


def test_a_suite_that_the_machine_has_not_is_named(machine: Path) -> None:
    (machine / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    with pytest.raises(SlipwayError, match="no source of this machine's apt has that suite"):
        resolve_mirrors(["deb machine trixie main"])


def test_a_list_of_mirrors_is_its_first_one(machine: Path) -> None:
    listed = machine / "mirrors.list"
    (machine / "sources.list").write_text(f"deb mirror+file://{listed} trixie main\n")
    listed.write_text("# Debian's\nhttps://deb.example/debian/\thttp\nhttps://other.example/debian\n")
    assert resolve_mirrors(["deb machine trixie main"]) == ["deb https://deb.example/debian trixie main"]
    listed.write_text("# none\n")
    with pytest.raises(SlipwayError, match="it names none"):
        resolve_mirrors(["deb machine trixie main"])
    listed.unlink()
    with pytest.raises(SlipwayError, match="Could not read the mirrors in"):
        resolve_mirrors(["deb machine trixie main"])


def test_without_sources_they_are_the_machines_of_the_suite() -> None:
    assert name_sources([], "trixie", kind="deb-src") == ["deb-src machine trixie main"]
    assert name_sources(["deb copy:/a b c"], "trixie") == ["deb copy:/a b c"]


@pytest.mark.parametrize(
    ("found", "answer"), [({"VERSION_CODENAME": "trixie"}, "trixie"), ({}, None), (OSError("none"), None)]
)
def test_the_suite_of_the_machine_is_what_it_says(found: object, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> object:
        if isinstance(found, OSError):
            raise found
        return found

    monkeypatch.setattr("platform.freedesktop_os_release", read)
    if answer:
        assert read_own_suite() == answer
    else:
        with pytest.raises(SlipwayError, match="Could not find out the suite of this machine: .*Name the suite"):
            read_own_suite()
