"""A machine offers its own architectures, and those that qemu-user runs everywhere."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.emulation import (
    Offer,
    enable_emulation,
    find_fault,
    format_command,
    list_offers,
)

ENTRY = "{state}\ninterpreter /usr/libexec/qemu-binfmt/arm-binfmt-P\nflags: {flags}\noffset 0\nmagic 7f454c46\n"


@pytest.fixture
def binfmt(tmp_path):
    return tmp_path


def put(binfmt, *, state="enabled", flags="PF", name="qemu-arm"):
    (binfmt / name).write_text(ENTRY.format(state=state, flags=flags))


def test_a_machine_offers_its_own_architectures(binfmt):
    assert list_offers(["x86_64", "x86_32"], machine="x86_64", binfmt=binfmt) == [
        Offer("x86_64", offered=True),
        Offer("x86_32", offered=True),
    ]
    assert [offer.offered for offer in list_offers(["armv7lhf", "x86_64"], machine="armv7l", binfmt=binfmt)] == [
        True,
        False,
    ]


def test_arm_is_offered_where_the_kernel_starts_qemu_in_sandboxes_too(binfmt):
    put(binfmt)
    assert list_offers(["armv7lhf"], machine="x86_64", binfmt=binfmt) == [Offer("armv7lhf", offered=True)]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (None, "the kernel has no binfmt_misc entry qemu-arm"),
        ({"state": "disabled"}, "the binfmt_misc entry qemu-arm is disabled"),
        (
            {"flags": "P"},
            "the binfmt_misc entry qemu-arm lacks the flag F, without which it does not work in a sandbox",
        ),
    ],
)
def test_otherwise_it_is_left_out_and_said_why(binfmt, entry, why):
    if entry is not None:
        put(binfmt, **entry)
    assert find_fault("qemu-arm", binfmt) == why
    (offer,) = list_offers(["armv7lhf"], machine="x86_64", binfmt=binfmt)
    assert (offer.offered, offer.why) == (False, why)


def test_what_is_off_is_switched_on_where_that_is_possible(binfmt):
    def enable(interpreter, where):
        put(where, name=interpreter)
        return ""

    put(binfmt, state="disabled")
    wanted = ["x86_64", "armv7lhf", "armv5l", "z80"]
    assert enable_emulation(wanted, machine="x86_64", binfmt=binfmt, enable=enable) == (["qemu-arm"], [])
    assert list_offers(["armv7lhf"], machine="x86_64", binfmt=binfmt) == [Offer("armv7lhf", offered=True)]
    assert enable_emulation(wanted, machine="x86_64", binfmt=binfmt, enable=enable) == ([], [])


@pytest.mark.parametrize("refusal", ["only root can enable it", ""])
def test_what_cannot_be_switched_on_is_told_with_both_reasons(binfmt, refusal):
    enabled, refusals = enable_emulation(["armv7lhf"], machine="x86_64", binfmt=binfmt, enable=lambda *_: refusal)
    assert enabled == []
    assert refusals == ["; ".join(filter(None, ["the kernel has no binfmt_misc entry qemu-arm", refusal]))]


def test_an_unknown_architecture_is_left_out(binfmt):
    (offer,) = list_offers(["z80"], machine="x86_64", binfmt=binfmt)
    assert (offer.offered, offer.why) == (False, "neither the machine nor a known qemu runs its programs")


def test_whoever_tells_the_kernel_of_interpreters_is_asked(tmp_path):
    assert format_command("qemu-arm", rules=tmp_path) == ["update-binfmts", "--enable", "qemu-arm"]
    (tmp_path / "qemu-arm.conf").touch()
    assert format_command("qemu-arm", rules=tmp_path) == ["/usr/lib/systemd/systemd-binfmt", "qemu-arm.conf"]
