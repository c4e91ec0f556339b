from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import (
    find_artifacts,
    find_previous_builds,
    make_build_records,
    make_deploy_records,
)

OPTIONS = {"x86_64": {"arch": "x86_64"}, "x86_32": {"arch": "x86_32"}}
SYSTEMS = [
    {"name": "minimal-x86_64", "file": "systems/minimal.bst", "architecture": "x86_64"},
    {"name": "minimal-x86_32", "file": "systems/minimal.bst", "architecture": "x86_32"},
    {"name": "initramfs", "file": "systems/initramfs.bst", "architecture": "x86_64"},
]
INITRAMFS = {
    "name": "initramfs",
    "system": "systems/initramfs.bst",
    "system_name": "initramfs",
    "architecture": "x86_64",
    "type": "initramfs",
    "location": "boot/initramfs.gz",
    "settings": {},
    "subsystems": [],
}
PLAN: dict[str, Any] = {
    "definitions": {"path": "baserock/definitions", "commit": "c" * 40},
    "epoch": 1700000000,
    "systems": SYSTEMS,
    "deployments": [
        {
            "name": "disk",
            "system": "systems/minimal.bst",
            "system_name": "minimal-x86_64",
            "architecture": "x86_64",
            "type": "rawdisk",
            "location": "disk.img",
            "file": "baserock-26.47-disk.img",
            "settings": {"DISK_SIZE": "1G"},
            "subsystems": [INITRAMFS],
        }
    ],
}
RESULTS = [
    {
        "element": system["file"],
        "architecture": system["architecture"],
        "key": f"key-{system['name']}",
        "artifact": f"mini/{system['name']}/key",
        "cached": False,
    }
    for system in SYSTEMS
]


def records() -> dict[str, Any]:
    return {record["stage"]: record for record in make_build_records([{"elements": RESULTS}], PLAN, OPTIONS)}


def test_each_system_gets_a_record_even_of_one_file() -> None:
    assert list(records()) == ["build-minimal-x86_64", "build-minimal-x86_32", "build-initramfs"]
    assert records()["build-minimal-x86_32"] == {
        "stage": "build-minimal-x86_32",
        "inputs": {
            "definitions": "baserock/definitions",
            "commit": "c" * 40,
            "system": "systems/minimal.bst",
            "architecture": "x86_32",
            "options": {"arch": "x86_32"},
        },
        "outputs": {"key": "key-minimal-x86_32", "artifact": "mini/minimal-x86_32/key"},
        "tools": {},
    }


def test_whether_it_was_cached_makes_no_difference_to_a_record() -> None:
    again = [{"elements": [{**result, "cached": True} for result in RESULTS], "tools": {"bst": "2.8.1"}}]
    for record, other in zip(
        make_build_records([{"elements": RESULTS}], PLAN, OPTIONS),
        make_build_records(again, PLAN, OPTIONS),
        strict=True,
    ):
        assert {**record, "tools": {}} == {**other, "tools": {}}


def test_what_would_be_built_gives_no_record() -> None:
    assert make_build_records([{"elements": [{**RESULTS[0], "key": "", "artifact": ""}]}], PLAN, OPTIONS) == []


def test_what_was_recorded_is_known() -> None:
    assert find_previous_builds(records(), PLAN, OPTIONS) == [
        {name: result[name] for name in ("element", "architecture", "key", "artifact")} for result in RESULTS
    ]


@pytest.mark.parametrize("change", ["commit", "options", "none"])
def test_what_was_built_from_something_else_is_not_known(change: str) -> None:
    plan, options = copy.deepcopy(PLAN), copy.deepcopy(OPTIONS)
    if change == "commit":
        plan["definitions"]["commit"] = "d" * 40
    elif change == "options":
        options["x86_64"]["arch"] = options["x86_32"]["arch"] = "other"
    assert find_previous_builds({} if change == "none" else records(), plan, options) == []


def test_the_artifacts_of_a_plan_are_found_by_system() -> None:
    some = records()
    del some["build-initramfs"]
    assert find_artifacts(some, PLAN) == {
        "minimal-x86_64": "mini/minimal-x86_64/key",
        "minimal-x86_32": "mini/minimal-x86_32/key",
    }


def test_a_deploy_record_says_from_what_the_file_was_made() -> None:
    file = {"name": "baserock-26.47-disk.img", "size": 3, "sha256": "abc", "deployment": "disk"}
    assert make_deploy_records([file], PLAN, records(), {"genimage": "16"}) == [
        {
            "stage": "deploy-disk",
            "inputs": {
                "epoch": 1700000000,
                "system": "minimal-x86_64",
                "artifact": "mini/minimal-x86_64/key",
                "type": "rawdisk",
                "location": "disk.img",
                "settings": {"DISK_SIZE": "1G"},
                "subsystems": {
                    "initramfs": {
                        "system": "initramfs",
                        "artifact": "mini/initramfs/key",
                        "type": "initramfs",
                        "location": "boot/initramfs.gz",
                        "settings": {},
                        "subsystems": {},
                    }
                },
            },
            "outputs": file,
            "tools": {"genimage": "16"},
        }
    ]


def test_the_record_of_an_extra_file_says_of_which_system_and_commit_it_was_made() -> None:
    extra = {
        "name": "disk-manifest",
        "product": "base",
        "type": "baseline-manifest",
        "system": "systems/minimal.bst",
        "system_name": "minimal-x86_64",
        "architecture": "x86_64",
        "file": "baserock-26.47-manifest.csv",
        "settings": {"format": "csv"},
    }
    file = {"name": "baserock-26.47-manifest.csv", "size": 3, "sha256": "abc", "deployment": "disk-manifest"}
    assert make_deploy_records([file], {**PLAN, "extras": [extra]}, records(), {"licensecheck": "3"}) == [
        {
            "stage": "extra-disk-manifest",
            "inputs": {
                "product": "base",
                "type": "baseline-manifest",
                "settings": {"format": "csv"},
                "system": "minimal-x86_64",
                "artifact": "mini/minimal-x86_64/key",
                "commit": "c" * 40,
            },
            "outputs": file,
            "tools": {"licensecheck": "3"},
        }
    ]
