# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Withdraw a release: its tombstone is made and signed once, and then put on every download server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, name_refusals
from ..escape import escape_line
from ..files import hash_file, make_directory, make_scratch, sync_directory, write_atomic
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import sign_detached
from ..openpgp.verifying import verify_signature
from ..publish.directory import SUMS, lock_directory
from ..publish.links import LinkChange, withdraw_links
from ..publish.releases import Site, describe_site
from ..release.artifact import check_name
from ..release.tombstone import (
    FACTS,
    KEPT,
    REMOVED,
    Tombstone,
    find_tombstone,
    format_moment,
    name_tombstone,
    name_tombstone_signature,
    parse_tombstone,
    read_reason,
    read_small,
)

OTHER = "Nothing was changed. Find out which of them was released, before one of them is withdrawn."


@dataclass(frozen=True)
class Demand:
    """What is to be withdrawn, why, and by whom; without a reason what stands is kept.

    ``sums`` is the SHA-256 of the SHA256SUMS that were released, if that is on record.
    """

    project: str
    version: str
    label: str
    reason: str = ""
    by: str = ""
    remove: bool = False
    sums: str | None = None


@dataclass(frozen=True)
class Signed:
    """A tombstone with its text and the armoured signature of that, which is None if it is not made yet."""

    tombstone: Tombstone
    text: str
    signature: str | None


@dataclass
class Withdrawal:
    """What was changed on a server."""

    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    moves: list[LinkChange] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def inspect_withdrawal(public: Path, project: str, label: str) -> dict[str, Any]:
    """What a server has of a release: facts for its tombstone, and the tombstone and its signature, if any."""
    check_name(label, attempt="withdraw")
    release = next((r for r in describe_site(Site(public, project))["releases"] if r["label"] == label), None)
    tombstone, sums = find_tombstone(public, label), public / label / SUMS
    facts = None
    if release is not None:
        facts = {
            "sums": hash_file(sums) if sums.is_file() else tombstone and tombstone.sums,
            "released": release["time"],
            "signed_by": release["key"]["fingerprint"] if release["key"] else None,
            "commit": next((fact["value"] for fact in release["facts"] if fact["name"] == "commit"), None),
        }
    return {
        "facts": facts,
        "tombstone": read_small(public / name_tombstone(label)),
        "signature": read_small(public / name_tombstone_signature(label)),
    }


def make_tombstone(
    demand: Demand,
    found: Iterable[Mapping[str, Any]],
    *,
    gnupghome: Path,
    fingerprint: str | None = None,
    now: float,
    check: bool = False,
) -> Signed:
    """The tombstone of a release; ``found`` is what :func:`inspect_withdrawal` says on each server, and the record.

    One that stands and says the same is kept with its signature; whatever is corrected, the day of the withdrawal is.
    ``check`` signs nothing.
    """
    servers = list(found)
    found_facts = [each["facts"] for each in servers if each.get("facts")]
    facts = _agree(demand, found_facts)
    standing = [
        Signed(parsed, each["tombstone"], each.get("signature"))
        for each in servers
        if each.get("tombstone") and (parsed := parse_tombstone(each["tombstone"], demand.label)) is not None
    ]
    before = standing[0].tombstone if standing else None
    if before is None and not found_facts:
        raise SlipwayError(
            "withdraw",
            demand.label,
            "it is not public on any server",
            do_next="Nothing was changed. See to the version; what was never published needs no withdrawal.",
        )
    made = Tombstone(
        demand.project,
        demand.version,
        demand.label,
        withdrawn=before.withdrawn if before else format_moment(now),
        by=escape_line(demand.by) or (before.by if before else f"{demand.project} release team"),
        reason=read_reason(demand.reason) if demand.reason.strip() or before is None else before.reason,
        files=REMOVED if demand.remove or (before and before.files == REMOVED) else KEPT,
    )
    said = [*([asdict(before)] if before else []), facts]
    made = replace(made, **{name: each[name] for each in said for name in FACTS if each.get(name) is not None})
    text = made.format()
    with make_scratch("slipway-tombstone-") as scratch:
        data, signature = scratch / name_tombstone(demand.label), scratch / "signature"
        data.write_text(text)
        for each in standing:
            if each.text == text and each.signature:
                signature.write_text(each.signature)
                if verify_signature(gnupghome, data=data, signature=signature):
                    return each
        if check:
            return Signed(made, text, None)
        key = find_signing_key(gnupghome, fingerprint)
        sign_detached(gnupghome, key.fingerprint, data=data, signature=signature)
        return Signed(made, text, signature.read_text())


def _agree(demand: Demand, facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all servers say of the release; different ones are a failure, unless it is known which count."""
    if demand.sums:
        facts = [{"sums": demand.sums}, *(each for each in facts if each["sums"] in (demand.sums, None))]
    sums = sorted({each["sums"] for each in facts if each["sums"]})
    if len(sums) > 1:
        raise SlipwayError(
            "withdraw",
            demand.label,
            f"servers have different files of it: the SHA-256 of their SHA256SUMS are {' and '.join(sums)}",
            do_next=OTHER,
        )
    return {name: next((each[name] for each in facts if each.get(name)), None) for name in FACTS} if facts else {}


def withdraw_release(
    public: Path, signed: Mapping[str, str | None], *, project: str, label: str, check: bool
) -> Withdrawal:
    """Put the tombstone there, and take all links away from the release; its files stay as they are."""
    check_name(label, attempt="withdraw")
    done = Withdrawal()
    # The signature first: who finds the tombstone can verify it.
    if not check:
        make_directory(public)
    texts = {name_tombstone_signature(label): signed["signature"], name_tombstone(label): signed["tombstone"]}
    with name_refusals("withdraw", label), lock_directory(public, attempt="withdraw", on=label, check=check):
        for name, text in texts.items():
            before = read_small(public / name)
            if text is not None and text != before:
                done.texts[name] = (before or "", text)
                if not check:
                    write_atomic(public / name, text.encode())
    done.moves = withdraw_links(public, project, label, check=check).moves
    return done


def remove_release(public: Path, private: Path, *, label: str, check: bool) -> list[str]:
    """Remove the files of a withdrawn release, and the links to them; what was removed.

    The directory leaves the public one by one rename.
    """
    if find_tombstone(public, label) is None and not check:
        raise SlipwayError("remove", str(public / label), "it is not withdrawn", do_next="Withdraw it first.")
    published, gone = public / label, private / f".{label}.withdrawn"
    with name_refusals("remove", str(published)), lock_directory(public, attempt="remove", on=label, check=check):
        links = [path for path in public.glob(f"{label}-*") if path.is_symlink() and _leads_to(path, label)]
        removed = sorted([*(path.name for path in links), *([f"{label}/"] if published.is_dir() else [])])
        if check:
            return removed
        for path in links:
            path.unlink()
        if gone.is_dir() and not gone.is_symlink():  # of a run that was killed
            shutil.rmtree(gone)
        if published.is_dir() and not published.is_symlink():
            make_directory(private)
            os.rename(published, gone)
            sync_directory(public)
            shutil.rmtree(gone)
        sync_directory(public)
        return removed


def _leads_to(path: Path, label: str) -> bool:
    return path.readlink().parts[0] == label
