"""What tests with new packages say, when it is known what they say of the published ones."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import FAILED, GIVEN_BACK, Job
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.worker import Worker

Ran = tuple[int | None, dict[str, str]]
PASS: Ran = (0, {"one": "PASS", "two": "PASS"})
RED: Ran = (4, {"one": "PASS", "two": "FAIL non-zero exit status 1"})
WORSE: Ran = (4, {"one": "FAIL non-zero exit status 1", "two": "FAIL non-zero exit status 1"})
NO_TESTBED: Ran = (16, {})
BROKEN: Ran = (12, {})


class Tried(Worker):
    """A worker whose autopkgtest said this with the new packages, and that with the published ones."""

    new: Ran
    published: Ran

    def run_tests(self, tested: Path, step: str, debs: object = None) -> Ran:
        assert tested.suffix == ".dsc"
        assert (debs is not None) == step.endswith("-published")
        return self.new if debs is None else self.published


def judge(
    tmp_path: Path, source: str, new: Ran, published: Ran | None
) -> tuple[tuple[str, str] | None, Mapping[str, str]]:
    job = Job("library", "1.1", "bookworm", "amd64", "amd64", "library_1.1.dsc")
    worker = Tried(job, tmp_path, io.BytesIO())
    worker.log.write_text("E: no\n")
    worker.new, worker.published = new, published or PASS
    return worker.find_regression(source, f"{source}_1.dsc", published=published is not None), worker.tests


@pytest.mark.parametrize(
    ("source", "new", "published", "reason"),
    [
        ("user", PASS, RED, None),
        ("user", RED, RED, None),
        ("user", BROKEN, BROKEN, None),
        ("user", RED, PASS, "The tests of user pass with what is published, and fail with the new packages: two."),
        ("user", WORSE, RED, "The tests of user pass with what is published, and fail with the new packages: one."),
        (
            "user",
            BROKEN,
            PASS,
            "The tests of user pass with what is published, and fail with the new packages: the log says which.",
        ),
        ("library", RED, RED, None),
        ("library", RED, PASS, "Its tests pass with what is published, and fail with the new packages: two."),
        ("library", RED, None, "Its tests failed: two."),
        ("library", BROKEN, None, "Its tests failed: the log says which."),
        ("library", PASS, None, None),
    ],
)
def test_what_was_red_before_does_not_block(
    tmp_path: Path, source: str, new: Ran, published: Ran | None, reason: str | None
) -> None:
    fault, _tests = judge(tmp_path, source, new, published)
    assert fault == (None if reason is None else (FAILED, reason))


def test_each_test_is_told_with_what_it_was_before(tmp_path: Path) -> None:
    _fault, tests = judge(tmp_path, "user", WORSE, RED)
    said = "FAIL non-zero exit status 1"
    assert tests == {"user/one": said, "user/two": f"{said} (as before)"}


@pytest.mark.parametrize(("new", "published"), [(NO_TESTBED, PASS), (RED, NO_TESTBED), ((None, {}), PASS)])
def test_without_a_testbed_the_host_gives_the_build_back(tmp_path: Path, new: Ran, published: Ran) -> None:
    fault, _tests = judge(tmp_path, "user", new, published)
    assert fault is not None
    assert fault[0] == GIVEN_BACK
