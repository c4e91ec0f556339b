# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is released of a stack passes one gate, has the same bytes each time, and is made whole or not at all."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.controlfile import read_control_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.gate import Known, read_known
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.package import (
    Released,
    Request,
    Surroundings,
    release_stack,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.rosdeps import Platform
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.tarball import unpack_tarball
from publishing import run_module, tree
from stacktrees import write_catkin, write_debian, write_stack, write_tree

AROUND = Surroundings(
    "cturtle",
    ["ros", "common_msgs", "geometry", "navigation"],
    {"ros": Known(["roslib", "rospy"], []), "geometry": Known(["tf"], ["bullet", "common_msgs"])},
    [Platform("bookworm"), Platform("trixie")],
    {"boost": "libboost-all-dev", "eml": {"bookworm": "libeml-dev"}},
)


def release(top: Path, out: Path, *, around: Surroundings = AROUND, write: bool = True, **fields: Any) -> Released:
    request = Request(**{"stack": "common_msgs", "version": "1.0.3", **fields})
    return release_stack(top, request, around=around, directory=out, write=write)


def findings(top: Path, *, around: Surroundings = AROUND, **fields: Any) -> list[str]:
    with pytest.raises(SlipwayError) as caught:
        release(top, top.parent / "none", around=around, **fields)
    assert not (top.parent / "none").exists()
    return caught.value.findings


def test_a_stack_becomes_a_tarball_and_a_control_file(tmp_path: Path) -> None:
    needs = '<depend package="roslib"/><depend package="tf"/><rosdep name="boost"/><rosdep name="eml"/>'
    top = write_stack(tmp_path / "s", depends=["geometry"], packages={"nav_msgs": needs})
    origin = {"kind": "git", "uri": "https://example.org/x", "revision": "a" * 40}
    made = release(top, tmp_path / "out", origin=origin)
    place = tmp_path / "out/common_msgs-1.0.3"
    assert sorted(path.name for path in place.iterdir()) == ["common_msgs-1.0.3.tar.bz2", "common_msgs-1.0.3.yaml"]
    assert [file.path for file in made.files] == sorted(place.iterdir())
    for file in made.files:
        data = file.path.read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    control = yaml.safe_load((place / "common_msgs-1.0.3.yaml").read_text())
    assert control == made.control
    assert control == {
        "format": 1,
        "kind": "ros",
        "stack": "common_msgs",
        "version": "1.0.3",
        "package": "common-msgs",
        "tarball": "common_msgs-1.0.3.tar.bz2",
        "size": made.files[0].size,
        "md5sum": hashlib.md5(made.files[0].path.read_bytes(), usedforsecurity=False).hexdigest(),
        "sha256": made.files[0].sha256,
        "homepage": "https://example.org/common_msgs",
        "maintainer": "Ann Other/ann@example.org",
        "contact": "ann@example.org",
        "priority": "optional",
        "description-brief": "Messages that many stacks share",
        "description-full": "Poses, and paths.\n\nAnd more.",
        "depends": ["geometry", "ros"],
        "rosdeps": {"bookworm": ["build-essential", "cmake", "libboost-all-dev", "libeml-dev"]},
        "packages": ["nav_msgs"],
        "source": origin,
    }
    assert made.remarks == [
        "it depends on the stack ros, without saying so",
        "trixie is not supported: it has nothing for eml",
    ]
    unpacked = unpack_tarball(made.files[0].path, tmp_path / "again", top="common_msgs-1.0.3")
    assert tree(unpacked) == tree(top)


def test_again_nothing_changes_and_a_changed_tree_replaces_what_was_made(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    first = release(top, tmp_path / "out")
    assert first.changed == ["common_msgs-1.0.3.tar.bz2", "common_msgs-1.0.3.yaml"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert release(top, tmp_path / "out").changed == []
    assert {path: path.stat().st_mtime_ns for path in before if path.is_file()}.items() <= before.items()
    (top / "new").write_text("x")
    looked = release(top, tmp_path / "out", write=False)
    assert looked.changed == first.changed
    second = release(top, tmp_path / "out")
    assert second.files == looked.files
    assert first.files[0].sha256 in second.text[0]
    assert second.files[0].sha256 in second.text[1]
    assert len(list((tmp_path / "out/common_msgs-1.0.3").iterdir())) == 2


def test_what_a_killed_run_left_is_gone_after_the_next(tmp_path: Path) -> None:
    top, place = write_stack(tmp_path / "s"), tmp_path / "out/common_msgs-1.0.3"
    write_tree(place, {".packing-common_msgs-1.0.3.tar.bz2-x1y2/common_msgs-1.0.3.tar.bz2": "half"})
    write_tree(place, {".common_msgs-1.0.3.yaml.00000000.tmp": "half"})
    release(top, tmp_path / "out")
    assert sorted(path.name for path in place.iterdir()) == ["common_msgs-1.0.3.tar.bz2", "common_msgs-1.0.3.yaml"]


def test_check_mode_says_all_and_makes_nothing(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    looked = release(top, tmp_path / "out", write=False)
    assert not (tmp_path / "out").exists()
    assert release(top, tmp_path / "out").files == looked.files


def test_every_fault_is_in_one_refusal_by_name(tmp_path: Path) -> None:
    packages = {
        "a": '<depend package="tf"/><depend package="unheard_of"/><rosdep name="gone"/>',
        "b": '<depend package="roslib"/><depend package="a"/>',
    }
    top = write_stack(tmp_path / "s", depends=["ros", "other", "common_msgs"], packages=packages, version="1.0.4")
    (top / "CMakeLists.txt").unlink()
    assert findings(top) == [
        "there is no CMakeLists.txt",
        "its sources are version 1.0.4, and 1.0.3 is to be released",
        "it depends on the stack other, which is not in the distro file",
        "common_msgs depends on itself",
        "a depends on unheard_of, which is in no stack that is known, and no rosdep key",
        "it does not declare that it depends on the stack geometry: a needs tf",
        "the rosdep key gone of the package a is in no rosdep data",
    ]


@pytest.mark.parametrize(
    ("depends", "needs", "fault"),
    [
        (["geometry"], "tf", None),
        (["navigation"], "tf", None),  # one level down
        ([], "tf", "it does not declare that it depends on the stack geometry: p needs tf"),
        (["common_msgs_x"], "tf", "it depends on the stack common_msgs_x, which is not in the distro file"),
        (["navigation"], "deep", "it does not declare that it depends on the stack bullet: p needs deep"),
        ([], "roslib", None),  # ros is implicit
        ([], "p", None),  # its own
        ([], "boost", None),  # a rosdep key
    ],
)
def test_what_packages_need_is_declared_or_one_level_below(
    tmp_path: Path, depends: list[str], needs: str, fault: str | None
) -> None:
    known = {
        **AROUND.known,
        "navigation": Known(["move_base"], ["geometry"]),
        "bullet": Known(["deep"], []),
    }
    around = replace(AROUND, known=known, stacks=[*AROUND.stacks, "bullet"])
    top = write_stack(tmp_path / "s", depends=depends, packages={"p": f'<depend package="{needs}"/>'})
    if fault is None:
        assert {*depends} <= {*release(top, tmp_path / "out", around=around).control["depends"]}
    else:
        assert fault in findings(top, around=around)


def test_ros_is_implicit_only_where_the_distribution_has_it(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s", packages={"p": '<depend package="roslib"/>'})
    around = replace(AROUND, stacks=["common_msgs"])
    assert findings(top, around=around) == ["it does not declare that it depends on the stack ros: p needs roslib"]


def test_a_catkin_stack_depends_on_what_its_packages_need(tmp_path: Path) -> None:
    top = tmp_path / "s"
    write_catkin(top / "tf2", "tf2", "<depend>rospy</depend><depend>boost</depend><depend>tf2_msgs</depend>")
    write_catkin(top / "tf2_msgs", "tf2_msgs", "<buildtool_depend>catkin</buildtool_depend>")
    around = replace(AROUND, stacks=[*AROUND.stacks, "catkin", "geometry2"])
    made = release(top, tmp_path / "out", around=around, stack="geometry2", version="0.4.2")
    assert made.control["depends"] == ["catkin", "ros"]
    assert made.control["packages"] == ["tf2", "tf2_msgs"]
    assert made.control["rosdeps"]["trixie"] == ["build-essential", "cmake", "libboost-all-dev"]
    assert made.control["maintainer"] == "Ann Other <ann@example.org>, Bob Else <bob@example.org>"
    assert made.control["contact"] == "ann@example.org"


def test_rosdeps_of_the_stack_itself_overlay_the_others(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s", packages={"p": '<rosdep name="boost"/><rosdep name="mine"/>'})
    write_tree(top, {"rosdep.yaml": "boost:\n  ubuntu:\n    bookworm: libboost-dev\nmine: own-dev=1.2\n"})
    made = release(top, tmp_path / "out")
    assert made.control["rosdeps"] == {"bookworm": ["build-essential", "cmake", "libboost-dev", "own-dev (= 1.2)"]}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.0_3", "'1.0_3' has a character that is not allowed"),
        ("", "'' is empty"),
        ("v1", "does not begin with a dig"),
        ("1:2:3", "is not usable as"),
    ],
)
def test_a_version_that_dpkg_refuses_is_refused(tmp_path: Path, version: str, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        release(write_stack(tmp_path / "s", version=version), tmp_path / "out", version=version)


def test_a_version_of_the_sources_that_dpkg_refuses_is_a_finding(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s", version="1.0_3")
    assert findings(top) == ["its version '1.0_3' has a character that is not allowed"]
    assert findings(write_stack(tmp_path / "t", version="")) == [
        "its sources name no version, and 1.0.3 is to be released"
    ]


def test_without_a_platform_or_an_author_nothing_is_released(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s", packages={"p": '<rosdep name="eml"/>'})
    assert findings(top, around=replace(AROUND, platforms=[])) == ["there are no platforms that it could be for"]
    assert findings(top, around=replace(AROUND, platforms=[Platform("trixie")])) == [
        "no platform is supported: trixie is not supported: it has nothing for eml"
    ]
    (top / "stack.xml").write_text('<stack version="1.0.3"/>')
    assert findings(top) == ["it names no author or maintainer"]


def test_an_author_without_an_address_may_have_a_long_name(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    (top / "stack.xml").write_text(f'<stack version="1.0.3"><author>{"x" * 60_000}</author></stack>')
    assert "contact" not in release(top, tmp_path / "out", write=False).control


def test_debian_sources_are_packed_with_their_whole_version(tmp_path: Path) -> None:
    top = write_debian(tmp_path / "s")
    made = release(top, tmp_path / "out", stack="hello", version="2.3-4")
    control = made.control
    assert (made.kind, made.source_format, control["package"]) == ("debian", "3.0 (quilt)", "libhello")
    assert (control["version"], control["tarball"]) == ("1:2.3-4", "hello-2.3-4.tar.bz2")
    assert (control["depends"], control["rosdeps"]) == ([], {"bookworm": [], "trixie": []})
    assert (control["description-brief"], control["homepage"]) == ("Says hello", "https://example.org/hello")
    assert control["description-full"] == "To everybody.\n\n  verbatim"
    assert (tmp_path / "out/hello-2.3-4/hello-2.3-4.yaml").is_file()
    assert release(top, tmp_path / "out", stack="hello", version="1:2.3-4").changed == []
    assert findings(top, stack="hello", version="2.3-5") == [
        "its sources are version 1:2.3-4, and 2.3-5 is to be released"
    ]
    (top / "debian/rules").unlink()
    assert findings(top, stack="hello", version="2.3-4") == ["there is no debian/rules"]


def test_a_dsc_is_copied_with_its_files(tmp_path: Path) -> None:
    top = write_debian(tmp_path / "tree", style="3.0 (native)", version="1:2.3")
    (top / "debian/rules").chmod(0o755)
    source = write_tree(tmp_path / "dsc", {})
    subprocess.run(["dpkg-source", "--build", top], cwd=source, check=True, capture_output=True)
    looked = release(source, tmp_path / "out", stack="hello", version="2.3", write=False)
    made = release(source, tmp_path / "out", stack="hello", version="2.3")
    assert looked.files == made.files
    place = tmp_path / "out/hello-2.3"
    names = ["libhello_2.3.dsc", "libhello_2.3.tar.xz"]
    assert made.changed == [*names, "hello-2.3.yaml"] == looked.changed
    assert [(place / name).read_bytes() for name in names] == [(source / name).read_bytes() for name in names]
    subprocess.run(["dpkg-source", "--extract", place / names[0], tmp_path / "x"], check=True, capture_output=True)
    control = read_control_file((place / "hello-2.3.yaml").read_bytes(), on="x").mapping
    assert control == made.control
    assert (control["dsc"], control["version"], "tarball" in control) == (names[0], "1:2.3", False)
    assert [file["name"] for file in control["files"]] == names
    assert release(source, tmp_path / "out", stack="hello", version="2.3").changed == []
    (source / names[1]).write_bytes(b"other")
    assert names[1] in findings(source, stack="hello", version="2.3")[0]


def test_what_is_known_of_other_stacks_is_lists() -> None:
    known = read_known({"a": ["p"], "b": {"packages": ["q"], "depends": ["a"]}, "c": {}})
    assert known == {"a": Known(("p",)), "b": Known(("q",), ("a",)), "c": Known()}
    with pytest.raises(SlipwayError, match="Could not use what is known of a: it is 'p'"):
        read_known({"a": "p"})


def test_the_module_makes_it_and_says_what_it_would_make(tmp_path: Path) -> None:
    arguments = {
        "tree": str(write_stack(tmp_path / "s", depends=["ros"])),
        "stack": "common_msgs",
        "version": "1.0.3",
        "stacks": ["ros", "common_msgs"],
        "platforms": ["bookworm", {"name": "jammy", "version": "22.04", "distribution": "ubuntu"}],
        "directory": str(tmp_path / "out"),
        "uri": "https://example.org/x",
    }
    looked = run_module("stack_package", arguments, check=True)
    assert looked["changed"]
    assert not (tmp_path / "out").exists()
    made = run_module("stack_package", arguments)
    assert {key: value for key, value in made.items() if key != "invocation"} == {
        key: value for key, value in looked.items() if key != "invocation"
    }
    assert made["label"] == "common_msgs-1.0.3"
    assert made["control"]["source"] == {"uri": "https://example.org/x"}
    assert 'version: "1.0.3"' in made["diff"][0]["after"]
    again = run_module("stack_package", arguments)
    assert (again["changed"], again["made"], again["files"]) == (False, [], made["files"])
    with_epoch = run_module("stack_package", {**arguments, "version": "1:1.0.3", "directory": str(tmp_path / "epoch")})
    assert (with_epoch["label"], with_epoch["control"]["version"]) == ("common_msgs-1.0.3", "1:1.0.3")
    failed = run_module("stack_package", {**arguments, "version": "1.0.4"})
    assert failed["failed"]
    assert failed["findings"] == ["its sources are version 1.0.3, and 1.0.4 is to be released"]
    assert json.dumps(made["control"])
