"""The tools with which people mirror archives, while one publication follows the other."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication, reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, Deb, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from aptclient import PROGRAMS, Client, served
from debs import make_deb

from .conftest import ROOT

NAMES = [f"d-{letter}" for letter in "abcdef"]
PLACES = ["fixed", "fixed/snapshots/d-r1", "shadow"]
KEYRING = "/etc/apt/keyrings/ros.gpg"
#: How often a tool that reads an archive by names may meet a publication before it gets all of one.
TRIES = 10


@dataclass
class Archives:
    """A published archive and a shadow archive, as they are kept and as they are served at ``url``."""

    root: Path
    archive: Archive
    url: str
    published: int = 0

    @property
    def key(self) -> Path:
        return self.root / "key.asc"

    @property
    def keyring(self) -> Path:
        return self.root / "key.gpg"

    def make_debs(self, release: str, *, lock: bool) -> list[Deb]:
        """Packages each of which needs the one before it; in exactly this release, or in any."""
        made = []
        for number, name in enumerate(NAMES):
            needs = f"{NAMES[number - 1]} (= 1-{release})" if lock else NAMES[number - 1]
            fields = {"Depends": needs} if number else {}
            files = {f"usr/share/doc/{name}": f"{release} {lock}".encode() * 1000}
            made.append(make_deb(self.root / f"debs/{lock}", name, f"1-{release}", "amd64", fields=fields, files=files))
        return read_debs(made)

    def publish_next(self) -> None:
        """The next release, and what it is made of in the shadow archive."""
        self.published += 1
        release = f"r{self.published}"
        indexes = {"bookworm": {"amd64": tuple(self.make_debs(release, lock=True))}}
        publication.publish_release(self.archive, Release("d", release, indexes))
        with reprepro.open_archive(self.root / "shadow", gnupghome=self.archive.gnupghome) as shadow:
            shadow.include("bookworm", self.make_debs(release, lock=False))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    root = tmp_path_factory.mktemp("archives")
    home = root / "gnupg"
    key = make_key(home, "Archive <archive@example.org>")
    (root / "key.asc").write_bytes(export_public_key(home, key))
    subprocess.run(["gpg", "--batch", "--dearmor", "--output", root / "key.gpg", root / "key.asc"], check=True)
    conf = root / "shadow/conf"
    conf.mkdir(parents=True)
    (conf / "distributions").write_text(
        "Codename: bookworm\nArchitectures: amd64\nComponents: main\nDebIndices: Packages .\n"
    )
    (conf / "options").write_text("outdir +b/export\n")
    (conf / "served").write_text(f"directory +b/../public/shadow\nkey {key}\n")
    (root / "public").mkdir()
    with served(root / "public") as url:
        made = Archives(root, Archive(root / "public/fixed", "Slipway", "main", home, key), url)
        made.publish_next()
        yield made


@pytest.fixture(scope="module")
def publishing(archives: Archives) -> Iterator[Archives]:
    """Publications without a rest."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            archives.publish_next()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield archives
        assert thread.is_alive()
    finally:
        ended.set()
        thread.join()


def run(*words: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**PROGRAMS, "HOME": str(home or "/nonexistent"), "no_proxy": "*"}
    return subprocess.run(words, check=False, capture_output=True, text=True, env=environment)


def try_often(attempt: Callable[[], str]) -> int:
    """How many times it took until nothing was in the way."""
    for number in range(1, TRIES + 1):
        told = attempt()
        if not told:
            return number
    raise AssertionError(told)


def read_as_client(source: str, root: Path) -> str:
    """What apt says against an archive: it installs the last package, whose digest and all before it fit."""
    client = Client(root, [source])
    client.run("apt-get", "clean")
    for words in (["update", "-q"], ["install", "-q", "--download-only", NAMES[-1]]):
        done = client.run("apt-get", *words, check=False)
        if done.returncode != 0:
            return done.stdout + done.stderr
    assert len(set(client.would_install(NAMES[-1]).values())) == 1
    assert len(list((root / "cache/archives").glob("*.deb"))) == len(NAMES)
    return ""


def check_mirror(mirror: Path, archives: Archives) -> str:
    """What the check of docs/operating.md says against a mirror."""
    text = (ROOT / "docs/operating.md").read_text()
    script = text[text.index("    cd mirror/dists/") :].partition("\n)")[0]
    script = script.replace("mirror/dists/", f"{mirror}/dists/").replace(KEYRING, str(archives.keyring))
    done = run("bash", "-c", script)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def read_stages(source: Path) -> tuple[str, str]:
    """The lines of docs/mirrors.md that fetch contents, and pointers, from ``source`` instead of a server."""
    text = (ROOT / "docs/mirrors.md").read_text()
    lines = text[text.index("# 1. contents") :].partition("```")[0].replace("HOST", "mirror-2")
    contents, mark, pointers = lines.replace("rsync://download.example.org/public/", f"{source}/").partition("# 2. ")
    return contents, mark + pointers


@contextlib.contextmanager
def as_source(mirror: Path, options: str) -> Iterator[str]:
    with served(mirror) as url:
        yield f"deb [{options}] {url} bookworm main"


def run_debmirror(archives: Archives, url: str, mirror: Path) -> str:
    """What it says if it fails."""
    host, _slash, root = url.removeprefix("http://").partition("/")
    done = run(
        "debmirror", "--method=http", f"--host={host}", f"--root=/{root}", "--dist=bookworm", "--section=main",
        "--arch=amd64", "--nosource", "--rsync-extra=none", f"--keyring={archives.keyring}", mirror, home=mirror.parent,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("asked", ["Release.gpg", "main/binary-amd64/Packages.xz"])
@pytest.mark.parametrize("place", ["fixed", "shadow"])
def test_a_mirror_by_names_that_meets_a_publication_is_noticed_and_whole_after_the_next_run(
    archives: Archives, tmp_path: Path, place: str, asked: str
) -> None:
    mirror, due = tmp_path / "mirror", [False]

    def publish(path: str) -> None:
        if due[0] and path.endswith(asked):
            due[0] = False
            archives.publish_next()

    with served(archives.root / "public", on_get=publish) as url:

        def attempt() -> str:
            return run_debmirror(archives, f"{url}/{place}", mirror) or check_mirror(mirror, archives)

        assert attempt() == ""
        archives.publish_next()
        due[0] = True
        assert attempt()
        assert not due[0]
        assert attempt() == ""
    with as_source(mirror, f"signed-by={archives.key}") as source:
        assert read_as_client(source, tmp_path / "client") == ""


@pytest.mark.parametrize("place", ["fixed", "shadow"])
def test_readers_of_a_mirror_by_rsync_find_the_old_until_its_second_stage_and_then_the_new(
    archives: Archives, tmp_path: Path, place: str
) -> None:
    contents, pointers = read_stages(archives.root / "public")
    mirror = tmp_path / "public"

    def stage(lines: str) -> None:
        subprocess.run(["bash", "-euc", lines], cwd=tmp_path, check=True)

    def newest() -> str:
        with as_source(mirror / place, f"signed-by={archives.key}") as source:
            assert read_as_client(source, tmp_path / "client") == ""
            return Client(tmp_path / "client", [source]).would_install(NAMES[-1])[NAMES[-1]]

    stage(contents)
    stage(pointers)
    before = newest()
    archives.publish_next()
    stage(contents)
    assert newest() == before
    stage(pointers)
    assert newest() == f"1-r{archives.published}" != before
    assert (mirror / "trace/mirror-2").read_text().endswith("Running on host: mirror-2\n")


@pytest.mark.parametrize("place", PLACES)
def test_apt_never_meets_what_does_not_fit(publishing: Archives, tmp_path: Path, place: str) -> None:
    begun = publishing.published
    for number in range(5):
        source = f"deb [signed-by={publishing.key}] {publishing.url}/{place} bookworm main"
        assert read_as_client(source, tmp_path / f"{number}") == ""
    assert publishing.published > begun


@pytest.mark.parametrize("place", PLACES)
def test_aptly_has_all_of_a_moment_after_some_runs(publishing: Archives, tmp_path: Path, place: str) -> None:
    config = tmp_path / "aptly.conf"
    config.write_text(f'{{"rootDir": "{tmp_path}/aptly", "gpgProvider": "gpg2"}}')
    keyring = f"-keyring={publishing.keyring}"

    def run_aptly(*words: str) -> str:
        done = run("aptly", f"-config={config}", *words, home=tmp_path)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    source = [f"{publishing.url}/{place}", "bookworm", "main"]
    assert run_aptly("mirror", "create", keyring, "-architectures=amd64", "m", *source) == ""
    try_often(lambda: run_aptly("mirror", "update", keyring, "m"))
    assert run_aptly("snapshot", "create", "s", "from", "mirror", "m") == ""
    assert run_aptly("publish", "snapshot", "-skip-signing", "-distribution=bookworm", "s") == ""
    with as_source(tmp_path / "aptly/public", "trusted=yes") as mirror:
        assert read_as_client(mirror, tmp_path / "client") == ""


@pytest.mark.parametrize("place", PLACES)
def test_debmirror_has_all_of_a_moment_after_some_runs(publishing: Archives, tmp_path: Path, place: str) -> None:
    mirror = tmp_path / "mirror"
    try_often(
        lambda: run_debmirror(publishing, f"{publishing.url}/{place}", mirror) or check_mirror(mirror, publishing)
    )
    with as_source(mirror, f"signed-by={publishing.key}") as source:
        assert read_as_client(source, tmp_path / "client") == ""


@pytest.mark.parametrize("place", PLACES)
def test_apt_mirror_has_all_of_a_moment_after_some_runs(publishing: Archives, tmp_path: Path, place: str) -> None:
    # It finds nothing of what it fetched from another port than HTTP's own: through a proxy, that is where it asks.
    settings = {
        "base_path": tmp_path / "base", "defaultarch": "amd64", "nthreads": 4, "run_postmirror": 0, "_contents": 0,
        "use_proxy": "on", "http_proxy": publishing.url,
    }  # fmt: skip
    lines = [f"set {name} {value}\n" for name, value in settings.items()]
    (tmp_path / "list").write_text("".join([*lines, f"deb http://archive.example/{place} bookworm main\n"]))

    def attempt() -> str:
        done = run("apt-mirror", tmp_path / "list", home=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return check_mirror(mirror, publishing)

    mirror = tmp_path / "base/mirror/archive.example" / place
    try_often(attempt)
    with as_source(mirror, f"signed-by={publishing.key}") as source:
        assert read_as_client(source, tmp_path / "client") == ""


@pytest.mark.parametrize("place", PLACES)
def test_reprepro_update_has_all_of_a_moment_after_some_runs(publishing: Archives, tmp_path: Path, place: str) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "distributions").write_text("Codename: bookworm\nArchitectures: amd64\nComponents: main\nUpdate: theirs\n")
    key = publishing.archive.key[-16:]
    (conf / "updates").write_text(
        f"Name: theirs\nMethod: {publishing.url}/{place}\nSuite: bookworm\nVerifyRelease: {key}\n"
    )
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    subprocess.run(["gpg", "--homedir", home, "--batch", "-q", "--import", publishing.key], check=True)
    reprepro_update = ["env", f"GNUPGHOME={home}", "reprepro", "-b", tmp_path, "update"]

    def attempt() -> str:
        done = run(*reprepro_update, home=tmp_path)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    try_often(attempt)
    with as_source(tmp_path, "trusted=yes") as source:
        assert read_as_client(source, tmp_path / "client") == ""
