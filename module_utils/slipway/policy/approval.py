# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who must agree to a release, how many of them, and for how long that counts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import SlipwayError
from ..openpgp.command import normalise_fingerprint
from .values import describe_kind, find_key_faults, read_count, show

KEYS = ("needed", "signers", "not_by_releaser", "valid", "before")
SIGNER_KEYS = ("name", "fingerprint", "key", "accounts")
#: Before which point there must be enough approvals.
POINTS = ("begin", "publish")
SSH_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")


@dataclass(frozen=True)
class Signer:
    """Somebody who may approve: the fingerprint of the key, the public OpenPGP key or its path, and accounts."""

    name: str
    fingerprint: str
    key: str = ""
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Approval:
    """How many of the ``signers`` must approve, and ``before`` what; an approval counts for so many ``days``."""

    needed: int = 0
    signers: tuple[Signer, ...] = ()
    not_by_releaser: bool = True
    days: int = 7
    before: str = "begin"

    def find_person(self, signer: Signer) -> str:
        """The name of the first signer with an account of this one's: whoever has two keys is one person."""
        return next((each.name for each in self.signers if {*each.accounts} & {*signer.accounts}), signer.name)

    def count_people(self) -> int:
        """How many people the signers are."""
        return len({self.find_person(each) for each in self.signers})


def read_approval(value: object, where: str) -> tuple[Approval, list[str]]:
    """What is asked for, and the faults; ``None`` and an empty mapping ask for nothing."""
    if value is None or value == {}:
        return Approval(), []
    if not isinstance(value, dict):
        return Approval(), [f"{where}: it is {describe_kind(value)}, not a mapping"]
    faults = find_key_faults(value, KEYS, where)
    needed, wrong = read_count(value.get("needed", 1), f"{where}.needed", least=0)
    faults += wrong
    signers, wrong = _read_signers(value.get("signers"), f"{where}.signers")
    faults += wrong
    own = value.get("not_by_releaser", True)
    if not isinstance(own, bool):
        faults.append(f"{where}.not_by_releaser: it is {describe_kind(own)}, not true or false")
    days, wrong = _read_days(value.get("valid"), f"{where}.valid")
    faults += wrong
    before = value.get("before", "begin")
    if before not in POINTS:
        faults.append(f"{where}.before: it is {show(before)}, not {' or '.join(POINTS)}")
    approval = Approval(needed or 0, tuple(signers), own is True, days, str(before))
    if needed is not None and not faults and needed > (people := approval.count_people()):
        who = "" if people == len(signers) else f", who are {people} by their accounts"
        faults.append(f"{where}.needed: {needed} must approve, and there are only {len(signers)} signers{who}")
    return approval, faults


def _read_days(value: object, where: str) -> tuple[int, list[str]]:
    if value is None:
        return Approval.days, []
    if not isinstance(value, dict) or not value:
        return 0, [f"{where}: it is {describe_kind(value)}, not a mapping such as {{days: 7}}"]
    faults = find_key_faults(value, ("days",), where)
    days, wrong = read_count(value.get("days"), f"{where}.days")
    return days or 0, faults + wrong


def _read_signers(value: object, where: str) -> tuple[list[Signer], list[str]]:
    if not isinstance(value, list) or not value:
        said = "missing" if value is None else "empty" if value == [] else describe_kind(value)
        return [], [f"{where}: it is {said}, not a list of those who may approve"]
    signers: list[Signer] = []
    faults: list[str] = []
    for number, entry in enumerate(value):
        signer, wrong = _read_signer(entry, f"{where}[{number}]")
        faults += wrong
        for what in ("name", "fingerprint"):
            if signer is not None and any(getattr(each, what) == getattr(signer, what) for each in signers):
                faults.append(f"{where}[{number}].{what}: {getattr(signer, what)} is there twice")
        if signer is not None:
            signers.append(signer)
    return signers, faults


def _read_signer(value: object, where: str) -> tuple[Signer | None, list[str]]:
    if not isinstance(value, dict):
        example = "{name: anne, fingerprint: ..., accounts: [anne]}"
        return None, [f"{where}: it is {describe_kind(value)}, not a mapping such as {example}"]
    faults = find_key_faults(value, SIGNER_KEYS, where)
    name, key = value.get("name"), value.get("key") or ""
    if not isinstance(name, str) or not NAME.match(name):
        said = "missing" if name is None else show(name)
        faults.append(f"{where}.name: it is {said}, not a short name of letters, digits and . _ @ + -")
    fingerprint, wrong = _read_fingerprint(value.get("fingerprint"), f"{where}.fingerprint")
    faults += wrong
    if not isinstance(key, str) or not (not key or key.startswith("/") or "-----BEGIN PGP" in key):
        faults.append(f"{where}.key: it is neither a public key in ASCII armour nor an absolute path of one")
    elif not key and fingerprint and not SSH_FINGERPRINT.match(fingerprint):
        faults.append(f"{where}.key: it is missing; give the public key of {fingerprint}, or the path of its file")
    accounts = value.get("accounts") or []
    if not isinstance(accounts, list) or not all(isinstance(each, str) and each for each in accounts):
        faults.append(f"{where}.accounts: it is {describe_kind(accounts)}, not a list of accounts")
        accounts = []
    return (None if faults else Signer(str(name), fingerprint, str(key), tuple(accounts))), faults


def _read_fingerprint(value: object, where: str) -> tuple[str, list[str]]:
    if isinstance(value, str) and SSH_FINGERPRINT.match(value):
        return value, []
    try:
        return normalise_fingerprint(value if isinstance(value, str) else ""), []
    except SlipwayError:
        said = "missing" if value is None else show(value)
        form = "40 (or 64) hexadecimal digits, or SHA256: and 43 characters as ssh-keygen -l shows it"
        return "", [f"{where}: it is {said}, not a full fingerprint: {form}"]
