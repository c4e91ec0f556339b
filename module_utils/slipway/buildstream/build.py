# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds systems with BuildStream 2 and checks them out of its cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..progress import Progress
from .cache import is_cached, read_setting
from .command import Build, Project, require_bst, require_project, run_bst
from .log import find_remote_faults
from .push import complete_artifacts
from .servers import Artifact, AwayError, Server, find_missing, read_servers
from .session import BuildError, BuiltElement, OnEvent, Session, extract_complaint, ignore_event

#: Seconds that an element may wait for a worker that takes it, and that an artifact server may be away.
QUEUE_TIMEOUT = 1800.0
AWAY_TIMEOUT = 600.0
#: What helps when an artifact cannot be taken out of the cache.
NOT_CACHED = "Run the build stage again, or name an artifact server that has it in BuildStream's configuration."
NOT_PULLED = (
    "Check that the server runs and that the build host pushes to it. If the server lost it, remove the record of the "
    "system's build, so that it is pushed again, and run again."
)


def find_built(
    project: Project, builds: Sequence[Build], previous: Mapping[tuple[str, str], tuple[str, str]]
) -> list[BuiltElement]:
    """Each wanted element, and whether it is in the cache, without starting ``bst`` or writing anything.

    ``previous`` holds key and artifact by architecture and element, as an earlier build of the same
    definitions with the same options returned them. What it does not hold counts as not built.
    """
    return [
        BuiltElement(element, build.architecture, key, artifact, bool(artifact) and is_cached(project.config, artifact))
        for build in builds
        for element in build.elements
        for key, artifact in [previous.get((build.architecture, element), ("", ""))]
    ]


def find_unheld(project: Project, known: Sequence[BuiltElement]) -> set[str]:
    """The architectures of those elements that an artifact server lacks to which the configuration says to push.

    One that does not answer is taken for one that lacks them.
    """
    artifacts = [Artifact(each.architecture, each.element, each.artifact) for each in known if each.artifact]
    lost: set[str] = set()
    for server in _read_servers(project) if artifacts else []:
        try:
            lost |= find_missing(project, server, artifacts).keys()
        except AwayError:
            return {each.architecture for each in artifacts}
    return {each.architecture for each in artifacts if each.name in lost}


def build_all(
    project: Project,
    builds: Sequence[Build],
    *,
    log_directory: Path,
    timeout: float,
    progress: Progress | None = None,
    on_event: OnEvent | None = None,
    queue_timeout: float = QUEUE_TIMEOUT,
    away_timeout: float = AWAY_TIMEOUT,
) -> tuple[list[BuiltElement], str]:
    """Build every entry of ``builds`` at the same time; return each element, and BuildStream's version.

    ``on_event`` is called from several threads, with an architecture and what happens there.

    A failing element stops neither the other elements nor the other entries. When all have ended, one
    failure names each failed element with its architecture and its log, which is kept in ``log_directory``
    beside the whole output, ``build-<architecture>.log``. An entry may take ``timeout`` seconds.

    An artifact server that the configuration says to push to must hold in the end each wanted element, and what else
    this host has of what they were built from: BuildStream itself goes on with a warning without it, and other hosts
    would not find what was built. So it is asked; what it lacks is pushed once more, and while it is away it is waited
    for, ``away_timeout`` seconds. On a farm, an element fails that no worker takes for ``queue_timeout`` seconds, while
    none runs that wants the same of a worker.
    """
    require_bst(project)
    require_project(project)
    log_directory.mkdir(parents=True, exist_ok=True)
    progress = progress or Progress(None)
    sessions = [
        Session(
            project,
            build,
            log_directory=log_directory,
            progress=progress,
            on_event=on_event or ignore_event,
            queue_timeout=queue_timeout,
        )
        for build in builds
    ]
    with ThreadPoolExecutor(max_workers=max(1, len(sessions))) as pool:
        found = list(pool.map(lambda session: session.run(timeout), sessions))
    if len(sessions) > 1:
        # While one bst fills its mirror of a git repository, another one takes what is there for the whole.
        for number, session in enumerate(sessions):
            if session.failed_to_fetch:
                sessions[number] = session.retry_alone()
                found[number] = sessions[number].run(timeout)
    if findings := [finding for each in found for finding in each]:
        lost = sum(len(session.unbuilt) for session in sessions)
        count = sum(len(build.elements) for build in builds)
        error = BuildError(
            "build",
            f"{lost} of {count} systems" if lost else f"all {count} systems without a failure",
            "everything that does not depend on the failures below was built and is kept",
            do_next="Read the log, correct the cause, and run again.",
            findings=findings,
        )
        error.lost = {key: faults for session in sessions for key, faults in session.list_lost()}
        raise error
    servers = _read_servers(project)
    asked = {each.url for server in servers for each in (server, server.files or server)}
    refuse(
        "push",
        "what was built",
        [finding for session in sessions for finding in session.find_unpushed(asked)],
        summary="everything was built, but not everything was pushed to where other hosts pull it from",
        do_next="Check that the server runs and takes this host's artifacts. Run again: nothing is built twice.",
    )
    artifacts = [artifact for session in sessions for artifact in session.list_artifacts()] if servers else []
    for server in servers:
        complete_artifacts(
            project,
            builds,
            artifacts,
            server,
            log_directory=log_directory,
            timeout=timeout,
            away_timeout=away_timeout,
            progress=progress,
        )
    versions = [session.log.version for session in sessions]
    return [built for session in sessions for built in session.list_built()], next(filter(None, versions), "")


def _read_servers(project: Project) -> list[Server]:
    conf = project.directory / "project.conf"
    return read_servers(project.config, read_setting(conf, "name") or "") if conf.is_file() else []


def check_out(project: Project, artifact: str, *, archive: Path, timeout: float) -> None:
    """Write the tree of ``artifact`` to the tar file ``archive``, pulling it if it is not in the local cache.

    Any directory serves as the project: without a ``project.conf`` it gets one that has the artifact's project name.
    """
    conf = project.directory / "project.conf"
    if not conf.exists():
        conf.write_text(f"name: {artifact.partition('/')[0]}\nmin-version: 2.0\n", encoding="utf-8")
    done = run_bst(
        project,
        *("artifact", "checkout", "--deps", "none", "--no-integrate", "--tar", str(archive), artifact),
        attempt=f"take {artifact} out of",
        timeout=timeout,
        log=project.directory / "checkout.log",
    )
    if done.returncode != 0:
        faults = find_remote_faults(done.stdout)
        raise SlipwayError(
            f"take {artifact} out of",
            "BuildStream's cache" + (f" or pull it from {' or '.join(faults)}" if faults else ""),
            "; ".join(f"{url}: {fault}" for url, fault in faults.items())
            or extract_complaint(done.stderr)
            or f"bst ended with status {done.returncode}",
            do_next=NOT_PULLED if faults else NOT_CACHED,
        )
