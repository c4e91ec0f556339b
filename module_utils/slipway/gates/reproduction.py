# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what was made again is what was published, and if it is not, which input differs."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import SlipwayError, refuse
from ..files import make_scratch
from ..http import FAILURES, Limit, explain_failure, open_url, receive_body
from ..openpgp.keyring import provide_keyring
from ..openpgp.verifying import judge_signature
from ..publish.channel import SAFE, fetch_published, fetch_published_mapping
from ..publish.directory import SUMS, parse_sums
from ..publish.package import MANIFEST
from ..publish.releases import name_inputs
from ..release.records import find_differences
from ..trust.dsse import STATEMENT, judge_envelope, read_envelopes
from ..trust.stating import name_statements
from ..trust.strictjson import load_object

SECONDS = 120.0
DOUBT = "Get the project's key from elsewhere (release_reproduce_key), or tell its release team."
#: A file that is larger, or takes longer, is not looked into.
MOST_BYTES, MOST_SECONDS = 64 << 30, 3600.0


@dataclass(frozen=True)
class Reference:
    """A published release: its digests, its manifest, and its inputs if they are published."""

    url: str
    sums: Mapping[str, str]
    manifest: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Of SHA256SUMS itself.
    sha256: str = ""


def fetch_reference(url: str, *, ca_path: str | None = None, key: bytes | None = None) -> Reference:
    """What is published in the directory of a release at ``url``.

    With the public ``key`` that must have signed it, its signature and its statement are judged first; without, they
    are not looked at.
    """
    base = url.rstrip("/")
    above, _slash, label = base.rpartition("/")
    how: dict[str, Any] = {"attempt": "read", "do_next": "Correct the address.", "timeout": SECONDS, "ca_path": ca_path}
    listed = fetch_published(base, SUMS, **how) or b""
    sums = parse_sums(listed.decode("utf-8", "replace"))
    if key is not None:
        _require_signature(base, listed, fetch_published(base, f"{SUMS}.asc", **how) or b"", key)
    manifest = fetch_published_mapping(base, MANIFEST, **how)
    if key is not None and manifest is not None:
        stated = _require_statement(above, label, listed, key, **how)
        if stated is not None and stated != manifest.get("commit"):
            fault = f"its statement names the commit {stated}, and its {MANIFEST} {manifest.get('commit')}"
            raise SlipwayError("read the release at", base, fault, do_next=DOUBT)
        found = hashlib.sha256(fetch_published(base, MANIFEST, **how) or b"").hexdigest()
        if found != sums.get(MANIFEST):
            fault = f"its {MANIFEST} has the SHA-256 {found}, and {SUMS} says {sums.get(MANIFEST)}"
            raise SlipwayError("read the release at", base, fault, do_next=DOUBT)
    if manifest is None or MANIFEST not in sums:
        fault = f"there is no {MANIFEST}" if manifest is None else f"its {SUMS} does not list {MANIFEST}"
        raise SlipwayError("read the release at", base, fault, do_next="Correct the address.")
    inputs = fetch_published_mapping(above, name_inputs(label), **how) or {}
    return Reference(base, sums, manifest, inputs, hashlib.sha256(listed).hexdigest())


def _require_statement(above: str, label: str, listed: bytes, key: bytes, **how: Any) -> str | None:
    """The commit of the definitions by the signed statement about ``SHA256SUMS``; None if there are no statements."""
    name = name_statements(label)
    data = fetch_published(above, name, **how)
    if data is None:
        return None
    attempt, on = "believe", f"{above}/{name}"
    wanted = {"name": SUMS, "digest": {"sha256": hashlib.sha256(listed).hexdigest()}}
    for envelope in read_envelopes(data, payload_type=STATEMENT, attempt=attempt, on=on):
        said = load_object(envelope.payload, attempt=attempt, on=on, do_next=DOUBT)
        if wanted not in _list(said.get("subject")):
            continue
        with provide_keyring({"the release": key}) as home:
            judged = judge_envelope(envelope, gnupghome=home)
        faults = [each.fault for each in judged if each.fault is not None]
        refuse(attempt, on, [str(each) for each in faults[:1]] if len(faults) == len(judged) else [], do_next=DOUBT)
        found = _list(_get(said, "predicate", "buildDefinition", "resolvedDependencies"))
        commits = [_get(each, "digest", "gitCommit") for each in found if _get(each, "name") == "definitions"]
        return str(commits[0]) if commits else None
    raise SlipwayError(attempt, on, f"it states nothing of the published {SUMS}", do_next=DOUBT)


def _get(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def fetch_file(reference: Reference, name: str, target: Path, *, ca_path: str | None = None) -> str | None:
    """Fetch a published file of at most :data:`MOST_BYTES`; what is wrong with it, if it is not what is listed."""
    url = f"{quote(reference.url, safe=SAFE)}/{quote(name)}"
    digest = hashlib.sha256()
    try:
        with (
            open(target, "wb") as stream,
            open_url(url, Limit(MOST_SECONDS, SECONDS), trust=ssl.create_default_context(cafile=ca_path)) as answer,
        ):

            def take(chunk: bytes) -> None:
                digest.update(chunk)
                stream.write(chunk)

            receive_body(answer, take, size=MOST_BYTES)
    except FAILURES as error:
        raise SlipwayError("fetch", url, explain_failure(error), do_next="Correct the address.") from error
    listed = reference.sums.get(name)
    found = digest.hexdigest()
    return None if found == listed else f"{url} has the SHA-256 {found}, and {SUMS} says {listed}"


def _require_signature(base: str, listed: bytes, signature: bytes, key: bytes) -> None:
    with make_scratch("slipway-reference-") as scratch, provide_keyring({"the release": key}) as home:
        data, asc = scratch / SUMS, scratch / f"{SUMS}.asc"
        data.write_bytes(listed)
        asc.write_bytes(signature)
        judged = judge_signature(home, data=data, signature=asc)
    if judged.fault is not None:
        raise SlipwayError("believe", f"{base}/{SUMS}", judged.fault, do_next=DOUBT)


@dataclass(frozen=True)
class Comparison:
    """The files that are the same, those that differ, and a sentence for each of these and for each input that does."""

    same: tuple[str, ...]
    differs: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def summarise(self, reference: Reference) -> str:
        """Half a sentence."""
        if self.differs:
            return f"{len(reference.sums)} files are published, and what was made now differs"
        return f"all {len(self.same)} files have the digests of {SUMS} at {reference.url}"


def compare_release(
    reference: Reference,
    files: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    inputs: Mapping[str, Any],
) -> Comparison:
    """Compare what was made now with what is published, and if it differs, the inputs, too.

    ``files`` are what ``SHA256SUMS`` lists of what was made now, ``manifest`` and ``inputs`` are of that too.
    """
    now = {file["name"]: file["sha256"] for file in files}
    names = sorted(reference.sums.keys() | now.keys())
    faults = [
        f"{name} has sha256 {now.get(name, 'nothing: it was not made')} and was published with {published}"
        for name, published in sorted(reference.sums.items())
        if now.get(name) != published
    ]
    faults += [f"{name} was made now, and is not published" for name in sorted(now.keys() - reference.sums.keys())]
    if faults:
        plain = [
            {key: _name_members(value) for key, value in each.items() if key != "files"}
            for each in (reference.manifest, manifest)
        ]
        causes = list(find_differences("manifest", *plain))
        if reference.inputs:
            known = {_name_change(each) for each in causes}
            more = find_differences("", _name_members(reference.inputs), _plain(inputs))
            causes += [each for each in more if _name_change(each) not in known]
        causes = [f"input: {each}" for each in causes]
        faults += causes or ["no input differs that is known: look into the files that do"]
    same = tuple(name for name in names if now.get(name) == reference.sums.get(name))
    return Comparison(same, tuple(name for name in names if name not in same), tuple(faults))


def _name_change(difference: str) -> tuple[str, str]:
    """What tells a difference from others, wherever it stands: the last member of its path, and what it was and is."""
    path, _was, change = difference.partition(" was ")
    return path.rpartition(".")[2], change


def require_same(reference: Reference, compared: Comparison) -> None:
    """Fail where a file differs, and name the inputs that do."""
    refuse(
        "reproduce",
        reference.url,
        compared.findings,
        summary=compared.summarise(reference),
        do_next="Bring what is named as input to what it was, and run again.",
    )


def _plain(value: Mapping[str, Any]) -> Any:
    return _name_members(json.loads(json.dumps(value)))


def _name_members(value: Any) -> Any:
    """The same with lists of things that have names as mappings by these, so that what differs is told of each."""
    if isinstance(value, dict):
        return {key: _name_members(each) for key, each in value.items()}
    names = [each.get("name") if isinstance(each, dict) else None for each in value] if isinstance(value, list) else []
    if names and all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return dict(zip(names, value, strict=True))
    return value
