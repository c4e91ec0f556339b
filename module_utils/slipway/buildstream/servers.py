# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Artifact servers: what one is, which ones BuildStream's configuration names, and what they hold."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_scratch
from ..process import run
from ..yamltext import read_mapping, to_plain
from . import ask
from .cache import find_configuration
from .command import Project

#: Seconds that the server may take for one answer.
ANSWER_TIMEOUT = 60
#: What a server that may be back in a moment answers, or somebody in its place.
AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
TRUE = ("true", "yes", "on")


@dataclass(frozen=True)
class Server:
    """An artifact server, and the files that prove who it is and who asks.

    ``files`` is the server of the files that it names, where that is another one.
    """

    url: str
    server_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    access_token: Path | None = None
    instance: str = ""
    files: Server | None = None

    def name_files(self) -> dict[str, str]:
        """The files by the names that BuildStream gives them."""
        named = {
            "server-cert": self.server_cert,
            "client-key": self.client_key,
            "client-cert": self.client_cert,
            "access-token": self.access_token,
        }
        return {name: str(path) for name, path in named.items() if path is not None}

    def describe(self) -> dict[str, str]:
        """The server as BuildStream describes one."""
        instance = {"instance-name": self.instance} if self.instance else {}
        return {"url": self.url, **instance, **self.name_files()}


@dataclass(frozen=True)
class Artifact:
    """What an element was built to, for one architecture."""

    architecture: str
    element: str
    name: str

    def __str__(self) -> str:
        return f"{self.architecture}: {self.element} ({self.name})"


class AwayError(SlipwayError):
    """The server does not answer."""


def read_servers(config: Path | None, project: str) -> list[Server]:
    """The servers to which BuildStream pushes a project's artifacts by its user's configuration."""
    file = find_configuration(config)
    if file is None:
        return []
    settings = {name: to_plain(node) for name, node in read_mapping(file.read_bytes(), file=str(file)).items()}
    of_project = _find(_find(settings, "projects"), project)
    listed = [each for stated in (settings, of_project) for each in _list_stated(stated)]
    pushed = [each for each in listed if str(each.get("push")).lower() in TRUE]
    stores = [_make_server(each) for each in pushed if each.get("type") == "storage"]
    found = [_make_server(each) for each in pushed if each.get("type") in (None, "all")]
    # What is pushed is named in each index, and its files go to each store.
    found += [_make_server(each, files=store) for each in pushed if each.get("type") == "index" for store in stores]
    return list(dict.fromkeys(found))


def find_missing(project: Project, server: Server, artifacts: Iterable[Artifact]) -> dict[str, str]:
    """By its name what is missing of each artifact that the server does not hold whole."""
    return dict(_ask_server(project, server, names=sorted({each.name for each in artifacts}))["missing"])


def explain_refusal(project: Project, server: Server) -> list[str]:
    """Why the server takes nothing; empty when it does."""
    refusal = _ask_server(project, server, names=[], offer=True)["refusal"]
    full = "its disk is full: " if re.search(r"no space left|out ?of ?space|quota", refusal, re.IGNORECASE) else ""
    return [f"{full}it refuses a file: {refusal}"] if refusal else []


def _ask_server(project: Project, server: Server, **wanted: Any) -> dict[str, Any]:
    servers = {"index": server.describe(), "files": (server.files or server).describe()}
    with make_scratch("slipway-ask-") as scratch:
        question = Path(scratch, "question.json")
        question.write_text(json.dumps({"timeout": ANSWER_TIMEOUT, **servers, **wanted}), encoding="utf-8")
        done = run(
            [find_interpreter(project.bst), "-I", str(write_program(ask.__name__, scratch)), str(question)],
            attempt="ask what is missing in",
            on=server.url,
            timeout=30 * ANSWER_TIMEOUT,
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        kind = AwayError if answer["error"].startswith(AWAY) else SlipwayError
        raise kind(
            "ask which artifacts are in",
            answer["url"],
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


def write_program(name: str, directory: Path) -> Path:
    """Write one of our own modules, which imports nothing of ours, to where another Python can run it."""
    spec = importlib.util.find_spec(name)
    source = getattr(spec and spec.loader, "get_source", lambda _name: None)(name)
    if not source:
        raise AssertionError("the source of our own modules is always there")
    program = directory / f"{name.rpartition('.')[2]}.py"
    # What loads collections for Ansible itself gives bytes.
    program.write_bytes(source if isinstance(source, bytes) else str(source).encode())
    return program


def _find(settings: object, name: str) -> object:
    return settings.get(name) if isinstance(settings, Mapping) else None


def _list_stated(settings: object) -> Iterator[Mapping[str, Any]]:
    servers = _find(_find(settings, "artifacts"), "servers")
    return (each for each in servers if isinstance(each, Mapping)) if isinstance(servers, list) else iter(())


def _make_server(stated: Mapping[str, Any], *, files: Server | None = None) -> Server:
    auth = stated.get("auth")
    named = auth if isinstance(auth, Mapping) else {}
    paths = {
        name: Path(str(named[name])).expanduser()
        for name in ("server-cert", "client-cert", "client-key", "access-token")
        if named.get(name)
    }
    return Server(
        str(stated.get("url")),
        server_cert=paths.get("server-cert"),
        client_cert=paths.get("client-cert"),
        client_key=paths.get("client-key"),
        access_token=paths.get("access-token"),
        instance=str(stated.get("instance-name") or ""),
        files=files,
    )
