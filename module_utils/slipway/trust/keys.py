# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which key signs from when until when: the signed list, how a reader follows it, and how keys follow each other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import read_regular, write_atomic
from ..openpgp.command import FINGERPRINT, normalise_fingerprint
from ..openpgp.keyring import list_certifiers, list_fingerprints, provide_keyring
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import certify_key
from ..openpgp.verifying import Judgement
from ..release.records import format_json
from .dsse import AGAIN, KEYS, Envelope, add_signature, judge_envelope, read_envelope, sign_envelope
from .moments import format_moment, parse_moment
from .strictjson import dump_line, load_object

#: The public list, and the coordinator's own in the state directory, which it is made of.
NAME = "keys.json"
FORMAT = 1
#: More keys than a project has in its life.
MOST_KEYS = 100
ROLLOVER, LOST, COMPROMISED = "rollover", "lost", "compromised"
REASONS = (ROLLOVER, LOST, COMPROMISED)
OTHER_WAY = "Get the fingerprint of the present key from the project in another way, and verify by that."


@dataclass(frozen=True)
class KeyEntry:
    """A key and the time for which it signs, in seconds since the epoch; ``until`` is None for the present one.

    ``reason`` is why it ended. ``succession`` is an envelope in which the key before says that this one follows it.
    """

    fingerprint: str
    since: int
    until: int | None = None
    reason: str = ""
    succession: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As the list has it."""
        return {
            "fingerprint": self.fingerprint,
            "from": format_moment(self.since),
            "until": None if self.until is None else format_moment(self.until),
            "reason": self.reason,
            "succession": None if self.succession is None else dict(self.succession),
        }


@dataclass(frozen=True)
class KeyList:
    """The list that is public: of which project, when it was signed, and until when to believe it the newest."""

    project: str
    date: int
    believe_until: int
    entries: tuple[KeyEntry, ...]

    def find(self, moment: float) -> KeyEntry | None:
        """The key that signs at that time."""
        return find_entry(self.entries, moment)


@dataclass(frozen=True)
class Followed:
    """What a reader may believe of the keys: by fingerprint, how it is known. ``faults`` are sentences, without end."""

    listed: KeyList | None = None
    believed: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[str] = ()


def find_entry(entries: Sequence[KeyEntry], moment: float) -> KeyEntry | None:
    """The key that signs at that time, the last of them if several do."""
    found = [each for each in entries if each.since <= moment and (each.until is None or moment < each.until)]
    return found[-1] if found else None


def load_entries(path: Path, *, project: str) -> list[KeyEntry]:
    """The coordinator's own list; an absent file has none."""
    if not path.exists():
        return []
    attempt, do_next = "read the list of keys", "Restore it, or remove it to begin one with the present key; run again."
    said = load_object(read_regular(path), attempt=attempt, on=str(path), do_next=do_next)
    try:
        return list(_read_entries(said, project))
    except ValueError as error:
        raise SlipwayError(attempt, str(path), str(error), do_next=do_next) from None


def save_entries(path: Path, entries: Sequence[KeyEntry], *, project: str) -> None:
    """Write the coordinator's own list."""
    write_atomic(path, format_entries(entries, project=project))


def format_entries(entries: Sequence[KeyEntry], *, project: str) -> bytes:
    """The text of the coordinator's own list."""
    return format_json({"format": FORMAT, "project": project, "keys": [each.as_dict() for each in entries]})


def make_key_list(
    state: str | os.PathLike[str],
    *,
    project: str,
    gnupghome: str | os.PathLike[str],
    signing_key: str,
    date: int,
    believe_until: int,
) -> bytes:
    """The line of ``keys.json`` for now: what the coordinator's list in the state directory says, signed.

    Without such a list it is the signing key's alone, since it was made. Besides that key the others of the list sign
    that are there and good: so those who trust the key before believe the list as well.
    """
    entries = load_entries(Path(state) / NAME, project=project)
    key = find_signing_key(gnupghome, signing_key)
    if not entries:
        entries = [KeyEntry(key.fingerprint, min(key.created, date))]
    if fault := find_key_fault(entries, key.fingerprint, now=date):
        raise SlipwayError("sign the list of keys with", f"the key {key.fingerprint}", fault, do_next=SETTING)
    payload = {
        "format": FORMAT,
        "project": project,
        "date": format_moment(date),
        "believe_until": format_moment(believe_until),
        "keys": [each.as_dict() for each in entries],
    }
    line = sign_envelope(dump_line(payload), KEYS, gnupghome=gnupghome, fingerprint=key.fingerprint)
    envelope = read_envelope(line, payload_type=KEYS, attempt="sign", on=NAME)
    for other in entries:
        if other.fingerprint != key.fingerprint and other.reason not in (LOST, COMPROMISED):
            try:
                find_signing_key(gnupghome, other.fingerprint)
            except SlipwayError:
                continue  # it is not here any more, or over
            envelope = add_signature(envelope, gnupghome=gnupghome, fingerprint=other.fingerprint)
    return envelope.format()


SETTING = (
    "Set the signing key to the one that the list names (release_package_signing_key), or change the list with "
    "playbooks/key.yml. Run again."
)


def find_key_fault(entries: Sequence[KeyEntry], fingerprint: str, *, now: float) -> str | None:
    """Why a key may not sign now by the list of keys, as half a sentence; without a list, any may."""
    if not entries:
        return None
    mine = [each for each in entries if each.fingerprint == fingerprint]
    if not mine:
        return f"the list of keys ({NAME}) does not name it"
    if any(each.since <= now and (each.until is None or now < each.until) for each in mine):
        return None
    (entry,) = mine[-1:]
    present = find_entry(entries, now)
    instead = f"; since then {present.fingerprint} signs" if present else ""
    if now < entry.since:
        return f"by the list of keys it signs from {format_moment(entry.since)} on, not before"
    return f"by the list of keys its time ended at {format_moment(entry.until or 0)}{instead}"


def make_succession(
    old: str, new: str, *, project: str, since: int, gnupghome: str | os.PathLike[str]
) -> Mapping[str, Any]:
    """What the old key says: that the new one follows it. It stays in the list when the old key is long gone."""
    said = {
        "format": FORMAT,
        "project": project,
        "succeeds": old,
        "fingerprint": new,
        "from": format_moment(since),
    }
    line = sign_envelope(dump_line(said), KEYS, gnupghome=gnupghome, fingerprint=old)
    made: Mapping[str, Any] = json.loads(line)
    return made


def read_key_list(payload: bytes, *, project: str | None, attempt: str, on: str, do_next: str = AGAIN) -> KeyList:
    """Read the payload of ``keys.json``; with ``project`` None that of any project."""
    said = load_object(payload, attempt=attempt, on=on, do_next=do_next)
    try:
        entries = _read_entries(said, project)
        date, end = (parse_moment(said.get(name)) for name in ("date", "believe_until"))
    except ValueError as error:
        raise SlipwayError(attempt, on, str(error), do_next=do_next) from None
    return KeyList(str(said["project"]), date, end, entries)


def _read_entries(said: Mapping[str, Any], project: str | None) -> tuple[KeyEntry, ...]:
    if said.get("format") != FORMAT or isinstance(said.get("format"), bool):
        raise ValueError(f"its format is {said.get('format')!r}, not {FORMAT}")
    if not isinstance(said.get("project"), str) or project not in (None, said["project"]):
        raise ValueError(f"it is of the project {str(said.get('project'))[:100]!r}, not of {project!r}")
    keys = said.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise ValueError(f"it has no list of 1 to {MOST_KEYS} keys")
    return tuple(_read_entry(each) for each in keys)


def _read_entry(said: Any) -> KeyEntry:
    if not isinstance(said, dict) or not isinstance(said.get("fingerprint"), str):
        raise ValueError("a key in it has no fingerprint")
    fingerprint, reason, succession = said["fingerprint"], said.get("reason", ""), said.get("succession")
    if not FINGERPRINT.match(fingerprint):
        raise ValueError(f"{fingerprint[:100]!r} in it is no fingerprint of an OpenPGP key")
    if not isinstance(reason, str) or not (succession is None or isinstance(succession, dict)):
        raise ValueError(f"the reason or the succession of {fingerprint} in it is none")
    since = parse_moment(said.get("from"))
    until = None if said.get("until") is None else parse_moment(said["until"])
    if until is not None and until < since:
        raise ValueError(f"the time of {fingerprint} in it ends before it begins")
    return KeyEntry(fingerprint, since, until, reason, succession)


def follow_keys(
    data: bytes,
    *,
    key_file: bytes,
    trusted: Sequence[str],
    own: Mapping[str, bytes] | None = None,
    project: str | None = None,
    on: str = NAME,
    at: float | None = None,
) -> Followed:
    """What a reader who trusts only ``trusted`` (fingerprints) may believe of the keys, from what is public.

    ``key_file`` are the public keys beside the releases, ``own`` keys that the reader has, by where they are from; what
    both say of a key counts, revocations too. A key is believed if a believed key, good today, signed that it follows;
    and the list, if a believed key signed it. What a listed key says of itself counts nothing. What does not hold is a
    fault and no failure, so that a reader is told all of it.
    """
    attempt = "read the list of keys"
    try:
        envelope = read_envelope(data, payload_type=KEYS, attempt=attempt, on=on)
        listed = read_key_list(envelope.payload, project=project, attempt=attempt, on=on)
    except SlipwayError as error:
        return Followed(believed=dict.fromkeys(trusted, "trusted"), faults=[error.came_back])
    try:
        with provide_keyring({**(own or {}), "release-key.asc": key_file}) as home:
            return _follow(envelope, listed, trusted, home, at)
    except SlipwayError as error:
        return Followed(listed, dict.fromkeys(trusted, "trusted"), [str(error)])


def _follow(envelope: Envelope, listed: KeyList, trusted: Sequence[str], home: Path, at: float | None) -> Followed:
    known = list_fingerprints(home)
    believed = {each: "trusted" for each in trusted if each in known}
    faults = [f"the key {each}, which is trusted, is not there" for each in trusted if each not in known]
    refused: dict[str, str] = {}
    while True:  # as often as there are keys, since each round believes one more
        found = [(each, _judge_succession(each, listed, believed, home, at)) for each in listed.entries]
        refused = {each.fingerprint: said for each, said in found if said and not said.startswith("=")}
        more = {each.fingerprint: said[1:] for each, said in found if said.startswith("=")}
        if not more.keys() - believed.keys():
            break
        believed |= {each: said for each, said in more.items() if each not in believed}
    judged = judge_envelope(envelope, gnupghome=home, at=at)
    if not any(each.fault is None and each.fingerprint in believed for each in judged):
        faults.append(_explain_unsigned(envelope, judged, believed, refused))
        believed = {each: how for each, how in believed.items() if how == "trusted"}
    return Followed(listed, believed, faults)


def _judge_succession(
    entry: KeyEntry, listed: KeyList, believed: Mapping[str, str], home: Path, at: float | None
) -> str:
    """``=`` and how it is known, where a believed key says that this one follows it; else why not, or nothing."""
    if entry.fingerprint in believed or entry.succession is None:
        return ""
    try:
        said = read_envelope(dump_line(dict(entry.succession)), payload_type=KEYS, attempt="", on="")
        content = load_object(said.payload, attempt="", on="", do_next="")
    except SlipwayError as error:
        return error.came_back
    wanted = {"project": listed.project, "fingerprint": entry.fingerprint}
    (judged, *_more) = judge_envelope(said, gnupghome=home, at=at)
    if judged.fault is not None:
        return judged.fault
    old = content.get("succeeds")
    if {name: content.get(name) for name in wanted} != wanted or old != judged.fingerprint:
        return "what is signed of it is about another key"
    if old not in believed:
        return ""
    return f"=follows {old} since {format_moment(entry.since)}"


def _explain_unsigned(
    envelope: Envelope, judged: Sequence[Judgement], believed: Mapping[str, str], refused: Mapping[str, str]
) -> str:
    parts = []
    for signature, found in zip(envelope.signatures, judged, strict=True):
        if found.fault is not None:
            parts.append(found.fault)
        elif signature.keyid in refused:
            parts.append(
                f"that {signature.keyid} follows a key that is trusted is not proven: {refused[signature.keyid]}"
            )
        else:
            parts.append(f"it is signed by {signature.keyid}, of which no trusted key says that it follows")
    return (
        f"no key that is trusted ({', '.join(sorted(believed)) or 'none'}) signed the list of keys: {'; '.join(parts)}"
    )


def plan_rollover(
    entries: Sequence[KeyEntry], *, old: KeyEntry, new: str, since: int, reason: str, now: float | None = None
) -> list[KeyEntry]:
    """The list after a key is followed by another, without the succession; the same list if it says so already."""
    moment = time.time() if now is None else now
    attempt, on = "have the key followed by", new
    if reason not in REASONS:
        raise SlipwayError(attempt, on, f"{reason!r} is none of {', '.join(REASONS)}", do_next="Say one of them.")
    before = list(entries) or [old]
    there = next((each for each in before if each.fingerprint == new), None)
    if there is not None:
        if there.until is None and before[-1] == there and len(before) > 1:
            return before
        raise SlipwayError(attempt, on, "it has been in the list before", do_next="Take a key that never signed.")
    last = before[-1]
    if last.fingerprint != old.fingerprint:
        came_back = f"the list's present key is {last.fingerprint}, not {old.fingerprint}"
        raise SlipwayError(attempt, on, came_back, do_next="Name that one as the old key.")
    if since < last.since or (reason == ROLLOVER and since < moment - 86400):
        came_back = f"{format_moment(since)} is in the past"
        raise SlipwayError(attempt, on, came_back, do_next="Give a time from now on, or none for now.")
    return [*before[:-1], replace(last, until=since, reason=reason), KeyEntry(new, since)]


@dataclass(frozen=True)
class Rollover:
    """What is asked for: ``old`` None is the present key, ``since`` None is now."""

    project: str
    old: str | None
    new: str
    since: int | None = None
    reason: str = ROLLOVER


@dataclass(frozen=True)
class RolledOver:
    """The list now, its text before and after, and whether the old key certified the new one in this run."""

    entries: Sequence[KeyEntry]
    before: str
    after: str
    certified: bool

    @property
    def changed(self) -> bool:
        """Whether the list is another one."""
        return self.before != self.after


def roll_over(
    path: Path, wanted: Rollover, *, gnupghome: str | os.PathLike[str], now: float, write: bool = True
) -> RolledOver:
    """Have a key followed by another, in the list at ``path`` and by what the old key signs; again, nothing changes."""
    entries = load_entries(path, project=wanted.project)
    before = path.read_text(encoding="utf-8") if entries else ""
    new = find_signing_key(gnupghome, wanted.new, now=now).fingerprint
    position = next((number for number, each in enumerate(entries) if each.fingerprint == new), None)
    old = _find_old(entries[: position or None], wanted, gnupghome, now=now)
    since = int(now) if wanted.since is None else wanted.since
    reason = wanted.reason
    if position:
        # It follows already: what was left undone is done. The time was said before.
        planned, reason = list(entries), entries[position - 1].reason
    else:
        planned = plan_rollover(entries, old=old, new=new, since=since, reason=reason, now=now)
    position = len(planned) - 1 if position is None else position
    certifies = reason == ROLLOVER
    certified = certifies and old.fingerprint not in list_certifiers(gnupghome, new)
    entry = planned[position]
    if certifies and (certified or entry.succession is None):
        _require_certifier(gnupghome, old.fingerprint, new, now=now)
    if not write:
        after = before if planned == entries else format_entries(planned, project=wanted.project).decode()
        return RolledOver(planned, before, after, certified)
    if certified:
        certify_key(gnupghome, by=old.fingerprint, fingerprint=new)
    if certifies and entry.succession is None:
        made = make_succession(old.fingerprint, new, project=wanted.project, since=entry.since, gnupghome=gnupghome)
        planned[position] = replace(entry, succession=made)
    if planned != entries:
        save_entries(path, planned, project=wanted.project)
    return RolledOver(planned, before, path.read_text(encoding="utf-8"), certified)


def _find_old(
    entries: Sequence[KeyEntry], wanted: Rollover, gnupghome: str | os.PathLike[str], *, now: float
) -> KeyEntry:
    """The key that ends: the last of the list before the new one, or for a new list one that is there."""
    if entries:
        last = entries[-1]
        if wanted.old is not None and normalise_fingerprint(wanted.old) != last.fingerprint:
            came_back = f"the list's present key is {last.fingerprint}"
            do_next = "Name that one as the old key, or none."
            raise SlipwayError("have a key followed, which is", wanted.old, came_back, do_next=do_next)
        return last
    if wanted.old is None:
        do_next = "Say which key signed until now, by its fingerprint."
        raise SlipwayError("have a key followed by", wanted.new, "there is no list of keys yet", do_next=do_next)
    if wanted.reason == ROLLOVER:
        key = find_signing_key(gnupghome, wanted.old, now=now)
        return KeyEntry(key.fingerprint, min(key.created, int(now)))
    return KeyEntry(normalise_fingerprint(wanted.old), 0)


def _require_certifier(gnupghome: str | os.PathLike[str], old: str, new: str, *, now: float) -> None:
    """Whether the old key can say that the new one follows."""
    try:
        key = find_signing_key(gnupghome, old, now=now)
    except SlipwayError as error:
        came_back = f"the old key cannot say so: {error.came_back}"
        do_next = f"{error.do_next} If it is gone for good, say that it is lost, or compromised."
        raise SlipwayError("have the key followed by", new, came_back, do_next=do_next) from None
    if key.offline:
        came_back = f"the primary part of {old}, which certifies, is not here"
        command = f"gpg --local-user {old} --quick-sign-key {new}"
        do_next = f"Where it is, import {new}, run `{command}`, export {new}, import that here, and run again."
        if old not in list_certifiers(gnupghome, new):
            raise SlipwayError("have the key followed by", new, came_back, do_next=do_next)
