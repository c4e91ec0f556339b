from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.release.plugins.filter.hosts_by_architecture import hosts_by_architecture


def test_the_hosts_of_each_architecture_are_found_in_the_inventory():
    hostvars = {"a": {"build_host_architectures": ["x86_64", "x86_32"]}, "b": {"build_host_architectures": ["x86_64"]}}
    assert hosts_by_architecture(["a", "b"], hostvars) == {"x86_64": ["a", "b"], "x86_32": ["a"]}
    assert hosts_by_architecture([], hostvars) == {}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "missing"),
        ({"build_host_architectures": "x86_64"}, "not a list of names"),
        ({"build_host_architectures": [1]}, "not"),
    ],
)
def test_a_build_host_that_does_not_say_what_it_builds_for_is_refused(variables, reason):
    with pytest.raises(AnsibleFilterError, match=f"the build host a builds for: its variable .* is {reason}"):
        hosts_by_architecture(["a"], {"a": variables})
