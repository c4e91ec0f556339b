"""What a policy says of extra files, and which files those are in a release."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.writers import WRITERS
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.extras import (
    SETTINGS,
    list_extras,
    read_extras,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schema import read_policy

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/policies/genivi.yml"
DEPLOYMENTS = [
    {
        "name": f"{name}-{kind}",
        "product": "genivi",
        "system": f"systems/{name}.morph",
        "system_name": name,
        "architecture": architecture,
        "type": kind,
        "file": f"baserock-15.25-{name}.{kind}",
    }
    for name, architecture in (("genivi-x86_64", "x86_64"), ("genivi-jetson", "armv7lhf"))
    for kind in ("img", "tar")
]


def plan(*entries, deployments=DEPLOYMENTS):
    extras, faults = read_extras(list(entries), "extras")
    assert faults == []
    return list_extras({"genivi": extras}, deployments, label="baserock-15.25")


def test_each_type_of_the_policy_can_be_made():
    assert list(SETTINGS) == list(WRITERS)


def test_manifests_and_kernels_are_of_each_system_and_other_files_of_the_product():
    found, faults = plan(
        {"type": "baseline-manifest", "name": "{system}-manifest.txt"},
        {
            "type": "kernel",
            "name": "{system}-zImage",
            "systems": ["*-jetson"],
            "compression": {"method": "xz", "level": 3},
        },
        {"type": "file", "name": "{product}-readme", "path": "README"},
        {"type": "command", "name": "{architecture}.lst", "command": ["sh", "-c", "cd {images}\nls\n"]},
    )
    assert faults == []
    assert [each["file"] for each in found] == [
        "baserock-15.25-genivi-x86_64-manifest.txt",
        "baserock-15.25-genivi-jetson-manifest.txt",
        "baserock-15.25-genivi-jetson-zImage",
        "baserock-15.25-genivi-readme",
        "baserock-15.25-x86_64.lst",
        "baserock-15.25-armv7lhf.lst",
    ]
    assert [each["compression"] for each in found] == ["none", "none", "xz", "none", "none", "none"]
    assert found[2]["compression_level"] == 3
    assert found[2]["system"] == "systems/genivi-jetson.morph"
    assert found[3]["system_name"] == ""


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("kernel", "extras[0]: it is text, not a mapping"),
        ({"type": "kernal", "name": "x"}, "'kernal' is no type of extra file (did you mean kernel?)"),
        ({"type": "kernel"}, "extras[0].name: it is empty, not text"),
        ({"type": "kernel", "name": "{sytem}"}, "extras[0].name: {sytem} stands for nothing (did you mean system?)"),
        ({"type": "kernel", "name": "{system"}, "has a brace too many or too few"),
        ({"type": "kernel", "name": "{system.x}"}, "{system.x} stands for nothing"),
        ({"type": "kernel", "name": "x", "path": "boot"}, "the key 'path' is not known (did you mean paths?)"),
        ({"type": "kernel", "name": "x", "paths": ['boot/"x']}, "extras[0].paths: 'boot/\"x' is no plain path"),
        ({"type": "kernel", "name": "x", "systems": 3}, "extras[0].systems: it is a number, not a list of patterns"),
        ({"type": "kernel", "name": "x", "compression": "rar"}, "'rar' is no compression"),
        ({"type": "baseline-manifest", "name": "x", "format": "xml"}, "'xml' is neither text nor csv"),
        ({"type": "baseline-manifest", "name": "x", "stated": {"a": "MIT"}}, "it is for the format csv"),
        ({"type": "licence-manifest", "name": "x", "unknown": "warn"}, "'warn' is neither list nor fail"),
        ({"type": "licence-manifest", "name": "x", "skip": ["gcc"]}, "skip[0]: it is text, not a mapping of names"),
        (
            {"type": "licence-manifest", "name": "x", "skip": [{"names": ["gcc"]}]},
            "skip[0].reason: it is missing, not one line of text; say why",
        ),
        ({"type": "licence-manifest", "name": "x", "skip": [{"reason": "x"}]}, "skip[0].names: it is empty; name the"),
        (
            {"type": "licence-manifest", "name": "x", "stated": {"gcc": []}},
            "stated.gcc: it is empty; name its licences",
        ),
        ({"type": "file", "name": "x"}, "extras[0].path: it is empty, not the path of a file in the definitions"),
        ({"type": "file", "name": "x", "path": "../x"}, "'../x' leads out of the definitions"),
        ({"type": "command", "name": "x"}, "extras[0].command: it is empty; give the program and its words"),
        ({"type": "command", "name": "x", "command": "a | b"}, "'a | b' is one word with spaces; give a list of words"),
        ({"type": "command", "name": "x", "command": ["a\0"]}, "extras[0].command[0]: it is 'a\\x00', not one line"),
        ({"type": "command", "name": "x", "command": ["a", "{x}"]}, "extras[0].command: {x} stands for nothing"),
        ({"type": "command", "name": "x", "command": ["a"], "timeout": 0}, "0 is no whole number of at least 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(entry, fault):
    _extras, faults = read_extras([entry], "extras")
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"type": "kernel", "name": "zImage"}, "'zImage' is the same for each of 2 systems; put \"{system}\" into it"),
        ({"type": "file", "name": "genivi-jetson.tar", "path": "x"}, "a name of the deployment genivi-jetson-tar"),
        ({"type": "file", "name": "genivi-jetson.tar.gz", "path": "x"}, "a name of the deployment genivi-jetson-tar"),
        ({"type": "file", "name": "baserock-15.25-x", "path": "x"}, "begins with the release's label"),
        ({"type": "file", "name": "a b", "path": "x"}, "'a b' is not a safe file name"),
        ({"type": "kernel", "name": "{system}", "systems": ["x*"]}, "no system of the product is called x*; there are"),
    ],
)
def test_names_that_clash_or_cannot_be_used_are_told(entry, fault):
    _found, faults = plan(entry)
    assert len(faults) == 1
    assert fault in faults[0]


def test_two_extra_files_of_one_name_are_told():
    _found, faults = plan({"type": "file", "name": "x", "path": "a"}, {"type": "file", "name": "x", "path": "b"})
    assert faults == [
        "the extra file x of genivi would be published under a name of the extra file x of genivi (number 1); "
        "give each its own"
    ]


def test_the_policy_of_the_genivi_baseline_is_one():
    value = yaml.safe_load(EXAMPLE.read_text())["release_policy"]
    policy, faults = read_policy(value, project="baserock")
    assert faults == []
    (genivi, _others) = policy.products
    named = [
        {**each, "system_name": f"genivi-baseline-system-{name}"}
        for each, name in zip(DEPLOYMENTS[::2], ("x86_64-generic", "armv7lhf-jetson"), strict=True)
    ]
    found, faults = list_extras({"genivi": genivi.extras}, named, label="baserock-15.25")
    assert faults == []
    assert [each["name"] for each in found] == [
        "genivi-baseline-system-x86_64-generic-manifest.txt",
        "genivi-baseline-system-armv7lhf-jetson-manifest.txt",
        "genivi-baseline-system-x86_64-generic-license-manifest.txt",
        "genivi-baseline-system-armv7lhf-jetson-license-manifest.txt",
        "genivi-baseline-system-armv7lhf-jetson-zImage",
    ]
    (skipped,) = found[2]["settings"]["skip"]
    assert len(skipped["names"]) == 23
