"""Build artifacts go from a build host's BuildStream cache to a real artifact server."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream import push as buildstream_push
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import Build, Project, run_bst
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.push import publish_artifacts
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.servers import Artifact, Server
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from artifactserver import BST, ArtifactServer

SYSTEM = "systems/tiny-system-x86_64.bst"
BUILD = Build("x86_64", (SYSTEM,), {"arch": "x86_64"})
ELEMENTS = ["base.bst", "hello.bst", SYSTEM]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_definitions: Path) -> Project:
    """A build host's cache with one built system."""
    top = tmp_path_factory.mktemp("host")
    config = top / "buildstream.conf"
    config.write_text(f"cachedir: {top}/cache\nsourcedir: {top}/sources\nlogdir: {top}/logs\n", encoding="utf-8")
    project = Project(tiny_definitions, config, BST)
    done = run_bst(project, "--option", "arch", "x86_64", "build", SYSTEM, attempt="build in", timeout=120)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ArtifactServer]:
    made = ArtifactServer(tmp_path / "server").start()
    yield made
    made.stop()


def push(project: Project, url: str, logs: Path, *, write: bool = True) -> buildstream_push.Outcome:
    return publish_artifacts(project, [BUILD], Server(url), log_directory=logs, timeout=120, write=write)


def elements(artifacts: list[Artifact]) -> list[str]:
    return [artifact.element for artifact in artifacts]


def test_a_server_gets_the_system_and_all_it_was_built_from_once(
    built: Project, server: ArtifactServer, tmp_path: Path
) -> None:
    would = push(built, server.url, tmp_path / "logs", write=False)
    assert (elements(would.missing), would.pushed) == (ELEMENTS, [])
    assert not list((server.directory / "assets/objects").glob("*/*"))
    assert not (tmp_path / "logs").exists()

    first = push(built, server.url, tmp_path / "logs")
    assert elements(first.pushed) == ELEMENTS
    assert "Pushed artifact" in (tmp_path / "logs/push-x86_64.log").read_text()
    again = push(built, server.url, tmp_path / "logs")
    assert (again.missing, again.pushed, again.total) == ([], [], 3)

    # Another host takes the system from there with nothing but its name.
    other = tmp_path / "other"
    (other / "project").mkdir(parents=True)
    (other / "project/project.conf").write_text("name: slipway-test\nmin-version: 2.8\n")
    config = other / "bst.conf"
    config.write_text(f"cachedir: {other}/cache\nartifacts:\n  servers:\n  - url: {server.url}\n")
    words = ["artifact", "checkout", "--deps", "none", "--directory", str(other / "tree"), first.pushed[-1].name]
    host = Project(other / "project", config, BST)
    assert run_bst(host, "artifact", "pull", first.pushed[-1].name, attempt="pull in", timeout=60).returncode == 0
    assert run_bst(host, *words, attempt="check out in", timeout=60).returncode == 0
    assert (other / "tree/etc/hello").read_text() == "hello from x86_64\n"

    # What the index has lost, and what it names though a file of it is gone, is pushed again, and only that.
    server.forget(first.pushed[1].name)
    assert elements(push(built, server.url, tmp_path / "logs").pushed) == ["hello.bst"]
    lost = server.largest()
    lost.unlink()
    assert elements(push(built, server.url, tmp_path / "logs", write=False).missing) == ELEMENTS
    assert not lost.exists()
    assert elements(push(built, server.url, tmp_path / "logs").pushed) == ELEMENTS
    assert lost.exists()
    assert push(built, server.url, tmp_path / "logs").missing == []


def test_a_server_that_is_away_is_one_failure_soon(built: Project, server: ArtifactServer, tmp_path: Path) -> None:
    server.stop()
    begun = time.monotonic()
    with pytest.raises(SlipwayError, match="Could not ask which artifacts are in http://127.0.0.1.*UNAVAILABLE"):
        push(built, server.url, tmp_path / "logs")
    assert time.monotonic() - begun < 30


def test_a_server_that_fails_midway_is_a_failure_that_names_what_is_missing(
    built: Project, server: ArtifactServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = buildstream_push.find_missing

    def asked_then_gone(*words, **more):
        answer = real(*words, **more)
        server.stop()
        return answer

    monkeypatch.setattr(buildstream_push, "find_missing", asked_then_gone)
    begun = time.monotonic()
    with pytest.raises(SlipwayError) as failure:
        push(built, server.url, tmp_path / "logs")
    assert time.monotonic() - begun < 60
    assert [finding.split()[1] for finding in failure.value.findings] == ELEMENTS
    assert "UNAVAILABLE" in str(failure.value)
    monkeypatch.undo()
    server.start()
    assert elements(push(built, server.url, tmp_path / "logs").pushed) == ELEMENTS


def test_a_server_that_cannot_keep_its_index_is_a_failure_that_names_what_is_missing(
    built: Project, server: ArtifactServer, tmp_path: Path
) -> None:
    shutil.rmtree(server.directory / "assets")
    (server.directory / "assets").write_text("in the way")
    with pytest.raises(SlipwayError) as failure:
        push(built, server.url, tmp_path / "logs")
    assert [finding.split()[1] for finding in failure.value.findings] == ELEMENTS


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can make a small disk")
def test_a_server_whose_disk_is_full_is_a_failure_that_says_so(
    built: Project, server: ArtifactServer, tmp_path: Path
) -> None:
    server.stop()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40M", "slipway-test", server.directory], check=True)
    try:
        server.start("--reserved=1M")
        free = os.statvfs(server.directory)
        (server.directory / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
        with pytest.raises(
            SlipwayError, match=r"its disk is full: it refuses a file: .*OutOfSpace.*; x86_64: "
        ) as failure:
            push(built, server.url, tmp_path / "logs")
        assert [finding.split()[1] for finding in failure.value.findings] == ELEMENTS
        (server.directory / "filler").unlink()
        server.stop()
        server.start("--reserved=1M")
        assert elements(push(built, server.url, tmp_path / "logs").pushed) == ELEMENTS
    finally:
        server.stop()
        subprocess.run(["umount", server.directory], check=True)


def test_what_neither_side_has_is_named_and_nothing_is_pushed(
    built: Project, server: ArtifactServer, tmp_path: Path
) -> None:
    shutil.copytree(built.config.parent / "cache", tmp_path / "cache", symlinks=True, copy_function=os.link)
    config = tmp_path / "buildstream.conf"
    config.write_text(f"cachedir: {tmp_path}/cache\nlogdir: {tmp_path}/bst-logs\n", encoding="utf-8")
    shutil.rmtree(tmp_path / "cache/artifacts/refs/slipway-test/hello")
    with pytest.raises(SlipwayError, match="neither the server nor the cache") as failure:
        push(Project(built.directory, config, BST), server.url, tmp_path / "logs")
    assert [finding.split()[1] for finding in failure.value.findings] == ["hello.bst"]
    assert not list((server.directory / "assets/objects").glob("*/*"))
