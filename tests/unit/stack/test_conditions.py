# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Conditions of package.xml are judged as its specification says."""

from __future__ import annotations

import re

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.conditions import is_met
from hypothesis import given
from hypothesis import strategies as st

VALUES = {"ROS_VERSION": "1", "ROS_DISTRO": "noetic", "ROS_PYTHON_VERSION": "3"}


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("$ROS_VERSION == 1", True),
        ("$ROS_VERSION==2", False),
        ("$ROS_VERSION != 2", True),
        ('"$ROS_VERSION" == "$ROS_VERSION"', True),
        ("$ROS_DISTRO == 'noetic'", True),
        ("$ROS_DISTRO >= melodic and $ROS_VERSION == 1", True),
        ("$ROS_VERSION == 2 or $ROS_VERSION == 1 and $ROS_PYTHON_VERSION == 2", False),
        ("($ROS_VERSION == 2 or $ROS_VERSION == 1) and $ROS_PYTHON_VERSION == 3", True),
        ("$ROS_VERSION == 1 or $ROS_VERSION == 2 and $ROS_PYTHON_VERSION == 2", True),
        ("1 < 2", True),
    ],
)
def test_what_can_be_judged_is(condition: str, met: bool) -> None:
    assert is_met(condition, VALUES) is met


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "it ends early"),
        ("$ROS_VERSION", "it ends early"),
        ("$ROS_VERSION ==", "it ends early"),
        ("$HOME == x", "nobody knows $HOME here"),
        ("$ROS_VERSION is 1", "'is' compares nothing"),
        ("$ROS_VERSION == 1 2", "'2' is not expected"),
        ("($ROS_VERSION == 1", "it ends early"),
        ("$ROS_VERSION == 1)", "')' is not expected"),
        ("( 1 == 1 == 1", "a parenthesis is not closed"),
        ("== 1 1", "'==' is no value"),
        ("1 == `id`", "'`id`' is not part of a condition"),
        ("(" * 20 + "1==1" + ")" * 20, "it has too many parentheses"),
        ("1==1 or " * 200 + "1==1", "it is longer than 1000 characters"),
    ],
)
def test_what_cannot_be_judged_says_why(condition: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        is_met(condition, VALUES)


@given(st.text(alphabet="$ROS_VERSION=1()<>!\"' andor", max_size=60))
def test_any_text_is_judged_or_said_to_be_none(condition: str) -> None:
    try:
        said: object = is_met(condition, VALUES)
    except ValueError as error:
        said = str(error)
    assert said in {True, False} or said
