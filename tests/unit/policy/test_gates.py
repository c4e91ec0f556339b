"""What a policy asks of gates and the waivers that it gives are read strictly."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.gates import Gates, read_gates
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.values import to_plain
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.waivers import Waiver, read_waivers

WHOLE = {
    "boot": {
        "systems": ["minimal-*"],
        "firmware": {"x86_64": ["bios", "efi"], "armv7lhf": "uboot"},
        "limit": 60,
        "memory": "512M",
        "ids": {"minimal-x": "tiny"},
        "smoke": [{"run": "uname -m", "expect": "x86_64"}, {"run": "false", "status": 1, "limit": 5}],
    },
    "upgrade": {"run": "upgrade /dev/vdb", "keeps": "/home/kept"},
    "difference": {"files": {"added": 200}, "size": {"grows": "20%"}, "listening": {"added": 0}, "ignore": ["var/*"]},
}


def test_what_was_read_can_be_read_again_from_a_plan():
    gates, faults = read_gates(WHOLE, "g")
    assert not faults
    assert gates.boot.smoke[1].status == 1
    assert gates.upgrade.restart == "sync; reboot -f"
    assert gates.difference.bounds["size"] == {"grows": "20%"}
    assert read_gates(to_plain(gates), "g") == (gates, [])


def test_a_policy_that_asks_for_nothing_has_no_gates():
    assert read_gates(None, "g") == (Gates(), [])
    assert read_gates({"boot": None}, "g") == (Gates(), [])


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ({"bot": {}}, "g: the key 'bot' is not known (did you mean boot?)"),
        ({"boot": {"frmware": []}}, "g.boot: the key 'frmware' is not known (did you mean firmware?)"),
        ({"boot": []}, "g.boot: it is a list, not a mapping"),
        ({"boot": {"firmware": ["uefi"]}}, "not a list of some of bios, efi, uboot, kernel"),
        (
            {"boot": {"firmware": {"armv7lhf": ["bios"]}}},
            "g.boot.firmware.armv7lhf: it is ['bios'], not a list of some of",
        ),
        ({"boot": {"firmware": {"vax": ["efi"]}}}, "g.boot.firmware: there is no machine for 'vax'"),
        ({"boot": {"limit": 0}}, "g.boot.limit: 0 is no whole number of at least 1"),
        ({"boot": {"memory": "lots"}}, "g.boot.memory: 'lots' is no size of a memory"),
        ({"boot": {"memory": "1G,file=/etc/shadow"}}, "is no size of a memory"),
        ({"boot": {"append": "a\nb"}}, "g.boot.append: it is text, not one line of text"),
        ({"boot": {"systems": [""]}}, "g.boot.systems[0]: it is empty, not one line of text; give patterns"),
        ({"boot": {"smoke": "true"}}, "g.boot.smoke: it is text, not a list such as"),
        ({"boot": {"smoke": [{"expect": "x"}]}}, "g.boot.smoke[0].run: None is no command"),
        ({"boot": {"smoke": [{"run": "a\nb"}]}}, "has more than one line"),
        ({"boot": {"smoke": [{"run": "x" * 3000}]}}, "is longer than 2000 characters"),
        ({"upgrade": {}}, "g.upgrade.run: None is no command; say how a system is upgraded from its second disk"),
        ({"upgrade": {"run": "u", "keeps": "/a b; rm"}}, "g.upgrade.keeps: '/a b; rm' is no path of a file"),
        ({"difference": {}}, "g.difference: it bounds nothing"),
        (
            {"difference": {"files": {"aded": 1}}},
            "g.difference.files: the key 'aded' is not known (did you mean ad",
        ),
        ({"difference": {"size": {"grows": "much"}}}, "g.difference.size.grows: 'much' is neither bytes"),
        ({"difference": {"listening": {"added": 0}}}, "only a system that was started tells it; ask for boot too"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_place(gates, says):
    (fault,) = read_gates(gates, "g")[1]
    assert says in fault


WAIVER = {"gate": "boot", "subject": "minimal-*", "reason": "the mirror is down", "until": "2026-12-01"}


def test_a_waiver_has_a_reason_and_an_end():
    waivers, faults = read_waivers([WAIVER, {**WAIVER, "until": datetime.date(2027, 1, 1), "version": "26.47"}], "w")
    assert not faults
    assert waivers[0] == Waiver("boot", "minimal-*", "the mirror is down", datetime.date(2026, 12, 1))
    assert waivers[0].covers("boot", ("disk", "minimal-x"), "26.47")
    assert not waivers[0].covers("upgrade", ("minimal-x",), "26.47")
    assert not waivers[1].covers("boot", ("minimal-x",), "26.48")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"reason": None},
            "w[0].reason: it is missing, not one line of text; a waiver says gate, subject,",
        ),
        ({"reason": " "}, "w[0].reason: it is empty, not one line"),
        ({"until": None}, "w[0].until: it is missing; a waiver has an end"),
        ({"until": "soon"}, "w[0].until: 'soon' is no date"),
        ({"version": 26.4}, 'w[0].version: 26.4 is a number; write it in quotes, as "26.4"'),
        ({"version": "x y"}, "w[0].version: 'x y' is no version, such as 26.47"),
        (
            {"gate": "bot"},
            "w[0].gate: there is no gate 'bot' (did you mean boot?); known are boot, upgrade, difference",
        ),
        ({"untill": "x"}, "w[0]: the key 'untill' is not known (did you mean until?)"),
    ],
)
def test_a_waiver_without_them_is_a_fault(change, says):
    waivers, (fault,) = read_waivers([{**WAIVER, **change}], "w")
    assert not waivers
    assert says in fault
