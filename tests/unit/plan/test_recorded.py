# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.inputs import describe_inputs
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.recorded import recall_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record


def keep(state: Path, stage: str, **parts: object) -> None:
    record = {"stage": stage, "project": "baserock", "version": "26.47", "inputs": {}, "outputs": {}, **parts}
    keep_record(state / "releases/26.47/records", {**record, "tools": parts.get("tools", {})})


def test_a_release_is_known_by_its_records_and_without_them_by_its_name(tmp_path: Path) -> None:
    found = recall_plan("baserock", "26.47", state_directory=str(tmp_path), coordinator="here")
    assert (found.plan["label"], found.plan["definitions"], found.records) == ("baserock-26.47", None, {})
    assert "there is no record of baserock-26.47 here" in found.warnings[0]
    keep(tmp_path, "preflight", inputs={"definitions": "baserock/definitions", "commit": "c" * 40})
    found = recall_plan("baserock", "26.47", state_directory=str(tmp_path), coordinator="here")
    assert found.plan["definitions"] == {"path": "baserock/definitions", "commit": "c" * 40}
    assert (found.plan["tag"], found.warnings) == ("baserock-26.47", [])
    assert (found.plan["move"], found.plan["left_out"], found.plan["products"]) == (None, [], [])
    with pytest.raises(SlipwayError, match="it holds a slash"):
        recall_plan("baserock", "../26.47", state_directory=str(tmp_path), coordinator="here")


def test_the_inputs_are_those_on_record_and_name_no_directory_of_this_machine(tmp_path: Path) -> None:
    system = {"name": "base-x86_64", "file": "base.bst", "architecture": "x86_64"}
    definitions = {"url": "/srv/trove/x.git", "path": "baserock/definitions", "commit": "c" * 40}
    plan = {
        **recall_plan("baserock", "26.47", state_directory=str(tmp_path), coordinator="here").plan,
        **{"definitions": definitions, "systems": [system]},
    }
    records = {
        "build-base-x86_64": {
            "inputs": {"options": {"arch": "x86_64"}},
            "outputs": {"key": "k"},
            "tools": {"bst": "2.4"},
        },
        "package": {"inputs": {"level": 6}, "outputs": {}, "tools": {"pigz": "2.6"}},
        "tag": {"tools": {"git": "2"}},
    }
    found = describe_inputs(plan, records)
    assert found["tools"] == {"bst": ["2.4"], "pigz": ["2.6"]}
    assert found["systems"] == [{**system, "key": "k", "options": {"arch": "x86_64"}}]
    assert found["definitions"]["url"] is None
    for url in ("https://user:secret@git.example.org/x.git", "git@git.example.org:x.git"):
        told = describe_inputs({**plan, "definitions": {**definitions, "url": url}}, records)["definitions"]["url"]
        assert told is not None
        assert "secret" not in told
