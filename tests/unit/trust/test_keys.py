# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import (
    export_public_key,
    list_certifiers,
    provide_keyring,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import certify_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.keyfile import make_key_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust import dsse, keys, moments, strictjson
from hypothesis import given
from hypothesis import strategies as st
from publishing import run_module, tree
from schemas import validate_payload

NOW = int(time.time()) + 10  # after the keys were made, however slow that was
DAY = 86400


class World:
    """A coordinator with an old key and a new one, and somebody else's."""

    def __init__(self, top: Path) -> None:
        self.home, self.state = top / "gnupg", top
        names = ("old", "new", "third", "eve")
        self.old, self.new, self.third, self.eve = (
            make_key(self.home, f"{name} <{name}@example.org>", expires="5y") for name in names
        )

    def roll(
        self, entries: list[keys.KeyEntry], old: str, new: str, reason: str = keys.ROLLOVER
    ) -> list[keys.KeyEntry]:
        planned = keys.plan_rollover(
            entries, old=keys.KeyEntry(old, NOW - 100 * DAY), new=new, since=NOW, reason=reason, now=NOW
        )
        if reason == keys.ROLLOVER:
            made = keys.make_succession(old, new, project="baserock", since=NOW, gnupghome=self.home)
            planned[-1] = replace(planned[-1], succession=made)
        return planned

    def publish(self, entries: list[keys.KeyEntry], signing_key: str, date: int = NOW + 1) -> bytes:
        keys.save_entries(self.state / keys.NAME, entries, project="baserock")
        return keys.make_key_list(
            self.state,
            project="baserock",
            gnupghome=self.home,
            signing_key=signing_key,
            date=date,
            believe_until=date + 30 * DAY,
        )

    def export(self, *fingerprints: str) -> bytes:
        return b"".join(export_public_key(self.home, each) for each in fingerprints)

    def sign(self, payload: dict[str, Any], by: str) -> bytes:
        return dsse.sign_envelope(strictjson.dump_line(payload), dsse.KEYS, gnupghome=self.home, fingerprint=by)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def _no_list(world: World) -> None:
    (world.state / keys.NAME).unlink(missing_ok=True)


def follow(world: World, line: bytes, *trusted: str, **more: Any) -> keys.Followed:
    key_file = world.export(world.old, world.new, world.third, world.eve)
    return keys.follow_keys(line, **{"key_file": key_file, "trusted": trusted, "project": "baserock", **more})


def read(line: bytes) -> tuple[dsse.Envelope, dict[str, Any]]:
    envelope = dsse.read_envelope(line, payload_type=dsse.KEYS, attempt="read", on="keys.json")
    return envelope, json.loads(envelope.payload)


def test_without_a_rollover_the_list_has_the_key_that_signs(world: World) -> None:
    line = keys.make_key_list(
        world.state, project="baserock", gnupghome=world.home, signing_key=world.old, date=NOW, believe_until=NOW + 60
    )
    envelope, said = read(line)
    validate_payload("keys", said)
    assert [each.keyid for each in envelope.signatures] == [world.old]
    assert [(each["fingerprint"], each["until"]) for each in said["keys"]] == [(world.old, None)]
    assert said["date"] == moments.format_moment(NOW)
    followed = follow(world, line, world.old)
    assert (followed.believed, followed.faults) == ({world.old: "trusted"}, [])
    assert not (world.state / keys.NAME).exists()


def test_who_trusts_the_old_key_follows_to_the_new_ones(world: World) -> None:
    entries = world.roll(world.roll([], world.old, world.new), world.new, world.third)
    line = world.publish(entries, world.third)
    envelope, said = read(line)
    validate_payload("keys", said)
    assert {each.keyid for each in envelope.signatures} == {world.old, world.new, world.third}
    followed = follow(world, line, world.old)
    assert followed.faults == []
    assert followed.listed is not None
    assert list(followed.believed) == [world.old, world.new, world.third]
    assert followed.believed[world.third].startswith(f"follows {world.new} since ")
    present = followed.listed.find(NOW + 1)
    assert present is not None
    assert present.fingerprint == world.third
    # When the old keys are gone, the list is signed by the last one, and still leads there.
    alone = world.sign(read(line)[1], world.third)
    assert follow(world, alone, world.old).faults == []
    assert set(follow(world, alone, world.third).believed) == {world.third}


def lose(world: World, said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "keys": [said["keys"][0], {**said["keys"][1], "succession": None}]}


def claim(world: World, said: dict[str, Any]) -> dict[str, Any]:
    """Somebody else's key takes the place of the new one, with what was said of that."""
    return {**said, "keys": [said["keys"][0], {**said["keys"][1], "fingerprint": world.eve}]}


def forge(world: World, said: dict[str, Any]) -> dict[str, Any]:
    made = keys.make_succession(world.eve, world.eve, project="baserock", since=NOW, gnupghome=world.home)
    return {**said, "keys": [said["keys"][0], {**said["keys"][1], "fingerprint": world.eve, "succession": made}]}


def other_project(world: World, said: dict[str, Any]) -> dict[str, Any]:
    made = keys.make_succession(world.old, world.eve, project="other", since=NOW, gnupghome=world.home)
    return {**said, "keys": [said["keys"][0], {**said["keys"][1], "fingerprint": world.eve, "succession": made}]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lose, "of which no trusted key says that it follows"),
        (claim, "what is signed of it is about another key"),
        (forge, "of which no trusted key says that it follows"),
        (other_project, "what is signed of it is about another key"),
    ],
)
def test_a_key_of_which_no_trusted_key_says_that_it_follows_is_not_believed(
    world: World, change: Callable[[World, dict[str, Any]], dict[str, Any]], why: str
) -> None:
    said = change(world, read(world.publish(world.roll([], world.old, world.new), world.new))[1])
    signer = said["keys"][1]["fingerprint"]
    followed = follow(world, world.sign(said, signer), world.old)
    assert followed.believed == {world.old: "trusted"}
    (fault,) = followed.faults
    assert "no key that is trusted" in fault
    assert why in fault


def test_a_revoked_or_unknown_trusted_key_is_told_and_leads_nowhere(world: World, tmp_path: Path) -> None:
    line = world.publish(world.roll([], world.old, world.new), world.new)
    certificate = (world.home / "openpgp-revocs.d" / f"{world.old}.rev").read_text().replace(":-----", "-----")
    public = world.export(world.old)
    with provide_keyring({"old": public}) as ring:
        words = ["gpg", "--homedir", ring, "--batch", "--import"]
        subprocess.run(words, input=certificate.encode(), check=True, capture_output=True)
        revoked = export_public_key(ring, world.old)
    # The reader's own copy does not know of it yet; what is public says it.
    key_file = revoked + world.export(world.new)
    followed = follow(world, line, world.old, key_file=key_file, own={"old.asc": public})
    assert followed.believed == {world.old: "trusted"}
    assert "which is revoked" in followed.faults[0]
    missing = follow(world, line, "A" * 40)
    assert missing.believed == {}
    assert missing.faults[0] == f"the key {'A' * 40}, which is trusted, is not there"


def test_an_expired_trusted_key_is_told(world: World, tmp_path: Path) -> None:
    home = tmp_path / "g"
    short = make_key(home, "short <short@example.org>", expires="seconds=2")
    made = keys.make_succession(short, world.new, project="baserock", since=NOW, gnupghome=home)
    entries = [keys.KeyEntry(short, NOW - DAY, NOW, keys.ROLLOVER), keys.KeyEntry(world.new, NOW, succession=made)]
    line = world.publish(entries, world.new)
    time.sleep(3.1)  # GnuPG counts whole seconds
    key_file = world.export(world.new) + export_public_key(home, short)
    followed = follow(world, line, short, key_file=key_file)
    assert followed.believed == {short: "trusted"}
    assert (
        f"that {world.new} follows a key that is trusted is not proven: its signature is by the key"
        in followed.faults[0]
    )
    assert "which expired" in followed.faults[0]


def test_a_lost_key_is_followed_by_one_that_only_says_so_itself(world: World) -> None:
    line = world.publish(world.roll([], world.old, world.new, keys.LOST), world.new)
    envelope, said = read(line)
    assert [each.keyid for each in envelope.signatures] == [world.new]
    assert said["keys"][0]["reason"] == "lost"
    assert "no key that is trusted" in follow(world, line, world.old).faults[0]
    assert follow(world, line, world.new).faults == []


def test_a_changed_list_and_one_of_another_project_are_told(world: World) -> None:
    line = world.publish(world.roll([], world.old, world.new), world.new)
    assert "of the project 'baserock', not of 'other'" in follow(world, line, world.old, project="other").faults[0]
    envelope, said = read(line)
    changed = replace(envelope, payload=strictjson.dump_line({**said, "date": "2030-01-01T00:00:00Z"})).format()
    assert "is over another text" in follow(world, changed, world.old).faults[0]
    assert "it is no JSON" in follow(world, b"x", world.old).faults[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "its format is 2, not 1"),
        ({"format": True}, "its format is True"),
        ({"project": 3}, "of the project '3'"),
        ({"keys": []}, "no list of 1 to 100 keys"),
        ({"keys": [{}] * 101}, "no list of 1 to 100 keys"),
        ({"keys": ["x"]}, "has no fingerprint"),
        ({"keys": [{"fingerprint": "x"}]}, "'x' in it is no fingerprint"),
        ({"keys": [{"fingerprint": "A" * 40, "from": "2026"}]}, "'2026' is no moment such as"),
        ({"keys": [{"fingerprint": "A" * 40, "from": "2026-13-01T00:00:00Z"}]}, "no moment that there is"),
        ({"keys": [{"fingerprint": "A" * 40, "from": "2026-01-01T00:00:00Z", "reason": 1}]}, "is none"),
        (
            {"keys": [{"fingerprint": "A" * 40, "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}]},
            "ends before it begins",
        ),
        ({"date": None}, "'None' is no moment"),
    ],
)
def test_what_is_no_list_of_keys_is_refused(change: dict[str, Any], why: str) -> None:
    good = {
        "format": 1,
        "project": "baserock",
        "date": "2026-12-01T02:00:00Z",
        "believe_until": "2026-12-15T02:00:00Z",
        "keys": [{"fingerprint": "A" * 40, "from": "2026-01-01T00:00:00Z", "until": None, "reason": ""}],
    }
    reading: dict[str, Any] = {"project": "baserock", "attempt": "read", "on": "keys.json"}
    keys.read_key_list(strictjson.dump_line(good), **reading)
    with pytest.raises(SlipwayError, match=why):
        keys.read_key_list(strictjson.dump_line({**good, **change}), **reading)


@given(st.integers(0, 253402300799))
def test_moments_are_read_as_they_are_written(seconds: int) -> None:
    assert moments.parse_moment(moments.format_moment(seconds)) == seconds


def test_which_key_may_sign_when(world: World) -> None:
    entries = [keys.KeyEntry("A" * 40, 100, 200, keys.ROLLOVER), keys.KeyEntry("B" * 40, 200)]
    assert keys.find_key_fault([], "A" * 40, now=0) is None
    assert keys.find_key_fault(entries, "A" * 40, now=150) is None
    assert keys.find_key_fault(entries, "B" * 40, now=200) is None
    ended, early, unknown = (
        keys.find_key_fault(entries, key * 40, now=moment) for key, moment in (("A", 200), ("B", 199), ("C", 200))
    )
    assert ended == f"by the list of keys its time ended at 1970-01-01T00:03:20Z; since then {'B' * 40} signs"
    assert early == "by the list of keys it signs from 1970-01-01T00:03:20Z on, not before"
    assert unknown == "the list of keys (keys.json) does not name it"
    planned = world.roll([], world.old, world.new)
    with pytest.raises(SlipwayError, match=f"by the list of keys its time ended at .* since then {world.new} signs"):
        world.publish(planned, world.old)


def test_a_rollover_is_planned_once_and_bad_ones_are_refused(world: World) -> None:
    plan: dict[str, Any] = {"since": NOW, "reason": keys.ROLLOVER, "now": NOW}
    planned = world.roll([], world.old, world.new)
    old = keys.KeyEntry(world.old, NOW - DAY)
    assert keys.plan_rollover(planned, old=old, new=world.new, **plan) == planned
    for change, why in (
        ({"new": world.old}, "it has been in the list before"),
        ({"new": world.third}, f"the list's present key is {world.new}, not {world.old}"),
        ({"new": world.third, "reason": "whim"}, "'whim' is none of rollover, lost, compromised"),
    ):
        with pytest.raises(SlipwayError, match=why):
            keys.plan_rollover(planned, old=old, **{**plan, **change})
    with pytest.raises(SlipwayError, match="is in the past"):
        keys.plan_rollover([], old=old, new=world.new, **{**plan, "since": NOW - 3 * DAY})


def test_a_list_that_was_damaged_is_named(world: World) -> None:
    path = world.state / keys.NAME
    assert keys.load_entries(path, project="baserock") == []
    entries = world.roll([], world.old, world.new)
    keys.save_entries(path, entries, project="baserock")
    assert keys.load_entries(path, project="baserock") == entries
    path.write_text("{")
    with pytest.raises(SlipwayError, match=r"read the list of keys .*keys\.json: it is no JSON"):
        keys.load_entries(path, project="baserock")


def test_the_old_key_certifies_the_new_one_for_everybody_to_see(world: World) -> None:
    assert list_certifiers(world.home, world.third) == set()
    certify_key(world.home, by=world.old, fingerprint=world.third)
    assert list_certifiers(world.home, world.third) == {world.old}
    key_file = make_key_file(world.home, world.third, [world.export(world.old).decode()])
    with provide_keyring({"release-key.asc": key_file}) as ring:
        assert list_certifiers(ring, world.third) == {world.old}
    assert make_key_file(world.home, world.third, [key_file.decode()]) == key_file
    alone = make_key_file(world.home, world.third, [])
    assert alone == export_public_key(world.home, world.third), "what keys say that are not in the file is left out"


class Rolling:
    """A coordinator with an old key and a new one, by the module."""

    def __init__(self, top: Path) -> None:
        self.home, self.path = top / "gnupg", top / "keys.json"
        self.old, self.new = (make_key(self.home, f"{name} <{name}@example.org>") for name in ("old", "new"))

    def run(self, *, check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {
            "gnupghome": str(self.home),
            "path": str(self.path),
            "project": "baserock",
            "old": self.old,
            "new": self.new,
        }
        return run_module("release_key_rollover", {**arguments, **more}, check=check)


@pytest.fixture
def rolling(tmp_path: Path) -> Rolling:
    return Rolling(tmp_path)


def test_a_rollover_is_done_once_and_goes_on_where_it_broke(rolling: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(rolling.path.parent)
    would = rolling.run(check=True)
    assert would["changed"]
    assert rolling.new in would["diff"][0]["after"] if isinstance(would["diff"], list) else str(would["diff"])
    assert {name: said for name, said in tree(rolling.path.parent).items() if "S.gpg" not in name} == before
    # It breaks after the old key certified the new one.
    certify_key(rolling.home, by=rolling.old, fingerprint=rolling.new)
    done = rolling.run()
    assert (done["changed"], done["certified"]) == (True, False)
    assert [each["fingerprint"] for each in done["entries"]] == [rolling.old, rolling.new]
    assert done["entries"][0]["until"] == done["entries"][1]["from"]
    text = rolling.path.read_bytes()
    for check in (True, False):
        again = rolling.run(check=check)
        assert (again["changed"], rolling.path.read_bytes()) == (False, text)
    now = int(time.time())
    line = keys.make_key_list(
        rolling.path.parent,
        project="baserock",
        gnupghome=rolling.home,
        signing_key=rolling.new,
        date=now,
        believe_until=now + 60,
    )
    key_file = make_key_file(rolling.home, rolling.new, [], also=[rolling.old])
    followed = keys.follow_keys(line, key_file=key_file, trusted=[rolling.old])
    assert (list(followed.believed), followed.faults) == ([rolling.old, rolling.new], [])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"new": "A" * 40}, "no secret key has this fingerprint"),
        ({"old": "A" * 40}, "no secret key has this fingerprint"),
        ({"old": None}, "there is no list of keys yet. Say which key signed until now"),
        ({"since": "tomorrow"}, "'tomorrow' is no moment such as"),
        ({"since": "2020-01-01T00:00:00Z"}, "2020-01-01T00:00:00Z is in the past"),
    ],
)
def test_a_rollover_that_cannot_be_is_refused_before_anything_is_signed(
    rolling: Rolling, change: dict[str, Any], why: str
) -> None:
    refused = rolling.run(**change)
    assert refused["failed"]
    assert why in refused["msg"]
    assert not rolling.path.exists()
    assert list_certifiers(rolling.home, rolling.new) == set()


def test_a_lost_key_ends_without_a_word(rolling: Rolling) -> None:
    done = rolling.run(old="B" * 40, reason="lost")
    assert [each["reason"] for each in done["entries"]] == ["lost", ""]
    assert done["certified"] is False
    assert rolling.run(old="B" * 40, reason="lost")["changed"] is False


def test_preflight_refuses_a_key_whose_time_is_over_or_has_not_begun(rolling: Rolling) -> None:
    later = moments.format_moment(time.time() + 3 * DAY)
    rolling.run(since=later)
    checks = {
        "gnupghome": str(rolling.home),
        "keys_list": str(rolling.path),
        "plan": PLAN,
        "records": ["branch", "tag"],
    }
    for key, why in ((rolling.old, None), (rolling.new, f"by the list of keys it signs from {later} on, not before")):
        done = run_module("release_preflight", {**checks, "signing_key": key})
        assert bool(done.get("failed")) is (why is not None), done
        assert why is None or why in done["msg"]
    planned = json.loads(rolling.path.read_bytes())
    planned["keys"][0]["from"] = "2020-01-01T00:00:00Z"
    for each, name in ((0, "until"), (1, "from")):
        planned["keys"][each][name] = moments.format_moment(time.time() - 60)
    rolling.path.write_text(json.dumps(planned))
    refused = run_module("release_preflight", {**checks, "signing_key": rolling.old})
    assert f"{rolling.old} may not sign: by the list of keys its time ended at" in refused["msg"]
    rolling.path.write_text("{")
    assert "it is no JSON" in run_module("release_preflight", {**checks, "signing_key": rolling.old})["msg"]


#: Of a release of files: nothing but its name is looked at.
PLAN = {
    "project": "baserock",
    "version": "26.47",
    "label": "baserock-26.47",
    "definitions": None,
    "skipped": [],
    "deployments": [],
}
