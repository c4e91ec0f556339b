# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether enough signers, each with a key of its own, say of a release what its SHA256SUMS says: by sqv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SlipwayError
from ..openpgp.command import FINGERPRINT
from ..openpgp.keyring import export_certificate, list_certificates, provide_keyring
from ..publish.directory import SUMS
from ..trust.attestations import Verdict, fetch_attestations, judge_attestations
from ..trust.signers import KEY_FILE, Attestor, Quorum
from .files import FETCH_AGAIN, LAG, Look
from .release import Verified
from .trusted import MOST_KEY_BYTES, are_keys

#: More signers than any project has; each costs a program to judge.
MOST_SIGNERS = 64
ASK = "Ask the signers, and do not use the release before it is explained."


def verify_signers(look: Look, attested: Mapping[str, Any], release: Verified, *, keys: Sequence[bytes]) -> None:
    """Look at the attestations that a signed ``latest.json`` names; ``keys`` are public keys from wherever.

    Each signer is known by the fingerprint that was signed, so it does not matter who brings the key.
    """
    url, signers, threshold = attested.get("url"), attested.get("signers"), attested.get("threshold")
    if not isinstance(signers, Mapping) or not signers:
        return
    sums = release.sums_data or _read_sums(look, release)
    if not sums:
        return
    named = {
        str(name): str(print_)
        for name, print_ in signers.items()
        if FINGERPRINT.match(str(print_)) and len(signers) <= MOST_SIGNERS
    }
    if not isinstance(url, str) or not url or not isinstance(threshold, int) or len(named) != len(signers):
        _add(look, "latest.json", "where signers attest, who they are, and how many must", "something else")
        return
    attestors = _read_attestors(look, named, [*keys, *_read_published(look, named)])
    if not attestors:
        return
    try:
        given = fetch_attestations(url, version=release.version, names=[each.name for each in attestors])
        quorum = Quorum(threshold, tuple(attestors))
        verdict = judge_attestations(quorum, given, version=release.version, sums=sums)
    except SlipwayError as error:
        look.report.add(
            "unreachable", "the attestations", expected="a repository", seen=error.came_back, do_next=error.do_next
        )
        return
    _tell(look, release.label, verdict)


def list_signers(attested: Mapping[str, Any]) -> set[str]:
    """The fingerprints of the signers that a signed ``latest.json`` names."""
    signers = attested.get("signers")
    return {str(each) for each in signers.values()} if isinstance(signers, Mapping) else set()


def _read_published(look: Look, named: Mapping[str, str]) -> list[bytes]:
    """The keys that are published: exactly those of the signers, each with all that its owner says of it."""
    body = look.read(KEY_FILE, size=MOST_KEY_BYTES)
    if body is None:
        return []
    usable = are_keys(body.data)
    if usable:
        with provide_keyring({KEY_FILE: body.data}) as home:
            there = set(list_certificates(home))
    seen = (
        [f"{each}, which is of no signer" for each in sorted(there - {*named.values()})]
        + [f"nothing of {named[name]}, the key of {name}" for name in sorted(named) if named[name] not in there]
        if usable
        else ["something else than keys"]
    )
    for each in seen:
        expected = "the public keys of the signers whom latest.json names, and no others"
        look.report.add("signer", KEY_FILE, expected=expected, seen=each, do_next=FETCH_AGAIN, meaning=LAG)
    return [body.data] if usable else []


def _read_sums(look: Look, release: Verified) -> bytes:
    """The list of a release that was not read, since it has not changed."""
    body = look.read(f"{release.label}/{SUMS}")
    return body.data if body is not None and body.sha256 == release.sums_sha256 else b""


def _read_attestors(look: Look, named: Mapping[str, str], keys: Sequence[bytes]) -> list[Attestor]:
    """The signers whose keys are at hand."""
    usable = {f"keys {number}": data for number, data in enumerate(keys, 1) if are_keys(data)}
    found = []
    with provide_keyring(usable) as home:
        known = list_certificates(home) if usable else {}
        for name, fingerprint in sorted(named.items()):
            if fingerprint in known:
                found.append(Attestor(name, fingerprint, export_certificate(home, fingerprint)))
            else:
                look.report.notes.append(
                    f"the signer {name}: the key {fingerprint} is not at hand; give it (release_verify_signer_keys)"
                )
    return found


def _tell(look: Look, label: str, verdict: Verdict) -> None:
    look.report.count("signers", len(verdict.agreed))
    told = verdict.tell()
    if not verdict.enough:
        _add(look, label, f"{verdict.threshold} signers who attest it", "; ".join([verdict.summarise(), *told]))
    elif verdict.others or verdict.faults:
        _add(look, label, "signers who all attest the same", "; ".join(told))
    else:
        look.report.notes += [f"{label}: {sentence}" for sentence in told]


def _add(look: Look, subject: str, expected: str, seen: str) -> None:
    meaning = "Either a signer was attacked or errs, or what is published is not what was built."
    look.report.add("signer", subject, expected=expected, seen=seen, do_next=ASK, meaning=meaning)
