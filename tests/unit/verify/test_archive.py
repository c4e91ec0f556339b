# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An archive of debs is verified from outside, and whatever was tampered with is named."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.dists import _redate
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer, sign_releases
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.archive import (
    ArchiveRequest,
    ArchiveSeen,
    verify_archives,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.files import Look
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.finding import Report
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.trusted import Given
from ansible_collections.slipway.release.plugins.modules import release_verification_info
from aptclient import served
from debs import make_deb

SUITE = "fixed/dists/bookworm"
DEB = "pool/main/d/d-a/d-a_1-r2_amd64.deb"


@dataclass(frozen=True)
class Site:
    """A directory with the archive ``fixed``, and the key that signed it."""

    public: Path
    signer: Signer

    @property
    def suite(self) -> Path:
        return self.public / SUITE

    def sign(self, change: Callable[[str], str], suite: Path | None = None) -> None:
        """Sign another text with the right key, as who has it could do."""
        place = suite or self.suite
        for name, content in sign_releases(self.signer, [change((place / "Release").read_text())], on="a test")[
            0
        ].items():
            (place / name).unlink()
            (place / name).write_bytes(content)

    def change(self, path: str, change: Callable[[bytes], bytes]) -> None:
        """Give a file another content; others that were the same file stay."""
        data = (self.public / path).read_bytes()
        (self.public / path).unlink()
        (self.public / path).write_bytes(change(data))

    def change_index(self, change: Callable[[str], str]) -> None:
        """Give the index of bookworm for amd64 another text that the right key signs."""
        place = self.suite / "main/binary-amd64"
        text = (place / "Packages").read_bytes()
        new = change(text.decode()).encode()
        for name in ("Packages", "Packages.gz", "Packages.xz"):
            (place / name).unlink()
        (place / "Packages").write_bytes(new)
        (place / "Packages.gz").write_bytes(gzip.compress(new, mtime=0))

        def renew(release: str) -> str:
            head = [line for line in release.split("\n") if "binary-amd64" not in line and line]
            for name in ("Packages", "Packages.gz"):
                data = (place / name).read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                (self.public / "fixed/by-hash/SHA256" / digest).write_bytes(data)
                head.append(f" {digest} {len(data)} main/binary-amd64/{name}")
            return "\n".join([*head, ""])

        self.sign(renew)


def publish(site: Site, release: str) -> None:
    debs = tuple(
        read_debs(make_deb(site.public.parent / release, f"d-{name}", f"1-{release}", "amd64") for name in "ab")
    )
    archive = Archive(site.public / "fixed", "Slipway", "main", site.signer.gnupghome, str(site.signer.fingerprint))
    made = Release("d", release, {"bookworm": {"amd64": debs}, "trixie": {"amd64": debs}})
    publication.publish_release(archive, made, sleep=time.sleep)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Site:
    top = tmp_path_factory.mktemp("archive")
    fingerprint = make_key(top / "gnupg", "Archive <archive@example.org>")
    site = Site(top / "public", Signer(top / "gnupg", fingerprint))
    (site.public / "fixed").mkdir(parents=True)
    (site.public / "key.asc").write_bytes(export_public_key(top / "gnupg", fingerprint))
    for release in ("r1", "r2"):
        publish(site, release)
    return site


@pytest.fixture
def site(untouched: Site, tmp_path: Path) -> Site:
    subprocess.run(["cp", "-a", untouched.public, tmp_path / "public"], check=True)
    return Site(tmp_path / "public", untouched.signer)


def look_at(site: Site, *, url: str = "", now: float | None = None, **wanted: object) -> tuple[Report, ArchiveSeen]:
    clock = time.time if now is None else lambda: now
    look = Look(Reader(url or f"file://{site.public}", idle_timeout=5, clock=clock), Report())
    request = ArchiveRequest(Given(str(site.signer.fingerprint)), **wanted)  # type: ignore[arg-type]
    return look.report, verify_archives(look, request)


def tell(report: Report) -> str:
    return "\n".join(finding.describe() for finding in report.findings)


def test_a_good_archive_has_no_findings_from_a_disk_or_a_server(untouched: Site) -> None:
    with served(untouched.public) as url:
        for where in ("", url, f"{url}/fixed"):
            key = {} if where != f"{url}/fixed" else {"given": None}
            if key:
                data = (untouched.public / "key.asc").read_bytes()
                look = Look(Reader(where), Report())
                verify_archives(look, ArchiveRequest(Given(str(untouched.signer.fingerprint), data)))
                report = look.report
            else:
                report, seen = look_at(untouched, url=where)
                assert set(seen.dates) >= {SUITE, "fixed/snapshots/d-r1/dists/trixie"}
            assert report.findings == [], tell(report)
            assert report.counts["suites"] == 6
            assert report.counts["indexes"] == 18
            assert report.notes == []


def grow(data: bytes) -> bytes:
    return data + b"x"


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def replay(site: Site) -> None:
    """Give the InRelease of the first release with its indexes, as a mirror can that was kept back."""
    shutil.rmtree(site.suite)
    shutil.copytree(site.public / "fixed/snapshots/d-r1/dists/bookworm", site.suite, symlinks=True)
    for path in site.suite.rglob("by-hash"):
        path.unlink()
        path.symlink_to(os.path.relpath(site.public / "fixed/by-hash", path.parent.resolve()))


TAMPERED: dict[str, tuple[Callable[[Site], None], str, str]] = {
    "a package": (lambda site: site.change(f"fixed/{DEB}", flip), "file", f"fixed/{DEB}"),
    "a package that grew": (lambda site: site.change(f"fixed/{DEB}", grow), "file", f"fixed/{DEB}"),
    "a package that is gone": (lambda site: (site.public / f"fixed/{DEB}").unlink(), "missing", f"fixed/{DEB}"),
    "a package that no index names": (
        lambda site: (site.public / "fixed/pool/main/d/d-a/more.deb").write_text("x") and None,
        "extra",
        "fixed/pool/main/d/d-a/more.deb",
    ),
    "an index": (lambda site: site.change(f"{SUITE}/main/binary-amd64/Packages", flip), "index", "Packages"),
    "a compressed index": (lambda site: site.change(f"{SUITE}/main/binary-amd64/Packages.xz", flip), "index", ".xz"),
    "an index that is gone": (
        lambda site: (site.suite / "main/binary-amd64/Packages.gz").unlink(),
        "missing",
        "Packages.gz",
    ),
    "InRelease": (
        lambda site: site.change(f"{SUITE}/InRelease", lambda data: data.replace(b"Slipway", b"Slipwax")),
        "signature",
        "is over another text",
    ),
    "InRelease, and more before it": (
        lambda site: site.change(f"{SUITE}/InRelease", lambda data: b"Origin: me\n" + data),
        "signature",
        "one signed text",
    ),
    "Release": (lambda site: site.change(f"{SUITE}/Release", grow), "index", f"{SUITE}/Release"),
    "Release.gpg": (lambda site: (site.suite / "Release.gpg").unlink(), "missing", f"{SUITE}/Release.gpg"),
    "the suite of another name": (
        lambda site: site.sign(lambda text: text.replace("bookworm", "sid")),
        "index",
        "expected the suite bookworm, found sid",
    ),
    "a suite of nobody": (
        lambda site: (site.public / "fixed/dists/sid").mkdir(),
        "missing",
        "fixed/dists/sid/InRelease",
    ),
    "a path to elsewhere": (
        lambda site: site.change_index(lambda text: text.replace("pool/main/d/d-a", "../../../etc")),
        "index",
        "../../../etc",
    ),
    "a name with two contents": (
        lambda site: site.change_index(lambda text: text.replace("SHA256: ", "SHA256: 0000", 1)[:-5] + "\n\n"),
        "index",
        "path, SHA-256 and size",
    ),
    "another digest of a name": (
        lambda site: site.change_index(
            lambda text: "\n".join(f"SHA256: {'0' * 64}" if "SHA256" in line else line for line in text.split("\n"))
        ),
        "index",
        "A name of the pool never changes its content.",
    ),
    "a percentage that is none": (
        lambda site: site.change_index(lambda text: text.replace("\nSize", "\nPhased-Update-Percentage: 101\nSize")),
        "index",
        "Phased-Update-Percentage",
    ),
    "no digests": (lambda site: site.sign(lambda text: text.split("SHA256:")[0]), "index", "indexes with SHA256"),
    "a date in a year": (
        lambda site: site.sign(lambda text: _redate(text, int(time.time()) + 366 * 86400, valid_days=0)),
        "clock",
        "this machine's clock is behind",
    ),
    "no key": (lambda site: (site.public / "key.asc").unlink(), "missing", "key.asc"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_named(site: Site, what: str) -> None:
    tamper, kind, says = TAMPERED[what]
    tamper(site)
    report, _seen = look_at(site)
    assert kind in report.kinds(), tell(report)
    assert any(says in finding.describe() for finding in report.findings if finding.kind == kind), tell(report)


def test_another_key_is_told_even_if_it_lies_beside_the_archive(site: Site, tmp_path: Path) -> None:
    other = Signer(tmp_path / "gnupg", make_key(tmp_path / "gnupg", "Other <other@example.org>"))
    Site(site.public, other).sign(lambda text: text)
    data = export_public_key(other.gnupghome, str(other.fingerprint))
    (site.public / "key.asc").write_bytes((site.public / "key.asc").read_bytes() + data)
    report, _seen = look_at(site)
    assert report.kinds() == ["signature"], tell(report)
    assert "does not lead to" in tell(report)


def test_what_is_frozen_or_replayed_is_told(site: Site) -> None:
    _report, seen = look_at(site)
    site.sign(lambda text: _redate(text, int(time.time()) - 9 * 86400, valid_days=7))
    report, _now = look_at(site)
    assert report.kinds() == ["frozen"]
    assert f"{SUITE}/InRelease" in tell(report)
    replay(site)
    assert look_at(site)[0].findings == []  # nobody can tell who has not been there before
    report, _now = look_at(site, seen=seen.dates)
    assert report.kinds() == ["rollback"], tell(report)


def test_of_an_archive_that_lists_nothing_the_suites_are_given(site: Site) -> None:
    class Hidden(Reader):
        def list_directory(self, path: str) -> None:  # noqa: ARG002  # a server that shows none
            return None

    for suites, kinds in (
        (("bookworm",), []),
        (("bookworm", "sid"), ["missing"]),
        (("../x",), ["missing"]),
        ((), ["missing"]),
    ):
        look = Look(Hidden(f"file://{site.public}"), Report())
        verify_archives(look, ArchiveRequest(Given(str(site.signer.fingerprint)), suites=suites))
        assert look.report.kinds() == kinds, tell(look.report)
        assert look.report.counts.get("suites", 0) == (1 if "bookworm" in suites else 0)


@pytest.fixture
def options(site: Site, tmp_path: Path) -> dict[str, object]:
    return {
        "url": f"file://{site.public}",
        "key": str(site.public / "key.asc"),
        "version": None,
        "all_releases": False,
        "read_links": False,
        "signer_keys": [],
        "suites": [],
        "state_file": str(tmp_path / "state.json"),
        "ca_path": None,
        "progress": None,
        "timeout": 60.0,
        "idle_timeout": 5.0,
    }


def test_the_module_finds_out_that_it_is_an_archive_and_remembers_its_dates(
    site: Site, options: dict[str, object], tmp_path: Path
) -> None:
    done = release_verification_info.act(options, write=True)
    assert done["counts"]["suites"] == 6
    assert done["releases"] == []
    assert SUITE in done["remember"]


def read_recipe() -> str:
    text = (Path(__file__).parents[3] / "docs/verify.md").read_text()
    return text.partition("<!-- recipe for archives: a test runs it -->\n```bash\n")[2].partition("```\n")[0]


def run_recipe(site: Site, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    plain = subprocess.run(["gpg", "--dearmor"], input=(site.public / "key.asc").read_bytes(), stdout=-1, check=True)
    (tmp_path / "key.gpg").write_bytes(plain.stdout)
    with served(site.public) as url:
        words = ["bash", "-c", read_recipe(), "recipe", f"{url}/fixed", str(tmp_path / "key.gpg"), "bookworm"]
        return subprocess.run(
            words, check=False, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
        )


def test_the_recipe_for_archives_is_short_and_says_the_same(site: Site, tmp_path: Path) -> None:
    assert 5 < len(read_recipe().splitlines()) <= 20
    done = run_recipe(site, tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["bookworm is right"]), done.stderr


@pytest.mark.parametrize(
    "what",
    [
        "a package",
        "a package that is gone",
        "a compressed index",
        "an index that is gone",
        "InRelease",
        "the suite of another name",
        "a date in a year",
        "another digest of a name",
    ],
)
def test_the_recipe_for_archives_fails_of_what_it_can_see(site: Site, tmp_path: Path, what: str) -> None:
    TAMPERED[what][0](site)
    assert run_recipe(site, tmp_path).returncode != 0


def test_the_recipe_for_archives_refuses_what_is_frozen(site: Site, tmp_path: Path) -> None:
    site.sign(lambda text: _redate(text, int(time.time()) - 9 * 86400, valid_days=7))
    assert run_recipe(site, tmp_path).returncode != 0
