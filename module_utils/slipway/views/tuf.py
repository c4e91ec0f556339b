# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The view for clients of The Update Framework (TUF): metadata that are signed, dated and numbered; no other files.

    tuf/N.root.json  N.targets.json  N.snapshot.json  timestamp.json
    tuf/targets/<label>/<digest>.<file> -> the public file           target <label>/<file>
    tuf/targets/<digest>.<project>-current-<location>.gz -> the same target <project>-current-<location>.gz

Versions only grow. A new key is introduced by a root that the old one signs as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import SlipwayError
from .pgpkey import Signer
from .subject import View, ViewFile

try:
    from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import (  # type: ignore[attr-defined]
        Metadata,
        MetaFile,
        Root,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )
except ImportError:  # the failure is raised when such metadata are to be made
    Metadata = None  # type: ignore[assignment,misc]  # absent on a host that makes none
    RepositoryError = ValueError  # type: ignore[assignment,misc]

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = ROLES = ("root", "targets", "snapshot", "timestamp")
NAME = re.compile(r"(?:([1-9][0-9]{0,8})\.(root|targets|snapshot)|(timestamp))\.json\Z")
ROOT_DAYS = 365
#: Versions of targets and snapshot that stay, for clients that are in the middle of an update.
KEPT = 3
#: How much longer than the timestamp the roles behind it are good; they change with releases alone.
LONGER = 4


@dataclass
class _Repository:
    """The metadata as they are, and those that are made now."""

    now: datetime
    until: datetime
    versions: dict[str, dict[int, Any]] = field(default_factory=lambda: {role: {} for role in ROLES})
    raw: dict[str, bytes] = field(default_factory=dict)
    unsigned: dict[str, tuple[Any, list[Signer]]] = field(default_factory=dict)

    def newest(self, role: str) -> Any:
        """The highest version of a role."""
        there = self.versions[role]
        return there[max(there)] if there else None

    def add(self, role: str, made: Any, signers: list[Signer]) -> None:
        """Add a version, which is signed later with the others."""
        self.versions[role][made.version] = made
        self.unsigned[_name(role, made.version)] = (Metadata(made), signers)


def make_repository(
    files: Sequence[ViewFile],
    *,
    before: Mapping[str, bytes],
    signer: Signer,
    old_signers: Sequence[Signer] = (),
    now: float,
    believe_until: float,
) -> View:
    """The view with these files as targets; ``before`` are its metadata as they are, by name.

    What says the same and is good for a while stays as it is; the timestamp is always a new one. ``old_signers`` are
    keys of before that can still sign, of which one is needed when the key is another one.
    """
    _require_library()
    repository = _Repository(_moment(now), _moment(believe_until))
    _read(repository, before)
    _make_root(repository, signer, old_signers)
    _make_targets(repository, signer, files)
    _make_snapshot(repository, signer)
    before_stamp = repository.newest(TIMESTAMP)
    version = before_stamp.version + 1 if before_stamp else 1
    snapshot = repository.newest(SNAPSHOT)
    stamp = Timestamp(version=version, expires=repository.until, snapshot_meta=MetaFile(snapshot.version))
    repository.add(TIMESTAMP, stamp, [signer])
    _sign(repository)
    return View(_select_files(repository), _make_links(repository))


def is_current(
    files: Sequence[ViewFile], *, before: Mapping[str, bytes], signer: Signer, now: float, believe_until: float
) -> bool:
    """Whether the metadata name these files by this key, and none of them ends soon."""
    _require_library()
    repository = _Repository(_moment(now), _moment(believe_until))
    _read(repository, before)
    root, targets, snapshot, stamp = (repository.newest(role) for role in ROLES)
    return bool(
        all((root, targets, snapshot, stamp))
        and signer.key.keyid in root.roles[ROOT].keyids
        and root.expires - repository.now > timedelta(days=ROOT_DAYS / 2)
        and targets.targets == _describe_all(files)
        and targets.expires > repository.until
        and snapshot.expires > repository.until
        and stamp.expires - repository.now > (repository.until - repository.now) / 2
    )


def keep_view(before: Mapping[str, bytes]) -> View:
    """The view with the metadata as they are."""
    _require_library()
    repository = _Repository(_moment(0), _moment(0))
    _read(repository, before)
    return View(_select_files(repository), _make_links(repository))


def list_root_keys(before: Mapping[str, bytes]) -> list[str]:
    """The keys that may sign the next root."""
    newest = read_versions(before)[ROOT]
    if not newest:
        return []
    return sorted(json.loads(before[_name(ROOT, newest)])["signed"]["roles"][ROOT]["keyids"])


def read_versions(before: Mapping[str, bytes]) -> dict[str, int]:
    """The highest version of each role; of what is not there, 0."""
    found = dict.fromkeys(ROLES, 0)
    for name, data in before.items():
        match = NAME.match(name)
        if match and match[3]:
            found[TIMESTAMP] = int(json.loads(data)["signed"]["version"])
        elif match:
            found[match[2]] = max(found[match[2]], int(match[1]))
    return found


def _require_library() -> None:
    if Metadata is None:
        raise SlipwayError(
            "make",
            "the view for TUF clients",
            "the Python of the host that signs has no python-tuf 7",
            do_next="Install it there (pip install tuf), name the Python that has it as ansible_python_interpreter, "
            "or set release_current_tuf to false.",
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _name(role: str, version: int) -> str:
    return f"{role}.json" if role == TIMESTAMP else f"{version}.{role}.json"


def _read(repository: _Repository, before: Mapping[str, bytes]) -> None:
    for name, data in before.items():
        match = NAME.match(name)
        if match is None:
            continue
        role = match[2] or match[3]
        try:
            signed = Metadata.from_bytes(data).signed
            if signed.type != role or (match[1] and signed.version != int(match[1])):
                raise ValueError(f"it says that it is {signed.type} {signed.version}")
        except (RepositoryError, ValueError, KeyError) as error:
            raise SlipwayError(
                "read what is on record of the view for TUF clients",
                name,
                str(error),
                do_next="Restore the coordinator's state, or remove current/tuf there and tuf on the servers; "
                "clients then need the new root.",
            ) from error
        repository.versions[role][signed.version] = signed
        repository.raw[name] = data


def _make_root(repository: _Repository, signer: Signer, old_signers: Sequence[Signer]) -> None:
    now, before = repository.now, repository.newest(ROOT)
    needed: list[Signer] = []
    if before is not None:
        names = set(before.roles[ROOT].keyids)
        if signer.key.keyid in names and before.expires - now > timedelta(days=ROOT_DAYS / 2):
            return
        needed = [each for each in (signer, *old_signers) if each.key.keyid in names][: before.roles[ROOT].threshold]
        if len(needed) < before.roles[ROOT].threshold:
            raise SlipwayError(
                "name the new key to TUF clients by",
                _name(ROOT, before.version + 1),
                f"none of the keys that may do so can sign here: {', '.join(sorted(names)).upper()}",
                do_next="Sign once more with the old key beside the new one, as docs/keys.md says of a rollover.",
            )
    made = Root(
        version=before.version + 1 if before else 1,
        expires=now + timedelta(days=ROOT_DAYS),
        consistent_snapshot=True,
    )
    for role in ROLES:
        made.add_key(Key.from_dict(signer.key.keyid, signer.key.describe()), role)
    by_key = {each.key.keyid: each for each in (*needed, signer)}
    repository.add(ROOT, made, list(by_key.values()))
    if before is not None and signer.key.keyid not in before.roles[ROOT].keyids:
        for role in (TARGETS, SNAPSHOT):  # what the old key signed is no more good
            _expire(repository, role)


def _expire(repository: _Repository, role: str) -> None:
    """Have a role made anew whatever it says."""
    newest: Any = repository.newest(role)
    if newest is not None:
        newest.expires = repository.now


def _is_good(repository: _Repository, signed: Any) -> bool:
    """Whether it is believed for longer than the timestamp will be, and then some."""
    return bool(signed is not None and signed.expires - repository.until > repository.until - repository.now)


def _lifetime(repository: _Repository) -> datetime:
    return repository.now + LONGER * (repository.until - repository.now)


def _make_targets(repository: _Repository, signer: Signer, files: Sequence[ViewFile]) -> None:
    wanted = _describe_all(files)
    before: Any = repository.newest(TARGETS)
    if _is_good(repository, before) and before.targets == wanted:
        return
    version = before.version + 1 if before else 1
    repository.add(TARGETS, Targets(version=version, expires=_lifetime(repository), targets=wanted), [signer])


def _describe_all(files: Sequence[ViewFile]) -> dict[str, Any]:
    """Every file as a target under its path, and the current ones under their fixed names as well."""
    names = [(name, file) for file in files for name in (file.path, file.current) if name]
    return {name: _describe(file, name) for name, file in names}


def _describe(file: ViewFile, path: str) -> Any:
    custom = {"path": file.path, **({"type": file.type} if file.type else {})}
    return TargetFile(file.size, {"sha256": file.sha256}, path, unrecognized_fields={"custom": custom})


def _make_snapshot(repository: _Repository, signer: Signer) -> None:
    before: Any = repository.newest(SNAPSHOT)
    targets: Any = repository.newest(TARGETS)
    meta = {"targets.json": MetaFile(targets.version)}
    if _is_good(repository, before) and before.meta == meta:
        return
    version = before.version + 1 if before else 1
    repository.add(SNAPSHOT, Snapshot(version=version, expires=_lifetime(repository), meta=meta), [signer])


def _sign(repository: _Repository) -> None:
    """Sign all that is new, each key all of its own at once."""
    signers = {each.key.keyid: each for _made, signers in repository.unsigned.values() for each in signers}
    for keyid, signer in signers.items():
        mine = [name for name, (_made, by) in repository.unsigned.items() if keyid in {each.key.keyid for each in by}]
        texts = [repository.unsigned[name][0].signed_bytes for name in mine]
        for name, made in zip(mine, signer.sign(texts), strict=True):
            signature = Signature(made.keyid, made.sig, {"other_headers": made.headers})
            repository.unsigned[name][0].signatures[made.keyid] = signature
    for name, (metadata, _signers) in repository.unsigned.items():
        repository.raw[name] = metadata.to_bytes()


def _select_files(repository: _Repository) -> dict[str, bytes]:
    """Every root, the timestamp, and the last versions of what is between them."""
    kept = {_name(TIMESTAMP, 0)}
    for role in (ROOT, TARGETS, SNAPSHOT):
        versions = sorted(repository.versions[role])
        kept |= {_name(role, each) for each in (versions if role == ROOT else versions[-KEPT:])}
    return {name: data for name, data in sorted(repository.raw.items()) if name in kept}


def _make_links(repository: _Repository) -> dict[str, str]:
    """A link for each target of every version that stays, under the name with its digest that clients ask for."""
    links = {}
    for version in sorted(repository.versions[TARGETS])[-KEPT:]:
        for path, target in repository.versions[TARGETS][version].targets.items():
            directory, slash, name = path.rpartition("/")
            links[f"targets/{directory}{slash}{target.hashes['sha256']}.{name}"] = str(target.custom["path"])
    return links
