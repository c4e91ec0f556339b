"""Who must approve is read strictly: what is wrong is told in one sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.approval import (
    Approval,
    Signer,
    read_approval,
)

SSH = "SHA256:" + "a" * 43
SUE = {"name": "sue", "fingerprint": SSH, "accounts": ["sue"]}
ANNE = {"name": "anne", "fingerprint": "0123 4567 89ab cdef 0123 4567 89AB CDEF 0123 4567", "key": "/keys/anne.asc"}


def test_what_is_left_out_has_the_careful_value() -> None:
    assert read_approval(None, "approval") == read_approval({}, "approval") == (Approval(), [])
    assert read_approval({"signers": [SUE, ANNE]}, "approval") == (
        Approval(
            1,
            (
                Signer("sue", SSH, "", ("sue",)),
                Signer("anne", "0123456789ABCDEF0123456789ABCDEF01234567", "/keys/anne.asc"),
            ),
            not_by_releaser=True,
            days=7,
            before="begin",
        ),
        [],
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (["sue"], "approval: it is a list, not a mapping"),
        ({"signers": [SUE], "need": 1}, "approval: the key 'need' is not known (did you mean needed?)"),
        ({"needed": 1}, "approval.signers: it is missing, not a list of those who may approve"),
        ({"signers": "sue"}, "approval.signers: it is text, not a list of those who may approve"),
        ({"signers": ["sue"]}, "approval.signers[0]: it is text, not a mapping such as"),
        ({"signers": [{**SUE, "finger": 1}]}, "approval.signers[0]: the key 'finger' is not known"),
        ({"signers": [{"fingerprint": SSH}]}, "approval.signers[0].name: it is missing"),
        ({"signers": [{**SUE, "name": "a b"}]}, "approval.signers[0].name: it is 'a b'"),
        ({"signers": [{**SUE, "fingerprint": "ABCD1234"}]}, "it is 'ABCD1234', not a full fingerprint"),
        ({"signers": [{"name": "sue"}]}, "approval.signers[0].fingerprint: it is missing, not a full fingerprint"),
        ({"signers": [{**ANNE, "key": ""}]}, "approval.signers[0].key: it is missing; give the public key"),
        ({"signers": [{**ANNE, "key": "anne.asc"}]}, "it is neither a public key in ASCII armour nor an absolute path"),
        ({"signers": [{**SUE, "accounts": "sue"}]}, "approval.signers[0].accounts: it is text, not a list of accounts"),
        ({"signers": [SUE, SUE]}, "approval.signers[1].name: sue is there twice"),
        ({"signers": [SUE, {**SUE, "name": "s"}]}, "approval.signers[1].fingerprint: SHA256:aaa"),
        ({"signers": [SUE], "needed": 2}, "approval.needed: 2 must approve, and there are only 1 signers"),
        ({"signers": [SUE], "needed": "many"}, "approval.needed: 'many' is no whole number"),
        ({"signers": [SUE], "not_by_releaser": "no"}, "approval.not_by_releaser: it is text, not true or false"),
        ({"signers": [SUE], "valid": 7}, "approval.valid: it is a number, not a mapping such as {days: 7}"),
        ({"signers": [SUE], "valid": {"hours": 7}}, "approval.valid: the key 'hours' is not known"),
        ({"signers": [SUE], "valid": {"days": 0}}, "approval.valid.days: 0 is no whole number of at least 1"),
        ({"signers": [SUE], "before": "tag"}, "approval.before: it is 'tag', not begin or publish"),
    ],
)
def test_what_is_wrong_is_told(value: Any, fault: str) -> None:
    _, faults = read_approval(value, "approval")
    assert any(fault in each for each in faults), faults
