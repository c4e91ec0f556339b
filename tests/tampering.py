# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be done to a public directory or an archive of debs, and who notices: the table in docs/verify.md.

A judge is a function that looks at a :class:`Place` and says in a word or two what it makes of it. Write the table anew
with ``SLIPWAY_WRITE_TABLE=1 pytest tests/integration/test_tampering.py``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import http.server
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.dists import _redate
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer, sign_releases
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_messages
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.archive import (
    ArchiveRequest,
    verify_archives,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.files import Look
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.finding import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.site import Request, verify_site
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.trusted import read_given
from ansible_collections.slipway.release.plugins.module_utils.slipway.views import sysupdate
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.directory import write_view
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.pgpkey import make_signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.subject import View, ViewFile
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.tuf import make_repository
from aptclient import Client
from debs import make_deb
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater
from verifying import DAY, ROOT, Made, append, index, make_current, make_project, read_sums, release, state

DOCS = ROOT / "docs/verify.md"
UNSEEN = "-"
FILES = {"minimal.img": b"minimal" * 1000, "devel.img": b"devel" * 1000}
DEVEL = "baserock-26.47/baserock-26.47-devel.img.gz"
SUITE = "dists/bookworm"


@dataclass
class Place:
    """What is looked at: ``made`` or ``archive``; ``days`` and ``server_days`` are how far the clocks of the reader and
    of the server are off. ``history`` is a directory of what clients know from before, ``address`` where it is served.
    """

    made: Made
    history: Path
    days: int = 0
    server_days: int = 0
    signer_keys: list[bytes] = field(default_factory=list)
    serials: Mapping[str, int] = field(default_factory=dict)
    address: str = "127.0.0.1"

    @property
    def now(self) -> float:
        return time.time() + self.days * DAY

    def fake(self, *words: str) -> list[str]:
        """A command under the clock of the reader."""
        return ["faketime", "-f", f"{self.days:+d}d", *words] if self.days else [*words]

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        with serve(self.made.public, self.server_days, self.address) as url:
            yield url


@contextlib.contextmanager
def serve(directory: Path, days: int = 0, address: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server of files whose clock is off."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(int(time.time() + days * DAY if timestamp is None else timestamp))

        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def read_recipe(mark: str) -> str:
    """A recipe in the documentation."""
    return DOCS.read_text().partition(f"<!-- {mark}: a test runs it -->\n```bash\n")[2].partition("```\n")[0]


def run_recipe(place: Place, mark: str, *words: str) -> str:
    """Whether the recipe stops."""
    scratch = place.history.parent / "recipe"
    scratch.mkdir(exist_ok=True)
    with place.served() as url:
        done = subprocess.run(
            place.fake("bash", "-c", read_recipe(mark), "recipe", url, *words),
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
    return UNSEEN if done.returncode == 0 else "stops"


# --- releases


def make_site(top: Path) -> Place:
    """Two releases, the second one current, with the views for TUF clients and for systemd-sysupdate."""
    made = make_project(top / "made", expires="30d")
    release(made, "26.46", FILES, days=90)
    release(made, "26.47", {**FILES, "devel.img": b"new" * 1000}, serial=2, days=90)
    add_view(made, days=90)
    place = Place(made, top / "history", serials={"baserock": 2})
    fetch_target(place)
    return place


def add_view(made: Made, *, days: int, now: float | None = None, version: str = "26.47") -> None:
    moment = time.time() if now is None else now
    files = []
    for each in ("26.46", "26.47") if version == "26.47" else ("26.46",):
        label = made.label(each)
        for name, digest in read_sums(made, each).items():
            if name.startswith(label):
                path = made.public / label / name
                current = f"baserock-current-{name[len(label) + 1 :]}" if each == version else ""
                files.append(ViewFile(f"{label}/{name}", path.stat().st_size, digest, "rawdisk", current))
    signer = make_signer(made.home, made.fingerprint)
    until = moment + days * DAY
    view = make_repository(files, before={}, signer=signer, now=moment, believe_until=until)
    write_view(made.public, "tuf", View(view.files, view.links))
    write_updates(made, made, sysupdate.format_sums(files, believe_until=until), files)


def write_updates(made: Made, signer: Made, sums: bytes, files: Sequence[ViewFile]) -> None:
    """The view of systemd-sysupdate, signed by the key of ``signer``."""
    (signature,) = sign_messages(signer.home, signer.fingerprint, [sums], on="the list of disks")
    write_view(made.public, "updates", sysupdate.make_view(sums, signature, files))


def fetch_target(place: Place) -> None:
    """Fetch the current image as a client of TUF does that knows the first root."""
    place.history.mkdir(exist_ok=True)
    (place.history / "got").mkdir(exist_ok=True)
    root = place.made.top / "root.json"
    if not root.exists():
        shutil.copy(place.made.public / "tuf/1.root.json", root)
    with place.served() as url:
        updater = Updater(
            str(place.history),
            f"{url}/tuf/",
            str(place.history / "got"),
            f"{url}/tuf/targets/",
            bootstrap=root.read_bytes(),
        )
        updater._trusted_set.reference_time = datetime.datetime.fromtimestamp(place.now, datetime.UTC)
        updater.refresh()
        info = updater.get_targetinfo("baserock-current-devel.img.gz")
        assert info is not None
        updater.download_target(info)


def judge_by_verify(place: Place) -> str:
    """What ``playbooks/verify.yml`` names."""
    with place.served() as url:
        reader = Reader(url, idle_timeout=10, clock=lambda: place.now)
        with Look(reader, Report()) as look:
            given = read_given(str(place.made.key))
            verify_site(look, Request(given, serials=place.serials, signer_keys=place.signer_keys))
    return ", ".join(f"`{kind}`" for kind in look.report.kinds()) or UNSEEN


def judge_by_recipe(place: Place) -> str:
    return run_recipe(place, "recipe", str(place.made.key))


def judge_by_tuf(place: Place) -> str:
    try:
        fetch_target(place)
    except (RepositoryError, DownloadError):
        return "refuses"
    return UNSEEN


def change_sums(place: Place) -> None:
    for name in ("baserock-26.47/SHA256SUMS", "updates/SHA256SUMS"):
        path = (place.made.public / name).resolve()
        path.write_text(path.read_text().replace("a", "b"))


def sign_by_another(place: Place) -> None:
    """Another key signs, and is put beside the right one."""
    made = place.made
    other = make_project(made.top / "other")
    target = made.public / "baserock-26.47/SHA256SUMS"
    other.sign_file(target)
    updates = made.public / "updates"
    (signature,) = sign_messages(
        other.home, other.fingerprint, [(updates / "SHA256SUMS").read_bytes()], on="the list of disks"
    )
    (updates / "SHA256SUMS.gpg").resolve().write_bytes(signature)
    (made.public / "release-key.asc").write_bytes(made.key.read_bytes() + other.key.read_bytes())


def point_back(place: Place) -> None:
    """What is current stays what it was for everything but the links."""
    switch = place.made.public / ".current"
    generation = switch.resolve()
    for path in generation.iterdir():
        target = os.readlink(path).replace("26.47", "26.46")
        path.unlink()
        path.symlink_to(target)


def change_manifest(place: Place) -> None:
    path = place.made.public / "baserock-26.47/manifest.json"
    path.write_text(path.read_text().replace("rawdisk", "tar"))


def change_statement(place: Place) -> None:
    path = place.made.public / "baserock-26.47.intoto.jsonl"
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))


def change_page(place: Place) -> None:
    path = place.made.public / "baserock-26.47.html"
    digest = read_sums(place.made, "26.47")[DEVEL.rpartition("/")[2]]
    path.write_text(path.read_text().replace(digest, "0" * 64))


def revoke(place: Place) -> None:
    made = place.made
    text = (made.home / f"openpgp-revocs.d/{made.fingerprint}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    (made.public / "release-key.asc").write_text(made.key.read_text() + text[text.index("-----BEGIN PGP") :])


def attest_falsely(place: Place) -> None:
    """Three attest, two must, and one says something else."""
    signers = attest(place.made, liar="cy")
    place.signer_keys += [signer.key.read_bytes() for signer in signers.values()]


def attest(made: Made, *, liar: str = "") -> dict[str, Made]:
    """Three attest 26.47, of whom two must, and ``latest.json`` names them; each with the keys that they have."""
    repository = made.top / "attestations"
    repository.mkdir()
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    signers = {name: make_project(made.top / name) for name in ("ada", "ben", "cy")}
    for name, signer in signers.items():
        directory = repository / "26.47" / name
        directory.mkdir(parents=True)
        sums = (made.public / "baserock-26.47/SHA256SUMS").read_text()
        (directory / "SHA256SUMS").write_text(sums if name != liar else sums.replace(sums[:64], "0" * 64))
        signer.sign_file(directory / "SHA256SUMS")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    prints = {name: signer.fingerprint for name, signer in signers.items()}
    attested = {"url": f"file://{repository}", "threshold": 2, "signers": prints}
    make_current(made, "26.47", serial=3, days=90, attestations=attested)
    return signers


def freeze(place: Place) -> None:
    made, before = place.made, int(time.time()) - 40 * DAY
    make_current(made, "26.47", serial=2, date=before, days=30, keys=False)
    add_view(made, days=30, now=before)
    shutil.rmtree(place.history)  # a client that begins there


def roll_back(place: Place) -> None:
    make_current(place.made, "26.46", serial=1, days=90)
    add_view(place.made, days=90, version="26.46")
    for path in (place.made.public / "baserock-26.47", place.made.public / ".current"):
        assert path.exists()
    shutil.rmtree(place.made.public / "baserock-26.47")
    for path in place.made.public.glob("baserock-26.47*"):
        path.unlink()
    index(place.made)


def state_another(place: Place) -> None:
    """A good statement, by the right key, of a file of the release before."""
    made = place.made
    name = "baserock-26.46-devel.img.gz"
    state(made, "26.47", {**read_sums(made, "26.47"), name: read_sums(made, "26.46")[name]})
    make_current(made, "26.47", serial=3, days=90)


def shift(days: int, server_days: int = 0) -> Callable[[Place], None]:
    def act(place: Place) -> None:
        place.days, place.server_days = days, server_days

    return act


def in_public(act: Callable[[Path], object]) -> Callable[[Place], object]:
    return lambda place: act(place.made.public)


RELEASE_KINDS: dict[str, Callable[[Place], object]] = {
    "nothing": lambda _place: None,
    "a file is changed": in_public(lambda public: append(public / DEVEL)),
    "`SHA256SUMS` is changed": change_sums,
    "the signature is of another key": sign_by_another,
    "the link `current` leads to the release before": point_back,
    "a file is missing": in_public(lambda public: (public / DEVEL).unlink()),
    "a file is added": in_public(lambda public: (public / "baserock-26.47/more.img.gz").write_bytes(b"x")),
    "`manifest.json` is changed": change_manifest,
    "a statement is changed": change_statement,
    "a statement of another artifact is added, and signed": state_another,
    "the page is changed": change_page,
    "the key has expired": shift(40, 40),
    "the key is revoked": revoke,
    "one signer of three lies": attest_falsely,
    "a mirror is frozen": freeze,
    "all is rolled back to the release before": roll_back,
    "the reader's clock is a year behind": shift(-365),
    "the reader's clock is a year ahead": shift(365),
}
RELEASE_JUDGES: dict[str, Callable[[Place], str]] = {
    "`verify.yml`": judge_by_verify,
    "recipe": judge_by_recipe,
    "`tuf` client": judge_by_tuf,
}


# --- archives


def make_archive(top: Path) -> Place:
    """An archive with two releases, the second one current, to be believed for a week."""
    made = make_project(top / "made", expires="30d")
    shutil.copy(made.key, made.public / "key.asc")
    (made.public / "release-key.asc").unlink()
    for number in ("r1", "r2"):
        debs = tuple(read_debs([make_deb(top / number, "d-a", f"1-{number}", "amd64")]))
        archive = Archive(made.public, "Slipway", "main", made.home, made.fingerprint)
        publication.publish_release(archive, Release("d", number, {"bookworm": {"amd64": debs}}, {}))
        date = int(time.time()) - (DAY if number == "r1" else 0)
        sign_again(made, functools.partial(_redate, moment=date, valid_days=7))
        shutil.copytree(made.public / SUITE, top / f"suite-{number}", symlinks=True)
    plain = subprocess.run(["gpg", "--dearmor"], input=made.key.read_bytes(), stdout=subprocess.PIPE, check=True)
    (made.top / "key.gpg").write_bytes(plain.stdout)
    place = Place(made, top / "history")
    assert update_host(place) == ("", "1-r2")
    return place


def sign_again(made: Made, change: Callable[[str], str], *, by: Made | None = None) -> None:
    """Sign another text of the suite."""
    signer = Signer((by or made).home, (by or made).fingerprint)
    suite = made.public / SUITE
    for name, content in sign_releases(signer, [change((suite / "Release").read_text())], on="a test")[0].items():
        (suite / name).unlink()
        (suite / name).write_bytes(content)


def update_host(place: Place) -> tuple[str, str]:
    """What apt complains of, and the version that it would install."""
    place.history.mkdir(exist_ok=True)
    # apt knows what it has by the address, which stays the same through a link.
    link = Path("/tmp") / f"slipway-tampering-{os.getpid()}"  # noqa: S108  # a name of this process
    link.unlink(missing_ok=True)
    link.symlink_to(place.made.public)
    try:
        client = Client(place.history, [f"deb [signed-by={place.made.key}] copy:{link} bookworm main"])
        done = client.run(*place.fake("apt-get", "update", "-q"), check=False)
        said = [line for line in done.stderr.splitlines() if line.startswith(("W:", "E:"))]
        if done.returncode == 0 and not said:
            got = client.run(*place.fake("apt-get", "install", "-q", "--download-only", "d-a"), check=False)
            said += [] if got.returncode == 0 else [got.stderr]
            client.run("apt-get", "clean")
        shown = client.run("apt-cache", "policy", "d-a", check=False).stdout
    finally:
        link.unlink()
    version = next((line.split()[1] for line in shown.splitlines() if "Candidate:" in line), "")
    return "\n".join(said), version


def judge_archive_by_verify(place: Place) -> str:
    with place.served() as url:
        reader = Reader(url, idle_timeout=10, clock=lambda: place.now)
        with Look(reader, Report()) as look:
            verify_archives(look, ArchiveRequest(read_given(str(place.made.key)), seen=place.serials))
    return ", ".join(f"`{kind}`" for kind in look.report.kinds()) or UNSEEN


def judge_archive_by_recipe(place: Place) -> str:
    return run_recipe(place, "recipe for archives", str(place.made.top / "key.gpg"), "bookworm")


def judge_by_apt(place: Place) -> str:
    said, version = update_host(place)
    if said:
        return "refuses"
    return UNSEEN if version == "1-r2" else "takes the old one"


DEB = "pool/main/d/d-a/d-a_1-r2_amd64.deb"
PACKAGES = f"{SUITE}/main/binary-amd64/Packages"


def change_index(public: Path) -> None:
    directory = (public / PACKAGES).parent
    for path in directory.glob("Packages*"):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for path in (directory / "by-hash/SHA256").resolve().iterdir():
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def change_deb(public: Path) -> None:
    data = bytearray((public / DEB).read_bytes())
    data[-1] ^= 1
    (public / DEB).unlink()
    (public / DEB).write_bytes(data)


def replay(place: Place) -> None:
    """The signed indexes of the first release, which are to be believed still."""
    suite = place.made.public / SUITE
    date = read_date(suite / "InRelease")
    place.serials = {SUITE: date}
    shutil.rmtree(suite)
    shutil.copytree(place.made.top.parent / "suite-r1", suite, symlinks=True)


def read_date(path: Path) -> int:
    said = next(line for line in path.read_text().splitlines() if line.startswith("Date: "))
    return int(
        datetime.datetime.strptime(said, "Date: %a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=datetime.UTC).timestamp()
    )


def revoke_archive(place: Place) -> None:
    revoke(place)
    (place.made.public / "release-key.asc").rename(place.made.public / "key.asc")


ARCHIVE_KINDS: dict[str, Callable[[Place], object]] = {
    "nothing": lambda _place: None,
    "a package is changed": in_public(change_deb),
    "a package is missing": in_public(lambda public: (public / DEB).unlink()),
    "a package is added": in_public(lambda public: (public / "pool/main/d/d-a/more.deb").write_bytes(b"x")),
    "an index is changed": in_public(change_index),
    "`InRelease` is of another key": lambda place: sign_again(
        place.made, lambda text: text, by=make_project(place.made.top / "other")
    ),
    "the key has expired": shift(40, 40),
    "the key is revoked": revoke_archive,
    "a mirror is frozen": lambda place: sign_again(
        place.made, lambda text: _redate(text, int(time.time()) - 9 * DAY, valid_days=7)
    ),
    "an old `InRelease` is replayed": replay,
    "the reader's clock is a year behind": shift(-365),
    "the reader's clock is a year ahead": shift(365),
}
ARCHIVE_JUDGES: dict[str, Callable[[Place], str]] = {
    "`verify.yml`": judge_archive_by_verify,
    "recipe": judge_archive_by_recipe,
    "apt": judge_by_apt,
}


def copy_place(place: Place, top: Path) -> Place:
    """The same elsewhere, to be changed."""
    top.mkdir()
    made = place.made.copied(top / "made")
    for path in place.made.top.parent.glob("suite-*"):
        shutil.copytree(path, top / path.name, symlinks=True)
    shutil.copytree(place.history, top / "history", symlinks=True)
    return Place(made, top / "history", serials=dict(place.serials), address=place.address)


def fill_table(
    place: Place,
    kinds: Mapping[str, Callable[[Place], object]],
    judges: Mapping[str, Callable[[Place], str]],
    top: Path,
) -> dict[str, list[str]]:
    """What each judge makes of each kind of tampering."""
    table = {}
    for number, (kind, tamper) in enumerate(kinds.items()):
        changed = copy_place(place, top / str(number))
        tamper(changed)
        table[kind] = [judge(changed) for judge in judges.values()]
        shutil.rmtree(top / str(number))
    return table


def compare_table(name: str, found: Mapping[str, Sequence[str]], judges: Sequence[str]) -> None:
    """Whether the documentation has what was found; with ``SLIPWAY_WRITE_TABLE`` it gets it."""
    begin, end = f"<!-- who notices what in {name}: made by a test -->\n", f"<!-- end of {name} -->\n"
    before, _mark, rest = DOCS.read_text().partition(begin)
    told, mark, after = rest.partition(end)
    assert mark, f"{DOCS} has no place for the table of {name}"
    table = format_table(found, judges)
    if os.environ.get("SLIPWAY_WRITE_TABLE"):
        DOCS.write_text(f"{before}{begin}{table}{end}{after}")
    else:
        assert told == table


def format_table(table: Mapping[str, Sequence[str]], judges: Sequence[str]) -> str:
    """As the documentation has it."""
    lines = [f"| what was done | {' | '.join(judges)} |", f"| --- |{' --- |' * len(judges)}"]
    return "\n".join([*lines, *(f"| {kind} | {' | '.join(verdicts)} |" for kind, verdicts in table.items())]) + "\n"
