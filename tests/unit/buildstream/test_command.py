"""The command bst is asked for keys and names."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    Build,
    Project,
    group_systems,
    name_artifact,
    show_elements,
)
from bstlogs import KEYS, SHOWN, for_architecture, play


def test_systems_are_built_by_architecture_with_its_options() -> None:
    systems = [
        {"name": "minimal-x86_64", "file": "systems/minimal.bst", "architecture": "x86_64"},
        {"name": "minimal-x86_32", "file": "systems/minimal.bst", "architecture": "x86_32"},
        {"name": "initramfs", "file": "systems/initramfs.bst", "architecture": "x86_64"},
    ]
    assert group_systems(systems, {"x86_64": {"arch": "x86_64"}}) == [
        Build("x86_64", ("systems/minimal.bst", "systems/initramfs.bst"), {"arch": "x86_64"}),
        Build("x86_32", ("systems/minimal.bst",), {}),
    ]


def test_show_reads_keys_states_and_dependencies(project: Project) -> None:
    play(project, "show", "x86_64", SHOWN)
    nodes = show_elements(project, for_architecture("x86_64", "systems/broken.bst"))
    assert nodes["systems/broken.bst"].dependencies == ("one.bst", "bad.bst")
    assert nodes["base.bst"].dependencies == ()
    assert nodes["bad.bst"].state == "failed"
    assert {name: node.key for name, node in nodes.items()} == KEYS


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ("systems/minimal-system-x86_64.bst", "systems-minimal-system-x86_64"),
        ("a b/ü+c.bst", "a_b-__c"),
    ],
)
def test_an_artifact_has_the_name_that_bst_gives_it(project: Project, element: str, name: str) -> None:
    assert name_artifact(project, element, "k") == f"mini/{name}/k"
