"""What the Trove has of a release decides what is released."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from planning import head, refused


def test_the_release_branch_counts_once_it_is_there(trove, request_):
    released = trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    trove.commit({"later": "x"})
    plan = make_plan(request_).plan
    assert plan["definitions"]["commit"] == released == plan["remote"]["branch_commit"]
    assert plan["remote"]["ref_commit"] == head(trove)


@pytest.mark.parametrize("form", ["branch", "annotated tag", "plain tag", "commit", "full ref", "HEAD"])
def test_a_branch_a_tag_or_a_commit_can_be_released(trove, request_, form):
    wanted = trove.commit({"wanted": "x"}, branch="other")
    trove.tag("annotated")
    trove.tag("plain", annotated=False)
    later = trove.commit({"later": "x"})
    ref, commit = {
        "branch": ("other", wanted),
        "annotated tag": ("annotated", wanted),
        "plain tag": ("plain", wanted),
        "commit": (wanted, wanted),
        "full ref": ("refs/heads/other", wanted),
        "HEAD": ("HEAD", later),
    }[form]
    assert make_plan(replace(request_, ref=ref)).plan["definitions"]["commit"] == commit


def test_the_releases_before_and_after_are_found(trove, request_):
    for version in ("26.45", "26.46", "26.47rc1", "26.48"):
        trove.tag(f"baserock-{version}")
        trove.commit({"version": version})
    remote = make_plan(request_).plan["remote"]
    assert remote["previous_tag"] == "baserock-26.46"
    assert remote["previous_commit"] == trove.run("rev-parse", "baserock-26.46^{commit}")
    assert remote["newer_tags"] == ["baserock-26.48"]


def test_a_release_that_is_tagged_already_can_be_planned_again(trove, request_):
    trove.push("HEAD:refs/heads/baserock/release/baserock-26.47")
    trove.tag("baserock-26.47")
    trove.commit({"later": "x"})
    remote = make_plan(request_).plan["remote"]
    assert remote["tag_commit"] == remote["branch_commit"]


def test_definitions_that_cannot_be_reached_are_told_with_the_reason_of_git(request_, tmp_path):
    nowhere = tmp_path / "nowhere.git"
    assert str(refused(replace(request_, url=str(nowhere)))) == (
        f"Could not reach the definitions at {nowhere}: '{nowhere}' does not appear to be a git repository. "
        "Provision the Trove (playbooks/provision.yml), or correct release_definitions_url, and run again."
    )
    said = str(refused(replace(request_, url="http://someone:secret@127.0.0.1:1/definitions.git")))
    assert said.startswith("Could not reach the definitions at http://127.0.0.1:1/definitions.git: unable to access")
    assert "secret" not in said
