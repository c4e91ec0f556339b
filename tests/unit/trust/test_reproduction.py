"""A release that must be made again needs a verdict: signed, of exactly that release, the same, from a clean cache."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.dsse import sign_envelope
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.reproduction import (
    TYPE,
    Reproduced,
    require_reproduction,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.signers import read_quorum
from signedtags import Keyring

NOW = 1_800_000_000.0
RELEASE = {
    "project": "baserock", "version": "26.47", "label": "baserock-26.47", "commit": "c" * 40, "sums": "5" * 64,
}  # fmt: skip
SAME = Reproduced(**RELEASE, same=True, clean=True)


@pytest.fixture(scope="module")
def keyring() -> Iterator[Keyring]:
    with tempfile.TemporaryDirectory(prefix="re-", dir="/tmp") as top:  # the agent's socket wants a short path
        made = Keyring(Path(top) / "gpg")
        made.make("ada")
        made.make("mallory")
        yield made
        made.close()


def judge(keyring: Keyring, said: Reproduced, *, by: str = "ada", kind: str = TYPE, now: float = NOW) -> dict[str, Any]:
    fingerprint = keyring.fingerprints(by)[0]
    data = sign_envelope(said.format(now=NOW), kind, gnupghome=keyring.home, fingerprint=fingerprint)
    key = {"fingerprint": keyring.fingerprints("ada")[0], "key_text": keyring.export("ada")}
    quorum = read_quorum({"ada": key}, repository="none")
    return require_reproduction(data, on="verdict.json", quorum=quorum, wanted=RELEASE, now=now)


def test_a_signer_says_that_it_came_out_the_same(keyring: Keyring) -> None:
    found = judge(keyring, SAME)
    assert (found["by"], found["date"]) == ("ada", "2027-01-15T08:00:00Z")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "26.46"}, "it is of another release: version is 26.46, and should be 26.47"),
        ({"commit": "d" * 40}, "it is of another release: commit is ddd"),
        ({"sums": "6" * 64}, "it is of other bytes than are published: sums is 666"),
        ({"same": False, "differs": ["a.tar"]}, "what was made again is not the same: a.tar"),
        ({"clean": False}, "it was not made from a clean cache"),
    ],
)
def test_a_verdict_of_something_else_is_refused(keyring: Keyring, change: dict[str, Any], says: str) -> None:
    with pytest.raises(SlipwayError) as failure:
        judge(keyring, replace(SAME, **change))
    assert says in str(failure.value)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"by": "mallory"}, "no signer who is known here signed it"),
        ({"kind": "application/vnd.in-toto+json"}, "it is of the type"),
        ({"now": NOW - 100_000}, "it says that it was made at 2027-01-15T08:00:00Z, which is not yet"),
    ],
)
def test_a_verdict_by_nobody_or_of_another_time_is_refused(keyring: Keyring, how: dict[str, Any], says: str) -> None:
    with pytest.raises(SlipwayError) as failure:
        judge(keyring, SAME, **how)
    assert says in str(failure.value)
