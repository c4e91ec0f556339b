# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the build artifacts that an artifact server lacks there, from the BuildStream cache of this host."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError, count_of, refuse
from ..files import make_scratch
from ..progress import Progress
from ..yamltext import read_mapping, to_plain
from .cache import find_cache, is_cached
from .command import Build, Project, format_options, name_artifact, run_bst, show_elements
from .log import Log, Node
from .servers import Artifact, AwayError, Server, explain_refusal, find_missing
from .watch import Watch

#: BuildStream takes a server as one word in which these mean something.
URL = re.compile(r"https?://[^\s,=/?#]+/?")
#: Seconds between two looks whether a server is back.
AWAY_INTERVAL = 10.0
#: The settings that say where BuildStream keeps what; a look keeps its own things elsewhere.
DIRECTORY_SETTINGS = ("cachedir", "logdir", "workspacedir")


@dataclass
class Outcome:
    """``missing`` was not on the server, ``pushed`` is there now."""

    total: int
    missing: list[Artifact] = field(default_factory=list)
    pushed: list[Artifact] = field(default_factory=list)


def publish_artifacts(
    project: Project,
    builds: Sequence[Build],
    server: Server,
    *,
    log_directory: Path,
    timeout: float,
    progress: Progress | None = None,
    write: bool = True,
) -> Outcome:
    """Push the elements of ``builds`` and everything that they were built from to the server.

    It is asked before, for the files too, so that only what it lacks is pushed; and again afterwards, because
    BuildStream only warns of much that goes wrong. One push may take ``timeout`` seconds.
    """
    _check_settings(project, server)
    reporter = progress or Progress(None)
    artifacts = [artifact for build in builds for artifact in _list_artifacts(project, build)]
    lost = find_missing(project, server, artifacts)
    outcome = Outcome(len(artifacts), [artifact for artifact in artifacts if artifact.name in lost])
    reporter.report(f"{len(outcome.missing)} of {outcome.total} artifacts are missing in {server.url}")
    _require_local(project, outcome.missing)
    if not outcome.missing or not write:
        return outcome
    reporter.total = len(outcome.missing)
    _push_missing(
        project, builds, outcome.missing, server, log_directory=log_directory, timeout=timeout, progress=reporter
    )
    outcome.pushed = outcome.missing
    return outcome


def complete_artifacts(
    project: Project,
    builds: Sequence[Build],
    artifacts: Sequence[Artifact],
    server: Server,
    *,
    log_directory: Path,
    timeout: float,
    away_timeout: float,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Artifact]:
    """Have the server hold whole what this host has of ``artifacts``; return what it did not hold before.

    What the builds want it must hold in the end. Of the rest, what neither it nor this host has was needed by nobody.
    A server that is away is waited for.
    """
    _check_settings(project, server)
    wanted = {(build.architecture, element) for build in builds for element in build.elements}
    deadline = time.monotonic() + away_timeout
    while True:
        try:
            lost = find_missing(project, server, artifacts)
            missing = _choose_missing(project, artifacts, lost, wanted)
            if missing:
                progress.report(f"{count_of(len(missing), 'artifact')} did not get to {server.url} yet")
                _require_local(project, missing)
                progress.total += len(missing)
                _push_missing(
                    project, builds, missing, server, log_directory=log_directory, timeout=timeout, progress=progress
                )
        except AwayError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _make_away_error(server, artifacts, error, wanted=wanted, waited=away_timeout) from error
            progress.report(f"{server.url} does not answer, and is waited for {left:.0f} s more: {error.came_back}")
            sleep(min(AWAY_INTERVAL, left))
        else:
            return missing


def _choose_missing(
    project: Project, artifacts: Sequence[Artifact], lost: Mapping[str, str], wanted: Set[tuple[str, str]]
) -> list[Artifact]:
    return [
        each
        for each in artifacts
        if each.name in lost and ((each.architecture, each.element) in wanted or is_cached(project.config, each.name))
    ]


def _make_away_error(
    server: Server, artifacts: Sequence[Artifact], error: AwayError, *, wanted: Set[tuple[str, str]], waited: float
) -> SlipwayError:
    named = [str(each) for each in artifacts if (each.architecture, each.element) in wanted]
    return SlipwayError(
        "push what was built to",
        server.url,
        f"it was waited for {waited:.0f} s and does not answer: {error.came_back}",
        do_next="Have the artifact server run again, and run again: nothing is built twice.",
        findings=error.findings or [f"{each} may not be there" for each in named],
    )


def _push_missing(
    project: Project,
    builds: Sequence[Build],
    missing: Sequence[Artifact],
    server: Server,
    *,
    log_directory: Path,
    timeout: float,
    progress: Progress,
) -> None:
    """Push, and ask whether it is there."""
    faults = []
    for build in builds:
        wanted = [artifact.element for artifact in missing if artifact.architecture == build.architecture]
        if wanted:
            faults += _push_elements(
                project, build, wanted, server, log_directory=log_directory, timeout=timeout, progress=progress
            )
        if faults:
            break  # a fault of the server concerns the next architecture too
    _check_pushed(project, server, missing, faults, log_directory)
    progress.report(f"{server.url} has all of them now")


def isolate_configuration(config: Path | None, scratch: Path) -> str:
    """A configuration of BuildStream that keeps everything in ``scratch``."""
    stated = {} if config is None else read_mapping(config.read_bytes(), file=str(config))
    settings = {name: to_plain(value) for name, value in stated.items()}
    return json.dumps({**settings, **{name: str(scratch / name) for name in DIRECTORY_SETTINGS}})


def _check_settings(project: Project, server: Server) -> None:
    faults = [
        f"{name}: {path} is not there" if not Path(path).is_file() else f"{name}: {path} has a comma or an equals sign"
        for each in (server, server.files or server)
        for name, path in each.name_files().items()
        if not Path(path).is_file() or re.search(r"[,=]", path)
    ]
    if not all(URL.fullmatch(each.url) for each in (server, server.files or server)):
        faults.append("its address is not of the form http://HOST:PORT or https://HOST:PORT")
    if (server.client_cert is None) != (server.client_key is None):
        faults.append("only one of the client's certificate and key is given")
    if faults:
        raise SlipwayError(
            "push artifacts to", server.url, "; ".join(faults), do_next="Correct the settings, and run again."
        )
    if not (project.directory / "project.conf").is_file():
        raise SlipwayError(
            "push what was built from",
            str(project.directory),
            "it is not a BuildStream project: it has no project.conf",
            do_next="Run the build stage on this host (--tags build), which checks the definitions out, and run again.",
        )


def _list_artifacts(project: Project, build: Build) -> list[Artifact]:
    """What the elements of ``build`` and all below them were built to; BuildStream's cache is not touched."""
    with make_scratch("slipway-look-") as scratch:
        config = Path(scratch, "buildstream.conf")
        config.write_text(isolate_configuration(project.config, scratch), encoding="utf-8")
        nodes = show_elements(Project(project.directory, config, project.bst), build)
    if not nodes.keys() >= set(build.elements):
        raise SlipwayError(
            f"look at the elements for {build.architecture} in",
            str(project.directory),
            "bst show does not know all of " + ", ".join(build.elements),
            do_next="Run the build stage again: it says what is wrong with them.",
        )
    return [Artifact(build.architecture, node.element, _name_artifact(project, node)) for node in nodes.values()]


def _name_artifact(project: Project, node: Node) -> str:
    if ":" in node.element:
        raise SlipwayError(
            "name the artifact of",
            node.element,
            "it is an element of another project, behind a junction",
            do_next="Push it with bst artifact push; this module pushes the elements of one project.",
        )
    return name_artifact(project, node.element, node.key)


def _require_local(project: Project, missing: Sequence[Artifact]) -> None:
    absent = [artifact for artifact in missing if not is_cached(project.config, artifact.name)]
    refuse(
        f"push {count_of(len(absent), 'artifact')} of",
        str(project.directory),
        [str(artifact) for artifact in absent],
        summary="neither the server nor the cache of this host has all of them",
        do_next="Nothing was pushed. Build them with bst build --deps all on this host, and run again.",
    )


def _push_elements(
    project: Project,
    build: Build,
    elements: Sequence[str],
    server: Server,
    *,
    log_directory: Path,
    timeout: float,
    progress: Progress,
) -> list[str]:
    """Push the elements themselves; a sentence for what went wrong."""
    log_directory.mkdir(parents=True, exist_ok=True)
    output = log_directory / f"push-{build.architecture}.log"
    output.unlink(missing_ok=True)
    log = Log()

    def line(text: str) -> None:
        event = log.read(text)
        if event is not None and event.action == "push" and event.outcome != "started":
            subject = f"{build.architecture}: {event.element}"
            report = progress.step if event.outcome == "done" else progress.report
            report(f"{subject} is pushed" if event.outcome == "done" else f"{subject} FAILED, its log is {event.log}")

    remotes = [server.describe()] if server.files is None else _describe_halves(server, server.files)
    words = [word for each in remotes for word in ("--artifact-remote", _join_words(each))]
    ended = run_bst(
        project,
        *("--on-error", "quit", "--network-retries", "0", "--strict", *format_options(build.options)),
        *("artifact", "push", "--deps", "none", "--ignore-project-artifact-remotes", *words, *elements),
        attempt=f"push what was built for {build.architecture} from",
        timeout=timeout,
        log=output,
        watch=Watch(log, find_cache(project.config), line),
    )
    if ended.returncode == 0:
        return []
    first = next(iter(log.failures.values()), None)
    why = log.explain_end() or f"bst ended with status {ended.returncode}"
    return [f"{build.architecture}: {first.element}: {first.reason}" if first is not None else why]


def _describe_halves(index: Server, files: Server) -> list[dict[str, str]]:
    return [{**index.describe(), "type": "index"}, {**files.describe(), "type": "storage"}]


def _join_words(server: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in server.items()) if len(server) > 1 else server["url"]


def _check_pushed(
    project: Project, server: Server, pushed: Sequence[Artifact], faults: Sequence[str], log_directory: Path
) -> None:
    kind: type[SlipwayError] = SlipwayError
    try:
        lost = find_missing(project, server, pushed)
        faults = [*explain_refusal(project, server), *faults] if lost else faults
    except SlipwayError as error:
        kind = AwayError if isinstance(error, AwayError) else SlipwayError
        faults = [*faults, error.came_back]
        lost = {artifact.name: "the server does not answer" for artifact in pushed}
    if not lost:
        return  # BuildStream complained, but everything was pushed
    raise kind(
        f"push {len(lost)} of {count_of(len(pushed), 'artifact')} to",
        server.url,
        "; ".join(faults) or "bst succeeded, and they are still missing there",
        do_next="Check that the server runs, takes pushes and has space. Run again: what is there is not sent again.",
        log=str(log_directory / "push-*.log"),
        findings=[f"{artifact}: {lost[artifact.name]}" for artifact in pushed if artifact.name in lost],
    )
