"""What a module reads of an entry of a list is there before it acts, or the entry is refused by name."""

from __future__ import annotations

import pytest
from publishing import run_module

DEPLOYMENT = {
    "name": "minimal",
    "system": "systems/minimal.bst",
    "system_name": "minimal",
    "architecture": "x86_64",
    "type": "tar",
    "location": "minimal.tar",
    "file": "slipway-26.47-minimal.tar",
}


@pytest.mark.parametrize("field", ["system", "system_name", "architecture", "type", "location", "file"])
def test_a_deployment_is_whole_before_its_file_is_made(field, tmp_path):
    asked = {
        "deployments": [{name: value for name, value in DEPLOYMENT.items() if name != field}],
        "directory": str(tmp_path / "images"),
        "label": "slipway-26.47",
        "artifacts": {},
        "version": "26.47",
        "epoch": 0,
    }
    answer = run_module("system_deploy", asked)
    assert answer["msg"].startswith(f"Could not deploy slipway-26.47: number 1 (minimal) has no {field}.")
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    ("module", "more"),
    [
        ("buildstream_build", {"project": "/nowhere"}),
        ("distbuild_submit", {"repo": "r", "ref": "x", "controllers": {"x86_64": "127.0.0.1:1"}}),
    ],
)
def test_what_an_earlier_build_returned_is_whole(module, more, tmp_path):
    asked = {
        "systems": [{"name": "a", "file": "systems/a.morph", "architecture": "x86_64"}],
        "previous": [{"element": "systems/a.morph", "key": "k", "artifact": "k.system.a"}],
        "log_directory": str(tmp_path / "logs"),
        **more,
    }
    answer = run_module(module, asked)
    assert "number 1 (systems/a.morph) has no architecture. Give its elements as they are" in answer["msg"]
    assert not (tmp_path / "logs").exists()
