"""Systems are built by remote execution, for real, and everything is in the cache in the end."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.build import (
    build_all,
    find_built,
    find_unheld,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.cache import find_cache
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import Build, Project
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.servers import (
    Artifact,
    Server,
    find_missing,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.session import BuiltElement
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from artifactserver import BST, ArtifactServer
from buildstream._protos.build.bazel.remote.asset.v1 import remote_asset_pb2, remote_asset_pb2_grpc
from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2, remote_execution_pb2_grpc
from buildstream._protos.buildstream.v2 import artifact_pb2
from buildstream._protos.google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

SYSTEM = "systems/tiny-system-x86_64.bst"
BUILD = Build("x86_64", (SYSTEM,), {"arch": "x86_64"})
#: BuildStream would try for 40 s to reach a server that is away.
AT_ONCE = "connection-config: {retry-limit: 0, request-timeout: 5}"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[ArtifactServer]:
    made = ArtifactServer(tmp_path / "farm").start(farm=True)
    yield made
    made.stop()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ArtifactServer]:
    made = ArtifactServer(tmp_path / "cache").start()
    yield made
    made.stop()


def host(top: Path, definitions: Path, *, execution: str = "", storage: str = "", cache: str = "") -> Project:
    """A build host with nothing in its cache."""
    top.mkdir()
    lines = [f"cachedir: {top}/cache", f"sourcedir: {top}/sources", f"logdir: {top}/logs"]
    if execution:
        lines += ["remote-execution:", f"  execution-service: {{url: '{execution}'}}"]
        lines += [f"  storage-service: {{url: '{storage}'}}"]
    if cache:
        lines += ["artifacts:", "  servers:", f"  - {{url: '{cache}', push: true, {AT_ONCE}}}"]
    config = top / "buildstream.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Project(definitions, config, BST)


def built(project: Project, *, away: float = 0, queue: float = 60) -> list[BuiltElement]:
    top = project.config.parent
    return build_all(
        project,
        [BUILD],
        log_directory=top / "kept",
        timeout=120,
        progress=Progress(top / "progress"),
        away_timeout=away,
        queue_timeout=queue,
    )[0]


def said(project: Project) -> str:
    return (project.config.parent / "progress").read_text()


def files(project: Project, element: BuiltElement) -> str:
    """The digest of all of an artifact's files."""
    described = (find_cache(project.config) / "artifacts/refs" / element.artifact).read_bytes()
    return str(artifact_pb2.Artifact.FromString(described).files.hash)


def test_a_system_is_built_on_a_farm_with_the_bytes_of_a_local_build(
    tiny_definitions: Path, farm: ArtifactServer, cache: ArtifactServer, tmp_path: Path
) -> None:
    remote = host(tmp_path / "remote", tiny_definitions, execution=farm.url, storage=farm.url, cache=cache.url)
    local = host(tmp_path / "local", tiny_definitions)
    (there,), (here,) = built(remote), built(local)
    assert there.key == here.key
    assert files(remote, there) == files(local, here) != ""
    assert "x86_64: hello.bst has run (the farm: 1 done)" in said(remote)
    assert "the farm" not in said(local)
    refs = find_cache(remote.config) / "artifacts/refs"
    artifacts = [
        Artifact("x86_64", "", path.relative_to(refs).as_posix()) for path in refs.glob("*/*/*") if path.is_file()
    ]
    assert len(artifacts) >= 3
    assert find_missing(remote, Server(cache.url), artifacts) == {}

    # The next run asks the cache again, and pushes what it has lost, which the run itself did not.
    previous = {("x86_64", SYSTEM): (there.key, there.artifact)}
    known = find_built(remote, [BUILD], previous)
    assert find_unheld(remote, known) == set()
    cache.largest().unlink()
    assert find_unheld(remote, known) == {"x86_64"}
    assert [each.cached for each in built(remote)] == [True]
    assert find_unheld(remote, known) == set()
    cache.stop()
    assert find_unheld(remote, known) == {"x86_64"}


def test_what_the_cache_did_not_get_while_it_was_away_gets_there_when_it_is_back(
    tiny_definitions: Path, cache: ArtifactServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.push.AWAY_INTERVAL", 0.5
    )
    project = host(tmp_path / "host", tiny_definitions, cache=cache.url)
    cache.stop()
    progress = tmp_path / "host/progress"

    def come_back() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (progress.exists() and "is waited for" in progress.read_text()):
            time.sleep(0.1)
        cache.start()

    with ThreadPoolExecutor() as pool:
        back = pool.submit(come_back)
        (element,) = built(project, away=60)
        back.result()
    assert re.search(rf"{cache.url} does not answer, and is waited for \d+ s more: UNAVAILABLE", said(project))
    assert f"3 artifacts did not get to {cache.url} yet" in said(project)
    assert find_missing(project, Server(cache.url), [Artifact("x86_64", SYSTEM, element.artifact)]) == {}


def test_a_cache_that_stays_away_is_a_failure_that_names_what_it_did_not_get(
    tiny_definitions: Path, cache: ArtifactServer, tmp_path: Path
) -> None:
    project = host(tmp_path / "host", tiny_definitions, cache=cache.url)
    cache.stop()
    with pytest.raises(SlipwayError, match=f"Could not push what was built to {cache.url}: .*UNAVAILABLE") as caught:
        built(project)
    assert [SYSTEM in finding for finding in caught.value.findings] == [True]


class NobodyThere(remote_execution_pb2_grpc.ExecutionServicer, operations_pb2_grpc.OperationsServicer):
    """A scheduler to which no worker came."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def Execute(self, _request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        operation = operations_pb2.Operation(name="job/1")
        operation.metadata.Pack(
            remote_execution_pb2.ExecuteOperationMetadata(stage=remote_execution_pb2.ExecutionStage.QUEUED)
        )
        while context.is_active():
            yield operation
            time.sleep(0.2)

    def CancelOperation(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.cancelled.set()
        return empty_pb2.Empty()


def test_a_job_that_no_worker_takes_ends_within_its_limit_by_name(
    tiny_definitions: Path, farm: ArtifactServer, tmp_path: Path
) -> None:
    scheduler = NobodyThere()
    server = grpc.server(ThreadPoolExecutor(4))
    remote_execution_pb2_grpc.add_ExecutionServicer_to_server(scheduler, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(scheduler, server)
    url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        project = host(tmp_path / "host", tiny_definitions, execution=url, storage=farm.url)
        began = time.monotonic()
        with pytest.raises(SlipwayError) as caught:
            built(project, queue=2)
        assert time.monotonic() - began < 30
        assert re.fullmatch(
            r"x86_64: hello.bst failed to build \(No worker of the farm took it for 2 s: it wants ISA=x86-64 "
            rf"OSFamily=linux.*\), so {SYSTEM} was not built; its log is .*",
            caught.value.findings[0],
        )
        assert "x86_64: hello.bst waits for a worker with ISA=x86-64 OSFamily=linux" in said(project)
        assert scheduler.cancelled.wait(10), "the job is still in the scheduler's queue"
    finally:
        server.stop(None)


class Index(remote_asset_pb2_grpc.FetchServicer):
    """An index that knows nothing, and tells it only to those who show the token."""

    def FetchBlob(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if ("authorization", "Bearer sesame") not in [tuple(each) for each in context.invocation_metadata()]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who is there?")
        if request.instance_name != "releases":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such instance")
        context.abort(grpc.StatusCode.NOT_FOUND, "")
        return remote_asset_pb2.FetchBlobResponse()


def test_a_cache_is_asked_with_tls_token_and_instance(tiny_definitions: Path, tmp_path: Path) -> None:
    key, certificate, token = (tmp_path / name for name in ("key", "certificate", "token"))
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=cache", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    remote_asset_pb2_grpc.add_FetchServicer_to_server(Index(), server)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    url = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    project = Project(tiny_definitions, None, BST)
    artifact = Artifact("x86_64", "hello.bst", f"slipway-test/hello/{'0' * 64}")
    try:
        for word, answer in (("sesame\n", {artifact.name: "it is not in the index"}), ("other", None)):
            descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(descriptor, word.encode())
            os.close(descriptor)
            asked = Server(url, server_cert=certificate, access_token=token, instance="releases")
            if answer is None:
                with pytest.raises(SlipwayError, match="UNAUTHENTICATED: who is there"):
                    find_missing(project, asked, [artifact])
            else:
                assert find_missing(project, asked, [artifact]) == answer
    finally:
        server.stop(None)
