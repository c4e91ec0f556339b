"""What is told of the steps of a build, and what their failures are taken for."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.log import BuildLog
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.steps import Steps

REASON = "Building failed for gcc-misc"


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    found = Steps(BuildLog(tmp_path))
    for name in ("gcc", "gcc-doc"):
        found.begin(name, worker="arm:1", joined=False, now=10.0)
    return found


def test_an_artifact_on_its_way_is_of_the_running_step_with_the_longest_name_that_it_begins_with(steps: Steps) -> None:
    steps.note_transfer("Transferring gcc-doc-man to shared artifact cache")
    assert (
        steps.fail("gcc-doc", worker="arm:1", now=12.0)[1] == "Transfer of gcc-doc-man to shared artifact cache failed"
    )
    assert steps.fail("gcc", worker="arm:1", now=12.0)[1] == "Build of gcc failed"


def test_what_is_built_and_not_stored_is_no_fault_of_its_source(steps: Steps) -> None:
    steps.note_output("gcc", "Transferring gcc-misc to shared artifact cache")
    steps.fail("gcc", worker="arm:1", now=12.0)
    assert "was built on arm:1, but gcc-misc could not be stored" in steps.describe_failure(REASON)
    assert "Nothing is wrong with its source" in steps.advise(REASON)


def test_a_step_that_failed_and_is_tried_again_is_not_what_a_later_failure_is_told_of(steps: Steps) -> None:
    steps.fail("gcc", worker="arm:1", now=12.0)
    assert "the step gcc failed on arm:1" in steps.describe_failure("Building failed")
    steps.lose(13.0)
    steps.reconnect()
    steps.begin("gcc", worker="arm:2", joined=False, now=20.0)
    assert steps.describe_failure("Failed to annotate build graph") == "Failed to annotate build graph"


def test_a_step_that_nobody_began_is_taken_as_it_is_told(steps: Steps) -> None:
    step = steps.finish("linux", worker="x86:1", now=30.0)
    assert (step.outcome, step.worker, step.seconds) == ("built", "x86:1", 0.0)
    assert steps.count_built() == 1
    assert steps.describe_running() == "gcc (arm:1), gcc-doc (arm:1)"
