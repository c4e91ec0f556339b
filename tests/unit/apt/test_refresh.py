"""Archives that clients believe for some days, and are signed again before these are over."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import exported, publication, reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.generations import refresh_generation
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import Release
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.signed import Signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.modules import apt_refresh
from aptclient import Client, served
from debs import make_deb
from publishing import tree

DAY = 86400


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    home = tmp_path_factory.mktemp("gnupg")
    return Signer(home, make_key(home, "Archive <archive@example.org>"))


def publish(place: Path, signer: Signer, release: str, *, ago: float = 0.0) -> None:
    """Publish a release of one package, dated ``ago`` days ago."""
    archive = Archive(place, "Slipway", "main", signer.gnupghome, str(signer.fingerprint))
    debs = tuple(read_debs([make_deb(place.parent / release, "d-a", f"1-{release}", "amd64")]))
    published = Release("d", release, {"bookworm": {"amd64": debs}, "trixie": {"amd64": debs}})
    publication.publish_release(archive, published, clock=lambda: time.time() - ago * DAY, sleep=lambda _seconds: None)


@pytest.fixture
def fixed(tmp_path: Path, signer: Signer) -> Path:
    """The published archive, nine days old."""
    (tmp_path / "fixed").mkdir()
    (tmp_path / "fixed/key.asc").write_bytes(export_public_key(signer.gnupghome, str(signer.fingerprint)))
    publish(tmp_path / "fixed", signer, "r1", ago=9)
    return tmp_path / "fixed"


@pytest.fixture
def refresh(fixed: Path, signer: Signer) -> Callable[..., dict[str, Any]]:
    def call(*, write: bool = True, **options: Any) -> dict[str, Any]:
        defaults = {
            "directory": str(fixed),
            "base": None,
            "gnupghome": str(signer.gnupghome),
            "signing_key": None,
            "valid_days": 7.0,
            "ahead_days": None,
            "record": str(fixed.parent / "seen.json"),
            "lock_timeout": 10,
        }
        return apt_refresh.act({**defaults, **options}, write=write)

    return call


@pytest.fixture
def client(fixed: Path) -> Iterator[Client]:
    with served(fixed) as url:
        yield Client(fixed.parent / "client", [f"deb [signed-by={fixed}/key.asc] {url} bookworm main"])


def expire(fixed: Path, signer: Signer) -> None:
    """Refresh the archive as it was done eight days ago."""
    ago = time.time() - 8 * DAY
    refresh_generation(fixed, publication.ACCOUNT, signer=signer, valid_days=7, clock=lambda: ago)


def test_apt_refuses_what_has_expired_and_takes_it_when_it_is_signed_again(
    fixed: Path, signer: Signer, client: Client, refresh: Callable[..., dict[str, Any]]
) -> None:
    client.update()  # without a Valid-Until, whatever its age
    expire(fixed, signer)
    refused = client.run("apt-get", "update", "-q", check=False)
    assert refused.returncode
    assert "is expired" in refused.stderr
    asked: list[str] = []
    before = {path.name: path.stat().st_ino for path in (fixed / "by-hash/SHA256").iterdir()}
    assert refresh()["changed"] is True
    with served(fixed, on_get=asked.append) as url:
        again = Client(fixed.parent / "again", [f"deb [signed-by={fixed}/key.asc] {url} bookworm main"])
        again.update()
        assert again.would_install("d-a") == {"d-a": "1-r1"}
        again.download("d-a")
    assert any("/by-hash/SHA256/" in path for path in asked)
    assert {path.name: path.stat().st_ino for path in (fixed / "by-hash/SHA256").iterdir()} == before


def test_it_is_signed_again_only_when_its_end_is_near(fixed: Path, refresh: Callable[..., dict[str, Any]]) -> None:
    done = refresh()
    days = {
        (time.mktime(time.strptime(end, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()) / DAY
        for end in done["suites"].values()
    }
    assert set(done["suites"]) == {"bookworm", "trixie"}
    assert all(6.9 < each <= 7 for each in days)
    before = tree(fixed)
    assert refresh()["changed"] is False
    assert tree(fixed) == before
    assert refresh(ahead_days=7.0)["generation"] == done["generation"] + 1


def test_check_mode_says_until_when_and_changes_nothing(fixed: Path, refresh: Callable[..., dict[str, Any]]) -> None:
    before = tree(fixed.parent)
    done = refresh(write=False)
    assert done["changed"] is True
    assert "bookworm until for ever" in done["diff"]["before"]
    assert "bookworm until 2" in done["diff"]["after"]
    assert tree(fixed.parent) == before


def test_what_is_published_later_is_believed_for_as_long_and_snapshots_for_ever(
    fixed: Path, signer: Signer, refresh: Callable[..., dict[str, Any]]
) -> None:
    refresh()
    publish(fixed, signer, "r2")
    assert "\nValid-Until: " in (fixed / "dists/bookworm/Release").read_text()
    assert "Valid-Until" not in (fixed / "snapshots/d-r2/dists/bookworm/InRelease").read_text()
    assert "\nValid-Until: " not in (fixed / "snapshots/d-r1/dists/bookworm/InRelease").read_text()
    assert refresh()["changed"] is False
    assert refresh(valid_days=0.0)["suites"] == {"bookworm": None, "trixie": None}
    assert "Valid-Until" not in (fixed / "dists/bookworm/InRelease").read_text()


@pytest.mark.parametrize("what", ["an index", "an index by its digest", "InRelease", "another suite", "rolled back"])
@pytest.mark.parametrize("write", [True, False])
def test_what_somebody_changed_is_not_signed(
    fixed: Path, signer: Signer, refresh: Callable[..., dict[str, Any]], what: str, write: bool
) -> None:
    refresh()
    publish(fixed, signer, "r2")
    refresh()
    names = {
        "an index": "dists/bookworm/main/binary-amd64/Packages.gz",
        "an index by its digest": "dists/bookworm/main/binary-amd64/Packages",
        "InRelease": "dists/trixie/InRelease",
    }
    if what in names:
        path = fixed / names[what]
        text = bytearray(path.read_bytes())
        text[60] ^= 1
        path.unlink()
        path.write_bytes(text)
    elif what == "another suite":
        (fixed / "dists/sid").mkdir()
        (fixed / "dists/sid/InRelease").write_text("mine\n")
    else:
        now = int(os.readlink(fixed / "dists").split("/")[1])
        (fixed / "dists").unlink()
        (fixed / "dists").symlink_to(f"generations/{now - 1}/dists")
    before = tree(fixed)
    with pytest.raises(SlipwayError) as caught:
        refresh(ahead_days=7.0, write=write)
    told = {**names, "another suite": "dists/sid/InRelease", "rolled back": "dists leads to generation 2"}[what]
    assert told.rpartition("/")[2] in str(caught.value)
    assert tree(fixed) == before


def test_the_shadow_archive_is_signed_again_with_reprepros_snapshots_as_they_were(
    tmp_path: Path, signer: Signer, refresh: Callable[..., dict[str, Any]]
) -> None:
    base, public = tmp_path / "shadow", tmp_path / "public"
    (base / "conf").mkdir(parents=True)
    (base / "conf/distributions").write_text(
        "Origin: Slipway\nLabel: Slipway shadow\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n"
    )
    (base / "conf/options").write_text("outdir +b/export\n")
    (base / "conf/served").write_text(f"directory +b/../public\nkey {signer.fingerprint}\n")
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.include("bookworm", read_debs([make_deb(tmp_path, "one", "1.0", "amd64")]))
        archive.snapshot("bookworm", "old")
    snapshot = (public / "dists/bookworm/snapshots/old/InRelease").read_bytes()
    assert refresh(directory=str(public), base=str(base), record=None)["changed"] is True
    assert (public / "dists/bookworm/snapshots/old/InRelease").read_bytes() == snapshot
    with served(public) as url:
        source = f"deb [signed-by={tmp_path}/fixed/key.asc] {url}"
        reader = Client(tmp_path / "reader", [f"{source} bookworm main", f"{source} bookworm/snapshots/old main"])
        reader.update()
        assert reader.would_install("one") == {"one": "1.0"}
    with reprepro.open_archive(base, gnupghome=signer.gnupghome) as archive:
        archive.include("bookworm", read_debs([make_deb(tmp_path, "two", "1.0", "amd64")]))
    assert "\nValid-Until: " in (public / "dists/bookworm/InRelease").read_text()
    assert exported.read_suites(public).valid_days == 7
    assert refresh(directory=str(public), base=str(base), record=None)["changed"] is False


def test_where_nothing_is_published_nothing_is_to_be_refreshed(
    tmp_path: Path, refresh: Callable[..., dict[str, Any]]
) -> None:
    done = refresh(directory=str(tmp_path / "nothing"), record=None)
    assert (done["changed"], done["suites"], done["generation"]) == (False, {}, 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"valid_days": -1.0}, "valid_days is -1, and not one of 0 to 3650"),
        ({"valid_days": float("nan")}, "valid_days is nan"),
        ({"valid_days": 1e9}, "valid_days is 1e"),
        ({"ahead_days": 8.0}, "ahead_days is 8, and not one of 0 to 7"),
    ],
)
def test_days_that_are_none_are_refused(
    refresh: Callable[..., dict[str, Any]], options: dict[str, float], says: str
) -> None:
    with pytest.raises(SlipwayError, match=says):
        refresh(**options)


def test_a_record_that_cannot_be_read_is_told(fixed: Path, refresh: Callable[..., dict[str, Any]]) -> None:
    refresh()
    record = fixed.parent / "seen.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(record.read_text())) == {"generation", "published"}
    record.write_text("[]")
    with pytest.raises(SlipwayError, match=r"seen\.json"):
        refresh(ahead_days=7.0)
