# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests say who a stack is and what its packages need; faults name file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.source import Source, read_source
from stacktrees import write_catkin, write_debian, write_stack, write_tree


def read(top: Path, stack: str = "common_msgs", kind: str = "auto") -> Source:
    return read_source(top, kind, stack=stack, distribution="noetic")


def test_a_rosbuild_stack_is_read_with_its_packages(tmp_path: Path) -> None:
    needs = '<depend package="roslib"/><depend package="std_msgs"/><rosdep name="boost"/>'
    top = write_stack(tmp_path / "s", depends=["ros", "geometry"], packages={"nav_msgs": needs, "deep/poly": ""})
    found = read(top)
    assert (found.kind, found.is_catkin, found.faults, found.remarks) == ("ros", False, [], [])
    about = found.about
    assert (about.name, about.version, about.brief) == ("common_msgs", "1.0.3", "Messages that many stacks share")
    assert about.description == "Poses, and paths.\n\nAnd more."
    assert (about.maintainer, about.license) == ("Ann Other/ann@example.org", "BSD")
    assert about.homepage == "https://example.org/common_msgs"
    assert about.depends == ("ros", "geometry")
    assert [(each.name, each.path, each.needs, each.keys) for each in found.packages] == [
        ("poly", "deep/poly", (), ()),
        ("nav_msgs", "nav_msgs", ("roslib", "std_msgs"), ("boost",)),
    ]


@pytest.mark.parametrize(
    ("said", "cmake", "version"),
    [
        ('<stack version="1.2.3"/>', "", "1.2.3"),
        ("<stack><version> 1.2.4 </version></stack>", "", "1.2.4"),
        ("<stack/>", "cmake_minimum_required(VERSION 2.4.6)\n  rosbuild_make_distribution(1.2.5)\n", "1.2.5"),
        ("<stack/>", "# rosbuild_make_distribution(9)\nrosbuild_make_distribution(${X})\n", ""),
    ],
)
def test_the_version_is_where_any_time_had_it(tmp_path: Path, said: str, cmake: str, version: str) -> None:
    top = write_tree(tmp_path / "s", {"stack.xml": said, "CMakeLists.txt": cmake})
    assert read(top).about.version == version


def test_versions_that_differ_are_a_fault(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    (top / "CMakeLists.txt").write_text("rosbuild_make_distribution(1.0.4)\n")
    assert read(top).faults == [
        "stack.xml line 1: the stack has several versions: 1.0.3 in the attribute version, 1.0.4 in CMakeLists.txt"
    ]


def test_packages_are_looked_for_where_rospack_does(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s", packages={"a": "", "a/inner": "", "skipped/b": "", "last/c": "", "build/d": ""})
    write_tree(top, {"skipped/CATKIN_IGNORE": "", "last/rospack_nosubdirs": "", ".git/e/manifest.xml": "<package/>"})
    assert [package.name for package in read(top).packages] == ["a"]


def test_a_stack_that_is_one_package_bears_its_name(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    write_tree(top, {"manifest.xml": '<package><depend package="roscpp"/></package>'})
    assert [(package.name, package.needs) for package in read(top).packages] == [("common_msgs", ("roscpp",))]


@pytest.mark.parametrize(
    ("style", "needs"),
    [
        ("1", ("bd", "bt", "run")),
        ("2", ("both", "bd", "be", "bt", "ex")),
        ("3", ("both", "bd", "be", "bt", "ex")),
    ],
)
def test_each_format_of_package_xml_says_what_is_needed(tmp_path: Path, style: str, needs: tuple[str, ...]) -> None:
    kinds = {"1": "<build_depend>bd</build_depend><buildtool_depend>bt</buildtool_depend><run_depend>run</run_depend>"}
    later = (
        "<depend>both</depend><build_depend>bd</build_depend><build_export_depend>be</build_export_depend>"
        '<buildtool_depend>bt</buildtool_depend><exec_depend version_gte="1.2">ex</exec_depend>'
        "<doc_depend>doxygen</doc_depend>"
    )
    content = kinds.get(style, later) + "<test_depend>gtest</test_depend>"
    found = read(write_catkin(tmp_path / "s", "tf2", content, style=style), "geometry2")
    assert (found.kind, found.is_catkin, found.faults, found.remarks) == ("ros", True, [], [])
    assert [package.needs for package in found.packages] == [needs]
    assert (found.about.name, found.about.version) == ("geometry2", "0.4.2")
    assert found.about.maintainer == "Ann Other <ann@example.org>, Bob Else <bob@example.org>"
    assert found.about.homepage == "https://example.org/tf2"


def test_conditions_decide_for_ros_1_and_what_cannot_be_judged_counts(tmp_path: Path) -> None:
    content = """<depend condition="$ROS_VERSION == 1">roscpp</depend>
  <depend condition="$ROS_VERSION == 2">rclcpp</depend>
  <depend condition="$ROS_DISTRO == noetic">new</depend>
  <depend condition="$SOMETHING == 1">odd</depend>"""
    found = read(write_catkin(tmp_path / "s", "tf2", content, style="3"))
    assert found.packages[0].needs == ("roscpp", "new", "odd")
    assert found.remarks == [
        "package.xml line 14: the condition of odd cannot be judged (nobody knows $SOMETHING here); it counts"
    ]


def test_a_tag_of_another_format_counts_with_a_remark(tmp_path: Path) -> None:
    found = read(write_catkin(tmp_path / "s", "tf2", "<run_depend>roscpp</run_depend>", style="2"))
    assert found.packages[0].needs == ("roscpp",)
    assert found.remarks == ["package.xml line 11: format 2 has no run_depend; it counts"]


def test_several_packages_are_told_of_by_their_metapackage(tmp_path: Path) -> None:
    top = tmp_path / "s"
    write_catkin(top / "tf2", "tf2")
    write_catkin(top / "zz_all", "zz_all", "<export><metapackage/></export>")
    found = read(top, "geometry2")
    assert [package.name for package in found.packages] == ["tf2", "zz_all"]
    assert found.about.homepage == "https://example.org/zz_all"
    assert found.faults == []


def test_several_packages_that_nobody_stands_for_are_listed(tmp_path: Path) -> None:
    top = tmp_path / "s"
    write_catkin(top / "tf2", "tf2")
    write_catkin(top / "tf2_py", "tf2_py")
    found = read(top, "geometry2")
    assert (found.about.brief, found.about.description) == (
        "the packages of geometry2",
        "2 packages:\n\n* tf2\n* tf2_py",
    )
    assert found.remarks == ["no package stands for all, so maintainer and address are those of the first"]


def test_packages_with_several_versions_or_one_name_are_faults(tmp_path: Path) -> None:
    top = tmp_path / "s"
    write_catkin(top / "a", "tf2", version="1.0.0")
    write_catkin(top / "b", "tf2", version="1.0.1")
    assert read(top, "geometry2").faults == [
        "the package tf2 is there twice, in a and b",
        "its packages have several versions: 1.0.0 of tf2, 1.0.1 of tf2",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"stack.xml": "<stack"}, "stack.xml: it is not XML: line 1: unclosed token"),
        ({"stack.xml": "\n<package/>"}, "stack.xml line 2: it is a 'package', not a 'stack'"),
        ({"stack.xml": '<!DOCTYPE x [<!ENTITY y "z">]>\n<stack/>'}, "stack.xml: line 1: it declares a document type"),
        (
            {"stack.xml": '<stack>\n<depend stack="../x"/></stack>'},
            "stack.xml line 2: it depends on '../x', which cannot",
        ),
        ({"stack.xml": "<stack>\n<depend/></stack>"}, "stack.xml line 2: it depends on '', which cannot name a stack"),
        ({"stack.xml": '<stack name="other"/>'}, "stack.xml names the stack 'other', and it is to be 'common_msgs'"),
        (
            {"p/manifest.xml": "<package>\n<depend package='-x'/></package>"},
            "p/manifest.xml line 2: it depends on '-x'",
        ),
        ({"p/manifest.xml": "<stack/>"}, "p/manifest.xml line 1: it is a 'stack', not a 'package'"),
        ({"p q/manifest.xml": "<package/>"}, "p q/manifest.xml: 'p q' cannot name a package"),
        ({"rosdep.yaml": "a: [\n"}, "rosdep.yaml: it is not YAML: line 2"),
        ({"rosdep.yaml": "- a\n"}, "rosdep.yaml line 1: it is a list, not a mapping"),
        ({"rosdep.yaml": "a: b\na: c\n"}, "rosdep.yaml: line 2: the key 'a' is given a second time"),
        ({"p/manifest.xml": "-> manifest.xml"}, "p/manifest.xml: Too many levels of symbolic links"),
        ({"CMakeLists.txt": "-> CMakeLists.txt"}, "there is no CMakeLists.txt"),
        ({"rosdep.yaml": "-> rosdep.yaml"}, None),
        ({"rosdep.yaml": "-> /etc/hostname"}, None),
        ({"stack.xml": "-> /etc/hostname"}, None),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told_with_file_and_line(
    tmp_path: Path, files: dict[str, str], said: str | None
) -> None:
    top = write_stack(tmp_path / "s")
    for name in files:
        (top / name).unlink(missing_ok=True)
    if said is None and "stack.xml" in files:
        with pytest.raises(SlipwayError, match="nothing that can be released"):
            read(write_tree(top, files))
        return
    faults = read(write_tree(top, files)).faults
    assert faults == [] if said is None else any(fault.startswith(said) for fault in faults), faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<package/>", "package.xml line 1: it has no name"),
        ("<package/>", "package.xml line 1: it has no maintainer"),
        (
            '<package format="7"><name>x</name></package>',
            "package.xml line 1: it is of format '7', and known are 1, 2 and 3",
        ),
        ("<package>\n<name>a b</name></package>", "package.xml: 'a b' cannot name a package"),
        (
            "<package><name>x</name>\n<maintainer>A</maintainer></package>",
            "package.xml line 2: the maintainer 'A' has no",
        ),
        (
            "<package><name>x</name>\n<build_depend>$x</build_depend></package>",
            "package.xml line 2: it depends on '$x'",
        ),
    ],
)
def test_what_is_wrong_with_a_package_xml_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    faults = read(write_tree(tmp_path / "s", {"package.xml": text})).faults
    assert any(fault.startswith(said) for fault in faults), faults


@pytest.mark.parametrize(
    ("name", "root"), [("stack.xml", "stack"), ("manifest.xml", "package"), ("package.xml", "package")]
)
def test_a_description_without_an_end_is_cut(tmp_path: Path, name: str, root: str) -> None:
    text = f"<{root}>\n<description>{'word ' * 4000}<![CDATA[{'<a ' * 2000}]]></description></{root}>"
    where = name if name == "stack.xml" else f"p/{name}"
    top = write_tree(write_stack(tmp_path / "s"), {where: text})
    found = read(top)
    assert found.remarks == [f"{where} line 2: its description is cut after 16384 characters"]
    abouts = [found.about, *(package.about for package in found.packages)]
    assert max(len(about.description) for about in abouts) <= 16_384


def test_what_is_no_source_or_not_of_the_kind_is_refused(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "s", {"README": "x"})
    for kind, said in (("auto", "nothing that can be released"), ("ros", "no stack.xml"), ("debian", "no debian/ch")):
        with pytest.raises(SlipwayError, match=said):
            read(top, kind=kind)
    with pytest.raises(SlipwayError, match="is no directory"):
        read(tmp_path / "absent")


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    top = write_stack(tmp_path / "s")
    assert read(top).kind == "ros"
    write_debian(top)
    assert read(top).kind == "debian"
    assert read(top, kind="ros").kind == "ros"
