"""A release has the systems of the products that take part, and a version keeps to those that it has begun with."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.products import read_wanted, share_systems
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from planning import HOSTS, refused

POLICY = {"products": {"board": {"systems": ["board-*"], "compression": {"method": "xz", "level": 3}}}}
BOARD = {"name": "board", "title": "board", "supported": None}
BEGUN = {"preflight": {"inputs": {"products": [BOARD]}}, "branch": {}}


def share(**options):
    return share_systems(
        POLICY, project="baserock", systems=["board-armv7lhf", "minimal-x86_64"], **{"records": {}, **options}
    )


def test_a_release_of_one_product_has_its_systems_only(request_):
    plan = make_plan(replace(request_, policy=POLICY, products=["board"])).plan
    assert [(each["name"], each["product"]) for each in plan["deployments"]] == [("board", "board")]
    assert (plan["deployments"][0]["compression"], plan["deployments"][0]["compression_level"]) == ("xz", 3)
    assert [system["name"] for system in plan["systems"]] == ["board-armv7lhf"]
    assert [product["name"] for product in plan["products"]] == ["board"]
    assert plan["left_out"] == ["baserock"]
    assert plan["published"] == [BOARD]


def test_nobody_needs_to_build_for_what_is_left_out(request_):
    hosts = {"x86_64": HOSTS["x86_64"]}
    plan = make_plan(replace(request_, policy=POLICY, products=["baserock"], build_hosts=hosts)).plan
    assert [each["name"] for each in plan["deployments"]] == ["minimal-tar", "minimal-disk"]
    assert plan["skipped"] == []
    assert "compression" not in plan["deployments"][0]


def test_a_product_of_which_nobody_builds_a_system_takes_no_part(request_):
    hosts, missing = {"x86_64": HOSTS["x86_64"]}, ["armv7lhf"]
    plan = make_plan(replace(request_, policy=POLICY, build_hosts=hosts, allow_missing_arches=missing)).plan
    assert [each["reason"] for each in plan["skipped"]] == ["no build host builds for armv7lhf"]
    assert ([each["name"] for each in plan["published"]], plan["left_out"]) == (["baserock"], ["board"])


def test_faults_of_the_policy_are_told_with_those_of_the_cluster(trove, request_):
    trove.commit({"clusters/release.morph": "name: release\nkind: cluster\nsystem: []\n"})
    message = str(refused(replace(request_, policy={"product": {}}, products=["bord"])))
    assert "the key 'product' is not known" in message
    assert "there is no product 'bord'" in message
    assert "system: this key is not known in a cluster" in message


def test_a_release_after_the_end_of_its_support_is_refused_unless_it_had_begun_before():
    late = {"products": {"board": {"systems": ["board-*"], "supported": {"until": "2026-11-30"}}}}
    options = {"project": "baserock", "systems": ["board-armv7lhf"]}
    first, then = (datetime.date(2026, month, day) for month, day in ((11, 30), (12, 1)))
    assert not share_systems(late, records={}, today=first, **options).faults
    (fault,) = share_systems(late, records={}, today=then, **options).faults
    assert fault.startswith("release_policy.products.board.supported.until: 2026-11-30 is over")
    assert not share_systems(late, records=BEGUN, today=then, **options).faults


def test_a_version_goes_on_with_the_products_that_it_has_begun_with():
    shares = share(records=BEGUN)
    assert (shares.chosen, shares.faults) == (["board"], [])


def test_other_products_than_those_are_named_before_and_now():
    (fault,) = share(records=BEGUN, wanted=["board", "baserock"]).faults
    assert fault.startswith("release_products is baserock, board now, but this version was begun with board")


def test_until_then_they_may_change():
    shares = share(records={"preflight": BEGUN["preflight"]}, wanted=["baserock"])
    assert (shares.chosen, shares.faults) == (["baserock"], [])


def test_a_version_from_before_there_were_products_goes_on_without():
    shares = share(records={"preflight": {"inputs": {}}, "branch": {}})
    assert (shares.chosen, shares.faults) == (["baserock"], [])
    assert set(shares.product_of.values()) == {"baserock"}
    assert shares.describe(["board-armv7lhf"])["published"] == []


def test_a_version_keeps_what_its_record_says_of_products_whatever_the_policy_calls_them_later():
    older = {**BOARD, "title": "Boards", "supported": {"days": 3, "until": None}}
    shares = share(records={"preflight": {"inputs": {"products": [older]}}, "branch": {}})
    assert shares.describe(["board-armv7lhf"])["published"] == [older]


def test_what_the_policy_says_of_the_project_itself_goes_on_counting_without_other_products():
    policy = {"products": {**POLICY["products"], "baserock": {"lists": [{"to": "a@example.org"}]}}}
    shares = share_systems(
        policy, project="baserock", systems=["board-armv7lhf"], records={"preflight": {"inputs": {}}, "branch": {}}
    )
    assert [each["to"] for each in shares.describe(["board-armv7lhf"])["products"][0]["lists"]] == ["a@example.org"]


def test_a_product_that_is_gone_from_the_policy_is_named():
    (fault,) = share(records={"preflight": {"inputs": {"products": [{**BOARD, "name": "old"}]}}, "branch": {}}).faults[
        :1
    ]
    assert "begun with the product 'old', which is not in release_policy any more" in fault


def test_products_are_named_by_a_list_or_with_commas():
    assert read_wanted("a, b,") == read_wanted(["a", "b"]) == ["a", "b"]
    with pytest.raises(SlipwayError, match="release_products is 3, not names of products"):
        read_wanted(3)
