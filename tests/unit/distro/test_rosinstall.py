from __future__ import annotations

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import Distro, read_distro
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.rosinstall import make_rosinstall
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DISTRO = """
release: c
stacks:
  ros:
    version: 1.10
    _rules: {git: {uri: ssh://x/ros, anon-uri: git://x/ros, dev-branch: master, distro-tag: c,
      release-tag: r-$STACK_VERSION}}
  nav:
    version: 2.0
    _rules: {svn: {dev: svn+ssh://x/nav/trunk, anon-dev: http://x/nav/trunk, distro-tag: http://x/nav/c,
      release-tag: http://x/nav/$STACK_VERSION}}
  arm:
    _rules: {hg: {uri: http://x/arm, dev-branch: default, distro-tag: c, release-tag: a-$STACK_VERSION}}
  vis:
    version: 0.1
    _rules: {bzr: {uri: http://x/vis, dev-branch: 'yes', distro-tag: c, release-tag: v-$STACK_VERSION}}
  tools:
    version: 1:1.0-1
    _rules: {dsc: {uri: http://x/tools_1.0-1.dsc}}
  later: {}
variants:
- base: {stacks: [nav, ros]}
- whole: {extends: base, stacks: [arm, tools]}
"""
DEVELOPMENT = """\
- git:
    local-name: ros
    uri: ssh://x/ros
    version: master
- svn:
    local-name: nav
    uri: svn+ssh://x/nav/trunk
- hg:
    local-name: arm
    uri: http://x/arm
    version: default
- bzr:
    local-name: vis
    uri: http://x/vis
    version: 'yes'
"""
NO_DSC = "tools is a source package (dsc), which rosinstall does not know, and is left out"
NO_RULE = "later has no rule that says where its source is, and is left out"


@pytest.fixture
def distro() -> Distro:
    found = read_distro(DISTRO.encode())
    assert found.faults == []
    return found


def test_every_stack_is_at_its_development_line(distro: Distro) -> None:
    made = make_rosinstall(distro)
    assert made.text == DEVELOPMENT
    assert made.stacks == ["ros", "nav", "arm", "vis"]
    assert made.remarks == [NO_DSC, NO_RULE]
    assert make_rosinstall(distro, variants=["all"]) == made


@pytest.mark.parametrize(
    ("at", "anonymous", "ros", "nav"),
    [
        ("development", True, ("git://x/ros", "master"), "http://x/nav/trunk"),
        ("distro", False, ("ssh://x/ros", "c"), "http://x/nav/c"),
        ("release", True, ("git://x/ros", "r-1.10"), "http://x/nav/2.0"),
    ],
)
def test_tags_and_anonymous_addresses_are_taken_on_demand(
    distro: Distro, at: str, anonymous: bool, ros: tuple[str, str], nav: str
) -> None:
    entries = yaml.safe_load(make_rosinstall(distro, at=at, variants=["base"], anonymous=anonymous).text)
    assert entries == [
        {"git": {"local-name": "ros", "uri": ros[0], "version": ros[1]}},
        {"svn": {"local-name": "nav", "uri": nav}},
    ]


def test_stacks_that_are_named_come_with_those_of_variants_in_the_distro_files_order(distro: Distro) -> None:
    made = make_rosinstall(distro, stacks=["vis", "ros"], variants=["whole"])
    assert made.stacks == ["ros", "nav", "arm", "vis"]
    assert made.remarks == [NO_DSC]
    assert make_rosinstall(distro, stacks=["vis"]).stacks == ["vis"]


def test_what_is_not_released_is_left_out_at_its_release(distro: Distro) -> None:
    made = make_rosinstall(distro, at="release", variants=["whole"])
    assert made.stacks == ["ros", "nav"]
    assert made.remarks == ["arm is not released, so it has no release-tag, and is left out", NO_DSC]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"stacks": ["no"]}, "there is no stack no. Use names of the distro file"),
        ({"variants": ["no"]}, "there is no variant no"),
        ({"stacks": ["tools"]}, "tools is a source package (dsc), which rosinstall does not know. Leave it out"),
        ({"stacks": ["arm"], "at": "release"}, "arm is not released, so it has no release-tag"),
    ],
)
def test_a_stack_that_is_named_and_cannot_be_there_is_refused(
    distro: Distro, chosen: dict[str, str], found: str
) -> None:
    with pytest.raises(SlipwayError) as caught:
        make_rosinstall(distro, **chosen)  # type: ignore[arg-type]  # the choices are the test's own
    assert str(caught.value).startswith(f"Could not write a rosinstall file of c: {found}")
