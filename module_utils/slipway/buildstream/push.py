# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the build artifacts that a public artifact server lacks there, from the BuildStream cache of this host."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of, refuse
from ..files import make_scratch
from ..process import run
from ..progress import Progress
from ..yamltext import read_mapping, to_plain
from . import ask
from .cache import find_cache, is_cached
from .command import Build, Project, format_options, name_artifact, run_bst, show_elements
from .log import Log, Node
from .watch import Watch

#: BuildStream takes a server as one word in which these mean something.
URL = re.compile(r"https?://[^\s,=/?#]+/?")
#: Seconds that the server may take for one answer.
ANSWER_TIMEOUT = 60
#: The settings that say where BuildStream keeps what; a look keeps its own things elsewhere.
DIRECTORY_SETTINGS = ("cachedir", "logdir", "workspacedir")


@dataclass(frozen=True)
class Server:
    """A public artifact server, and the files for TLS with it."""

    url: str
    server_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    def tls_files(self) -> dict[str, str]:
        """The files by the names that BuildStream gives them."""
        named = {"server-cert": self.server_cert, "client-key": self.client_key, "client-cert": self.client_cert}
        return {name: str(path) for name, path in named.items() if path is not None}


@dataclass(frozen=True)
class Artifact:
    """What an element was built to, for one architecture."""

    architecture: str
    element: str
    name: str

    def __str__(self) -> str:
        return f"{self.architecture}: {self.element} ({self.name})"


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
    faults = []
    for build in builds:
        wanted = [artifact.element for artifact in outcome.missing if artifact.architecture == build.architecture]
        if wanted:
            faults += _push_elements(
                project, build, wanted, server, log_directory=log_directory, timeout=timeout, progress=reporter
            )
        if faults:
            break  # a fault of the server concerns the next architecture too
    _check_pushed(project, server, outcome.missing, faults, log_directory)
    outcome.pushed = outcome.missing
    reporter.report(f"{server.url} has all of them now")
    return outcome


def find_missing(project: Project, server: Server, artifacts: Iterable[Artifact]) -> dict[str, str]:
    """By its name what is missing of each artifact that the server does not hold whole."""
    return dict(_ask_server(project, server, names=sorted({each.name for each in artifacts}))["missing"])


def _explain_refusal(project: Project, server: Server) -> list[str]:
    """Why the server takes nothing; empty when it does."""
    refusal = _ask_server(project, server, names=[], offer=True)["refusal"]
    full = "its disk is full: " if re.search(r"no space left|out ?of ?space|quota", refusal, re.IGNORECASE) else ""
    return [f"{full}it refuses a file: {refusal}"] if refusal else []


def _ask_server(project: Project, server: Server, **wanted: Any) -> dict[str, Any]:
    question = {"url": server.url, "timeout": ANSWER_TIMEOUT, **wanted}
    with make_scratch("slipway-ask-") as scratch:
        program, question_file = Path(scratch, "ask.py"), Path(scratch, "question.json")
        program.write_text(_read_source(), encoding="utf-8")
        question_file.write_text(json.dumps({**question, **server.tls_files()}), encoding="utf-8")
        done = run(
            [find_interpreter(project.bst), "-I", str(program), str(question_file)],
            attempt="ask what is missing in",
            on=server.url,
            timeout=30 * ANSWER_TIMEOUT,
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise SlipwayError(
            "ask which artifacts are in",
            server.url,
            answer["error"],
            do_next="Check that the artifact server runs there and that this host may reach it, and run again.",
        )
    return dict(answer)


def find_interpreter(program: str) -> str:
    """The Python that runs ``bst``: it has BuildStream's messages."""
    path = shutil.which(program)
    head = b"" if path is None else Path(path).read_bytes()[:4096]
    # pip writes the second form when the path of Python is too long for the first line.
    found = re.match(rb"#!\s*(/\S*python[\d.]*)|#!/bin/sh\n'''exec' \"?(/[^\"\n]*?python[\d.]*)\"? ", head)
    if found is None:
        raise SlipwayError(
            "find the Python of",
            program,
            "there is no such program" if path is None else f"the first line of {path} names no Python",
            do_next="Name the bst that was installed with BuildStream 2 on this host, and run again.",
        )
    return (found[1] or found[2]).decode()


def isolate_configuration(config: Path | None, scratch: Path) -> str:
    """A configuration of BuildStream that keeps everything in ``scratch``."""
    stated = {} if config is None else read_mapping(config.read_bytes(), file=str(config))
    settings = {name: to_plain(value) for name, value in stated.items()}
    return json.dumps({**settings, **{name: str(scratch / name) for name in DIRECTORY_SETTINGS}})


def _read_source() -> str:
    spec = importlib.util.find_spec(ask.__name__)
    source = getattr(spec and spec.loader, "get_source", lambda _name: None)(ask.__name__)
    if source is None:
        raise AssertionError("the source of our own modules is always there")
    return str(source)


def _check_settings(project: Project, server: Server) -> None:
    faults = [
        f"{name}: {path} is not there" if not Path(path).is_file() else f"{name}: {path} has a comma or an equals sign"
        for name, path in server.tls_files().items()
        if not Path(path).is_file() or re.search(r"[,=]", path)
    ]
    if not URL.fullmatch(server.url):
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

    remote = ",".join([f"url={server.url}", *(f"{name}={path}" for name, path in server.tls_files().items())])
    ended = run_bst(
        project,
        *("--on-error", "quit", "--network-retries", "0", "--strict", *format_options(build.options)),
        *("artifact", "push", "--deps", "none", "--ignore-project-artifact-remotes"),
        *("--artifact-remote", remote if server.tls_files() else server.url, *elements),
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


def _check_pushed(
    project: Project, server: Server, pushed: Sequence[Artifact], faults: Sequence[str], log_directory: Path
) -> None:
    try:
        lost = find_missing(project, server, pushed)
        faults = [*_explain_refusal(project, server), *faults] if lost else faults
    except SlipwayError as error:
        faults = [*faults, error.came_back]
        lost = {artifact.name: "the server does not answer" for artifact in pushed}
    if not lost:
        return  # BuildStream complained, but everything was pushed
    raise SlipwayError(
        f"push {len(lost)} of {count_of(len(pushed), 'artifact')} to",
        server.url,
        "; ".join(faults) or "bst succeeded, and they are still missing there",
        do_next="Check that the server runs, takes pushes and has space. Run again: what is there is not sent again.",
        log=str(log_directory / "push-*.log"),
        findings=[f"{artifact}: {lost[artifact.name]}" for artifact in pushed if artifact.name in lost],
    )
