"""Who builds for which architecture, by what the hosts say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.request import find_builders


def test_the_hosts_of_each_architecture_are_found() -> None:
    assert find_builders({"a": ["x86_64", "x86_32"], "b": ["x86_64"]}) == {"x86_64": ["a", "b"], "x86_32": ["a"]}
    assert find_builders({"a": []}) == find_builders({}) == {}


@pytest.mark.parametrize(
    ("said", "reason"), [("", "missing"), (None, "missing"), ("x86_64", "not a list"), ([1], "not")]
)
def test_a_build_host_that_does_not_say_what_it_builds_for_is_refused(said: Any, reason: str) -> None:
    with pytest.raises(SlipwayError, match=f"what the build host a builds for: build_host_architectures is {reason}"):
        find_builders({"a": said})
