"""Source packages that are uploaded come into the archive whole or not at all, and apt-get source fetches them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import exported, incoming, reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.dsc import describe_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import clearsign_within
from aptclient import Client, served
from debs import make_deb
from publishing import kill_when_there, tree
from sourcepackages import build_source, parse_changelog

WITH_SOURCES = "Architectures: amd64 source\nComponents: main\nDebIndices: Packages .\nDscIndices: Sources .\n"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    home = tmp_path_factory.mktemp("gnupg")
    return Signer(home, make_key(home, "Archive <archive@example.org>"))


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .dsc of a source package of three files."""
    return build_source(tmp_path_factory.mktemp("greeter"), "greeter", "1.2-3", "3.0 (quilt)")


@pytest.fixture
def base(tmp_path: Path, signer: Signer) -> Path:
    place = tmp_path / "shadow"
    (place / "conf").mkdir(parents=True)
    write_suites(place, WITH_SOURCES)
    (place / "conf/options").write_text("outdir +b/export\n")
    (place / "conf/served").write_text(f"directory +b/../public\nkey {signer.fingerprint}\n")
    (tmp_path / "key.asc").write_bytes(export_public_key(signer.gnupghome, str(signer.fingerprint)))
    (tmp_path / "uploads").mkdir()
    (tmp_path / "public").mkdir()
    return place


@pytest.fixture
def uploads(base: Path) -> Path:
    return base.parent / "uploads"


@pytest.fixture
def client(base: Path) -> Iterator[Client]:
    with served(base.parent / "public") as url:
        lines = [f"{kind} [signed-by={base.parent}/key.asc] {url} bookworm main" for kind in ("deb", "deb-src")]
        yield Client(base.parent / "client", lines)


def write_suites(base: Path, settings: str) -> None:
    names = ("bookworm", "testing")
    (base / "conf/distributions").write_text(
        "\n".join(f"Origin: Slipway\nCodename: {name}\n{settings}" for name in names)
    )


def upload(dsc: Path, uploads: Path) -> None:
    for path in dsc.parent.glob("greeter_*"):
        shutil.copy(path, uploads)


def take(
    base: Path, signer: Signer, *, suite: str = "bookworm", keyring: Path | None = None
) -> tuple[list[str], list[str], list[str]]:
    """The packages that came, what was refused, and what waits."""
    places = incoming.locate_uploads(base, suite, base.parent / "uploads")
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        done, findings = incoming.take_uploads(archive, suite, places, component="main", keyring=keyring, timeout=30)
    came = [f"{row['package']} {row['version']} {row['architecture']}" for row in (*done.added, *done.updated)]
    return came, findings, done.waiting


def plan(base: Path, *, keyring: Path | None = None) -> tuple[list[str], list[str], list[str]]:
    places = incoming.locate_uploads(base, "bookworm", base.parent / "uploads")
    with reprepro.open_archive(base, write=False) as archive:
        done, findings = incoming.plan_uploads(archive, "bookworm", places, component="main", keyring=keyring)
    came = [f"{row['package']} {row['version']} {row['architecture']}" for row in (*done.added, *done.updated)]
    return came, findings, done.waiting


def sign_file(path: Path, home: Path, key: str) -> None:
    with provide_environment(home) as environment:
        path.write_bytes(clearsign_within(environment, key, path.read_bytes(), on="it"))


def test_apt_fetches_the_sources_that_were_uploaded_among_debs(
    base: Path, uploads: Path, signer: Signer, client: Client, greeter: Path, tmp_path: Path
) -> None:
    upload(greeter, uploads)
    make_deb(uploads, "greeter", "1.2-3", "amd64")
    planned = plan(base)
    assert planned == (["greeter 1.2-3 amd64", "greeter 1.2-3 source"], [], [])
    assert take(base, signer) == planned
    assert take(base, signer) == ([], [], [])
    mine = base / "incoming/bookworm"
    assert not any(list(place.iterdir()) for place in (uploads, mine / "moved", mine / "whole"))
    client.update()
    client.download("greeter")
    unpacked = client.fetch_source(tmp_path / "fetched", "greeter")
    assert parse_changelog(unpacked / "debian/changelog", "Version") == "1.2-3"
    for path in greeter.parent.glob("greeter_*"):
        assert (tmp_path / "fetched" / path.name).read_bytes() == path.read_bytes()
    index = (base.parent / "public/dists/bookworm/main/source/Sources").read_text()
    assert "\nSection: utils\n" in index
    assert "\nPriority: optional\n" in index


def test_a_version_that_is_there_with_the_same_bytes_is_right_and_with_others_is_refused(
    base: Path, uploads: Path, signer: Signer, greeter: Path, tmp_path: Path
) -> None:
    upload(greeter, uploads)
    take(base, signer)
    before = tree(base.parent / "public/pool")
    upload(greeter, uploads)
    assert plan(base) == ([], [], [])
    assert take(base, signer) == ([], [], [])
    files = {"greet.sh": "#!/bin/sh\necho other\n"}
    other = build_source(tmp_path / "other", "greeter", "1.2-3", "3.0 (quilt)", files=files)
    upload(other, uploads)
    told = plan(base)[1]
    came, findings, _waiting = take(base, signer)
    assert came == []
    digests = [describe_file(place.parent / "greeter_1.2.orig.tar.gz").sha256 for place in (greeter, other)]
    assert findings == [
        "greeter_1.2-3.dsc: greeter 1.2-3 is there with other content: "
        f"greeter_1.2.orig.tar.gz has the digest {digests[0]}, "
        f"the one that was uploaded {digests[1]}; it is kept in {base}/incoming/bookworm/refused"
    ]
    assert findings[0].startswith(told[0])
    refused = base / "incoming/bookworm/refused"
    assert sorted(path.name for path in refused.iterdir()) == sorted(
        path.name for path in other.parent.glob("greeter_*")
    )
    assert tree(base.parent / "public/pool") == before


def test_a_dsc_that_differs_in_its_signature_alone_is_the_same_and_what_is_public_stays(
    base: Path, uploads: Path, signer: Signer, greeter: Path
) -> None:
    upload(greeter, uploads)
    take(base, signer)
    before = tree(base.parent / "public/pool")
    upload(greeter, uploads)
    sign_file(uploads / greeter.name, signer.gnupghome, str(signer.fingerprint))
    assert take(base, signer) == ([], [], [])
    assert tree(base.parent / "public/pool") == before


def test_an_older_version_is_refused_and_a_newer_one_replaces_it(
    base: Path, uploads: Path, signer: Signer, client: Client, greeter: Path, tmp_path: Path
) -> None:
    newer = build_source(tmp_path / "newer", "greeter", "1.3-1", "3.0 (quilt)")
    upload(greeter, uploads)
    upload(newer, uploads)
    assert take(base, signer)[0] == ["greeter 1.3-1 source"]
    upload(greeter, uploads)
    findings = take(base, signer)[1]
    assert findings[0].startswith("greeter_1.2-3.dsc: greeter 1.2-3 is older than 1.3-1, which the sources have")
    client.update()
    assert (client.fetch_source(tmp_path / "fetched", "greeter=1.3-1") / "debian").is_dir()


def test_a_dsc_waits_for_its_files(base: Path, uploads: Path, signer: Signer, greeter: Path) -> None:
    upload(greeter, uploads)
    orig = uploads / "greeter_1.2.orig.tar.gz"
    orig.rename(uploads / ".greeter_1.2.orig.tar.gz.part")
    before = tree(uploads)
    waits = ["greeter_1.2-3.dsc: it waits for greeter_1.2.orig.tar.gz, which it names"]
    assert plan(base) == ([], [], waits)
    assert take(base, signer) == ([], [], waits)
    assert tree(uploads) == before
    (uploads / ".greeter_1.2.orig.tar.gz.part").rename(orig)
    assert take(base, signer) == (["greeter 1.2-3 source"], [], [])


def spoil_digest(uploads: Path) -> None:
    with open(uploads / "greeter_1.2.orig.tar.gz", "r+b") as stream:
        stream.write(b"x")


def spoil_size(uploads: Path) -> None:
    os.truncate(uploads / "greeter_1.2.orig.tar.gz", 3)


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(uploads: Path) -> None:
        dsc = uploads / "greeter_1.2-3.dsc"
        dsc.write_text(dsc.read_text().replace(old, new))

    return change


def link_part(uploads: Path) -> None:
    os.link(uploads / "greeter_1.2.orig.tar.gz", uploads.parent / "mine")


def link_dsc(uploads: Path) -> None:
    (uploads / "greeter_1.2-3.dsc").rename(uploads.parent / "mine.dsc")
    (uploads / "greeter_1.2-3.dsc").symlink_to(uploads.parent / "mine.dsc")


def rename_dsc(uploads: Path) -> None:
    (uploads / "greeter_1.2-3.dsc").rename(uploads / "other_1.2-3.dsc")


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (spoil_digest, "greeter_1.2-3.dsc: greeter_1.2.orig.tar.gz has the digest "),
    (spoil_size, "greeter_1.2-3.dsc: greeter_1.2.orig.tar.gz has 3 bytes instead of "),
    (
        edit("greeter_1.2.orig", "../greeter_1.2.orig"),
        "greeter_1.2-3.dsc: it names a file '../greeter_1.2.orig.tar.gz'",
    ),
    (edit("greeter_1.2.orig", "-x_1.2.orig"), "greeter_1.2-3.dsc: it names a file '-x_1.2.orig.tar.gz', which is not"),
    (edit("greeter_1.2.orig.tar.gz", "passwd"), "greeter_1.2-3.dsc: it names a file 'passwd', which is not a name"),
    (edit("Source: greeter", "Source: ../greeter"), "greeter_1.2-3.dsc: its Source is '../greeter', which is not"),
    (edit("Version: 1.2-3", "Version: 1.2-4"), "greeter_1.2-3.dsc: it describes greeter 1.2-4, which would be"),
    (edit("Version: ", "nothing\nVersion: "), "greeter_1.2-3.dsc: line "),
    (link_part, "greeter_1.2.orig.tar.gz: it has more than one name (hard links)"),
    (link_dsc, "greeter_1.2-3.dsc: it is not a plain file"),
    (rename_dsc, "other_1.2-3.dsc: it describes greeter 1.2-3, which would be greeter_1.2-3.dsc"),
]


@pytest.mark.parametrize(("spoil", "says"), FAULTS)
def test_a_source_package_that_cannot_be_taken_is_named_and_the_others_go_in(
    base: Path, uploads: Path, signer: Signer, greeter: Path, spoil: Callable[[Path], None], says: str
) -> None:
    upload(greeter, uploads)
    spoil(uploads)
    make_deb(uploads, "good", "1.0", "amd64")
    before = tree(uploads)
    came, told, _waiting = plan(base)
    assert came == ["good 1.0 amd64"]
    assert any(says in finding for finding in told)
    assert tree(uploads) == before
    came, findings, _waiting = take(base, signer)
    assert came == ["good 1.0 amd64"]
    assert any(finding.startswith(says) for finding in findings), findings
    assert not list((base.parent / "public").rglob("greeter*"))
    assert list(uploads.iterdir()) == []
    assert take(base, signer) == ([], [], [])
    assert not list((base / "incoming/bookworm/whole").iterdir())


def test_only_what_an_allowed_key_signed_is_taken(
    base: Path, uploads: Path, signer: Signer, greeter: Path, tmp_path: Path
) -> None:
    keyring = tmp_path / "key.asc"
    other = make_key(tmp_path / "other", "Other <other@example.org>")
    reasons = {None: "it is not signed", other: "its signature is not a good one of an allowed key"}
    for key, says in reasons.items():
        upload(greeter, uploads)
        if key is not None:
            sign_file(uploads / greeter.name, tmp_path / "other", key)
        assert plan(base, keyring=keyring)[:2] == ([], [f"{greeter.name}: {says}"])
        came, findings, _waiting = take(base, signer, keyring=keyring)
        assert came == []
        assert findings[0].startswith(f"{greeter.name}: {says}; it is kept in")
    upload(greeter, uploads)
    sign_file(uploads / greeter.name, signer.gnupghome, str(signer.fingerprint))
    assert take(base, signer, keyring=keyring) == (["greeter 1.2-3 source"], [], [])


def test_a_suite_without_sources_says_so(base: Path, uploads: Path, signer: Signer, greeter: Path) -> None:
    write_suites(base, "Architectures: amd64\nComponents: main\nDebIndices: Packages .\n")
    upload(greeter, uploads)
    assert take(base, signer)[1][0].startswith("greeter_1.2-3.dsc: bookworm takes no source packages; it is kept in")


def test_an_archive_of_before_gains_indexes_of_sources_and_keeps_its_packages(
    base: Path, uploads: Path, signer: Signer, client: Client, greeter: Path, tmp_path: Path
) -> None:
    write_suites(base, "Architectures: amd64\nComponents: main\nDebIndices: Packages .\n")
    make_deb(uploads, "one", "1.0", "amd64")
    take(base, signer)
    assert not reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    write_suites(base, WITH_SOURCES)
    assert reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.export("bookworm", anew=True)
    assert not reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    assert (base.parent / "public/dists/bookworm/main/source/Sources").read_bytes() == b""
    client.update()
    upload(greeter, uploads)
    assert take(base, signer)[0] == ["greeter 1.2-3 source"]
    client.update()
    assert client.would_install("one") == {"one": "1.0"}
    assert (client.fetch_source(tmp_path / "fetched", "greeter") / "debian").is_dir()


def test_a_missing_file_of_a_source_package_is_noticed_and_comes_back(
    base: Path, uploads: Path, signer: Signer, greeter: Path
) -> None:
    upload(greeter, uploads)
    take(base, signer)
    public = base.parent / "public/pool/main/g/greeter"
    (public / "greeter_1.2.orig.tar.gz").unlink()
    assert reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.export("bookworm", anew=True)
    wanted = (greeter.parent / "greeter_1.2.orig.tar.gz").read_bytes()
    assert (public / "greeter_1.2.orig.tar.gz").read_bytes() == wanted


def test_a_name_never_changes_its_content_while_clients_may_know_it(
    base: Path, uploads: Path, signer: Signer, client: Client, greeter: Path, tmp_path: Path
) -> None:
    upload(greeter, uploads)
    take(base, signer)
    client.update()
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive, archive.begin_change("bookworm"):
        archive.run_reprepro("-T", "dsc", "--export=silent-never", "remove", "bookworm", "greeter", attempt="remove")
    files = {"greet.sh": "#!/bin/sh\necho other\n"}
    other = build_source(tmp_path / "other", "greeter", "1.2-3", "3.0 (quilt)", files=files)
    upload(other, uploads)
    assert take(base, signer)[0] == ["greeter 1.2-3 source"]
    old = client.fetch_source(tmp_path / "old", "--allow-unauthenticated", "greeter")
    assert (old / "greet.sh").read_text() == "#!/bin/sh\necho hello\n"
    client.update()
    new = client.fetch_source(tmp_path / "new", "greeter")
    assert (new / "greet.sh").read_text() == files["greet.sh"]
    public = base.parent / "public"
    assert len(list(public.rglob("greeter_1.2.orig.tar.gz"))) == 2
    exported._sweep_pool(public, public / "dists/..", moment=time.time() + 25 * 3600)
    assert [path.read_bytes() for path in public.rglob("greeter_1.2.orig.tar.gz")] == [
        (other.parent / "greeter_1.2.orig.tar.gz").read_bytes()
    ]


def test_two_suites_may_have_a_tarball_in_common_and_never_two_of_one_name(
    base: Path, uploads: Path, signer: Signer, greeter: Path, tmp_path: Path
) -> None:
    upload(greeter, uploads)
    take(base, signer)
    upload(greeter, uploads)
    assert take(base, signer, suite="testing")[0] == ["greeter 1.2-3 source"]
    files = {"greet.sh": "#!/bin/sh\necho other\n"}
    other = build_source(tmp_path / "other", "greeter", "1.2-4", "3.0 (quilt)", files=files)
    upload(other, uploads)
    findings = take(base, signer, suite="testing")[1]
    digests = [describe_file(place.parent / "greeter_1.2.orig.tar.gz").sha256 for place in (greeter, other)]
    assert findings[0].startswith(
        "greeter_1.2-4.dsc: pool/main/g/greeter/greeter_1.2.orig.tar.gz is there with other content: "
        f"it has the digest {digests[0]}, the one that was uploaded {digests[1]}"
    )


def test_a_snapshot_keeps_its_sources(base: Path, uploads: Path, signer: Signer, greeter: Path, tmp_path: Path) -> None:
    upload(greeter, uploads)
    take(base, signer)
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.snapshot("bookworm", "r1")
    upload(build_source(tmp_path / "newer", "greeter", "1.3-1", "3.0 (quilt)"), uploads)
    take(base, signer)
    with served(base.parent / "public") as url:
        line = f"deb-src [signed-by={base.parent}/key.asc] {url} bookworm/snapshots/r1 main"
        client = Client(tmp_path / "old-client", [line])
        client.update()
        assert (client.fetch_source(tmp_path / "fetched", "greeter=1.2-3") / "debian").is_dir()


TAKE = """
import sys
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import incoming, reprepro
base, home = map(Path, sys.argv[1:])
with reprepro.open_archive(base, gnupghome=home) as archive:
    places = incoming.locate_uploads(base, "bookworm", base.parent / "uploads")
    incoming.take_uploads(archive, "bookworm", places, component="main", timeout=30)
"""


@pytest.mark.parametrize(
    "step",
    [
        "shadow/incoming/bookworm/whole/*.dsc",
        "shadow/slipway.unfinished",
        "shadow/export/pool/*/*/*/*.dsc",
        "public/pool/*/*/*/*.dsc",
    ],
)
def test_after_a_kill_the_next_run_takes_what_is_left_and_nothing_twice(
    base: Path, uploads: Path, signer: Signer, client: Client, greeter: Path, tmp_path: Path, step: str
) -> None:
    upload(greeter, uploads)
    words = [sys.executable, "-c", TAKE, base, signer.gnupghome]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    kill_when_there(process, f"{base.parent}/{step}")
    assert take(base, signer)[1:] == ([], [])
    client.update()
    assert (client.fetch_source(tmp_path / "fetched", "greeter") / "debian").is_dir()
    mine = base / "incoming/bookworm"
    assert not any(list(place.iterdir()) for place in (uploads, mine / "moved", mine / "whole"))
    assert not (mine / "refused").exists()


def test_where_nothing_can_be_included_nothing_is_refused(
    base: Path, uploads: Path, signer: Signer, greeter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(greeter, uploads)

    def fail(*_arguments: object, **_options: object) -> None:
        raise SlipwayError("include source packages in", "bookworm", "No space left on device", do_next="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(reprepro.Archive, "include_sources", fail)
        with pytest.raises(SlipwayError, match="No space left on device"):
            take(base, signer)
    assert take(base, signer) == (["greeter 1.2-3 source"], [], [])
