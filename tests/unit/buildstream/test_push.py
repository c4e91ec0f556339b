"""What is pushed to an artifact server, without one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream import push
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.ask import BATCH_BYTES, _split_batches
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import Build, Project
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.push import (
    DIRECTORY_SETTINGS,
    complete_artifacts,
    isolate_configuration,
    publish_artifacts,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.servers import (
    Artifact,
    AwayError,
    Server,
    find_interpreter,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress

CONFIG = """\
# Written by the provisioning.
cachedir: /srv/cache
sourcedir: /srv/cache/sources
"logdir":
  /srv/logs
cache:
  cache-buildtrees: never
  quota: 10G
projects:
  mini:
    mirrors:
    - name: site
      aliases:
        trove: ["file:///srv/trove/"]
"""


@dataclass(frozen=True)
class Digest:
    hash: str
    size_bytes: int


def test_a_look_keeps_its_things_elsewhere_and_all_other_settings(tmp_path):
    config = tmp_path / "bst.conf"
    config.write_text(CONFIG)
    before, after = yaml.safe_load(CONFIG), yaml.safe_load(isolate_configuration(config, tmp_path))
    assert {name: after.pop(name) for name in DIRECTORY_SETTINGS} == {
        name: str(tmp_path / name) for name in DIRECTORY_SETTINGS
    }
    assert after == {name: value for name, value in before.items() if name not in DIRECTORY_SETTINGS}


def test_a_look_without_a_configuration_has_one(tmp_path):
    assert yaml.safe_load(isolate_configuration(None, tmp_path)).keys() == set(DIRECTORY_SETTINGS)


@pytest.mark.parametrize(
    ("head", "python"),
    [
        ("#!/opt/bst/bin/python3\nimport re\n", "/opt/bst/bin/python3"),
        ("#!/opt/bst/bin/python3.11\n", "/opt/bst/bin/python3.11"),
        ("#!/bin/sh\n'''exec' /very/long/bin/python3 \"$0\" \"$@\"\n' '''\n", "/very/long/bin/python3"),
        ("#!/bin/sh\n'''exec' \"/with a space/bin/python3\" \"$0\" \"$@\"\n' '''\n", "/with a space/bin/python3"),
    ],
)
def test_the_python_of_bst_is_read_from_its_first_lines(tmp_path, head, python):
    program = tmp_path / "bst"
    program.write_text(head)
    program.chmod(0o755)
    assert find_interpreter(str(program)) == python


def test_a_bst_that_is_not_python_is_refused(tmp_path):
    program = tmp_path / "bst"
    program.write_text("#!/bin/sh\nexec /opt/bst/bin/bst\n")
    program.chmod(0o755)
    with pytest.raises(SlipwayError, match="names no Python"):
        find_interpreter(str(program))
    with pytest.raises(SlipwayError, match="there is no such program"):
        find_interpreter(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        (Server("git.example.org:50052"), "is not of the form"),
        (Server("http://git.example.org,push=true"), "is not of the form"),
        (Server("https://git.example.org", server_cert=Path("/absent/ca.pem")), "/absent/ca.pem is not there"),
        (Server("https://git.example.org", client_key=Path(sys.executable)), "only one of the client"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_asked(tmp_path, server, fault):
    with pytest.raises(SlipwayError, match=fault):
        publish_artifacts(Project(tmp_path), [], server, log_directory=tmp_path, timeout=1)


def test_a_directory_without_a_project_is_refused(tmp_path):
    builds = [Build("x86_64", ("one.bst",))]
    with pytest.raises(SlipwayError, match="has no project.conf"):
        publish_artifacts(Project(tmp_path), builds, Server("http://localhost:1"), log_directory=tmp_path, timeout=1)


def test_an_answer_never_grows_over_its_limit():
    digests = [
        Digest(str(number), size) for number, size in enumerate([10, BATCH_BYTES - 300, 300, BATCH_BYTES + 1, 5])
    ]
    batches = [[digest.hash for digest in batch] for batch in _split_batches(digests)]
    assert batches == [["0"], ["1"], ["2"], ["3"], ["4"]]
    many = [Digest(str(number), 0) for number in range(30_000)]
    batches = list(_split_batches(many))
    assert [digest for batch in batches for digest in batch] == many
    assert max(len(batch) for batch in batches) * 200 <= BATCH_BYTES


SYSTEM, PART, OTHER = (
    Artifact("x86_64", f"{name}.bst", f"mini/{name}/{'0' * 64}") for name in ("sys", "part", "other")
)


@pytest.fixture
def completed(tmp_path, monkeypatch):
    """Completes what a server has of a system; the caller says what the server and this host have, before and after."""
    (tmp_path / "project.conf").write_text("name: mini\n")
    pushed = []

    def complete(answers, *, here, away=0.0):
        left = list(answers)

        def find(*_words):
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return {artifact.name: "gone" for artifact in answer}

        monkeypatch.setattr(push, "find_missing", find)
        monkeypatch.setattr(push, "explain_refusal", lambda *_words: ["its disk is full"])
        monkeypatch.setattr(push, "is_cached", lambda _config, name: name in [artifact.name for artifact in here])
        monkeypatch.setattr(
            push, "_push_elements", lambda _project, _build, elements, *_, **__: pushed.append(elements) or []
        )
        found = complete_artifacts(
            Project(tmp_path),
            [Build("x86_64", (SYSTEM.element,))],
            [PART, OTHER, SYSTEM],
            Server("http://cache:1"),
            log_directory=tmp_path,
            timeout=1,
            away_timeout=away,
            progress=Progress(tmp_path / "progress"),
            sleep=lambda _seconds: None,
        )
        return found, pushed

    return complete


def away():
    return AwayError("ask which artifacts are in", "http://cache:1", "UNAVAILABLE: refused", do_next="Wait.")


def test_a_server_gets_what_this_host_has_and_need_not_get_what_nobody_needed(completed):
    assert completed([[]], here=[SYSTEM]) == ([], [])
    found, pushed = completed([[PART, OTHER, SYSTEM], []], here=[PART, SYSTEM])
    assert (found, pushed) == ([PART, SYSTEM], [["part.bst", "sys.bst"]])


def test_a_server_that_comes_back_in_the_middle_is_waited_for(completed):
    answers = [away(), [SYSTEM], away(), [SYSTEM], []]
    assert completed(answers, here=[SYSTEM], away=60)[1] == [["sys.bst"], ["sys.bst"]]


def test_what_a_server_does_not_get_is_named(completed):
    with pytest.raises(SlipwayError, match="neither the server nor the cache of this host has all of them"):
        completed([[SYSTEM]], here=[])
    with pytest.raises(SlipwayError, match=r"push 1 of 2 artifacts to http://cache:1: its disk is full") as caught:
        completed([[PART, SYSTEM], [PART]], here=[PART, SYSTEM])
    assert caught.value.findings == [f"{PART}: gone"]
    with pytest.raises(SlipwayError, match="was waited for 0 s and does not answer: UNAVAILABLE: refused") as caught:
        completed([away()], here=[SYSTEM])
    assert caught.value.findings == [f"{SYSTEM} may not be there"]
