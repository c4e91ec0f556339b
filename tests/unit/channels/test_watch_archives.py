# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives of debs that reprepro made and a web server serves are watched, and what was changed in them is told."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.settings import read_settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.watch import watch_once
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from aptclient import served
from debs import make_deb

DAY = 86400
SUITE = "dists/bookworm/InRelease"
DISTRIBUTION = """\
Codename: bookworm
Architectures: amd64
Components: main
ValidFor: 7d
SignWith: {key}
"""


class Served:
    """An archive by reprepro behind a web server, and a watch of it."""

    def __init__(self, top: Path) -> None:
        self.top, self.public = top, top / "public"
        self.key = make_key(top / "keys", "Archive <archive@example.org>", expires="10d")
        (self.public / "conf").mkdir(parents=True)
        (self.public / "conf/distributions").write_text(DISTRIBUTION.format(key=self.key))
        (self.public / "key.asc").write_bytes(export_public_key(top / "keys", self.key))
        self.now = time.time()
        self.told: list[str] = []

    def add(self, version: str) -> None:
        """Have reprepro take in a package, and sign the suite anew."""
        deb = make_deb(self.top / version, "hello", version, "amd64")
        with provide_environment(self.top / "keys") as environment:
            command = ["reprepro", "--silent", "--basedir", self.public, "includedeb", "bookworm", deb]
            subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)

    def look(self, url: str) -> dict[str, Any]:
        """What a round finds."""
        self.told.clear()
        text = {"channels": {"debs": {"url": url, "key": self.key, "kind": "archive"}}, "work": str(self.top / "work")}
        (self.top / "settings.json").write_text(json.dumps({**text, "interval": 60}))
        watch_once(read_settings(self.top / "settings.json"), clock=lambda: self.now, tell=self.told.append)
        found: dict[str, Any] = json.loads((self.top / "work/status.json").read_text())["channels"]["debs"]
        return found


@pytest.fixture
def archive(tmp_path: Path) -> Served:
    archive = Served(tmp_path)
    archive.add("1")
    return archive


def kinds(entry: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["kind"], finding["subject"]) for finding in entry["findings"]}


def test_an_archive_is_right_until_a_file_in_its_pool_is_changed(archive: Served) -> None:
    with served(archive.public) as url:
        first = archive.look(url)
        assert (first["state"], first["findings"]) == ("ok", [])
        assert (first["counts"]["suites"], first["notes"]) == (1, [])
        deb = archive.public / "pool/main/h/hello/hello_1_amd64.deb"
        deb.write_bytes(deb.read_bytes() + b"!")
        changed = archive.look(url)
    assert changed["state"] == "wrong"
    assert kinds(changed) == {("file", "pool/main/h/hello/hello_1_amd64.deb")}
    assert len(archive.told) == 2
    assert archive.told[0].startswith("debs is wrong, which was right last at ")


def test_an_archive_that_is_rolled_back_is_told_as_such(archive: Served) -> None:
    before = {path: path.read_bytes() for path in archive.public.glob("dists/**/*") if path.is_file()}
    with served(archive.public) as url:
        assert archive.look(url)["state"] == "ok"
        time.sleep(1.1)  # dates of a Release file have whole seconds
        archive.add("2")
        assert archive.look(url)["state"] == "ok"
        for path, data in before.items():
            path.unlink()
            path.write_bytes(data)
        (archive.public / "pool/main/h/hello/hello_2_amd64.deb").unlink()
        if not (archive.public / "pool/main/h/hello/hello_1_amd64.deb").exists():  # reprepro keeps what is named
            make_deb(archive.public / "pool/main/h/hello", "hello", "1", "amd64")
        back = archive.look(url)
    assert kinds(back) == {("rollback", SUITE)}


def test_what_of_an_archive_ends_soon_is_told_once_and_what_is_over_is_wrong(archive: Served) -> None:
    with served(archive.public) as url:
        first = archive.look(url)
        assert [sentence.partition(" ends on ")[0] for sentence in first["soon"]] == [SUITE, f"the key {archive.key}"]
        assert [line.removeprefix("debs: ") for line in archive.told] == first["soon"]
        archive.look(url)
        assert archive.told == []
    archive.now += 8 * DAY  # of the watch alone: a server would tell the right time
    assert kinds(archive.look(f"file://{archive.public}")) == {("frozen", SUITE)}
