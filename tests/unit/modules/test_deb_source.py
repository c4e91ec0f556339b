"""The module deb_source, as Ansible runs it."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from publishing import run_module, tree
from sourcepackages import build_source, parse_changelog, unpack, write_tree

PLATFORMS = ["bookworm", "trixie"]


def pack(tree_: Path, target: Path, name: str) -> dict[str, Any]:
    """A tarball of a tree, and what its control file says of it."""
    with tarfile.open(target, "w:bz2") as tar:
        tar.add(tree_, arcname=name, filter=date)
    content = target.read_bytes()
    return {"tarball": target.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def date(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 1_300_000_000
    return info


@pytest.fixture
def stack(tmp_path: Path) -> dict[str, Any]:
    """The options for a stack that one platform does not support."""
    place = tmp_path / "stack"
    place.mkdir()
    (place / "CMakeLists.txt").write_text("project(ros NONE)\n")
    control = {
        "kind": "ros",
        "stack": "ros",
        "version": "1.2.0",
        "package": "ros",
        "maintainer": "Ken",
        "description-brief": "ROS",
        "description-full": "",
        "depends": [],
        "rosdeps": {"bookworm": []},
        **pack(place, tmp_path / "ros-1.2.0.tar.bz2", "ros-1.2.0"),
    }
    return {
        "control": control,
        "tarball": str(tmp_path / "ros-1.2.0.tar.bz2"),
        "directory": str(tmp_path / "out"),
        "platforms": PLATFORMS,
        "distribution": "cturtle",
        "package_name": "ros-{distribution}-{stack}",
        "maintainer": "Ros Community <ros@example.org>",
    }


def test_a_stack_becomes_packages_and_a_platform_without_them_is_no_failure(
    stack: dict[str, Any], tmp_path: Path
) -> None:
    planned = run_module("deb_source", stack, check=True)
    assert planned["changed"]
    assert not (tmp_path / "out").exists()
    done = run_module("deb_source", stack)
    assert not done.get("failed")
    assert [(one["platform"], one["version"], one["changed"]) for one in done["made"]] == [
        ("bookworm", "1.2.0-0~bookworm", True)
    ]
    assert done["faults"] == [
        {"platform": "trixie", "reason": "ros does not support trixie: its rosdeps are for bookworm"}
    ]
    assert planned["made"] == done["made"]
    assert "+++" not in done["diff"][0]["after"]
    assert "Version: 1.2.0-0~bookworm\n" in done["diff"][0]["after"]
    assert sorted(tree(tmp_path / "out")) == [
        "bookworm",
        "bookworm/ros-cturtle-ros_1.2.0-0~bookworm.dsc",
        "bookworm/ros-cturtle-ros_1.2.0-0~bookworm.tar.gz",
    ]
    log = unpack(Path(done["made"][0]["dsc"]), tmp_path / "x") / "debian/changelog"
    assert parse_changelog(log, "Timestamp") == "1300000000"
    again = run_module("deb_source", stack)
    assert (again["changed"], again["diff"]) == (False, [])


def test_a_tarball_that_is_not_the_one_is_not_unpacked(stack: dict[str, Any], tmp_path: Path) -> None:
    stack["control"]["sha256"] = "0" * 64
    told = run_module("deb_source", stack)
    assert told["failed"]
    assert "Could not use the tarball" in told["msg"]
    assert f"instead of {'0' * 64}" in told["msg"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tree_and_a_source_package_are_rebuilt_for_a_platform(tmp_path: Path) -> None:
    top = write_tree(tmp_path, "greeter", "1.2", "3.0 (native)")
    packed = pack(top, tmp_path / "greeter-1.2.tar.bz2", "greeter-1.2")
    common = {"directory": str(tmp_path / "out"), "platforms": PLATFORMS[:1], "source_version": "{version}~{platform}1"}
    control = {"kind": "debian", "package": "greeter", "version": "1.2", "rosdeps": {"bookworm": []}, **packed}
    one = run_module("deb_source", {**common, "control": control, "tarball": str(tmp_path / "greeter-1.2.tar.bz2")})
    assert [made["version"] for made in one["made"]] == ["1.2~bookworm1"]
    dsc = build_source(tmp_path / "in", "hello", "1.2-3", "3.0 (quilt)")
    control = {"kind": "dsc", "package": "hello", "version": "1.2-3", "dsc": dsc.name, "rosdeps": {"bookworm": []}}
    other = run_module("deb_source", {**common, "control": control, "dsc_directory": str(dsc.parent)})
    assert [made["version"] for made in other["made"]] == ["1.2-3~bookworm1"]
    for made in (*one["made"], *other["made"]):
        subprocess.run(["dpkg-source", "-q", "-x", made["dsc"], tmp_path / made["source"]], check=True)
    told = run_module("deb_source", {**common, "control": control, "tarball": str(tmp_path / "greeter-1.2.tar.bz2")})
    assert told["msg"] == "Could not make source packages of hello: it needs dsc_directory. Give it and run again."
