# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All channels are looked at in rounds that read only what changed, and what differs is told with since when."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.settings import (
    check_settings,
    read_settings,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.channels.watch import watch_once
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.keys import make_key_list
from aptclient import make_certificate, served
from verifying import DAY, Made, append, make_current, make_project, release

FILES = {"minimal.img": b"minimal" * 1000, "devel.img": b"devel" * 10_000}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_project(tmp_path_factory.mktemp("site") / "made")
    release(made, "26.46", FILES)
    release(made, "26.47", {**FILES, "devel.img": b"new" * 1000}, serial=2)
    return made


class World:
    """A site, a mirror of it, and a watch of both."""

    def __init__(self, untouched: Made, top: Path) -> None:
        self.made, self.mirror = untouched.copied(top / "made"), top / "mirror"
        shutil.copytree(self.made.public, self.mirror, symlinks=True)
        self.work, self.now, self.asked = top / "work", time.time(), list[str]()
        self.settings = top / "settings.json"
        self.told = list[str]()
        self.write()

    def write(self, channels: Mapping[str, Any] | None = None, **more: Any) -> None:
        made = {"site": self.made.url, "mirror": f"file://{self.mirror}"}
        named = {name: {"url": url, "key": str(self.made.key)} for name, url in made.items()}
        text = {"channels": named if channels is None else channels, "work": str(self.work), "interval": 60, **more}
        self.settings.write_text(json.dumps(text))

    def look(self) -> dict[str, Any]:
        self.told.clear()
        watch_once(read_settings(self.settings), clock=lambda: self.now, tell=self.told.append)
        status: dict[str, Any] = json.loads((self.work / "status.json").read_text())
        return dict(status["channels"])


@pytest.fixture
def world(untouched: Made, tmp_path: Path) -> Iterator[World]:
    return World(untouched, tmp_path)


def states(channels: Mapping[str, Any]) -> dict[str, str]:
    return {name: entry["state"] for name, entry in channels.items()}


def test_a_mirror_that_differs_is_named_with_since_when_and_told_once(world: World) -> None:
    assert states(world.look()) == {"site": "ok", "mirror": "ok"}
    assert world.told == []
    append(world.mirror / "baserock-26.46/baserock-26.46-devel.img.gz")
    world.now += 60
    first = world.look()
    assert states(first) == {"site": "ok", "mirror": "wrong"}
    assert world.told[0].startswith("mirror is wrong, which was right last at ")
    assert len(world.told) == 1 + len(first["mirror"]["findings"]) >= 2
    assert "baserock-26.46-devel.img.gz" in world.told[1]
    world.now += 60
    again = world.look()
    assert world.told == []
    assert again["mirror"]["findings"] == first["mirror"]["findings"]
    assert again["mirror"]["since"] == first["mirror"]["since"]
    page = (world.work / "index.html").read_text()
    assert "baserock-26.46-devel.img.gz" in page
    good = world.made.public / "baserock-26.46/baserock-26.46-devel.img.gz"
    shutil.copy(good, world.mirror / "baserock-26.46")
    world.now += 60
    assert states(world.look()) == {"site": "ok", "mirror": "ok"}
    assert f"mirror is right, after it was wrong since {first['mirror']['since']}" in world.told
    assert any("is right again" in line for line in world.told)


def test_one_that_is_wrong_by_itself_says_nothing_against_others_and_the_cause_is_told_first(world: World) -> None:
    named = {"a-mirror": f"file://{world.mirror}", "site": world.made.url}
    world.write({name: {"url": url, "key": str(world.made.key)} for name, url in named.items()})
    sums = world.mirror / "baserock-26.47/SHA256SUMS"
    more = "".join(f"{number:064x}  more-{number}\n" for number in range(20))
    sums.write_text("".join(f"0{line[1:]}\n" for line in sums.read_text().splitlines()) + more)
    found = world.look()
    assert states(found) == {"a-mirror": "wrong", "site": "ok"}
    assert "signature: baserock-26.47/SHA256SUMS.asc" in world.told[1]
    assert len(found["a-mirror"]["findings"]) > 20
    assert world.told[-1] == f"a-mirror: {len(found['a-mirror']['findings']) - 10} more findings are in status.json"
    world.now += 60
    assert len(world.look()["a-mirror"]["findings"]) == len(found["a-mirror"]["findings"])
    assert world.told == []
    shutil.copy(world.made.public / "baserock-26.47/SHA256SUMS", sums)
    world.now += 60
    assert states(world.look()) == {"a-mirror": "ok", "site": "ok"}
    assert len(world.told) == 12


def test_a_mirror_that_is_behind_is_told_as_such_and_one_that_is_gone_too(world: World) -> None:
    world.look()
    make_current(world.made, "26.47", serial=3, date=int(world.now))
    found = world.look()
    assert states(found) == {"site": "ok", "mirror": "behind"}
    assert found["mirror"]["findings"][0]["expected"] == "the serial 3 (26.47), as site has it"
    shutil.rmtree(world.mirror)
    assert states(world.look())["mirror"] == "wrong"


def test_a_serial_that_goes_back_is_a_rollback_in_the_next_round(world: World) -> None:
    make_current(world.made, "26.47", serial=9)
    world.look()
    make_current(world.made, "26.47", serial=8)
    assert {finding["kind"] for finding in world.look()["site"]["findings"]} == {"rollback"}


def test_a_frozen_site_is_told_and_what_ends_soon_before(world: World) -> None:
    world.now += 20 * DAY
    found = world.look()
    assert states(found) == {"site": "ok", "mirror": "ok"}
    assert any("latest.json ends on" in sentence for sentence in found["site"]["soon"])
    world.now += 20 * DAY
    assert {finding["kind"] for finding in world.look()["site"]["findings"]} == {"frozen"}


def put_ends(world: World, days: int) -> None:
    """What ends in so many days besides latest.json: the list of keys, and the disks for systemd-sysupdate."""
    now, end = int(world.now), int(world.now) + days * DAY
    line = make_key_list(
        world.made.top,
        project=world.made.project,
        gnupghome=world.made.home,
        signing_key=world.made.fingerprint,
        date=now,
        believe_until=end,
    )
    (world.made.public / "keys.json").write_bytes(line)
    (world.made.public / "updates").mkdir(exist_ok=True)
    day = time.strftime("%Y-%m-%d", time.gmtime(end))
    (world.made.public / "updates/SHA256SUMS").write_text(f"{'0' * 64} *BEST-BEFORE-{day}\n")


def test_all_that_is_published_and_ends_soon_is_told_once_and_what_is_over_is_wrong(world: World) -> None:
    put_ends(world, 5)
    found = world.look()["site"]
    assert found["state"] == "ok"
    assert [sentence.partition(" ends on ")[0] for sentence in found["soon"]] == ["keys.json", "updates/SHA256SUMS"]
    assert sorted(line.partition(" ends on ")[0] for line in world.told) == [
        "site: keys.json",
        "site: updates/SHA256SUMS",
    ]
    world.now += 60
    assert world.look()["site"]["soon"] == found["soon"]
    assert world.told == []
    world.now += 7 * DAY
    over = world.look()["site"]
    assert {(finding["kind"], finding["subject"]) for finding in over["findings"]} == {
        ("frozen", "keys.json"),
        ("frozen", "updates/SHA256SUMS"),
    }
    world.write(warn=DAY)
    put_ends(world, 5)
    assert world.look()["site"]["soon"] == []


def test_the_certificate_of_a_channel_that_ends_soon_is_told(world: World, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, days=9)
    with served(world.made.public, certificate=certificate) as url:
        world.write({"site": {"url": url, "key": world.made.fingerprint, "ca_path": str(certificate)}})
        found = world.look()["site"]
    assert found["state"] == "ok"
    (sentence,) = found["soon"]
    assert sentence.startswith("the certificate ends on ")


def watch_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The large files that are read from now on."""
    from ansible_collections.slipway.release.plugins.module_utils.slipway.verify.reader import Reader

    read = list[str]()
    before = Reader.hash

    def note(self: Reader, path: str, **more: Any) -> Any:
        read.append(path)
        return before(self, path, **more)

    monkeypatch.setattr(Reader, "hash", note)
    return lambda: [read.pop(0) for _each in range(len(read))]


def test_a_round_without_change_reads_nothing_again_but_its_share(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(world.made.public, on_get=world.asked.append) as url:
        world.write({"site": {"url": url, "key": world.made.fingerprint}}, reread=200)
        take = watch_reads(monkeypatch)
        assert states(world.look()) == {"site": "ok"}
        assert {path.rpartition("/")[2] for path in take()} >= {"baserock-26.47-devel.img.gz", "manifest.json"}
        total = len([path for path in world.asked if not path.endswith("/")])
        world.asked.clear()
        world.now += 1
        assert states(world.look()) == {"site": "ok"}
        assert len(take()) < 6, "no more than its share"
        fetched = [path for path in world.asked if not path.endswith("/")]
        # Those at the top are asked for in each round, however many releases there are; nothing twice.
        assert len([path for path in fetched if "/" in path[1:]]) < total / 4
        assert len(set(fetched)) == len(fetched)
        assert not any("intoto" in path or path.endswith(".sha256") for path in fetched)
        seen = set[str]()
        for _round in range(4):
            world.now += 60
            assert states(world.look()) == {"site": "ok"}
            seen.update(take())
        assert len(seen) == 6, "each file was read again within its time"


def test_a_file_that_changed_behind_the_same_mark_is_found_when_its_turn_comes(world: World) -> None:
    import os

    from ansible_collections.slipway.release.plugins.module_utils.slipway.verify import reader

    path = world.mirror / "baserock-26.46/baserock-26.46-devel.img.gz"
    before = path.stat()
    keep = reader._mark_of

    def forge(status: os.stat_result) -> Any:
        mark = keep(status)
        return reader.Mark(mark.size, "same", "same")

    try:
        reader._mark_of = forge
        world.write(reread=1000)
        assert states(world.look())["mirror"] == "ok"
        data = bytearray(path.read_bytes())
        data[20] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        world.now += 1001
        assert states(world.look())["mirror"] == "wrong"
    finally:
        reader._mark_of = keep


def test_a_damaged_memory_or_status_is_as_none(world: World) -> None:
    world.look()
    for path in (*world.work.glob("memory/*.json"), world.work / "status.json"):
        path.write_text('{"format": 1, "files": 3, "channels": {"site": 4}}')
    assert states(world.look()) == {"site": "ok", "mirror": "ok"}


def test_one_channel_that_does_not_answer_holds_up_no_other(world: World) -> None:
    named = {
        "site": {"url": world.made.url, "key": str(world.made.key)},
        "nobody": {"url": "http://127.0.0.1:9/", "key": world.made.fingerprint},
        "keyless": {"url": world.made.url, "key": "/nowhere"},
    }
    world.write(named)
    found = world.look()
    assert states(found) == {"site": "ok", "nobody": "unreachable", "keyless": "trouble"}
    assert found["nobody"]["findings"]


@pytest.mark.parametrize(
    ("channels", "more", "told"),
    [
        ({}, {}, "no channel"),
        ({"a b": {"url": "file:///x", "key": "0" * 40}}, {}, "a name that is not made of"),
        ({"a": {"url": "file:///x", "key": "0" * 40, "kind": "ftp"}}, {}, "the kind 'ftp'"),
        ({"a": {"url": "file:///x", "key": "0" * 40, "uri": 1}}, {}, "'uri'"),
        ({"a": {"key": "0" * 40}}, {}, "url"),
        ({"a": {"url": "file:///x", "key": "0" * 40}}, {"interval": 0}, "interval is 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    world: World, channels: Mapping[str, Any], more: Mapping[str, Any], told: str
) -> None:
    world.write(channels, **more)
    with pytest.raises(SlipwayError, match=told):
        read_settings(world.settings)


def test_keys_and_addresses_are_checked_without_asking_anybody(world: World) -> None:
    world.write({"a": {"url": "nowhere", "key": "0" * 40}, "b": {"url": "file:///x", "key": "short"}})
    with pytest.raises(SlipwayError) as caught:
        check_settings(read_settings(world.settings))
    assert len(caught.value.findings) == 2
