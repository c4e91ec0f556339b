# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is signed of what is current: only what is on record and on every server; what else is there is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.current.found import inspect_server
from ansible_collections.slipway.release.plugins.module_utils.slipway.current.kept import confirm
from ansible_collections.slipway.release.plugins.module_utils.slipway.current.make import Demand, Made, make_current
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.latest import Latest, read_latest
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.directory import write_view
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.subject import View
from schemas import validate_payload

NOW = 1_800_000_000
DAY = 86400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    make_key(made, "Release <release@example.org>")
    return made


class Site:
    """Servers, and the state directory of a coordinator."""

    def __init__(self, top: Path, home: Path) -> None:
        self.top, self.state = top, top / "state"
        self.servers = {name: top / name for name in ("one", "two")}
        self.demand = Demand("x", self.state, home, None, 7, NOW, types=("rawdisk",), tuf=True)

    def publish(self, version: str) -> None:
        label = f"x-{version}"
        files = {f"{label}-a.img": f"disk {version}", "manifest.json": "{}"}
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        files["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        for public in self.servers.values():
            (public / label).mkdir(parents=True)
            for name, text in files.items():
                (public / label / name).write_text(text)
        entries = [{"name": name, "size": len(files[name]), "sha256": digest} for name, digest in digests.items()]
        sums = hashlib.sha256(files["SHA256SUMS"].encode()).hexdigest()
        self.keep(version, "publication", {"sums": sums}, {"files": entries, "directory": label})

    def keep(self, version: str, stage: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        moment = "2027-01-15T08:00:00Z"
        record = {"stage": stage, "project": "x", "version": version, "inputs": inputs, "outputs": outputs}
        directory = self.state / "releases" / version / "records"
        keep_record(directory, {**record, "started": moment, "ended": moment}, replace=True)

    def link(self, version: str) -> None:
        label = f"x-{version}"
        for public in self.servers.values():
            names = [path.name for path in (public / label).iterdir()]
            update_links(Release(public, "x", label, names), allow_downgrade=True)

    def make(self, *, write: bool = True, **changes: Any) -> Made:
        found = {name: inspect_server(public, "x", contents=True) for name, public in self.servers.items()}
        return make_current(replace(self.demand, **changes), found, write=write)

    def serve(self, made: Made, *names: str) -> None:
        for name in names or self.servers:
            for path, data in made.files.items():
                if "/" not in path:
                    (self.servers[name] / path).write_bytes(data)
            for view, links in made.links.items():
                prefix = f"{view}/"
                files = {path.removeprefix(prefix): data for path, data in made.files.items() if prefix in path}
                write_view(self.servers[name], view, View(files, links))
        if not names:
            confirm(self.state / "current")

    def release(self, version: str, **changes: Any) -> Made:
        self.publish(version)
        self.link(version)
        made = self.make(label=f"x-{version}", **changes)
        self.keep(version, "current", {}, {})
        self.serve(made)
        return made


def read(made: Made, name: str = "latest.json") -> Latest:
    return read_latest(made.files[name], attempt="read", on=name)[1]


@pytest.fixture
def site(tmp_path: Path, home: Path) -> Site:
    return Site(tmp_path, home)


def test_what_is_current_is_signed_once_numbered_and_renewed_in_time(site: Site) -> None:
    first = site.release("1.0")
    said = read(first)
    assert (said.serial, said.date, said.believe_until) == (1, "2027-01-15T08:00:00Z", "2027-01-22T08:00:00Z")
    validate_payload("latest", said.as_payload())
    assert said.pointer is not None
    assert (said.pointer.version, said.pointer.label) == ("1.0", "x-1.0")
    assert said.pointer.sums == hashlib.sha256((site.servers["one"] / "x-1.0/SHA256SUMS").read_bytes()).hexdigest()
    assert b"x-1.0-a.img" in first.files["updates/SHA256SUMS"]
    assert (site.servers["two"] / "updates/x-1.0-a.img").read_text() == "disk 1.0"
    assert site.make(label="x-1.0").files == first.files
    assert site.make(label="x-1.0", now=NOW + 3 * DAY).files == first.files
    assert site.make(label="x-1.0", now=NOW + 4 * DAY, write=False).serial == 2
    assert site.make(label="x-1.0").files == first.files, "check mode keeps nothing"
    second = site.release("1.1")
    assert read(second).serial == 2
    assert b"x-1.0-a.img" in second.files["updates/SHA256SUMS"]
    third = site.make(refresh=True)
    assert read(third).serial == 3
    assert read(third).pointer == read(second).pointer
    assert json.loads(third.files["tuf/timestamp.json"])["signed"]["version"] == 3


def test_a_withdrawn_release_is_in_no_view_and_named_as_withdrawn(site: Site) -> None:
    site.release("1.0")
    site.release("1.1")
    with pytest.raises(SlipwayError, match=r"still lead to x-1\.1"):
        site.make(withdrawing="x-1.1")
    site.link("1.0")
    made = site.make(withdrawing="x-1.1")
    site.serve(made)
    pointer = read(made).pointer
    assert pointer is not None
    assert pointer.label == "x-1.0"
    assert read(made).withdrawn == ("1.1",)
    assert b"x-1.1" not in made.files["updates/SHA256SUMS"]
    site.keep("1.1", "withdrawal", {}, {"withdrawn": True})
    assert site.make(label="x-1.0").files == made.files
    assert read(site.make(refresh=True)).withdrawn == ("1.1",)


def test_a_release_that_is_not_current_yet_is_in_no_view(site: Site) -> None:
    site.release("1.0")
    site.publish("1.1")
    made = site.make(refresh=True)
    assert b"x-1.1" not in made.files["updates/SHA256SUMS"]


def test_what_an_interrupted_run_left_is_gone_on_with(site: Site) -> None:
    site.release("1.0")
    made = site.make(refresh=True)
    site.serve(made, "one")
    again = site.make(refresh=False, label="x-1.0")
    assert again.files == made.files
    site.serve(again)
    assert read(site.make(refresh=True)).serial == 3


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            "rolled back",
            r"two: latest\.json of 2027-01-15T.* has the serial 1, and was rolled back: on record is 2",
        ),
        ("tampered", r"two: latest\.json is not what was signed: its signature"),
        (
            "newer",
            r"two: latest\.json of .* the serial 3, newer than 2 on record: another coordinator has signed it",
        ),
        ("gone", r"two: latest\.json is gone"),
        ("view", r"two: updates/SHA256SUMS is none of those that were made last"),
        ("links", r"two: current is x-1\.0"),
        ("sums", r"the servers differ in the checksums"),
    ],
)
def test_a_server_that_has_something_else_is_named_and_not_signed_over(site: Site, harm: str, said: str) -> None:
    site.release("1.0")
    old = (site.servers["two"] / "latest.json").read_bytes()
    made = site.release("1.1")
    public = site.servers["two"]
    if harm == "rolled back":
        (public / "latest.json").write_bytes(old)
    elif harm == "tampered":
        envelope = json.loads(made.files["latest.json"])
        envelope["payload"] = json.loads(old)["payload"]
        (public / "latest.json").write_text(json.dumps(envelope))
    elif harm == "newer":
        shutil.copytree(site.state / "current", site.top / "saved")
        (public / "latest.json").write_bytes(site.make(refresh=True).files["latest.json"])
        shutil.rmtree(site.state / "current")
        (site.top / "saved").rename(site.state / "current")
    elif harm == "gone":
        (public / "latest.json").unlink()
    elif harm == "view":
        (public / "updates/SHA256SUMS").write_text("0" * 64 + "  x-6.6-a.img\n")
    elif harm == "links":
        update_links(Release(public, "x", "x-1.0", ["x-1.0-a.img", "SHA256SUMS"]), allow_downgrade=True)
    else:
        (public / "x-1.1/SHA256SUMS").write_text("")
    before = {path: path.read_bytes() for path in (site.state / "current").rglob("*") if path.is_file()}
    for changes in ({"refresh": True}, {"label": "x-1.1"}):
        with pytest.raises(SlipwayError, match=said):
            site.make(**changes)
    assert {path: path.read_bytes() for path in (site.state / "current").rglob("*") if path.is_file()} == before


def test_a_person_can_say_whose_word_counts(site: Site) -> None:
    site.release("1.0")
    old = (site.servers["two"] / "latest.json").read_bytes()
    made = site.release("1.1")
    (site.servers["two"] / "latest.json").write_bytes(old)
    assert site.make(settle="record", label="x-1.1").files == made.files
    site.serve(made)
    shutil.rmtree(site.state / "current")
    taken = site.make(settle="servers", refresh=True)
    assert read(taken).serial == 3
    assert json.loads(taken.files["tuf/timestamp.json"])["signed"]["version"] == 3


def test_all_servers_together_on_another_release_than_the_last_are_refused(site: Site) -> None:
    site.release("1.0")
    site.release("1.1")
    site.link("1.0")
    with pytest.raises(SlipwayError, match=r"latest\.json names x-1\.1, and the links of all servers lead to x-1\.0"):
        site.make(refresh=True)
    for public in site.servers.values():
        (public / "x-1.0/SHA256SUMS").write_text("other\n")
    with pytest.raises(SlipwayError, match=r"its SHA256SUMS has the SHA-256 .*, and .* is on record"):
        site.make(label="x-1.0")
