"""What reprepro exports, as clients see it: whole, and still there when they come a little later."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import exported, reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Deb, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from aptclient import Client, served
from debs import make_deb
from publishing import tree


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    home = tmp_path_factory.mktemp("gnupg")
    return Signer(home, make_key(home, "Archive <archive@example.org>"))


@pytest.fixture
def base(tmp_path: Path, signer: Signer) -> Path:
    place = tmp_path / "shadow"
    (place / "conf").mkdir(parents=True)
    suites = [
        f"Origin: Slipway\nLabel: Slipway shadow\nCodename: {name}\nArchitectures: amd64 i386\nComponents: main\n"
        "DebIndices: Packages .\n"
        for name in ("bookworm", "testing")
    ]
    (place / "conf/distributions").write_text("\n".join(suites))
    (place / "conf/options").write_text("outdir +b/export\n")
    (place / "conf/served").write_text(f"directory +b/../public\nkey {signer.fingerprint}\n")
    (tmp_path / "key.asc").write_bytes(export_public_key(signer.gnupghome, str(signer.fingerprint)))
    return place


@pytest.fixture
def client(base: Path) -> Iterator[Client]:
    (base.parent / "public").mkdir()
    with served(base.parent / "public") as url:
        source = f"deb [signed-by={base.parent}/key.asc] {url}"
        yield Client(base.parent / "client", [f"{source} bookworm main"])


def debs(directory: Path, *names: str, version: str = "1.0", text: str = "") -> list[Deb]:
    files = {"usr/share/doc/text": text.encode()}
    return read_debs(make_deb(directory / text, name, version, "amd64", files=files) for name in names)


def include(base: Path, signer: Signer, *files: Deb) -> None:
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.include("bookworm", files)


def remove(base: Path, signer: Signer, name: str) -> None:
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.remove("bookworm", [{"name": name}])


def test_apt_installs_what_was_included_and_what_it_knew_before(
    base: Path, signer: Signer, client: Client, tmp_path: Path
) -> None:
    include(base, signer, *debs(tmp_path, "one", "two"))
    client.update()
    client.download("one")
    include(base, signer, *debs(tmp_path, "one", version="2.0"))
    client.download("one")  # as it was known before
    client.update()
    assert client.would_install("one", "two") == {"one": "2.0", "two": "1.0"}


def test_a_name_never_changes_its_content_while_clients_may_know_it(
    base: Path, signer: Signer, client: Client, tmp_path: Path
) -> None:
    for text in ("first", "second"):
        include(base, signer, *debs(tmp_path, "one", text=text))
        client.update()
        remove(base, signer, "one")
        client.download("one")
    include(base, signer, *debs(tmp_path, "one", text="second"))
    pool = base.parent / "public/pool/main/o/one"
    assert sorted(len(path.relative_to(pool).parts) for path in pool.rglob("*.deb")) == [1, 2]
    assert (pool / "one_1.0_amd64.deb").read_bytes() == (tmp_path / "first/one_1.0_amd64.deb").read_bytes()
    client.update()
    client.download("one")


def test_what_is_in_no_index_goes_when_its_time_is_over(base: Path, signer: Signer, tmp_path: Path) -> None:
    include(base, signer, *debs(tmp_path, "one", "two"))
    remove(base, signer, "one")
    include(base, signer, *debs(tmp_path, "three"))
    public = base.parent / "public"
    assert len(list(public.glob("pool/**/*.deb"))) == 3
    hashes = len(list((public / "by-hash/SHA256").iterdir()))
    for hours, indexes, packages in ((2, 9, 3), (25, 9, 2)):
        later = time.time() + hours * 3600
        exported._remove_old_indexes(public, moment=later)
        exported._sweep_pool(public, public / "dists/..", moment=later)
        assert len(list((public / "by-hash/SHA256").iterdir())) == indexes < hashes
        assert len(list(public.glob("pool/**/*.deb"))) == packages
    assert not (public / "pool/main/o").exists()


def test_a_suite_that_is_as_it_was_keeps_its_files(base: Path, signer: Signer, tmp_path: Path) -> None:
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.export()
    before = (base.parent / "public/dists/testing/InRelease").stat()
    include(base, signer, *debs(tmp_path, "two"))
    after = (base.parent / "public/dists/testing/InRelease").stat()
    assert (after.st_ino, after.st_mtime) == (before.st_ino, before.st_mtime)
    assert (base.parent / "public/dists/testing/main/binary-amd64/by-hash/SHA256").is_dir()


def test_a_snapshot_of_a_suite_stays_installable(base: Path, signer: Signer, client: Client, tmp_path: Path) -> None:
    include(base, signer, *debs(tmp_path, "one"))
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        assert archive.snapshot("bookworm", "r1") is True
        assert archive.snapshot("bookworm", "r1") is False
    remove(base, signer, "one")
    sources = client.root / "etc/sources.list"
    sources.write_text(sources.read_text().replace("bookworm main", "bookworm/snapshots/r1 main"))
    client.update()
    client.download("one")


def test_an_archive_that_was_kept_where_it_is_served_is_taken_over(
    base: Path, signer: Signer, client: Client, tmp_path: Path
) -> None:
    new = (base / "conf/options").read_text()
    served_by = (base / "conf/served").read_text()
    (base / "conf/served").unlink()
    (base / "conf/options").write_text("outdir +b/../public\n")
    distributions = base / "conf/distributions"
    now = distributions.read_text()
    distributions.write_text(now.replace("DebIndices: Packages .", f"SignWith: {signer.fingerprint}"))
    include(base, signer, *debs(tmp_path, "one", "two"))
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.snapshot("bookworm", "r1")
    client.update()
    distributions.write_text(now)
    (base / "conf/options").write_text(new)
    (base / "conf/served").write_text(served_by)
    assert reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.export("bookworm")
        archive.run_reprepro("check", attempt="check")
        archive.run_reprepro("checkpool", attempt="check")
    assert not reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
    client.download("one")
    remove(base, signer, "one")
    client.download("one")
    client.update()
    assert client.would_install("two") == {"two": "1.0"}
    assert (base.parent / "public/dists/bookworm/snapshots/r1/InRelease").is_file()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_everybody_can_read_it_and_only_its_owner_write_whatever_the_umask(
    base: Path, signer: Signer, tmp_path: Path, umask: int
) -> None:
    files = debs(tmp_path, "one")
    files[0].path.chmod(0o4600)
    before = os.umask(umask)
    try:
        include(base, signer, *files)
    finally:
        os.umask(before)
    paths = [path for path in (base.parent / "public").rglob("*") if not path.is_symlink()]
    assert {path.stat().st_mode for path in paths} == {stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644}
    assert list((base.parent / "public").glob("pool/**/*.deb"))


def test_what_clients_cannot_use_is_exported_again(base: Path, signer: Signer, client: Client, tmp_path: Path) -> None:
    include(base, signer, *debs(tmp_path, "one"))
    top = base.parent / "public/dists/bookworm"
    for damage in (
        lambda: (top / "Release.gpg").write_bytes(b"x"),
        lambda: (top / "InRelease").write_bytes((top / "InRelease").read_bytes().replace(b"Slipway", b"Slipwax")),
        lambda: (top / "main/binary-amd64/Packages.xz").unlink(),
        lambda: (top / "main/binary-amd64/Packages.gz").write_bytes(b"x"),
        lambda: (base.parent / "public/pool/main/o/one/one_1.0_amd64.deb").unlink(),
    ):
        before = tree(signer.gnupghome)
        assert not reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
        damage()
        assert reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
        assert tree(signer.gnupghome) == before
        with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
            archive.export("bookworm", anew=True)
    client.update()
    client.download("one")


def test_without_its_key_nothing_is_published_and_the_next_run_does(
    base: Path, signer: Signer, client: Client, tmp_path: Path
) -> None:
    include(base, signer, *debs(tmp_path, "one"))
    before = tree(base.parent / "public")
    other = tmp_path / "other"
    make_key(other, "Another <another@example.org>")
    with pytest.raises(SlipwayError, match=f"with the key {signer.fingerprint}"):
        include(base, Signer(other), *debs(tmp_path, "two"))
    shown = {path: content for path, content in tree(base.parent / "public").items() if not path.startswith("pool")}
    assert {path: before[path] for path in shown if path in before} == {
        path: content for path, content in before.items() if not path.startswith("pool")
    }
    include(base, signer)
    client.update()
    assert client.would_install("one", "two") == {"one": "1.0", "two": "1.0"}


PROGRAM = """
import sys
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import read_debs
with reprepro.open_archive(sys.argv[1], gnupghome=sys.argv[2]) as archive:
    archive.include("bookworm", read_debs(sys.argv[3:]))
"""


def test_wherever_it_is_killed_clients_see_a_whole_archive_and_the_next_user_completes_it(
    base: Path, signer: Signer, client: Client, tmp_path: Path
) -> None:
    include(base, signer, *debs(tmp_path, "zero"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "collections")}
    for number, delay in enumerate((0.4, 0.7, 1.0)):
        files = debs(tmp_path, *(f"package{number}-{one}" for one in range(20)))
        words = [sys.executable, "-c", PROGRAM, base, signer.gnupghome, *(deb.path for deb in files)]
        process = subprocess.Popen(words, env=environment, start_new_session=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        client.update()
        client.download("zero")
        assert set(client.would_install("zero")) == {"zero"}
        include(base, signer, *files)
        client.update()
        assert client.would_install(files[-1].name) == {files[-1].name: "1.0"}
    assert not [path for top in (base, base.parent / "public") for path in top.rglob("*.tmp")]


def test_files_on_another_file_system_are_told(base: Path, signer: Signer, tmp_path: Path) -> None:
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.export()
    elsewhere = Path("/dev/shm") / f"slipway-{os.getpid()}"  # noqa: S108  # another file system is the point
    (base / "conf/served").write_text(f"directory {elsewhere}\nkey {signer.fingerprint}\n")
    try:
        with pytest.raises(SlipwayError, match=r"Invalid cross-device link\. Put both directories on one file system"):
            include(base, signer, *debs(tmp_path, "one"))
    finally:
        shutil.rmtree(elsewhere)


def test_what_reprepro_publishes_itself_is_looked_at_too(base: Path, signer: Signer, tmp_path: Path) -> None:
    (base / "conf/served").unlink()
    text = (base / "conf/distributions").read_text()
    (base / "conf/distributions").write_text(text.replace("Codename", f"SignWith: {signer.fingerprint}\nCodename"))
    include(base, signer, *debs(tmp_path, "one"))
    top = base / "export/dists/bookworm"
    assert reprepro.find_export_faults(base, "bookworm", signer.gnupghome) == []
    subprocess.run(["sed", "-i", "s/^Codename: bookworm/Codename: trixie/", top / "Release"], check=True)
    (top / "main/binary-i386/Packages").write_text("x")
    assert reprepro.find_export_faults(base, "bookworm", signer.gnupghome) == [
        "dists/bookworm: InRelease and Release are not the same text",
        "dists/bookworm: Release.gpg has no good signature of a key that is known",
        "dists/bookworm: its Codename is 'trixie' instead of 'bookworm'",
        "dists/bookworm: main/binary-i386/Packages has 1 bytes instead of 0",
    ]
    assert reprepro.is_export_due(base, "bookworm", gnupghome=signer.gnupghome)
