# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The view for TUF clients, as python-tuf's own client finds it, unchanged, over HTTP."""

from __future__ import annotations

import datetime
import functools
import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.directory import read_view, write_view
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.pgpkey import Signer, make_signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.subject import View, ViewFile
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.tuf import make_repository, read_versions
from tuf.api.exceptions import BadVersionNumberError, ExpiredMetadataError, RepositoryError
from tuf.ngclient import Updater

NOW = 1_800_000_000
DAY = 86400


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def public(tmp_path: Path) -> Path:
    for version in ("26.46", "26.47"):
        directory = tmp_path / "public" / f"x-{version}"
        directory.mkdir(parents=True)
        (directory / f"x-{version}-a.img").write_text(f"disk {version}")
    return tmp_path / "public"


@pytest.fixture
def url(public: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(public))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/tuf"
        server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def signers(home: Path) -> list[Signer]:
    """Two keys that sign."""
    prints = [make_key(home, f"{name} <{name}@example.org>") for name in ("First", "Second")]
    return [make_signer(home, each) for each in prints]


def list_files(public: Path, *versions: str) -> list[ViewFile]:
    found = []
    for version in versions:
        path = public / f"x-{version}/x-{version}-a.img"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        current = "x-current-a.img" if version == versions[-1] else ""
        found.append(ViewFile(f"x-{version}/{path.name}", path.stat().st_size, digest, "rawdisk", current))
    return found


def make(public: Path, before: View, signer: Signer, *versions: str, now: float = NOW, **more: object) -> View:
    files = list_files(public, *versions)
    return make_repository(
        files,
        before=before.files,
        signer=signer,
        now=now,
        believe_until=now + 7 * DAY,
        **more,  # type: ignore[arg-type]
    )


class Client:
    """A host that trusts the first root, and updates now and then."""

    def __init__(self, top: Path, url: str, root: bytes) -> None:
        self.top, self.url, self.root = top, url, root
        (top / "got").mkdir(parents=True)

    def fetch(self, name: str, *, now: float = NOW) -> str:
        updater = Updater(
            str(self.top), f"{self.url}/", str(self.top / "got"), f"{self.url}/targets/", bootstrap=self.root
        )
        updater._trusted_set.reference_time = datetime.datetime.fromtimestamp(now, datetime.UTC)  # its clock
        updater.refresh()
        info = updater.get_targetinfo(name)
        assert info is not None, name
        return Path(updater.download_target(info)).read_text()


def test_a_client_gets_what_is_current_and_each_release_by_one_openpgp_key(
    public: Path, url: str, signers: list[Signer], tmp_path: Path
) -> None:
    first = make(public, View(), signers[0], "26.46")
    assert write_view(public, "tuf", first)
    assert not write_view(public, "tuf", first)
    client = Client(tmp_path / "client", url, first.files["1.root.json"])
    assert client.fetch("x-current-a.img") == "disk 26.46"

    second = make(public, first, signers[0], "26.46", "26.47")
    assert read_versions(second.files) == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2}
    assert write_view(public, "tuf", second, check=True)
    assert client.fetch("x-current-a.img") == "disk 26.46"
    write_view(public, "tuf", second)
    assert client.fetch("x-current-a.img") == "disk 26.47"
    assert client.fetch("x-26.46/x-26.46-a.img") == "disk 26.46"

    again = make(public, second, signers[0], "26.46", "26.47", now=NOW + DAY)
    assert read_versions(again.files) == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 3}
    write_view(public, "tuf", again)
    assert client.fetch("x-current-a.img", now=NOW + DAY) == "disk 26.47"
    write_view(public, "tuf", first)
    with pytest.raises(BadVersionNumberError):
        client.fetch("x-current-a.img", now=NOW + DAY)
    with pytest.raises(ExpiredMetadataError):
        Client(tmp_path / "new", url, first.files["1.root.json"]).fetch("x-current-a.img", now=NOW + 8 * DAY)


def test_a_new_key_is_introduced_by_the_old_one_and_clients_follow(
    public: Path, url: str, signers: list[Signer], tmp_path: Path
) -> None:
    first = make(public, View(), signers[0], "26.46")
    client = Client(tmp_path / "client", url, first.files["1.root.json"])
    write_view(public, "tuf", first)
    client.fetch("x-current-a.img")
    with pytest.raises(SlipwayError, match=signers[0].key.keyid.upper()):
        make(public, first, signers[1], "26.46")
    second = make(public, first, signers[1], "26.46", old_signers=[signers[0]])
    assert read_versions(second.files) == {"root": 2, "targets": 2, "snapshot": 2, "timestamp": 2}
    assert len(json.loads(second.files["2.root.json"])["signatures"]) == 2
    write_view(public, "tuf", second)
    assert client.fetch("x-current-a.img") == "disk 26.46"
    third = make(public, second, signers[1], "26.47", now=NOW + 300 * DAY)
    assert read_versions(third.files)["root"] == 3
    write_view(public, "tuf", third)
    assert client.fetch("x-current-a.img", now=NOW + 300 * DAY) == "disk 26.47"


def test_other_bytes_are_refused_by_the_client(public: Path, url: str, signers: list[Signer], tmp_path: Path) -> None:
    view = make(public, View(), signers[0], "26.46")
    write_view(public, "tuf", view)
    client = Client(tmp_path / "client", url, view.files["1.root.json"])
    (public / "x-26.46/x-26.46-a.img").write_text("disk 66.66")
    with pytest.raises(RepositoryError):
        client.fetch("x-current-a.img")
    shutil.rmtree(tmp_path / "client")
    forged = dict(view.files)
    forged["timestamp.json"] = forged["timestamp.json"].replace(b'"version": 1', b'"version": 2')
    write_view(public, "tuf", View(forged, view.links))
    with pytest.raises(RepositoryError):
        Client(tmp_path / "client", url, view.files["1.root.json"]).fetch("x-current-a.img")


def test_a_view_is_read_as_it_was_written(public: Path, signers: list[Signer]) -> None:
    view = make(public, View(), signers[0], "26.46")
    write_view(public, "tuf", view)
    found = read_view(public, "tuf")
    assert found.links == view.links
    assert found.files.keys() == view.files.keys()
    for path in ("../x", "a//b", "/etc/passwd", ".hidden"):
        with pytest.raises(SlipwayError, match="is no path"):
            write_view(public, "tuf", View({path: b""}))
    (public / "updates").mkdir()
    with pytest.raises(SlipwayError, match="it is not a link"):
        write_view(public, "updates", view)
