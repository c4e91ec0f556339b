"""What a run releases, by the distro file and what was asked for."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.wanted import (
    find_tagged_release,
    select_stacks,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

FILE = """\
release: {release}
_rules:
  git:
    git:
      uri: https://g/$STACK_NAME.git
      dev-branch: main
      distro-tag: $RELEASE_NAME
      release-tag: $STACK_NAME-$STACK_VERSION
  dsc: {{dsc: {{uri: "https://d/$STACK_NAME_$STACK_VERSION.dsc"}}}}
stacks:
  _rules: git
  ros: {{version: 1.2.0}}
  mapping: {{}}
  count: {{version: "1:0.5", _rules: dsc}}
"""


def found(release: str = "cturtle") -> dict[str, str]:
    return {"distribution": release, "text": FILE.format(release=release)}


def select(stack: str = "", version: str = "") -> list[dict[str, object]]:
    return select_stacks(found(), stack=stack, version=version, directory="/d")


def test_all_that_have_a_version_are_released_in_the_order_of_the_file() -> None:
    ros, count = select()
    assert (ros["name"], ros["version"], ros["label"], ros["directory"]) == (
        "ros",
        "1.2.0",
        "ros-1.2.0",
        "/d/cturtle/ros-1.2.0",
    )
    assert (count["version"], count["label"]) == ("1:0.5", "count-0.5")
    assert count["values"]["uri"] == "https://d/count_0.5.dsc"  # type: ignore[index]


def test_rules_are_those_of_the_version_that_is_asked_for() -> None:
    (ros,) = select("ros", "1.3.0")
    assert ros["values"]["release-tag"] == "ros-1.3.0"  # type: ignore[index]
    assert ros["values"]["anon-uri"] == "https://g/ros.git"  # type: ignore[index]
    (mapping,) = select("mapping", "0.1")
    assert (mapping["kind"], mapping["label"]) == ("git", "mapping-0.1")


@pytest.mark.parametrize(
    ("stack", "version", "sentence"),
    [
        (
            "arm",
            "1.0",
            "Could not release the stack arm: the distro file of cturtle does not have it, only count, mapping, ros.",
        ),
        (
            "mapping",
            "",
            "Could not release the stack mapping: it has no version yet. Give the version, -e version=X.Y.Z.",
        ),
        ("ros", "1_0", "Could not release the stack ros: the version '1_0' has a character that is not allowed."),
    ],
)
def test_what_cannot_be_released_gets_a_sentence(stack: str, version: str, sentence: str) -> None:
    with pytest.raises(SlipwayError) as refused:
        select(stack, version)
    assert str(refused.value).startswith(sentence)


def test_a_tag_is_of_one_stack_of_one_distribution() -> None:
    tagged = find_tagged_release([found()], "ros-1.4.0", stack="")
    assert tagged == {"distribution": "cturtle", "stack": "ros", "version": "1.4.0", "uri": "https://g/ros.git"}


def test_a_tag_that_several_distributions_have_needs_a_word() -> None:
    both = [found(), found("diamondback")]
    with pytest.raises(SlipwayError) as refused:
        find_tagged_release(both, "ros-1.4.0", stack="")
    assert str(refused.value) == (
        "Could not release the tag ros-1.4.0: ros is in the distributions cturtle, diamondback. "
        "Say which one is meant, -e distro=NAME."
    )


def test_a_tag_of_no_stack_is_refused() -> None:
    with pytest.raises(SlipwayError, match="no release-tag of cturtle fits it"):
        find_tagged_release([found()], "v1", stack="ros")
