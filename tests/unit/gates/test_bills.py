"""The gate of bills of materials, with the inputs that trip it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.previous import Earlier
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.bills import judge_bill
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.checks import list_checks
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.gates import read_gates
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.values import to_plain
from spdxbills import write_bill

OLD = {"libc6": ("2.36", "LGPL-2.1-or-later"), "bash": ("5.2", "GPL-3.0-or-later"), "hello": ("1", "MIT")}
NEW = {"libc6": ("2.41", "LGPL-2.1-or-later"), "bash": ("5.2", "NOASSERTION"), "spy": ("1", "MIT OR AGPL-3.0-only")}


def judge(top: Path, bounds: dict[str, Any], *, first: bool = False) -> tuple[str, dict[str, Any]]:
    gates, faults = read_gates({"bill": bounds}, "gates")
    assert faults == []
    assert gates.bill is not None
    again, faults = read_gates(json.loads(json.dumps(to_plain(gates))), "gates")  # as a plan carries it
    assert (again, faults) == (gates, [])
    old = write_bill(top / "old.json", OLD)
    before = None if first else Earlier("x-1.0", old, "")
    outcome = judge_bill(gates.bill, write_bill(top / "new.json", NEW), before)
    return outcome.fault, dict(outcome.facts)


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [
        ({"added": 0}, "compared with x-1.0, 1 component added, at most 0 may be: spy:amd64"),
        ({"removed": 0}, "compared with x-1.0, 1 component removed, at most 0 may be: hello:amd64"),
        ({"changed": 1}, "compared with x-1.0, 2 components changed, at most 1 may be: bash:amd64, libc6:amd64"),
        ({"licences": {"forbidden": ["AGPL-*"]}}, "licences: AGPL-* is forbidden, and spy:amd64 is under it"),
        ({"licences": {"unknown": 0}}, "licences: of 1 component none is known, at most 0 may be: bash:amd64"),
    ],
)
def test_what_is_beyond_a_bound_fails_by_name(tmp_path: Path, bounds: dict[str, Any], fault: str) -> None:
    assert judge(tmp_path, bounds)[0] == fault
    loose = {key: {"unknown": 9} if key == "licences" else 9 for key in bounds}
    assert judge(tmp_path, loose)[0] == ""


def test_what_changed_is_on_record_within_the_bounds_too(tmp_path: Path) -> None:
    fault, facts = judge(tmp_path, {"added": 5})
    assert fault == ""
    assert facts["bill"] == {"added": 1, "removed": 1, "changed": 2}
    assert facts["bill_names"] == [
        "~ bash:amd64 GPL-3.0-or-later -> no known licence",
        "- hello:amd64 1",
        "~ libc6:amd64 2.36 -> 2.41",
        "+ spy:amd64 1",
    ]
    assert facts["said"] == "compared with x-1.0, components: 1 added, 1 removed, 2 changed"


def test_components_that_are_ignored_count_for_nothing(tmp_path: Path) -> None:
    ignore = ["spy:*", "hello:*", "bash:*", "libc6:*"]
    assert (
        judge(tmp_path, {"added": 0, "removed": 0, "changed": 0, "licences": {"unknown": 0}, "ignore": ignore})[0] == ""
    )


def test_the_first_release_is_judged_by_its_licences_alone(tmp_path: Path) -> None:
    fault, facts = judge(tmp_path, {"added": 0, "licences": {"forbidden": ["AGPL-*"]}}, first=True)
    assert fault == "licences: AGPL-* is forbidden, and spy:amd64 is under it"
    assert facts["said"] == "there is no release before it that has a bill of this system"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({}, "gates.bill: it bounds nothing"),
        (3, "gates.bill: it is a number, not a mapping"),
        ({"addded": 1}, "addded"),
        ({"added": -1}, "gates.bill.added"),
        ({"forbidden": ["x"]}, "forbidden"),
        ({"licences": {"unknown": "many"}}, "gates.bill.licences.unknown"),
        ({"licences": ["MIT"]}, "gates.bill.licences: it is a list"),
    ],
)
def test_bounds_that_are_none_are_faults(said: object, fault: str) -> None:
    assert any(fault in each for each in read_gates({"bill": said}, "gates")[1])


def test_a_product_without_bills_cannot_have_the_gate() -> None:
    product = {"name": "x", "gates": {"bill": {"added": 0}}}
    plan: dict[str, Any] = {"project": "x", "version": "1", "products": [product], "deployments": [], "extras": []}
    assert "no system of it has a bill of materials" in list_checks(plan).faults[0]
    entry = {
        "name": "s.spdx.json",
        "type": "bill",
        "settings": {"format": "spdx"},
        "system_name": "s",
        "product": "x",
        "architecture": "x86_64",
    }
    (check,) = list_checks({**plan, "extras": [entry]}).checks
    assert (check.gate, check.subject, check.files) == ("bill", "s", {"bill": "s.spdx.json"})
