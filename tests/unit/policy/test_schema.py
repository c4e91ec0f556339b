"""A policy is read as a whole, and what is wrong with it is told in one sentence each, all at once."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schema import (
    assign_systems,
    describe_product,
    read_policy,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.values import is_bounded

ROOT = Path(__file__).parents[3]
DOCS, EXAMPLES = ROOT / "docs/policy.md", ROOT / "examples/policies"
WHOLE = {
    "products": {
        "genivi": {
            "title": "GENIVI Baseline",
            "systems": ["genivi-*"],
            "schedule": {"every": "6 weeks", "from": "2026-11-02"},
            "supported": {"days": 180},
            "compression": {"method": "xz", "level": 6},
        },
        "baserock": {"schedule": "manual"},
    },
}


def read(value, project="baserock"):
    return read_policy(value, project=project)


def test_without_a_policy_all_systems_are_of_the_project():
    policy, faults = read({})
    assert not faults
    assert assign_systems(policy, ["base", "devel"]) == ({"base": "baserock", "devel": "baserock"}, [])


def test_a_product_has_the_systems_that_its_patterns_name_and_the_project_has_the_others():
    policy, faults = read(WHOLE)
    assert not faults
    assert assign_systems(policy, ["genivi-a", "base"]) == ({"genivi-a": "genivi", "base": "baserock"}, [])
    assert describe_product(policy.products[0], systems=["genivi-a"]) == {
        "name": "genivi",
        "title": "GENIVI Baseline",
        "systems": ["genivi-a"],
        "schedule": {
            "kind": "every",
            "days": 42,
            "start": "2026-11-02",
            "until": None,
            "systems": None,
            "components": None,
        },
        "supported": {"days": 180, "until": None},
        "compression": {"method": "xz", "level": 6},
        "gates": {"boot": None, "upgrade": None, "difference": None, "bill": None},
        "extras": [],
        "bills": {"make": None, "licences": None, "stated": {}},
        "lists": [],
        "notes": {},
    }


def test_a_date_may_be_what_yaml_makes_of_it():
    policy, faults = read({"products": {"a": {"systems": ["a"], "supported": {"until": datetime.date(2027, 1, 2)}}}})
    assert not faults
    assert policy.products[0].supported.until == datetime.date(2027, 1, 2)


def test_all_faults_are_told_at_once():
    unknown, key = read({"product": {}, "products": {"a": {"systems": ["a"], "shedule": "always"}}})[1]
    assert unknown.startswith("release_policy: the key 'product' is not known (did you mean products?)")
    assert key.startswith("release_policy.products.a: the key 'shedule' is not known (did you mean schedule?)")


@pytest.mark.parametrize(
    ("section", "value", "says"),
    [
        ("schedule", {"every": "0 weeks"}, "it is never due"),
        ("schedule", {"every": "1 week", "from": "2027-01-02", "until": "2027-01-01"}, "it is never due"),
        ("schedule", {"every": "fortnight"}, "not a number of days or weeks, such as 6 weeks"),
        ("schedule", {"every": "1 week", "from": "2026-13-01"}, "is no date"),
        ("schedule", "alway", "did you mean always?"),
        ("schedule", {"on_change": {}}, "not a mapping such as {components: 1}"),
        ("schedule", {"on_change": {"components": 0}}, "is no whole number of at least 1"),
        ("supported", {"days": 1, "until": "2027-01-01"}, "give either days or until"),
        ("compression", {"method": "gz"}, "is no compression"),
        ("compression", {"method": "xz", "level": 12}, "xz has levels from 0 to 9, not 12"),
        ("systems", [], "not a list of names or patterns of systems"),
        ("title", "two\nlines", "not one line of text"),
        ("title", [], "it is a list, not one line of text"),
        ("title", "x" * 201, "it has 201 characters; the most is 200"),
        ("systems", {"x": 1}, "it is a mapping, not a list of names or patterns of systems"),
        ("systems", [5], "[0]: it is 5, not one line of text; give names or patterns of systems"),
        ("systems", ["x\n"], "[0]: it is 'x\\n', not one line of text"),
        ("schedule", {"every": "1 week", "from": "9990-01-01"}, "is no date from 2000 to 2200"),
        ("schedule", {"every": "1 week", "from": "2026-11-02T00:00:00+02:00"}, "is no date; write it as 2026-11-02"),
        ("schedule", {"on_change": {"components": 16**5000}}, "a number of so many digits is too much"),
        ("supported", {"days": 10**7}, "10000000 is too much; the most is 1000000"),
        ("compression", {}, "it is missing; known are gzip"),
        ("gates", [], "it is a list, not a mapping of gates"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(section, value, says):
    (fault,) = read({"products": {"a": {"systems": ["a"], section: value}}})[1]
    assert fault.startswith(f"release_policy.products.a.{section}")
    assert says in fault


@pytest.mark.parametrize("value", [[], "", 0, False])
def test_a_policy_that_is_no_mapping_is_not_taken_for_none(value):
    assert "not a mapping" in read(value)[1][0]


def test_names_that_would_break_a_line_are_quoted():
    (name,) = read({"products": {"a\nb": {"systems": ["a"]}}})[1]
    assert name.startswith(r"release_policy.products['a\nb']: 'a\nb' is no name of a product")
    (key,) = read({"products": {"a": {"systems": ["a"], "k" * 5000: 1}}})[1]
    assert len(key) < 300


def test_a_rule_of_a_product_that_there_is_not_is_a_fault():
    rules = {"pages": [{"repository": "wiki", "product": "genivy"}]}
    (fault,) = read({**WHOLE, "rules": rules})[1]
    assert fault.startswith(
        "release_policy.rules.pages[0].product: there is no product 'genivy' (did you mean genivi?)"
    )


def test_a_system_of_two_products_and_a_product_without_systems_are_faults():
    policy, faults = read({"products": {"a": {"systems": ["x*"]}, "b": {"systems": ["xy"]}, "c": {"systems": ["z"]}}})
    assert not faults
    twice, none = assign_systems(policy, ["xy", "w"])[1]
    assert twice == "the system xy is of the products a and b; it can be of one only"
    assert none == "release_policy.products.c.systems: no system of the cluster is called z; there are w, xy"


def test_the_products_own_faults_are_told_of_each():
    own, name, kind = read({"products": {"baserock": {"systems": ["x"]}, "A B": {"systems": ["x"]}, "c": 1}})[1]
    assert "leave it out; the project's own product has what no other names" in own
    assert "is no name of a product" in name
    assert "it is a number, not a mapping" in kind


@pytest.mark.parametrize("path", [DOCS, *sorted(EXAMPLES.glob("*.yml"))], ids=lambda path: path.name)
def test_the_policies_that_are_shown_are_read_without_a_fault(path: Path):
    text = path.read_text(encoding="utf-8")
    texts = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if path.suffix == ".md" else [text]
    policies = [found["release_policy"] for each in texts if "release_policy" in (found := yaml.safe_load(each))]
    assert policies
    project = "baserock" if path.stem == "baserock" else "acme"
    for policy in policies:
        assert read(policy, project=project)[1] == []


def test_values_that_aliases_multiply_are_told_without_reading_them_all():
    value = ["lol"] * 9
    for _level in range(30):
        value = [value] * 9
    assert not is_bounded({"products": value})
    assert is_bounded(WHOLE)


def test_a_reproduction_is_required_or_not_and_nothing_else() -> None:
    assert [read({**WHOLE, "reproduction": said})[0].reproduction for said in ("required", "", None)] == [
        "required",
        "",
        "",
    ]
    for said in (True, "yes", ["required"]):
        (fault,) = read({**WHOLE, "reproduction": said})[1]
        assert fault.startswith("release_policy.reproduction: it is ")
        assert fault.endswith("and required is all that it may be")
