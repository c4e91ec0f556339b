from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import Distro, read_distro
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.tags import (
    Tagged,
    find_new_releases,
    find_tagged,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from hypothesis import given
from hypothesis import strategies as st

GIT = "{git: {uri: 'git://x/%s', dev-branch: d, distro-tag: t, release-tag: '%s'}}"
PLAIN = GIT % ("$STACK_NAME", "$STACK_NAME-$STACK_VERSION")


def distro(release: str = "c", rules: str = PLAIN, **stacks: str) -> Distro:
    lines = "".join(f"  {name.replace('__', '-')}: {entry}\n" for name, entry in stacks.items())
    found = read_distro(f"release: {release}\nstacks:\n  _rules: {rules}\n{lines}".encode())
    assert found.faults == []
    return found


CTURTLE = distro(ros="{version: 1.0.0}", common_msgs="{}", nav="{version: 1.2}", nav_2d="{version: 0.9}")


@pytest.mark.parametrize(
    ("tag", "stack", "version"),
    [
        ("ros-1.0.1", "ros", "1.0.1"),
        ("common_msgs-1.2.0-1", "common_msgs", "1.2.0-1"),
        ("nav_2d-1.0", "nav_2d", "1.0"),
        ("nav-1%2.0_rc1-1", "nav", "1:2.0~rc1-1"),
    ],
)
def test_a_tag_means_a_stack_and_a_version(tag: str, stack: str, version: str) -> None:
    assert find_tagged([CTURTLE], tag) == Tagged(tag, stack, version, ("c",))


def test_a_tag_means_the_same_in_every_distribution_that_has_the_stack() -> None:
    others = [CTURTLE, distro("d", ros="{version: 2.0}"), distro("e", base="{}")]
    assert find_tagged(others, "ros-2.1").distributions == ("c", "d")


def test_the_distribution_in_a_tag_counts() -> None:
    rules = GIT % ("$STACK_NAME", "$RELEASE_NAME/$STACK_VERSION")
    both = [distro("c", rules, ros="{}"), distro("d", rules, ros="{}")]
    assert find_tagged(both, "d/1.0") == Tagged("d/1.0", "ros", "1.0", ("d",))


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ("v1.0", "Could not find the stack of the tag v1.0: no release-tag of c fits it. Tag as the distro file's"),
        ("ros-", "no release-tag of c fits it"),
        ("ros-one", "'one' would be a version of ros, and does not begin with a digit. Tag a version that Debian's"),
        ("ros-1.0-", "'1.0-' would be a version of ros, and has an empty revision"),
        ("ros-1.0\n", "would be a version of ros, and has a character"),
        ("", "no release-tag of c fits it"),
    ],
)
def test_what_a_tag_does_not_tell_is_a_sentence(tag: str, sentence: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        find_tagged([CTURTLE], tag)
    assert sentence in str(caught.value)


def test_a_tag_that_could_be_of_two_stacks_is_refused_unless_the_repository_tells() -> None:
    found = distro(nav="{}", nav__2d="{}")
    with pytest.raises(SlipwayError, match=r"nav-2d-1\.0: it could be nav 2d-1\.0 or nav-2d 1\.0\. Say which"):
        find_tagged([found], "nav-2d-1.0")
    assert find_tagged([found], "nav-2d-1.0", uri="git://x/nav-2d").stack == "nav-2d"
    with pytest.raises(SlipwayError, match="no release-tag of c fits it"):
        find_tagged([found], "nav-2d-1.0", uri="git://elsewhere/x")


def test_only_rules_of_git_that_name_a_version_tell_one() -> None:
    for rules in ("{dsc: {uri: x}}", GIT % ("u", "$STACK_NAME"), "{svn: {dev: d, distro-tag: t, release-tag: r}}"):
        with pytest.raises(SlipwayError, match="no release-tag of c fits it"):
            find_tagged([distro(rules=rules, ros="{version: 1.0}")], "ros-1.0")


def test_a_version_that_stands_twice_must_be_the_same() -> None:
    twice = distro(rules=GIT % ("u", "$STACK_VERSION/$STACK_NAME-$STACK_VERSION"), ros="{}")
    assert find_tagged([twice], "1.0/ros-1.0").version == "1.0"
    with pytest.raises(SlipwayError, match="no release-tag"):
        find_tagged([twice], "1.0/ros-1.1")


def test_new_releases_are_those_after_the_present_version_by_dpkgs_order() -> None:
    tags = ["nav-1.2", "nav-1.10", "nav-1.9", "nav-1.3_rc1", "nav-0.1", "nav-1%0.1", "v2.0", "nav-x", "ros-9.0"]
    new, remarks = find_new_releases(CTURTLE, "nav", tags)
    assert [each.version for each in new] == ["1.3~rc1", "1.9", "1.10", "1:0.1"]
    assert remarks == []


def test_every_version_of_a_stack_that_is_not_released_is_new() -> None:
    new, _remarks = find_new_releases(CTURTLE, "common_msgs", {"common_msgs-1.0", "common_msgs-0.9"})
    assert [each.tag for each in new] == ["common_msgs-0.9", "common_msgs-1.0"]


def test_a_new_tag_that_could_be_another_stacks_of_the_repository_is_left_out_and_told() -> None:
    shared = distro(rules=GIT % ("all", "$STACK_NAME-$STACK_VERSION"), nav="{}", nav__2d="{}")
    assert find_new_releases(shared, "nav", ["nav-2d-1.0", "nav-1.0"]) == (
        [Tagged("nav-1.0", "nav", "1.0", ("c",))],
        ["the tag nav-2d-1.0 could be nav 2d-1.0 or nav-2d 1.0"],
    )
    apart = distro(nav="{}", nav__2d="{}")
    assert [each.version for each in find_new_releases(apart, "nav", ["nav-2d-1.0"])[0]] == ["2d-1.0"]


@given(st.from_regex(r"([0-9]:)?[0-9][a-z0-9.+~]{0,8}(-[a-z0-9.+~]{1,4})?", fullmatch=True))
def test_the_tag_of_any_version_means_that_version(version: str) -> None:
    rules = distro(ros=f"{{version: '{version}'}}").stacks["ros"].rules
    assert rules is not None
    assert find_tagged([distro(ros="{}")], str(rules.values["release-tag"])).version == version
