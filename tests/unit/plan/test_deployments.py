"""What cannot be built is left out where that is allowed, with what contains it."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from planning import CLUSTER, refused


def test_a_deployment_that_cannot_be_made_of_its_settings_is_refused(trove, request_):
    trove.commit(
        {"clusters/release.morph": CLUSTER.replace("DISK_SIZE: 1G, ", "").replace("type: initramfs", "type: x")}
    )
    assert refused(request_).findings == [
        "systems[0].subsystems[0].deploy.initramfs.type: x is not a type of deployment; "
        "known are erofs, initramfs, kernel, qcow2, rawdisk, squashfs, tar, uki (line 11)",
        "systems[0].deploy.minimal-disk: a raw disk needs the setting DISK_SIZE, such as 2G (line 7)",
    ]
    assert make_plan(replace(request_, deployment_types=["tar", "rawdisk", "x"])).plan["deployments"]


def test_settings_are_lists_where_morph_makes_the_image_and_only_there(trove, request_):
    trove.commit({"clusters/release.morph": CLUSTER.replace("DISK_SIZE: 1G", "DISK_SIZE: 1G, HOSTS: [a, b]")})
    deployments = make_plan(replace(request_, deployment_types=["tar", "rawdisk", "initramfs"])).plan["deployments"]
    assert deployments[1]["settings"] == {"DISK_SIZE": "1G", "HOSTS": "['a', 'b']"}
    (found,) = refused(request_).findings
    assert found == "systems[0].deploy.minimal-disk.HOSTS: a setting is text, this is a list (line 7)"


def test_an_architecture_that_may_be_missing_is_left_out(request_):
    plan = make_plan(replace(request_, build_hosts={"x86_64": ["b"]}, allow_missing_arches=["armv7lhf"])).plan
    assert [deployment["name"] for deployment in plan["deployments"]] == ["minimal-tar", "minimal-disk"]
    assert [system["name"] for system in plan["systems"]] == ["minimal-x86_64", "initramfs-x86_64"]
    assert plan["skipped"] == [
        {
            "system": "systems/board-armv7lhf.morph",
            "architecture": "armv7lhf",
            "deployments": ["board"],
            "reason": "no build host builds for armv7lhf",
        }
    ]


def test_what_contains_a_system_that_is_left_out_is_left_out_too(trove, request_):
    trove.commit({"elements/systems/initramfs-x86_64.bst": "public: {slipway: {arch: mips32l}}\n"})
    plan = make_plan(replace(request_, allow_missing_arches=["mips32l"])).plan
    assert [deployment["name"] for deployment in plan["deployments"]] == ["board"]
    assert [system["name"] for system in plan["systems"]] == ["board-armv7lhf"]
    assert plan["skipped"] == [
        {
            "system": "systems/minimal-x86_64.bst",
            "architecture": "x86_64",
            "deployments": ["minimal-tar", "minimal-disk"],
            "reason": "systems/initramfs-x86_64.bst is a part of it, and no build host builds for mips32l",
        },
        {
            "system": "systems/initramfs-x86_64.bst",
            "architecture": "mips32l",
            "deployments": ["initramfs"],
            "reason": "no build host builds for mips32l",
        },
    ]


def test_an_architecture_that_may_be_missing_is_built_when_somebody_can(request_):
    assert make_plan(replace(request_, allow_missing_arches=["armv7lhf"])).plan["skipped"] == []


def test_a_release_of_nothing_is_refused(request_):
    error = refused(replace(request_, build_hosts={}, allow_missing_arches=["armv7lhf", "x86_64"]))
    assert error.findings == [
        "nothing is left to release: every deployment needs an architecture that is allowed to be missing"
    ]
