from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import dists, publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, Deb, read_deb
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from aptclient import Client, RefusedError, served
from debs import make_deb
from publishing import tree


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("gnupg")
    return home, make_key(home, "Archive <archive@example.org>")


@pytest.fixture
def archive(tmp_path: Path, keys: tuple[Path, str]) -> Archive:
    directory = tmp_path / "fixed"
    directory.mkdir()
    (directory / "key.asc").write_bytes(export_public_key(*keys))
    return Archive(directory, "Slipway", "main", *keys)


class Clock:
    """A clock that only a sleep moves, and the sleeps."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


CLOCK = Clock(time.time() - 10_000)


def publish(archive: Archive, release: Release, clock: Clock = CLOCK) -> bool:
    return publication.publish_release(archive, release, clock=clock, sleep=clock.sleep)


def debs(directory: Path, release: str, *, distribution: str = "d", names: str = "ab", text: str = "") -> list[Deb]:
    """Packages that need each other in exactly this release: the first for all architectures, the others for amd64."""
    made = []
    for number, name in enumerate(names):
        needs = {"Depends": f"{distribution}-{names[number - 1]} (= 1-{release})"} if number else {}
        path = make_deb(
            directory / release,
            f"{distribution}-{name}",
            f"1-{release}",
            "amd64" if number else "all",
            fields=needs,
            files={"usr/share/doc/text": f"{release}{text}".encode()},
        )
        made.append(read_deb(path))
    return made


def release_of(
    directory: Path, release: str, *, distribution: str = "d", names: str = "ab", inputs: dict[str, str] | None = None
) -> Release:
    files = debs(directory, release, distribution=distribution, names=names)
    everywhere = tuple(deb for deb in files if deb.architecture == "all")
    indexes = {"bookworm": {"amd64": tuple(files), "i386": everywhere}, "trixie": {"amd64": tuple(files)}}
    return Release(distribution, release, indexes, inputs or {})


@pytest.fixture
def client(archive: Archive, tmp_path: Path) -> Iterator[Client]:
    with served(archive.directory) as url:
        key = archive.directory / "key.asc"
        yield Client(tmp_path / "client", [f"deb [signed-by={key}] {url} bookworm main"])


def snapshot_client(archive: Archive, url: str, root: Path, label: str) -> Client:
    key = archive.directory / "key.asc"
    return Client(root, [f"deb [signed-by={key}] {url}/snapshots/{label} bookworm main"])


def test_apt_installs_what_was_published(archive: Archive, client: Client, tmp_path: Path) -> None:
    assert publish(archive, release_of(tmp_path, "r1")) is True
    client.update()
    assert client.would_install("d-b") == {"d-a": "1-r1", "d-b": "1-r1"}
    client.download("d-b")


def test_a_second_release_takes_the_place_of_the_first_which_stays_in_its_snapshot(
    archive: Archive, client: Client, tmp_path: Path
) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    client.update()
    publish(archive, release_of(tmp_path, "r2"))
    client.download("d-b")  # what the client knew before can still be fetched
    client.update()
    assert client.would_install("d-b") == {"d-a": "1-r2", "d-b": "1-r2"}
    with pytest.raises(RefusedError):
        client.would_install("d-a=1-r1")
    with served(archive.directory) as url:
        old = snapshot_client(archive, url, tmp_path / "old", "d-r1")
        old.update()
        assert old.would_install("d-b") == {"d-a": "1-r1", "d-b": "1-r1"}
        old.download("d-b")
        both = Client(tmp_path / "both", [*_sources(old), *_sources(client)])
        both.update()
        with pytest.raises(RefusedError, match=r"Depends: d-a \(= 1-r2\)"):
            both.would_install("d-a=1-r1", "d-b=1-r2")


def _sources(client: Client) -> list[str]:
    return (client.root / "etc/sources.list").read_text().splitlines()


def test_publishing_again_changes_nothing(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    before = tree(archive.directory)
    assert publish(archive, release_of(tmp_path, "r1")) is False
    assert tree(archive.directory) == before


def test_a_release_that_has_been_replaced_stays_replaced(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    publish(archive, release_of(tmp_path, "r2"))
    assert publish(archive, release_of(tmp_path, "r1")) is False
    assert publication.read_current(archive.directory).labels["d"]["bookworm/amd64"] == "d-r2"


def test_a_published_release_is_not_changed(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1", inputs={"stack": "1.0"}))
    before = tree(archive.directory)
    with pytest.raises(SlipwayError, match='stack was "1.0", is "1.1"'):
        publish(archive, release_of(tmp_path, "r1", inputs={"stack": "1.1"}))
    with pytest.raises(SlipwayError, match="with other packages"):
        publish(archive, release_of(tmp_path, "r1", names="abc", inputs={"stack": "1.0"}))
    assert tree(archive.directory) == before


def test_a_file_that_is_public_is_not_changed_under_its_name(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    other = tuple(debs(tmp_path / "other", "r1", text="other"))
    with pytest.raises(SlipwayError, match=r"pool/main/d/d-a/d-a_1-r1_all.deb would change, and d-r1 has published it"):
        publish(archive, Release("d", "r2", {"bookworm": {"amd64": other[:1]}}))


def test_files_of_an_interrupted_run_are_replaced(archive: Archive, tmp_path: Path) -> None:
    release = release_of(tmp_path, "r1")
    left = archive.directory / release.indexes["bookworm"]["amd64"][0].pool_path("main")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"other")
    (archive.directory / "snapshots/.d-r1.x.tmp/dists").mkdir(parents=True)
    (archive.directory / "snapshots/d-r1/dists").mkdir(parents=True)
    (archive.directory / "generations/1/dists").mkdir(parents=True)
    (archive.directory / ".dists.x.tmp").symlink_to("nowhere")
    (archive.directory / ".d-a_1-r1_all.deb.x.tmp").touch()
    (archive.directory / "by-hash/SHA256").mkdir(parents=True)
    (archive.directory / "by-hash/SHA256/.0123.x.tmp").touch()
    (archive.directory / "snapshots/d-never").mkdir(parents=True)
    (archive.directory / "snapshots/d-never/release.json").touch()
    assert publish(archive, release) is True
    publication.verify_release(archive.directory, "d-r1")
    assert not list(archive.directory.rglob("*.tmp"))
    assert [path.name for path in (archive.directory / "snapshots").iterdir()] == ["d-r1"]


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("step", ["_fill_pool", "_write_snapshot", "_write_generation", "switch_to"])
def test_wherever_it_stops_clients_see_the_old_release_and_the_next_run_completes(
    archive: Archive, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish(archive, release_of(tmp_path, "r1"))

    def stop(*_arguments: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(publication, step, stop)
        with pytest.raises(StoppedError):
            publish(archive, release_of(tmp_path, "r2"))
    client.update()
    assert client.would_install("d-b") == {"d-a": "1-r1", "d-b": "1-r1"}
    assert publication.read_published(archive.directory, "d-r2") is None
    assert publish(archive, release_of(tmp_path, "r2")) is True
    client.update()
    assert client.would_install("d-b") == {"d-a": "1-r2", "d-b": "1-r2"}


def test_two_distributions_share_the_archive(archive: Archive, client: Client, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    publish(archive, release_of(tmp_path / "e", "r7", distribution="e"))
    publish(archive, release_of(tmp_path, "r2"))
    client.update()
    assert client.would_install("d-b", "e-b") == {"d-a": "1-r2", "d-b": "1-r2", "e-a": "1-r7", "e-b": "1-r7"}
    with served(archive.directory) as url:
        alone = snapshot_client(archive, url, tmp_path / "alone", "e-r7")
        alone.update()
        with pytest.raises(RefusedError):
            alone.would_install("d-b")


def test_distributions_do_not_share_package_names(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    release = release_of(tmp_path, "r9")
    with pytest.raises(SlipwayError, match="5 problems") as failure:
        publish(archive, Release("e", "r9", release.indexes))
    assert failure.value.findings[0] == "d-a in bookworm/amd64 belongs to d"


def test_a_platform_that_a_release_leaves_out_keeps_what_it_had(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    release = release_of(tmp_path, "r2")
    publish(archive, Release("d", "r2", {"bookworm": release.indexes["bookworm"]}))
    assert publication.read_current(archive.directory).labels["d"] == {
        "bookworm/amd64": "d-r2",
        "bookworm/i386": "d-r2",
        "trixie/amd64": "d-r1",
    }
    assert "1-r1" in (archive.directory / "dists/trixie/main/binary-amd64/Packages").read_text()


def test_indexes_are_the_same_bytes_for_the_same_debs(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    first = {path.name for path in (archive.directory / "by-hash/SHA256").iterdir()}
    shutil.rmtree(archive.directory)
    publish(archive, release_of(tmp_path, "r1"))
    assert {path.name for path in (archive.directory / "by-hash/SHA256").iterdir()} == first


def test_indexes_that_were_current_can_still_be_fetched_by_their_digests(archive: Archive, tmp_path: Path) -> None:
    for number in range(1, 5):
        publish(archive, release_of(tmp_path, f"r{number}"))
        release = (archive.directory / "dists/bookworm/InRelease").read_text()
        names = [line.split()[0] for line in release.splitlines() if line.startswith(" ")]
        if number == 1:
            old = names
    by_hash = archive.directory / "dists/bookworm/main/binary-amd64/by-hash/SHA256"
    assert len(old) == 6
    assert all((by_hash / name).is_file() for name in old)
    assert sorted(path.name for path in (archive.directory / "generations").iterdir()) == ["3", "4"]


def verify_with_gpgv(top: Path, key: Path) -> str:
    """The text that both signatures of a suite are of, as gpgv says, which knows nothing but the key."""
    keyring = top / "key.gpg"
    subprocess.run(["gpg", "--batch", "--yes", "--dearmor", "--output", keyring, key], check=True, capture_output=True)
    gpgv = ["gpgv", "--keyring", keyring]
    subprocess.run([*gpgv, top / "Release.gpg", top / "Release"], check=True, capture_output=True)
    done = subprocess.run([*gpgv, "--output", "-", top / "InRelease"], check=True, capture_output=True)
    keyring.unlink()
    return done.stdout.decode()


def test_both_forms_of_signature_are_of_the_same_text_and_name_every_form_of_an_index(
    archive: Archive, tmp_path: Path
) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    for top in (archive.directory / "dists/bookworm", archive.directory / "snapshots/d-r1/dists/bookworm"):
        assert verify_with_gpgv(top, archive.directory / "key.asc") == (top / "Release").read_text()
        named = [line.split() for line in (top / "Release").read_text().splitlines() if line.startswith(" ")]
        for digest, size, name in named:
            summed = subprocess.run(["sha256sum", top / name], check=True, capture_output=True, text=True).stdout
            assert (summed.split()[0], (top / name).stat().st_size) == (digest, int(size))
        assert [name.rpartition("/")[2] for _digest, _size, name in named] == [
            "Packages",
            "Packages.gz",
            "Packages.xz",
        ] * 2
        index = top / "main/binary-amd64/Packages"
        for program in ("gzip", "xz"):
            unpacked = subprocess.run(
                [program, "-dc", index.with_suffix({"gzip": ".gz", "xz": ".xz"}[program])],
                check=True,
                capture_output=True,
            )
            assert unpacked.stdout == index.read_bytes()


def test_what_was_compressed_before_is_not_compressed_again(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    compressed: list[bytes] = []

    def compress(plain: bytes) -> bytes:
        compressed.append(plain)
        return b"compressed" + plain

    monkeypatch.setattr(dists, "COMPRESSIONS", {".gz": compress, ".xz": compress})
    release = release_of(tmp_path, "r2")
    publish(archive, Release("d", "r2", {"bookworm": {"amd64": release.indexes["bookworm"]["amd64"]}}))
    assert [text.count(b"Package: ") for text in compressed] == [2, 2]


def test_indexes_have_the_date_of_their_publication(archive: Archive, tmp_path: Path) -> None:
    clock = Clock(1_700_000_000)
    for number in (1, 2):
        publish(archive, release_of(tmp_path, f"r{number}"), clock=clock)
        paths = [path for path in (archive.directory / "dists").rglob("*") if path.is_file()]
        assert len(paths) == 3 * 3 + 2 * 3
        assert {path.stat().st_mtime for path in paths} == {1_699_999_999 + number}


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_everybody_can_read_what_is_published_and_only_its_owner_write_whatever_the_umask(
    archive: Archive, tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(umask)
    try:
        publish(archive, release_of(tmp_path, "r1"))
        (archive.directory / "pool/main").chmod(0o700)  # by a version that left it to the umask
        monkeypatch.setattr(os, "link", copy_instead(os.link))
        publish(archive, release_of(tmp_path, "r2"))
    finally:
        os.umask(before)
    modes: dict[int, list[Path]] = {}
    for path in archive.directory.rglob("*"):
        if not path.is_symlink() and path.name not in {"key.asc", publication.LOCK}:
            modes.setdefault(path.stat().st_mode, []).append(path)
    assert modes.keys() == {stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644}, modes


def copy_instead(link: Callable[..., None]) -> Callable[..., None]:
    """``os.link`` that cannot link debs from elsewhere, as from another file system."""

    def refuse(source: Path, target: Path) -> None:
        if Path(source).suffix == ".deb":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target)

    return refuse


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda top: os.truncate(top / "InRelease", 100), "InRelease has 100 bytes instead of "),
    (lambda top: (top / "Release.gpg").unlink(), "Release.gpg is missing"),
    (
        lambda top: change(top / "Release", b"Origin: Slipway", b"Origin: Slipwax"),
        "InRelease and Release are not the same text",
    ),
    (
        lambda top: shutil.copyfile(top.parent / "trixie/Release.gpg", top / "Release.gpg"),
        "Release.gpg has no good signature of a key that is known",
    ),
    (
        lambda top: change(top / "main/binary-amd64/Packages", b"Package", b"package"),
        "main/binary-amd64/Packages is another file than its digest says",
    ),
]


def change(path: Path, old: bytes, new: bytes) -> None:
    """Change a file in place, with the links to it."""
    content = path.read_bytes()
    with open(path, "r+b") as stream:
        stream.write(content.replace(old, new, 1))


@pytest.mark.parametrize("place", ["snapshots/d-r1", "generations/1"])
def test_a_published_release_is_looked_at_as_clients_look_at_it(archive: Archive, tmp_path: Path, place: str) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    whole = shutil.copytree(archive.directory, tmp_path / "whole", symlinks=True)
    for do, says in DAMAGES:
        shutil.rmtree(archive.directory)
        shutil.copytree(whole, archive.directory, symlinks=True)
        publication.verify_release(archive.directory, "d-r1", gnupghome=archive.gnupghome)
        do(archive.directory / place / "dists/bookworm")
        with pytest.raises(SlipwayError) as failure:
            publication.verify_release(archive.directory, "d-r1", gnupghome=archive.gnupghome)
        assert any(says in finding for finding in failure.value.findings), failure.value.findings


def test_what_is_not_signed_by_the_right_key_does_not_become_public(
    archive: Archive, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    other = make_key(archive.gnupghome, f"Another <{tmp_path.name}@example.org>")
    sign = dists.sign_releases
    monkeypatch.setattr(
        dists, "sign_releases", lambda signer, texts, on: sign(replace(signer, fingerprint=other), texts, on=on)
    )
    with pytest.raises(SlipwayError) as failure:
        publish(archive, release_of(tmp_path, "r2"))
    assert f"InRelease is signed by {other} instead of {archive.key}" in failure.value.findings[0]
    client.update()
    assert client.would_install("d-b") == {"d-a": "1-r1", "d-b": "1-r1"}


def test_two_publications_never_have_the_same_date(archive: Archive, tmp_path: Path) -> None:
    clock = Clock(1_700_000_000.5)
    for number in (1, 2, 3):
        publish(archive, release_of(tmp_path, f"r{number}"), clock=clock)
    assert clock.slept == [0.5, 1.0]
    path = archive.directory / "dists/bookworm/InRelease"
    assert os.stat(path).st_mtime == 1_700_000_002
    assert "Date: Tue, 14 Nov 2023 22:13:22 UTC" in path.read_text()


def test_a_clock_that_went_back_is_told(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"), clock=Clock(2_000_000_000))
    with pytest.raises(SlipwayError, match="dated 1001 s in the future"):
        publish(archive, release_of(tmp_path, "r2"), clock=Clock(1_999_999_000))


def test_every_missing_file_of_a_published_release_is_named(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    (archive.directory / "pool/main/d/d-a/d-a_1-r1_all.deb").unlink()
    (archive.directory / "snapshots/d-r1/dists/trixie/InRelease").write_bytes(b"x")
    with pytest.raises(SlipwayError, match="2 problems") as failure:
        publish(archive, release_of(tmp_path, "r1"))
    assert failure.value.findings[0] == "pool/main/d/d-a/d-a_1-r1_all.deb is missing"
    assert failure.value.findings[1].startswith("snapshots/d-r1/dists/trixie/InRelease has 1 bytes instead of ")


def test_what_cannot_be_an_archive_is_refused_with_every_reason(archive: Archive, tmp_path: Path) -> None:
    deb = debs(tmp_path, "r1")[0]
    with pytest.raises(SlipwayError) as failure:
        publish(archive, Release("../d", "r1", {"bookworm": {"amd64": (deb, deb), "i386": ()}}))
    assert failure.value.findings == [
        "the distribution '../d' is not a name",
        "the label '../d-r1' is not a name",
        "bookworm/amd64 would have d-a twice",
        "bookworm/i386 would be empty",
    ]
    assert not (archive.directory / "pool").exists()


def test_a_directory_of_another_tool_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    (archive.directory / "dists" / "bookworm").mkdir(parents=True)
    with pytest.raises(SlipwayError, match="Another tool made this directory"):
        publish(archive, release_of(tmp_path, "r1"))
    assert [path.name for path in (archive.directory / "dists").iterdir()] == ["bookworm"]


def test_a_damaged_account_of_what_is_public_is_told(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1"))
    (archive.directory / "generations/1/releases.json").write_text("{")
    with pytest.raises(SlipwayError, match=r"generations/1/releases.json is not readable"):
        publish(archive, release_of(tmp_path, "r2"))


def test_changes_and_downgrades_are_told() -> None:
    before = {"b/amd64": {"x": {"version": "1-r9"}, "y": {"version": "1-r9"}}, "b/i386": {"x": {"version": "1-r9"}}}
    after = {"b/amd64": {"x": {"version": "1-r10"}, "z": {"version": "0.9-r10"}}, "b/armhf": {"x": {"version": "1"}}}
    found = publication.compare_packages(before, after)
    assert found["added"] == [
        {"suite": "b", "architecture": "amd64", "package": "z", "version": "0.9-r10"},
        {"suite": "b", "architecture": "armhf", "package": "x", "version": "1"},
    ]
    assert found["updated"] == [
        {"suite": "b", "architecture": "amd64", "package": "x", "version": "1-r10", "was": "1-r9"}
    ]
    assert found["removed"] == [{"suite": "b", "architecture": "amd64", "package": "y", "was": "1-r9"}]
    assert found["diff"]["before"] == "b/amd64 x 1-r9\nb/amd64 y 1-r9\n"
    assert publication.find_downgrades(before, after) == []
    assert publication.find_downgrades(after, before) == ["b/amd64: x 1-r9 is older than 1-r10, which is published"]


def test_the_account_says_what_a_release_was_made_from(archive: Archive, tmp_path: Path) -> None:
    publish(archive, release_of(tmp_path, "r1", inputs={"stack": "1.0"}))
    kept = publication.read_published(archive.directory, "d-r1")
    assert kept is not None
    assert kept["inputs"] == {"stack": "1.0"}
    row = publication.read_current_packages(archive.directory, "d")["bookworm/i386"]["d-a"]
    path = archive.directory / row["path"]
    assert (row["version"], row["size"]) == ("1-r1", path.stat().st_size)
    assert json.loads((archive.directory / "snapshots/d-r1/release.json").read_text())["release"] == "r1"
