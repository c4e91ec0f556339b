"""The definitions are read at one commit, wherever they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.release import make_plan
from planning import head, refused


def test_definitions_elsewhere_are_planned_like_those_on_this_machine(trove, request_):
    here = make_plan(request_).plan
    there = make_plan(replace(request_, url=f"file://{trove.bare}")).plan
    assert there["definitions"].pop("url") != here["definitions"].pop("url")
    assert there == here


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_commit_that_is_not_in_the_definitions_is_refused(trove, request_, scheme):
    said = str(refused(replace(request_, url=f"{scheme}{trove.bare}", ref="0" * 40)))
    assert f"{scheme}{trove.bare}" in said
    assert "0" * 40 in said


@pytest.mark.parametrize(
    ("cluster", "hint"),
    [
        ("release", " (did you mean clusters/release.morph?)"),
        ("cluster/release.morph", " (did you mean clusters/release.morph?)"),
        ("clusters/relaese.morph", " (did you mean clusters/release.morph?)"),
        ("clusters/xyz.yml", ""),
        ("elements/systems", ""),
    ],
)
def test_a_missing_cluster_is_refused_and_a_near_one_named(trove, request_, cluster, hint):
    said = str(refused(replace(request_, cluster=cluster)))
    path = cluster if "/" in cluster else f"{cluster}.morph"
    assert said.startswith(
        f"Could not read the cluster {path}: there is no such file in "
        f"baserock/baserock/definitions at {head(trove)[:12]}{hint}. Nothing was changed."
    )


def test_links_inside_the_definitions_are_followed_and_others_are_not(trove, request_, tmp_path):
    (trove.work / "clusters/link.morph").symlink_to("release.morph")
    (trove.work / "clusters/outside.morph").symlink_to("/etc/hostname")
    (trove.work / "clusters/dangling.morph").symlink_to("nothing.morph")
    trove.commit({})
    assert len(make_plan(replace(request_, cluster="clusters/link.morph")).plan["deployments"]) == 3
    for name in ("outside", "dangling"):
        assert "there is no such file" in str(refused(replace(request_, cluster=f"clusters/{name}.morph")))
