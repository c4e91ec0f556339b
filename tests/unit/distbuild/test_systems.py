from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.protocol import (
    Controller,
    Request,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.submission import Order
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.systems import (
    list_elements,
    make_system_orders,
    parse_controller,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

SYSTEMS = [
    {"name": "minimal-x86_64", "file": "systems/minimal-x86_64.morph", "architecture": "x86_64"},
    {"name": "minimal-armv7", "file": "systems/minimal-armv7.morph", "architecture": "armv7lhf"},
]
ARTIFACT = f"{'a' * 64}.system.minimal-x86_64-rootfs"


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("controller.example.org", Controller("controller.example.org", 7878)),
        ("controller:7879", Controller("controller", 7879)),
        ("192.0.2.7", Controller("192.0.2.7", 7878)),
        ("[2001:db8::1]:99", Controller("2001:db8::1", 99)),
    ],
)
def test_a_controller_is_a_host_and_perhaps_a_port(address, where):
    assert parse_controller(address) == where


@pytest.mark.parametrize("address", ["", "a b", "host:port", "http://host", "host:1:2", "host/path"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SlipwayError, match="Give HOST or HOST:PORT"):
        parse_controller(address)


def ask(file):
    return Request.create(repo="r", ref="f", original_ref=None, morphology=file, components=[])


def orders(controllers, recorded=()):
    return make_system_orders(SYSTEMS, controllers, make_request=ask, logs=Path("/logs"), previous=recorded)


def test_each_system_goes_to_the_controller_of_its_architecture():
    recorded = [{"element": SYSTEMS[0]["file"], "architecture": "x86_64", "key": "a" * 64, "artifact": ARTIFACT}]
    assert orders({"x86_64": "one", "armv7lhf": "two:99"}, recorded) == [
        Order(Controller("one", 7878), ask(SYSTEMS[0]["file"]), Path("/logs/minimal-x86_64"), artifacts=[ARTIFACT]),
        Order(Controller("two", 99), ask(SYSTEMS[1]["file"]), Path("/logs/minimal-armv7"), artifacts=[]),
    ]


def test_an_architecture_without_a_controller_is_named_with_its_systems():
    with pytest.raises(SlipwayError, match="release_build_controllers") as caught:
        orders({"x86_64": "one"})
    assert caught.value.findings == ["minimal-armv7: armv7lhf"]


def test_results_become_the_elements_that_build_records_are_made_of():
    results = [{"artifacts": [ARTIFACT], "cached": True}, {"artifacts": [], "cached": None}]
    assert list_elements(results, SYSTEMS) == [
        {
            "element": SYSTEMS[0]["file"],
            "architecture": "x86_64",
            "key": "a" * 64,
            "artifact": ARTIFACT,
            "cached": True,
        },
        {"element": SYSTEMS[1]["file"], "architecture": "armv7lhf", "key": "", "artifact": "", "cached": False},
    ]
