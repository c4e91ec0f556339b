"""A Trove over HTTP, by Debian's nginx, fcgiwrap and git as its role configures them: all read, nobody writes."""

from __future__ import annotations

import base64
import configparser
import contextlib
import http.client
import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for

ROLE = Path(__file__).resolve().parents[2] / "roles/trove"
#: Unpacked and not installed, since the package would start a web server on this machine.
PACKAGES = ("nginx", "nginx-common", "fcgiwrap", "libfcgi0ldbl")
NGINX = """
daemon off; pid {top}/nginx.pid; error_log {top}/error.log; {user}
events {{}}
http {{
    access_log off; client_body_temp_path {top}/body; fastcgi_temp_path {top}/fastcgi; proxy_temp_path {top}/proxy;
    uwsgi_temp_path {top}/uwsgi; scgi_temp_path {top}/scgi;
    include {top}/site.conf;
}}
"""
BASIC = "Basic " + base64.b64encode(b"anybody:wrong").decode()


@dataclass(frozen=True)
class Trove:
    port: int
    repository: Path
    work: Path

    def ask(self, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            kind = "GET" if body is None else "POST"
            connection.request(kind, f"/git/delta/thing.git/{path}", body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/git"


def git(*words: str, **settings: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **settings}
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", *who, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def render(name: str, variables: dict[str, Any]) -> str:
    """A template of the role with its defaults, as Ansible would make it."""
    environment = jinja2.Environment(keep_trailing_newline=True, trim_blocks=True)  # noqa: S701 - makes no HTML
    values = {
        key: value
        for file in ("defaults/main.yml", "vars/main.yml")
        for key, value in yaml.safe_load((ROLE / file).read_text(encoding="utf-8")).items()
    }
    text = (ROLE / "templates" / name).read_text(encoding="utf-8")
    return environment.from_string(text).render({**values, **variables})


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("programs")
    subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=top, check=True, capture_output=True)
    for package in top.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, top], check=True)
    return top


def read_unit(text: str) -> tuple[list[str], dict[str, str]]:
    """What the unit starts, and the environment that it gives."""
    unit = configparser.RawConfigParser(delimiters="=", strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    words = shlex.split(unit["Service"].get("Environment", ""))
    return shlex.split(unit["Service"]["ExecStart"]), dict(word.split("=", 1) for word in words)


@pytest.fixture(scope="module", params=["public", "local"])
def trove(programs: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Trove]:
    top = tmp_path_factory.mktemp(request.param)
    work = top / "work"
    repository = top / "root/delta/thing.git"
    git("init", "--quiet", "--bare", str(repository))
    (repository / "git-daemon-export-ok").touch()
    git("init", "--quiet", str(work))
    git("-C", str(work), "commit", "--quiet", "--allow-empty", "--message", "First")
    git("-C", str(work), "push", "--quiet", str(repository), "HEAD:refs/heads/master")
    for number in range(60):  # a client compresses what it asks for when that is long
        tree = git("-C", str(repository), "rev-parse", "master^{tree}")
        commit = git("-C", str(repository), "commit-tree", "-m", f"Number {number}", tree)
        git("-C", str(repository), "update-ref", f"refs/heads/number-{number}", commit)
    # Not even a repository that asks for it takes pushes.
    git("-C", str(repository), "config", "http.receivepack", "true")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = {
        "trove_http_port": port,
        "trove_local_root": "/srv/mirror" if request.param == "local" else "",
        "trove_status_directory": str(top),
        "_trove_toplevel": str(top / "root"),
        "_trove_socket": str(top / "socket"),
    }
    (top / "site.conf").write_text(render("nginx.conf.j2", settings).replace("listen [::]:", "#"))
    (top / "nginx.conf").write_text(NGINX.format(top=top, user="user root;" if os.geteuid() == 0 else ""))
    shutil.copy(programs / "etc/nginx/fastcgi_params", top)
    start, environment = read_unit(render("slipway-trove-http.service.j2", settings))
    start = [str(programs / start[0].lstrip("/")), "-s", f"unix:{top}/socket", *start[1:]]
    common = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(next(programs.glob("usr/lib/*/libfcgi.so.0")).parent)}
    web = [programs / "usr/sbin/nginx", "-e", f"{top}/error.log", "-c", f"{top}/nginx.conf"]
    running = [
        subprocess.Popen(words, env={**common, **more}, start_new_session=True)
        for words, more in ((start, {"HOME": str(top), **environment}), (web, {}))
    ]
    made = Trove(port, repository, work)

    def connects() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0 and (top / "socket").exists()

    try:
        wait_for(connects, bool, attempt="reach", on="nginx", timeout=20, interval=0.05)
        yield made
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)  # with what it forked
            process.wait(timeout=20)


def test_everybody_clones_in_both_versions_of_the_protocol(trove: Trove, tmp_path: Path) -> None:
    head = git("-C", str(trove.repository), "rev-parse", "refs/heads/master")
    for version in ("0", "2"):
        copy = tmp_path / f"copy-{version}"
        git("-c", f"protocol.version={version}", "clone", "--quiet", f"{trove.url}/delta/thing", str(copy))
        assert git("-C", str(copy), "rev-parse", "HEAD") == head
        assert len(git("-C", str(copy), "for-each-ref", "refs/remotes/origin/number-*").splitlines()) == 60
    asked = trove.ask("info/refs?service=git-upload-pack", {"Git-Protocol": "version=2"})
    assert asked[0] == 200
    assert b"version 2" in asked[1]
    assert trove.ask("info/refs")[0] == 200  # the protocol of before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "none"},
        {"Authorization": BASIC},
        {"Authorization": BASIC, "Remote-User": "admin", "X-Remote-User": "admin", "X-Forwarded-User": "admin"},
        {"Remote_User": "admin", "Proxy": "http://192.0.2.1", "Git-Protocol": "version=1"},
    ],
)
def test_nobody_is_offered_to_push_whatever_he_calls_himself(trove: Trove, headers: dict[str, str]) -> None:
    for query in (
        "service=git-receive-pack",
        "service=git%2Dreceive-pack",
        "service=git-upload-pack&service=git-receive-pack",
        "x=y&service=git-receive-pack",
    ):
        status, body = trove.ask(f"info/refs?{query}", headers)
        assert status == 403, (query, body)
    kind = {"Content-Type": "application/x-git-receive-pack-request"}
    for path in ("git-receive-pack", "git%2Dreceive-pack", "git-receive-pack?service=git-upload-pack"):
        assert trove.ask(path, {**headers, **kind}, b"0000")[0] == 403


@pytest.mark.parametrize("header", ["", f"Authorization: {BASIC}"])
def test_a_push_is_refused_and_changes_nothing(trove: Trove, header: str) -> None:
    before = git("-C", str(trove.repository), "for-each-ref")
    push = ["push", f"{trove.url}/delta/thing", "HEAD:refs/heads/theirs"]
    words = ["git", "-C", str(trove.work), "-c", f"http.extraHeader={header}", *push]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "403" in done.stderr) == (128, True), done.stderr
    assert git("-C", str(trove.repository), "for-each-ref") == before


def test_git_itself_refuses_where_a_web_server_would_name_somebody(trove: Trove) -> None:
    _start, environment = read_unit(render("slipway-trove-http.service.j2", {}))
    asked = {
        "GIT_PROJECT_ROOT": str(trove.repository.parents[1]), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "anybody",
        "PATH_INFO": "/delta/thing.git/info/refs", "QUERY_STRING": "service=git-receive-pack", "REQUEST_METHOD": "GET",
        "HOME": "/nonexistent", "PATH": os.environ["PATH"], **environment,
    }  # fmt: skip
    done = subprocess.run(["/usr/lib/git-core/git-http-backend"], env=asked, capture_output=True, check=False)
    assert b"Status: 403 Forbidden" in done.stdout, done.stdout
    assert b"Service not enabled: 'receive-pack'" in done.stderr
