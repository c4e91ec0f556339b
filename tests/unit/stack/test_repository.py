# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release repository is read and verified, from a directory or by HTTP; what fails is not taken for absent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.fetch import (
    Reader,
    check_place,
    join_place,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.package import (
    Request,
    Surroundings,
    release_stack,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.repository import (
    list_known,
    read_releases,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.rosdeps import Platform
from peers.webserver import Exchange, Peer
from publishing import run_module
from stacktrees import write_stack

STACKS = {"geometry": "1.0.3", "common_msgs": "1.0.3", "navigation": "2.0"}
READER = Reader(timeout=20, idle_timeout=10)


class Served(Peer):
    """Serves a directory; ``broken`` are paths that are answered with a status of their own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.broken: dict[str, int] = {}

    def handle(self, exchange: Exchange) -> None:
        path = self.top / exchange.path.lstrip("/")
        status = next((code for part, code in self.broken.items() if part in exchange.path), None)
        if status is not None:
            exchange.answer(status)
        elif path.is_file():
            exchange.answer(200, path.read_bytes())
        else:
            exchange.answer(404)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository of two stacks."""
    around = Surroundings(stacks=[*STACKS, "ros"], platforms=[Platform("bookworm")])
    for name in ("geometry", "common_msgs"):
        tree = write_stack(tmp_path / name, depends=["ros"], packages={f"{name}_package": ""})
        release_stack(tree, Request(name, "1.0.3"), around=around, directory=tmp_path / "public" / name, write=True)
    return tmp_path / "public"


@pytest.fixture
def server(top: Path) -> Iterator[Served]:
    with Served(top) as served:
        yield served


def read(repository: str, **options: Any) -> dict[str, dict[str, Any]]:
    return {each.stack: each.as_dict() for each in read_releases(repository, STACKS, reader=READER, **options)}


@pytest.mark.parametrize("how", ["path", "file", "http"])
def test_what_is_there_is_verified_and_what_is_not_is_absent(top: Path, server: Served, how: str) -> None:
    found = read({"path": str(top), "file": top.as_uri(), "http": f"{server.url}/"}[how])
    assert {name: one["present"] for name, one in found.items()} == {**dict.fromkeys(STACKS, True), "navigation": False}
    assert [one["faults"] for one in found.values()] == [[], [], []]
    one = found["geometry"]
    assert (one["version"], one["control_name"], one["remarks"]) == ("1.0.3", "geometry-1.0.3.yaml", [])
    assert one["control"]["packages"] == ["geometry_package"]
    data = (top / "geometry/geometry-1.0.3/geometry-1.0.3.tar.bz2").read_bytes()
    file, control = one["files"]
    assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert file["place"].endswith("/geometry/geometry-1.0.3/geometry-1.0.3.tar.bz2")
    data = (top / "geometry/geometry-1.0.3/geometry-1.0.3.yaml").read_bytes()
    assert (control["name"], control["sha256"]) == ("geometry-1.0.3.yaml", hashlib.sha256(data).hexdigest())


def test_what_is_present_is_known_to_other_stacks(top: Path) -> None:
    assert list_known(read_releases(str(top), STACKS, reader=READER)) == {
        "geometry": {"packages": ["geometry_package"], "depends": ["ros"]},
        "common_msgs": {"packages": ["common_msgs_package"], "depends": ["ros"]},
    }


def test_other_bytes_than_those_named_are_a_fault_by_name(top: Path) -> None:
    tarball = top / "geometry/geometry-1.0.3/geometry-1.0.3.tar.bz2"
    right = hashlib.sha256(tarball.read_bytes()).hexdigest()
    tarball.write_bytes(b"other")
    wrong = hashlib.sha256(b"other").hexdigest()
    one = read(str(top))["geometry"]
    assert one["faults"] == [f"geometry-1.0.3.tar.bz2 has sha256 {wrong} (5 bytes) instead of {right}"]
    assert (one["present"], [file["name"] for file in one["files"]]) == (True, ["geometry-1.0.3.yaml"])
    tarball.unlink()
    assert read(str(top))["geometry"]["faults"] == ["geometry-1.0.3.tar.bz2 is missing"]
    assert read(str(top), verify=False)["geometry"]["faults"] == ["geometry-1.0.3.tar.bz2 is missing"]


def test_without_verifying_no_tarball_is_read(top: Path) -> None:
    (top / "geometry/geometry-1.0.3/geometry-1.0.3.tar.bz2").write_bytes(b"other")
    assert read(str(top), verify=False)["geometry"]["faults"] == []


def test_a_control_file_of_the_old_name_with_an_md5_alone_is_verified_by_that(top: Path) -> None:
    place = top / "geometry/geometry-1.0.3"
    data = (place / "geometry-1.0.3.tar.bz2").read_bytes()
    (place / "geometry-1.0.3.yaml").unlink()
    md5sum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    text = f"""{{stack: geometry, version: 1.0.3, package: geometry, maintainer: x, description-brief: x,
    description-full: ' x', depends: [], rosdeps: {{lucid: [libc6]}}, md5sum: '{md5sum}'}}
"""
    (place / "geometry-1.0.3.tar.yaml").write_text(text)
    one = read(str(top))["geometry"]
    assert (one["control_name"], one["faults"]) == ("geometry-1.0.3.tar.yaml", [])
    assert one["files"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert one["remarks"] == ["it has no digest of its tarball but an MD5, which whoever wants to can forge"]
    (place / "geometry-1.0.3.tar.bz2").write_bytes(b"other")
    assert read(str(top))["geometry"]["faults"][0].startswith("geometry-1.0.3.tar.bz2 has md5sum")


def test_a_control_file_that_is_of_another_release_or_unsound_is_a_fault(top: Path) -> None:
    place = top / "geometry/geometry-1.0.3"
    other = (top / "common_msgs/common_msgs-1.0.3/common_msgs-1.0.3.yaml").read_text()
    (place / "geometry-1.0.3.yaml").write_text(other)
    assert read(str(top))["geometry"]["faults"] == [
        "geometry-1.0.3.yaml is of common_msgs 1.0.3",
        "common_msgs-1.0.3.tar.bz2 is missing",
    ]
    (place / "geometry-1.0.3.yaml").write_text("stack: [")
    one = read(str(top))["geometry"]
    assert one["faults"][0].startswith("geometry-1.0.3.yaml: it is not YAML")
    assert (one["present"], one["control"]) == (False, None)


def test_a_tarball_alone_is_a_fault(top: Path, server: Served) -> None:
    (top / "geometry/geometry-1.0.3/geometry-1.0.3.yaml").unlink()
    for repository in (str(top), server.url):
        one = read(repository)["geometry"]
        assert (one["present"], one["faults"]) == (False, ["there is geometry-1.0.3.tar.bz2 without control YAML"])


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_server_error_is_not_absence(server: Served, status: int) -> None:
    server.broken["navigation"] = status
    with pytest.raises(SlipwayError, match=f"navigation-2.0.yaml: it answers {status}"):
        read(server.url)


def test_every_server_error_is_in_one_failure(server: Served) -> None:
    server.broken |= {"navigation": 500, "geometry-1.0.3.tar.bz2": 502}
    with pytest.raises(SlipwayError, match="2 of its files could not be asked for") as caught:
        read(server.url)
    assert ["502" in finding for finding in caught.value.findings] == [True, False]


def test_a_file_beyond_the_limit_is_not_read_on(server: Served) -> None:
    with pytest.raises(SlipwayError, match="the answer has more than 100 bytes"):
        read(server.url, max_bytes=100)


def test_nobody_there_is_not_absence() -> None:
    with pytest.raises(SlipwayError, match="3 of its files could not be asked for"):
        read("http://127.0.0.1:9")


@pytest.mark.parametrize("place", ["relative", "ftp://x/y", "http://", "-x", "", "http://[x"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(SlipwayError, match="it is neither an absolute path nor an address"):
        check_place(place)


def test_an_account_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SlipwayError, match="'https://\\[x': it is neither") as caught:
        check_place("https://ann:secret@[x")
    assert "secret" not in str(caught.value)
    with pytest.raises(SlipwayError, match="its address has an account in it") as caught:
        check_place("https://ann:secret@example.org/x")
    assert "secret" not in str(caught.value)


def test_names_are_quoted_in_addresses() -> None:
    assert join_place("http://x/y", "a+b", "c~1 2") == "http://x/y/a%2Bb/c~1%202"
    assert join_place("/x", "a+b") == "/x/a+b"


def test_the_module_tells_of_each_stack(top: Path) -> None:
    (top / "geometry/geometry-1.0.3/geometry-1.0.3.tar.bz2").write_bytes(b"other")
    found = run_module("stack_releases_info", {"repository": str(top), "stacks": STACKS})
    assert (found["changed"], found["absent"]) == (False, ["navigation"])
    assert len(found["faults"]) == 1
    assert found["faults"][0].startswith("geometry 1.0.3: geometry-1.0.3.tar.bz2 has sha256")
    assert found["known"]["common_msgs"] == {"packages": ["common_msgs_package"], "depends": ["ros"]}
    failed = run_module("stack_releases_info", {"repository": str(top), "stacks": {"../x": "1"}})
    assert "it cannot be the name of a stack" in failed["msg"]
