# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Approvals of a release: signed tags ``approve/<label>/<anything>`` on the very commit that is to be released.

One that does not count is told with the reason, since whoever made it thinks that it does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ..errors import count_of
from ..escape import escape_line, redacted
from ..git.remote import REFS_TIMEOUT, TIMEOUT, list_remote_refs
from ..git.signers import RefusedTagError, Signers, find_name_fault, read_signers, verify_tag
from ..policy.approval import Approval, Signer

DAY = 86400
#: By how much clocks may differ.
AHEAD = 3600
#: So many tags are looked at, the last ones by their names; whoever may push could make any number.
MOST = 50


@dataclass
class Approvals:
    """Those that count, each of another signer, and a sentence for each that does not.

    ``anonymous`` is where it is not known who releases, so that nobody can be told from them.
    """

    given: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    anonymous: bool = False


def find_approvals(
    url: str,
    *,
    label: str,
    commit: str,
    rule: Approval,
    releaser: Collection[str],
    own_keys: Collection[str] = (),
    now: float,
    timeout: float = TIMEOUT,
) -> Approvals:
    """The approvals of ``commit`` as ``label`` in the repository ``url``, by the rule's signers.

    ``releaser`` are the accounts of whoever releases. ``own_keys`` sign releases, and so approve none.
    """
    prefix = f"refs/tags/approve/{label}/"
    refs = list_remote_refs(url, f"{prefix}*", attempt="look for approvals at", timeout=min(timeout, REFS_TIMEOUT))
    names = [ref.removeprefix("refs/tags/") for ref in refs if ref.startswith(prefix) and not ref.endswith("^{}")]
    found = Approvals(anonymous=rule.not_by_releaser and not [*filter(None, releaser)])
    if len(names) > MOST:
        found.refused.append(f"there are {len(names)} tags approve/{label}/*, and only the last {MOST} are looked at")
    signers = read_signers([each.fingerprint for each in rule.signers], [each.key for each in rule.signers if each.key])
    for name in sorted(names)[-MOST:]:
        given, fault = _judge(url, name, commit=commit, rule=rule, signers=signers, now=now, timeout=timeout)
        if given is not None:
            fault = _find_person_fault(given, rule, releaser=releaser, own_keys=own_keys)
            fault = fault or _find_second_key(given, rule, found.given)
        if given is None or fault is not None:
            found.refused.append(f"the approval {escape_line(name)} does not count: {fault}")
        elif given["name"] not in {each["name"] for each in found.given}:
            found.given.append(given)
    return found


def _judge(
    url: str, name: str, *, commit: str, rule: Approval, signers: Signers, now: float, timeout: float
) -> tuple[dict[str, Any] | None, str | None]:
    """One approval, or why it does not count."""
    if fault := find_name_fault(name):
        return None, fault
    try:
        tag = verify_tag(url, name, signers=signers, timeout=timeout)
    except RefusedTagError as error:
        return None, error.came_back
    if tag.commit != commit:
        return None, f"it is of the commit {tag.commit}, and {commit} is to be released"
    given = _format_time(tag.date)
    if tag.date > now + AHEAD:
        return None, f"it says that it was given at {given}, which is not yet"
    if tag.date + rule.days * DAY < now:
        return None, f"it was given at {given}, and counts for {count_of(rule.days, 'day')}"
    signer = _find_signer(rule, {tag.fingerprint, tag.key})
    return {
        "name": signer.name,
        "fingerprint": tag.fingerprint,
        "key": tag.key,
        "date": given,
        "commit": tag.commit,
        "tag": name,
        "object": tag.object,
    }, None


def _find_signer(rule: Approval, keys: Collection[str]) -> Signer:
    return next(each for each in rule.signers if each.fingerprint in keys)


def _find_person_fault(
    given: dict[str, Any], rule: Approval, *, releaser: Collection[str], own_keys: Collection[str]
) -> str | None:
    """Why somebody's approval does not count although it is good."""
    signer = _find_signer(rule, {given["fingerprint"], given["key"]})
    if {given["fingerprint"], given["key"]} & {*own_keys}:
        return f"it is signed by {given['fingerprint']}, with which every release is signed"
    who = {signer.name, *signer.accounts} & {*releaser}
    if rule.not_by_releaser and who:
        return f"{signer.name} releases it (as {', '.join(sorted(who))}), and somebody else must approve"
    return None


def _find_second_key(given: dict[str, Any], rule: Approval, before: Collection[dict[str, Any]]) -> str | None:
    """Why it counts not once more, if the same person approved with another key."""
    by_name = {each.name: each for each in rule.signers}
    signer = by_name[given["name"]]
    for each in before:
        other = by_name[each["name"]]
        if other != signer and rule.find_person(other) == rule.find_person(signer):
            return f"{signer.name} and {other.name} have an account in common, and so are one person"
    return None


def find_faults(found: Approvals, *, label: str, commit: str, url: str, rule: Approval) -> list[str]:
    """What a release lacks in approvals, and how to give one; none if it has enough."""
    if found.anonymous and rule.needed:
        return [f"it is not known who releases {label}, so nobody is somebody else: set release_approval_releaser"]
    if len(found.given) >= rule.needed:
        return []
    names = [each["name"] for each in found.given]
    others = [each.name for each in rule.signers if each.name not in names]
    has = f"only {' and '.join(names)} did" if names else "nobody did"
    return [
        f"{label} must be approved by {rule.needed} of {', '.join(each.name for each in rule.signers)} before it is "
        f"{'begun' if rule.before == 'begin' else 'published'}, and {has}: {' or '.join(others)} says, in a clone of "
        f"the definitions that has the commit, `{format_command(label, commit, url)}`",
        *found.refused,
    ]


def format_command(label: str, commit: str, url: str, *, name: str = "NAME") -> str:
    """How somebody called ``name`` approves with git alone."""
    tag = f"approve/{label}/{name}"
    make = ["git", "tag", "--sign", "--message", f"Approve {label}", tag, commit]
    return f"{shlex.join(make)} && {shlex.join(['git', 'push', redacted(url), tag])}"


def _format_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
