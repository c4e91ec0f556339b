from __future__ import annotations

import json

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import (
    keep_record,
    load_record,
    load_records,
)


def record(**changes):
    return {
        "stage": "branch",
        "project": "baserock",
        "version": "26.47",
        "inputs": {"cluster": "clusters/release.morph"},
        "outputs": {"commit": "a" * 40},
        "tools": {"git": "2.39"},
        "started": "2026-11-21T00:00:00Z",
        "ended": "2026-11-21T00:00:01Z",
        **changes,
    }


def test_a_record_is_written_sealed_and_read_back(tmp_path):
    kept, before = keep_record(tmp_path, record())
    assert before is None
    assert load_record(tmp_path / "branch.json") == kept
    assert load_records(tmp_path) == {"branch": kept}


def test_the_same_work_leaves_the_record_with_its_times(tmp_path):
    first, _ = keep_record(tmp_path, record())
    text = (tmp_path / "branch.json").read_bytes()
    again, before = keep_record(tmp_path, record(ended="2030-01-01T00:00:00Z", tools={"git": "3"}))
    assert again == before == first
    assert (tmp_path / "branch.json").read_bytes() == text


def test_other_work_is_drift_and_each_difference_is_named(tmp_path):
    keep_record(tmp_path, record())
    with pytest.raises(SlipwayError) as caught:
        keep_record(tmp_path, record(outputs={"commit": "b" * 40, "more": 1}))
    assert caught.value.findings == [
        f'outputs.commit was "{"a" * 40}", is "{"b" * 40}"',
        "outputs.more was absent, is 1",
    ]
    assert "Could not confirm the stage branch of baserock 26.47" in str(caught.value)


def test_check_mode_writes_nothing(tmp_path):
    keep_record(tmp_path / "records", record(), write=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["outputs", "version", "started"])
def test_an_edited_record_is_named(tmp_path, field):
    keep_record(tmp_path, record())
    path = tmp_path / "branch.json"
    content = json.loads(path.read_text())
    content[field] = {"commit": "b" * 40} if field == "outputs" else "1"
    path.write_text(json.dumps(content))
    with pytest.raises(SlipwayError, match=r"trust the record .*branch\.json: it was edited"):
        load_record(path)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"stage": "branch"}', "\udce9"])
def test_a_damaged_record_is_named(tmp_path, text):
    path = tmp_path / "branch.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(SlipwayError, match=r"trust the record .*branch\.json"):
        load_record(path)


def test_a_record_that_nothing_was_built_on_is_replaced_when_that_is_wanted(tmp_path):
    first, _ = keep_record(tmp_path, record())
    now, before = keep_record(tmp_path, record(outputs={"commit": "b" * 40}), replace=True)
    assert before == first
    assert load_record(tmp_path / "branch.json") == now
    assert now["outputs"] == {"commit": "b" * 40}
