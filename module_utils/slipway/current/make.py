# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make and sign what says which release is current, for all servers at once, where the signing key is.

What is signed comes from the records here and must be what every server has. What says the same and is good for a while
keeps its bytes, unless it is to be refreshed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import make_scratch
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import sign_messages
from ..openpgp.verifying import judge_signature
from ..release.names import extract_version
from ..release.tombstone import format_moment, parse_moment
from ..trust import keys
from ..trust.dsse import KEYS, LATEST, MIRRORS, Envelope, read_envelope, sign_envelopes
from ..trust.latest import FILE, SHA256, Latest, Pointer, make_latest, name_latest, read_latest
from ..trust.strictjson import dump_line, load_object
from ..views import sysupdate, tuf
from ..views.pgpkey import Signer, make_signer
from ..views.subject import View, ViewFile, select_types
from .found import agree, digest_text
from .judge import SETTLE, TYPES, judge_servers, read_signed
from .kept import Kept, keep_files, load_kept
from .releases import Known, list_known, list_withdrawn, select_files

DAY = 86400.0
#: In check mode, the digest of what is not made yet.
UNKNOWN = "0" * 64
UPDATES, TUF = "updates", "tuf"
MIRRORS_NAME = "mirrors.json"
RECORD, SERVERS = "record", "servers"
AGAIN = "Nothing was signed. Run the release again, which brings records and servers in step."


@dataclass(frozen=True)
class Demand:
    """What is wanted: ``label`` is made current, or ``withdrawing`` is taken back, or neither for a refresh.

    ``state`` is the state directory, ``settle`` whose word counts where servers and record differ.
    """

    project: str
    state: Path
    gnupghome: Path
    signing_key: str | None
    valid_days: float
    now: float
    label: str = ""
    withdrawing: str = ""
    refresh: bool = False
    settle: str = ""
    types: Sequence[str] = ()
    updates: bool = True
    tuf: bool = False
    attestations: Mapping[str, Any] | None = None

    @property
    def directory(self) -> Path:
        """Where what was signed last is kept."""
        return self.state / "current"

    @property
    def until(self) -> float:
        """Until when what is signed now is to be believed."""
        return self.now + self.valid_days * DAY

    def is_fresh(self, end: float) -> bool:
        """Whether something that is believed until then needs no renewal yet."""
        return end - self.now > self.valid_days * DAY / 2


@dataclass
class Made:
    """All files by their public paths, the links of views, and those of the views that are to go."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    serial: int = 0
    signed: bool = False


def judge_current(demand: Demand, servers: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse servers that have anything else than what was signed last."""
    if demand.settle == RECORD:
        return
    kept = Kept() if demand.settle == SERVERS else load_kept(demand.directory)
    trusted = _list_trusted(demand, kept)
    if trusted is None:
        return
    findings = judge_servers(servers, _adopt_views(kept, servers, demand), gnupghome=demand.gnupghome, trusted=trusted)
    refuse("trust what says which release is current on", ", ".join(servers), findings, do_next=SETTLE)


def _adopt_views(kept: Kept, servers: Mapping[str, Mapping[str, Any]], demand: Demand) -> Kept:
    """With the servers' word, their views are as good as made here, if they all have the same."""
    if demand.settle != SERVERS:
        return kept
    same = agree(servers, "contents", what="their views")
    return Kept({path: base64.b64decode(text) for path, text in same.items()}, {})


def _list_trusted(demand: Demand, kept: Kept) -> set[str] | None:
    """The keys that may have signed: the one that signs, and those that are on record; None if there are none here."""
    try:
        own = {find_signing_key(demand.gnupghome, demand.signing_key).fingerprint}
    except SlipwayError:
        if kept.files:
            raise
        return None
    for name, data in kept.files.items():
        if FILE.match(name) or name in TYPES:
            kind = LATEST if FILE.match(name) else TYPES[name]
            own |= {each.keyid for each in read_envelope(data, payload_type=kind, attempt="read", on=name).signatures}
    return own


def make_current(demand: Demand, servers: Mapping[str, Mapping[str, Any]], *, write: bool = True) -> Made:
    """What every server is to have, kept here before any of them gets it. Without ``write`` nothing is signed."""
    judge_current(demand, servers)
    kept = _settle(demand, servers)
    known = list_known(demand.state / "releases", demand.project)
    pointers = _find_pointers(demand, servers, kept, known, write=write)
    made = _make_latest(demand, servers, kept, pointers, write=write)
    files = select_files(
        known,
        {product: pointer.label for product, pointer in pointers.items() if pointer},
        demand.project,
        also=demand.label,
        without=demand.withdrawing,
    )
    _make_updates(demand, made, kept, files, write=write)
    _make_tuf(demand, made, kept, files, write=write)
    if write:
        keep_files(demand.directory, made.files)
    return made


def _settle(demand: Demand, servers: Mapping[str, Mapping[str, Any]]) -> Kept:
    """What is on record, with what servers have that is newer and ours: files of other stages, or all if asked for."""
    kept = load_kept(demand.directory) if demand.settle != SERVERS else _adopt_views(Kept(), servers, demand)
    names = sorted({name for found in servers.values() for name in found["signed"]})
    files = dict(kept.files)
    if demand.settle == RECORD:
        return kept
    for name in names:
        texts = {found["signed"][name] for found in servers.values() if name in found["signed"]}
        others = [text for text in texts if not kept.knows(name, digest_text(text))]
        if others:
            trusted = _list_trusted(demand, kept) or set()
            files[name] = max(
                (text.encode() for text in others),
                key=lambda data: read_signed(name, data, gnupghome=demand.gnupghome, trusted=trusted),
            )
    return replace(kept, files=files)


def _find_pointers(
    demand: Demand,
    servers: Mapping[str, Mapping[str, Any]],
    kept: Kept,
    known: Mapping[str, Known],
    *,
    write: bool,
) -> dict[str, Pointer | None]:
    """The release of each product that all servers have as the current one, and that is the one that it should be."""
    links: dict[str, str] = agree(servers, "pointers", what="what is current")
    releases: dict[str, dict[str, Any]] = agree(
        servers, "releases", what="the checksums and statements of what is current"
    )
    last = {name: latest for name, latest, _envelope in _list_latest(kept)}
    findings = []
    pointers: dict[str, Pointer | None] = {}
    for product in _list_products(demand.project, links, last):
        label = links.get(product or "")
        before = last.get(name_latest(product))
        was = before.pointer.label if before and before.pointer else None
        expected = before is None or label == was or demand.label or was == demand.withdrawing
        if not expected and demand.settle != SERVERS:
            findings.append(f"{name_latest(product)} names {was}, and the links of all servers lead to {label}")
        said = releases.get(label or "", {"sums": None})
        if label and not write and said["sums"] is None:  # it is not public yet
            pointers[product or ""] = Pointer(extract_version(label, demand.project) or "", label, UNKNOWN)
        else:
            pointers[product or ""] = _make_pointer(demand, label, said, known) if label else None
        if label == demand.withdrawing and label:
            findings.append(f"the links of all servers still lead to {label}")
    refuse("sign which release is current of", demand.project, findings, do_next=AGAIN)
    return pointers


def _list_products(project: str, links: Mapping[str, str], last: Mapping[str, Latest]) -> list[str | None]:
    """The project itself, and its products if it has other ones than itself, those of before among them."""
    products = {product for product in links if product}
    named = products if products - {project} else set()
    named |= {latest.product for latest in last.values() if latest.product}
    return [None, *sorted(named)]


def _make_pointer(demand: Demand, label: str, said: Mapping[str, Any], known: Mapping[str, Known]) -> Pointer:
    version = extract_version(label, demand.project)
    sums = digest_text(said["sums"]) if said["sums"] is not None else None
    fault = None
    if version is None or sums is None:
        fault = "it is no release with checksums"
    elif label in known and known[label].sums != sums:
        fault = f"its SHA256SUMS has the SHA-256 {sums}, and {known[label].sums} is on record"
    elif label not in known and not _is_signed(demand, said):
        fault = "it is not on record here, and its SHA256SUMS has no good signature by the key that signs"
    statements = said["statements"]
    if fault is None and statements is not None and not SHA256.match(str(statements)):
        fault = "its statements have no digest"
    if fault is not None:
        raise SlipwayError(
            "sign that the current release is", label, fault, do_next="Nothing was signed. Find out why."
        )
    return Pointer(str(version), label, str(sums), statements)


def _is_signed(demand: Demand, said: Mapping[str, Any]) -> bool:
    """Whether the checksums of a release that is not on record bear the signature of the key that signs here."""
    if not said["signature"]:
        return False
    signer = find_signing_key(demand.gnupghome, demand.signing_key).fingerprint
    with make_scratch("slipway-current-") as scratch:
        data, signature = scratch / "SHA256SUMS", scratch / "SHA256SUMS.asc"
        data.write_text(said["sums"])
        signature.write_text(said["signature"])
        judged = judge_signature(demand.gnupghome, data=data, signature=signature)
    return judged.fault is None and judged.fingerprint == signer


def _list_latest(kept: Kept) -> list[tuple[str, Latest, Envelope]]:
    found = []
    for name, data in kept.files.items():
        if FILE.match(name):
            envelope, latest = read_latest(data, attempt="read what was signed last in", on=name)
            found.append((name, latest, envelope))
    return found


def _make_latest(
    demand: Demand,
    servers: Mapping[str, Mapping[str, Any]],
    kept: Kept,
    pointers: Mapping[str, Pointer | None],
    *,
    write: bool,
) -> Made:
    """latest.json of the project and of each product, and the other signed files that are refreshed with them."""
    before = {name: (latest, envelope) for name, latest, envelope in _list_latest(kept)}
    serial = max((latest.serial for latest, _envelope in before.values()), default=0)
    withdrawn = _list_withdrawn(demand, servers)
    wanted = {
        name_latest(product or None): make_latest(
            demand.project,
            product or None,
            pointer,
            serial=serial + 1,
            now=demand.now,
            believe_until=demand.until,
            withdrawn=withdrawn,
            attestations=demand.attestations,
        )
        for product, pointer in pointers.items()
    }
    signer = find_signing_key(demand.gnupghome, demand.signing_key).fingerprint if write else ""
    is_same = all(
        name in before
        and latest.says_same(before[name][0])
        and demand.is_fresh(before[name][0].end)
        and (not write or signer in {each.keyid for each in before[name][1].signatures})
        for name, latest in wanted.items()
    )
    made = Made({name: data for name, data in kept.files.items() if "/" not in name}, serial=serial)
    if is_same and not demand.refresh and _lists_keys(demand, kept, signer, write=write):
        return made
    made.serial, made.signed = serial + 1, True
    payloads = {name: (LATEST, latest.format()) for name, latest in wanted.items()}
    payloads |= _redate(demand, kept)
    made.files |= _sign(demand, payloads, signer, write=write)
    made.files[keys.NAME] = _make_keys(demand, signer, write=write)
    return made


def _make_keys(demand: Demand, signer: str, *, write: bool) -> bytes:
    """The list of which key signs from when until when."""
    if not write:
        return Envelope(b"{}", KEYS, ()).format()
    return keys.make_key_list(
        demand.state,
        project=demand.project,
        gnupghome=demand.gnupghome,
        signing_key=signer,
        date=int(demand.now),
        believe_until=int(demand.until),
    )


def _lists_keys(demand: Demand, kept: Kept, signer: str, *, write: bool) -> bool:
    """Whether the list of keys that is kept says what the coordinator's own does."""
    data = kept.files.get(keys.NAME)
    if data is None:
        return False
    envelope = read_envelope(data, payload_type=KEYS, attempt="read", on=keys.NAME)
    listed = keys.read_key_list(envelope.payload, project=demand.project, attempt="read", on=keys.NAME).entries
    own = keys.load_entries(demand.state / keys.NAME, project=demand.project)
    return list(listed) == own if own else not write or [each.fingerprint for each in listed] == [signer]


def _redate(demand: Demand, kept: Kept) -> dict[str, tuple[str, bytes]]:
    """The other signed files, which say the same until a later day."""
    payloads = {}
    if demand.refresh and (data := kept.files.get(MIRRORS_NAME)) is not None:
        envelope = read_envelope(data, payload_type=MIRRORS, attempt="read", on=MIRRORS_NAME)
        said = load_object(
            envelope.payload, attempt="read", on=MIRRORS_NAME, do_next="Restore the coordinator's state."
        )
        dates = {"date": format_moment(demand.now), "believe_until": format_moment(demand.until)}
        payloads[MIRRORS_NAME] = MIRRORS, dump_line({**said, **dates})
    return payloads


def _sign(demand: Demand, payloads: Mapping[str, tuple[str, bytes]], signer: str, *, write: bool) -> dict[str, bytes]:
    """Each text in its envelope; all of a type are signed at once. Without ``write`` they have no signature."""
    if not write:
        return {name: Envelope(payload, kind, ()).format() for name, (kind, payload) in payloads.items()}
    signed: dict[str, bytes] = {}
    for kind in sorted({kind for kind, _payload in payloads.values()}):
        mine = [name for name in payloads if payloads[name][0] == kind]
        texts = [payloads[name][1] for name in mine]
        lines = sign_envelopes(texts, kind, gnupghome=demand.gnupghome, fingerprint=signer)
        signed |= dict(zip(mine, lines, strict=True))
    return signed


def _list_withdrawn(demand: Demand, servers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The versions that are withdrawn, by the records here; of those that are none of ours, by all servers."""
    recorded = list_withdrawn(demand.state / "releases")
    found = {version for version, withdrawn in recorded.items() if withdrawn}
    told = [set(found["withdrawn"]) for found in servers.values()]
    found |= {version for version in set.intersection(*told) if version not in recorded} if told else set()
    version = extract_version(demand.withdrawing, demand.project) if demand.withdrawing else None
    found |= {version} if version else set()
    return sorted(found)


def _make_updates(demand: Demand, made: Made, kept: Kept, files: Sequence[ViewFile], *, write: bool) -> None:
    """The view for systemd-sysupdate, if there are disks."""
    before = kept.list_view(UPDATES)
    disks = select_types(files, demand.types) if demand.updates else []
    if not disks:
        made.gone += [UPDATES] if before else []
        return
    sums = sysupdate.format_sums(disks, believe_until=demand.until)
    if not demand.refresh and not made.signed and _lists_same(before.get(sysupdate.SUMS, b""), sums, demand):
        sums, signature = before[sysupdate.SUMS], before[sysupdate.SIGNATURE]
    elif write:
        key = find_signing_key(demand.gnupghome, demand.signing_key).fingerprint
        (signature,) = sign_messages(demand.gnupghome, key, [sums], on=f"{UPDATES}/{sysupdate.SUMS}")
    else:
        signature = b""
    _add_view(made, UPDATES, sysupdate.make_view(sums, signature, disks))


def _lists_same(before: bytes, now: bytes, demand: Demand) -> bool:
    """Whether a list has the same disks, and its day is not near."""
    parts = [
        [line.partition(sysupdate.BEST_BEFORE) for line in text.decode("utf-8", "replace").splitlines()]
        for text in (before, now)
    ]
    plain = [[line for line, mark, _day in lines if not mark] for lines in parts]
    days = [day for _line, mark, day in parts[0] if mark]
    return plain[0] == plain[1] and any(demand.is_fresh(parse_moment(f"{day}T00:00:00Z") + DAY) for day in days)


def _make_tuf(demand: Demand, made: Made, kept: Kept, files: Sequence[ViewFile], *, write: bool) -> None:
    """The view for TUF clients, if the site wants it."""
    before = kept.list_view(TUF)
    if not demand.tuf:
        made.gone += [TUF] if before else []
        return
    if not write:
        view = tuf.keep_view(before) if before and not demand.refresh else View({"timestamp.json": b""})
        _add_view(made, TUF, view)
        return
    signer = make_signer(demand.gnupghome, demand.signing_key)
    now, until = demand.now, demand.until
    is_same = not demand.refresh and not made.signed
    if is_same and tuf.is_current(files, before=before, signer=signer, now=now, believe_until=until):
        view = tuf.keep_view(before)
    else:
        old = _list_old_signers(demand, before, signer)
        view = tuf.make_repository(files, before=before, signer=signer, old_signers=old, now=now, believe_until=until)
    _add_view(made, TUF, view)


def _list_old_signers(demand: Demand, before: Mapping[str, bytes], signer: Signer) -> list[Signer]:
    """Those keys of the last root that can still sign here."""
    found = []
    for keyid in tuf.list_root_keys(before):
        if keyid != signer.key.keyid:
            try:
                found.append(make_signer(demand.gnupghome, keyid.upper()))
            except SlipwayError:
                continue  # it is told if one of them is needed
    return found


def _add_view(made: Made, name: str, view: View) -> None:
    made.files |= {f"{name}/{path}": data for path, data in view.files.items()}
    made.links[name] = dict(view.links)
