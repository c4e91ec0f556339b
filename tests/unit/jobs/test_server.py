"""What comes back from a server that is away, is another, or is in trouble, and how a Jenkins differs from a Hudson."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.jobs import server as module
from ansible_collections.slipway.release.plugins.module_utils.slipway.jobs.assertion import Wanted, ensure_job
from ansible_collections.slipway.release.plugins.module_utils.slipway.jobs.server import JobServer
from ansible_collections.slipway.release.plugins.modules import build_job, build_job_trigger
from peers.webserver import Exchange, Peer

SHELL = "<project><builders><hudson.tasks.Shell><command>{}</command></hudson.tasks.Shell></builders></project>"
PAGE = b"<html><head><title>Welcome to nginx!</title></head><body>Hello</body></html>"
CRUMB = ("Jenkins-Crumb", "c0ffee")


class Jenkins(Peer):
    """What of a Jenkins is asked for here: XML 1.1, crumbs that are asked for, queue items; ``answers`` go first."""

    def __init__(self, jobs: dict[str, str] | None = None, answers: dict[str, Callable[[Exchange], Any]] | None = None):
        self.jobs, self.answers = jobs or {}, answers or {}
        self.started: list[dict[str, list[str]]] = []

    def handle(self, asked: Exchange) -> None:
        if asked.path in self.answers:
            self.answers[asked.path](asked)
            return
        about = {"X-Jenkins": "2.426.1", "Content-Type": "application/json"}
        if asked.method == "POST" and asked.handler.headers.get(CRUMB[0]) != CRUMB[1]:
            asked.answer(403, b"<html><title>Error 403 No valid crumb was included in the request</title></html>")
        elif asked.path == "/api/json":
            asked.answer(200, json.dumps({"useCrumbs": True, "useSecurity": True}).encode(), headers=about)
        elif asked.path == "/me/api/json":
            asked.answer(200, b'{"id": "release"}', headers=about)
        elif asked.path == "/crumbIssuer/api/json":
            asked.answer(200, json.dumps({"crumbRequestField": CRUMB[0], "crumb": CRUMB[1]}).encode(), headers=about)
        elif asked.path == "/createItem":
            self.jobs[asked.query["name"]] = asked.body.decode()
            asked.answer(200)
        else:
            self.handle_job(asked, *asked.path.removeprefix("/job/").split("/", 1))

    def handle_job(self, asked: Exchange, name: str, what: str = "") -> None:
        if name not in self.jobs:
            asked.answer(404, PAGE)
        elif asked.method == "POST" and what == "config.xml":
            self.jobs[name] = asked.body.decode()
            asked.answer(200)
        elif what == "config.xml":
            asked.answer(200, self.jobs[name].replace("version='1.0'", "version='1.1'").encode())
        elif what == "api/json":
            known = re.findall(r"<name>(\w+)</name>", self.jobs[name])
            rows = [{}, {"parameterDefinitions": [{"name": each} for each in known]}] if known else []
            asked.answer(200, json.dumps({"name": name, "buildable": True, "property": rows}).encode())
        elif what == "doDelete":
            del self.jobs[name]
            asked.answer(302, headers={"Location": "/"})
        else:
            self.started.append(parse_qs(asked.body.decode()))
            asked.answer(201, headers={"Location": f"{self.url}/queue/item/25/"})


def connect(url: str, **more: Any) -> JobServer:
    server = JobServer(url, user="release", password="p", timeout=more.pop("timeout", 10), **more)  # noqa: S106
    server.connect()
    return server


def told(act: Callable[[], Any], peer: Peer | None = None) -> str:
    with pytest.raises(SlipwayError) as caught:
        act()
    text = str(caught.value).replace(peer.url, "URL") if peer else str(caught.value)
    assert "\n" not in text
    return text


def test_jobs_of_a_jenkins_are_made_changed_started_and_removed() -> None:
    with Jenkins() as peer:
        server = connect(peer.url)
        for command, changes in (("a", [True, False]), ("b &amp; c", [True, False])):
            wanted = Wanted("job", SHELL.format(command), token="t")  # noqa: S106
            assert [ensure_job(server, wanted).changed for _ in range(2)] == changes
        assert "b &amp; c" in peer.jobs["job"]
        assert "project-properties" not in peer.jobs["job"]
        assert server.start_job("job", {}, token="t") == f"{peer.url}/queue/item/25/"  # noqa: S106
        peer.jobs["other"] = "<project><name>A</name></project>"
        assert server.start_job("other", {"A": "x&y"}, token="t")  # noqa: S106
        for name in ("job", "other"):
            server.delete_job(name)
    assert peer.started == [{"token": ["t"]}, {"A": ["x&y"], "token": ["t"]}]
    assert [path for method, path in peer.requests if "/build" in path] == [
        "/job/job/build",
        "/job/other/buildWithParameters",
    ]
    assert peer.jobs == {}
    assert not any("token" in path for _, path in peer.requests)


def test_what_a_server_does_not_keep_is_told() -> None:
    with Jenkins() as peer:
        server = connect(peer.url)
        peer.answers["/createItem"] = lambda asked: (peer.jobs.update(job="<project/>"), asked.answer(200))
        text = told(lambda: ensure_job(server, Wanted("job", SHELL.format("x"))), peer)
    assert text == (
        "Could not assert the job job on URL: the server did not keep /project/builders. "
        "A plugin that the job needs may be missing there, or its version writes it otherwise."
    )


def test_a_job_that_inherits_what_it_is_made_of_is_left_alone() -> None:
    with Jenkins({"job": "<project><cascadingProjectName>top</cascadingProjectName></project>"}) as peer:
        text = told(lambda: ensure_job(connect(peer.url), Wanted("job", SHELL.format("x"))), peer)
    assert "it inherits from the job top" in text


def test_a_copy_is_shown_without_a_base_that_the_same_run_would_make() -> None:
    with Jenkins() as peer:
        reach = {"url": peer.url, "user": "", "password": None, "ca_path": None, "timeout": 9.0, "name": "job"}
        more = {"state": "present", "config": SHELL.format("x"), "base": "top", "token": None, "drift": "mend"}
        seen = build_job.act({**reach, **more}, write=False)
        assert "there is no such job" in told(lambda: build_job.act({**reach, **more}, write=True), peer)
    assert seen["warnings"] == ["job is a copy of top, which is not there yet: what that has is not shown."]
    assert "<command>x</command>" in seen["diff"][0]["after"]
    assert peer.jobs == {}


def test_a_server_that_is_away_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        url = f"http://127.0.0.1:{line.getsockname()[1]}"
    text = told(lambda: connect(url))
    assert text.startswith(
        f"Could not find Hudson or Jenkins at {url}: Connection refused. Check that the service runs"
    )


def test_a_server_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        text = told(lambda: connect(f"http://127.0.0.1:{line.getsockname()[1]}", timeout=0.3))
    assert "no whole answer within 0.3 s" in text


STRANGER = "it is neither Hudson nor Jenkins, its answer"
ERROR = "it answers 500 Internal Server Error"


@pytest.mark.parametrize(
    ("status", "body", "headers", "message"),
    [
        (200, PAGE, {}, f"{STRANGER} is not what Hudson"),
        (200, b"[1]", {}, f"{STRANGER} says nothing of jobs"),
        (200, b'{"a": 1}', {}, f"{STRANGER} says nothing of jobs"),
        (404, PAGE, {}, "it answers that there is no such thing (404)"),
        (503, PAGE, {}, "it answers 503 Service Unavailable: Welcome to nginx!. See the server"),
        (401, b"", {}, "it refuses this to release (401). Correct the password"),
        (302, b"", {"Location": "https://sso/"}, "it sends us to https://sso/. Give the"),
        (200, b"x", {"Content-Length": "9"}, "it ended after 1 of 9 bytes"),
        (500, b"<html><h1>Oops!</h1><p>A problem &lt;x&gt;\n came</p></html>", {}, f"{ERROR}: A problem <x> came. See"),
        (500, b"<html>\x1b[31m\xff" + b"x" * 99999, {}, f"{ERROR}. See"),
        (500, b"\x1b[31m", {}, rf"{ERROR}: \x1b[31m. See"),
    ],
)
def test_what_is_no_answer_of_such_a_server_is_told(
    status: int, body: bytes, headers: dict[str, str], message: str
) -> None:
    with Jenkins(answers={"/api/json": lambda asked: asked.answer(status, body, headers=headers)}) as peer:
        assert told(lambda: connect(peer.url), peer).startswith(f"Could not find Hudson or Jenkins at URL: {message}")


@pytest.mark.parametrize("config", ["<project><a></project>", "", "<html>\nOops", "<!DOCTYPE a><project/>"])
def test_a_job_that_is_no_xml_is_named_and_left_alone(config: str) -> None:
    with Jenkins({"job": config}) as peer:
        text = told(lambda: ensure_job(connect(peer.url), Wanted("job", SHELL.format("x"))), peer)
    assert text.startswith("Could not read the job job of URL: ")
    assert "Look at the job's config.xml on the server" in text
    assert peer.jobs == {"job": config}


def test_an_answer_that_was_lost_may_have_been_done() -> None:
    def lose(asked: Exchange) -> None:
        asked.handler.connection.shutdown(socket.SHUT_RDWR)

    with Jenkins(answers={"/createItem": lose}) as peer:
        text = told(lambda: ensure_job(connect(peer.url), Wanted("job", SHELL.format("x"))), peer)
    assert text.startswith("Could not create the job job on URL: ")
    assert text.endswith("It may have done what it was asked: run again, and it is looked at.")


@pytest.mark.parametrize("where", ["https://sso.example.org/login?from=x", "https://elsewhere.example.org/"])
def test_a_start_that_ends_elsewhere_is_no_start(where: str) -> None:
    move = {"/job/job/build": lambda asked: asked.answer(302, headers={"Location": where})}
    with Jenkins({"job": "<project/>"}, answers=move) as peer:
        text = told(lambda: connect(peer.url).start_job("job", {}), peer)
    assert where in text


NAMES = ["", "a/b", "../x", "a b", "<x>", "a&b", "x?", "x%2f", "-x", ".", "ä", "a\nb", "x" * 201, "$(x)", "a;b"]


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_a_name_is_refused_before_a_server_is_asked(name: str) -> None:
    reach = {"url": "http://192.0.2.1", "user": "", "password": None, "ca_path": None, "timeout": 1.0, "name": name}
    more = {"state": "absent", "config": None, "base": None, "token": None, "drift": "mend"}
    assert "it is no name of a job. Names are made of" in told(lambda: build_job.act({**reach, **more}, write=True))
    asked = {**reach, "parameters": {}, "token": None}
    assert "it is no name of a job. Names are made of" in told(lambda: build_job_trigger.act(asked, write=True))


@pytest.mark.parametrize("name", ["token", "a b", "a&b", "", "1x"])
def test_what_cannot_be_a_parameter_is_refused(name: str) -> None:
    asked = {"url": "http://192.0.2.1", "user": "", "password": None, "ca_path": None, "timeout": 1.0, "name": "job"}
    text = told(lambda: build_job_trigger.act({**asked, "parameters": {name: "x"}, "token": None}, write=True))
    assert "is no name of a parameter" in text


@pytest.mark.parametrize("token", ["a b", "ü", "x\n", "t" * 201])
def test_a_token_that_is_none_is_refused_and_not_told(token: str) -> None:
    with Jenkins() as peer:
        text = told(lambda: ensure_job(connect(peer.url), Wanted("job", SHELL.format("x"), token=token)), peer)
    assert token not in text
    assert peer.jobs == {}


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "jenkins", None)
    text = told(lambda: JobServer("http://127.0.0.1"))
    assert "Python's python-jenkins is not installed. Install it" in text


def test_the_surroundings_say_nothing_of_how_the_server_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password secret\n")
    for name, value in (
        ("NETRC", str(tmp_path / "netrc")),
        ("http_proxy", "http://127.0.0.1:1"),
        ("JENKINS_API_EXTRA_HEADERS", "X-Secret: s"),
    ):
        monkeypatch.setenv(name, value)
    seen: list[tuple[str | None, str | None]] = []

    def answer(asked: Exchange) -> None:
        seen.append((asked.handler.headers.get("X-Secret"), asked.handler.headers.get("Authorization")))
        asked.answer(200, b'{"useCrumbs": false, "useSecurity": false}')

    with Jenkins(answers={"/api/json": answer}) as peer:
        JobServer(peer.url).connect()
    assert seen == [(None, None)]
