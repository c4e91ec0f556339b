# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds by debusine, replayed as a real server of 0.16.2 and its workers answered."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import http
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import (
    DONE,
    FAILED,
    GIVEN_BACK,
    Job,
    Repository,
    Result,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import debusinetasks
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusine import Engine, Terms
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusineapi import Api, read_token
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import LostError, Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from debusineserver import DATA, TOKEN, Exchange, Replay, make_job, serve

Alter = Callable[[Exchange], "Exchange | None"]
REQUESTS = "/api/1.0/work-request/"
HOST = Host("debusine", {"amd64": "amd64"})


@dataclass
class Clock:
    """Time passes only where somebody waits."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, _stop: threading.Event, seconds: float) -> None:
        self.now += seconds


@dataclass
class Site:
    """A directory for what is remembered and what is built, and what was said."""

    top: Path
    environment: str = "3"
    queue: float = 3600.0
    versions: Mapping[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    token: str = TOKEN
    place: str = "target"
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=Clock)

    def make_engine(self, url: str, *, away: float = 900.0) -> Engine:
        timing: dict[str, Any] = {"clock": self.clock, "wait": self.clock.wait}
        api = Api(url, self.token, workspace="slipway", away=away, say=self.said.append, **timing)
        terms = Terms(self.top / "memory", {"bookworm": self.environment}, self.queue)
        self.memory.mkdir(exist_ok=True)
        return Engine(api, terms, versions=lambda _platform, _arch: self.versions, say=self.said.append, **timing)

    @property
    def memory(self) -> Path:
        return self.top / "memory"

    @property
    def target(self) -> Path:
        return self.top / self.place

    def build(self, engine: Engine, name: str = "slipway-hello", **more: Any) -> Result:
        """A run begins each build with an empty directory."""
        for path in self.target.glob("*"):
            path.unlink()
        self.target.mkdir(exist_ok=True)
        job, source = make_job(name, **more)
        return engine.do_job(HOST, job, source, self.target, Watch(lambda _message: None, self.stop))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(http, "PAUSE", 0.0)
    return Site(tmp_path)


@contextlib.contextmanager
def replay(name: str = "success", alter: Alter = lambda exchange: exchange) -> Iterator[tuple[Replay, str]]:
    replayed = Replay(DATA / f"{name}.json", alter=alter)
    with serve(replayed.answer) as url:
        yield replayed, url


def alter_json(pattern: str, **changes: Any) -> Alter:
    """Other values in the answers to some addresses."""

    def alter(exchange: Exchange) -> Exchange:
        if not re.search(pattern, exchange.path) or exchange.method != "GET":
            return exchange
        return dataclasses.replace(exchange, body=json.dumps({**json.loads(exchange.body), **changes}).encode())

    return alter


def list_created(replayed: Replay) -> list[str]:
    return [one.sent["task_name"] for one in replayed.list_asked("POST", f"^{REQUESTS}$")]


def read_recorded(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text())
    return rows


def test_builds_installs_and_tests_a_package_and_brings_its_files(site: Site) -> None:
    with replay() as (replayed, url), site.make_engine(url) as engine:
        result = site.build(engine)
    assert (result.outcome, result.tests, result.host) == (DONE, {"says-hello": "PASS"}, "debusine worker 4")
    assert list(result.seconds) == ["fetch", "build", "install", "test"]
    deb = site.target / "slipway-hello_1.0_amd64.deb"
    said = subprocess.run(["dpkg-deb", "--field", deb, "Package"], capture_output=True, text=True, check=True)
    assert said.stdout == "slipway-hello\n"
    assert sorted(path.name for path in site.target.iterdir()) == [
        "slipway-hello_1.0_amd64.buildinfo",
        deb.name,
        "slipway-hello_bookworm_amd64.log",
    ]
    log = (site.target / "slipway-hello_bookworm_amd64.log").read_text()
    assert "Status: successful" in log
    assert "says-hello" in log
    assert list_created(replayed) == ["sbuild", "autopkgtest", "autopkgtest"]
    assert [words for words in site.said if "work request" in words and url in words][:1] != []


def test_a_second_build_is_another_work_request_and_not_what_the_first_one_made(site: Site) -> None:
    once = {"install": False, "test": False}
    (asked, *_more) = [
        row["json"] for row in read_recorded("success") if (row["method"], row["path"]) == ("POST", REQUESTS)
    ]

    def make_one(exchange: Exchange) -> Exchange:
        is_made = (exchange.method, exchange.path) == ("POST", REQUESTS)
        return dataclasses.replace(exchange, body=json.dumps(asked).encode()) if is_made else exchange

    with replay(alter=make_one) as (replayed, url), site.make_engine(url) as engine:
        assert site.build(engine, **once).outcome == DONE
        assert list_created(replayed) == ["sbuild"]
        site.target.rename(site.top / "first")
        site.place = "target.again"
        assert site.build(engine, **once).outcome == DONE
        assert list_created(replayed) == ["sbuild", "sbuild"]


def test_forgets_at_the_end_of_a_run_what_was_built_and_ends_nothing_that_is_over(site: Site) -> None:
    with replay() as (replayed, url):
        with site.make_engine(url) as engine:
            site.build(engine)
            assert len(list(site.memory.glob("job-*.json"))) == 1
        assert list(site.memory.iterdir()) == []
        assert replayed.list_asked("POST", "/abort/$") == []


def test_a_package_that_does_not_compile_has_failed_with_the_reason_and_the_log(site: Site) -> None:
    with replay("failure") as (_replayed, url), site.make_engine(url) as engine:
        result = site.build(engine, "slipway-broken")
    assert (result.outcome, result.stage) == (FAILED, "build")
    assert re.search(r"sbuild failed in work request \d+ at build: .*error: .nothing. undeclared", result.reason)
    assert [path.name for path in site.target.iterdir()] == ["slipway-broken_bookworm_amd64.log"]
    assert list(site.memory.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "result", "outcome", "words"),
    [
        ("completed", "error", GIVEN_BACK, "the status completed and the result error"),
        ("completed", "temporary failure", GIVEN_BACK, "the result temporary failure"),
        ("aborted", "", GIVEN_BACK, "ended with the status aborted"),
    ],
)
def test_what_is_no_result_of_the_package_is_given_back(
    site: Site, status: str, result: str, outcome: str, words: str
) -> None:
    alter = alter_json(rf"{REQUESTS}\d+/$", status=status, result=result)
    with replay("failure", alter) as (replayed, url), site.make_engine(url) as engine:
        add_list(replayed, [])
        found = site.build(engine, "slipway-broken")
    assert found.outcome == outcome
    assert words in found.reason


def test_follows_a_build_that_was_lost_with_its_worker(site: Site) -> None:
    """Debusine aborts its work request, and makes another one of the same data."""
    rows = read_recorded("failure")
    first = next(row["json"] for row in rows if row["path"] == REQUESTS)
    last = [row["json"] for row in rows if row["path"] == f"{REQUESTS}{first['id']}/"][-1]
    lost = {**last, "status": "aborted", "result": "", "artifacts": []}
    with replay("failure") as (replayed, url), site.make_engine(url) as engine:
        add_list(replayed, [{**last, "id": 901}, {**last, "id": 900, "task_data": {}}, last])
        for number, row in ((first["id"], lost), (901, {**last, "id": 901})):
            path = f"{REQUESTS}{number}/"
            replayed.answers["GET", path] = [Exchange("GET", path, 200, json.dumps(row).encode())]
        found = site.build(engine, "slipway-broken")
        assert list_created(replayed) == ["sbuild"]
    assert (found.outcome, found.stage) == (FAILED, "build")
    assert f"work request {first['id']} of debusine was lost with its worker, and is 901 now" in site.said


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        ("running", FAILED, "The build was ended: it was not done after 1800 s."),
        ("pending", GIVEN_BACK, "No worker took work request"),
    ],
)
def test_ends_what_takes_too_long_or_is_not_begun(site: Site, status: str, outcome: str, words: str) -> None:
    alter = alter_json(rf"{REQUESTS}\d+/$", status=status, result="")
    with replay("failure", alter) as (replayed, url), site.make_engine(url) as engine:
        found = site.build(engine, "slipway-broken")
    assert found.outcome == outcome
    assert found.reason.startswith(words)
    assert replayed.list_asked("POST", "/abort/$")


def test_a_token_that_is_not_known_is_refused_before_anything_is_built(site: Site) -> None:
    site.token = "something-else"  # noqa: S105  # nothing knows it
    with (
        replay("failure", alter_json("whoami", auth=False)) as (replayed, url),
        pytest.raises(SlipwayError, match="does not know the token") as caught,
        site.make_engine(url),
    ):
        pass
    assert site.token not in str(caught.value)
    assert len(replayed.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_one_sentence_and_is_not_waited_for(site: Site, status: int) -> None:
    def alter(exchange: Exchange) -> Exchange:
        if exchange.method != "POST":
            return exchange
        return dataclasses.replace(exchange, status=status, body=b'{"title": "slipway cannot create artifacts"}')

    with replay("failure", alter) as (replayed, url), site.make_engine(url) as engine:
        with pytest.raises(LostError) as caught:
            site.build(engine, "slipway-broken")
        assert len(replayed.list_asked("POST", "")) == 1
    words = (
        rf"debusine gave no result: could not give .* to debusine at http\S+: it answers {status} .*: slipway cannot"
    )
    assert re.match(words, str(caught.value))
    assert site.token not in str(caught.value)
    assert site.clock.now == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body": b"<html><body>Sign in</body></html>"}, "what is no JSON object: <html>"),
        ({"body": b"[]"}, "what is no JSON object"),
        ({"body": b'{"id": 5}'}, "what it says of a work request cannot be used: KeyError"),
        ({"missing": 10}, "was away for 900 s"),
    ],
)
def test_what_is_no_answer_is_one_sentence(site: Site, change: dict[str, Any], words: str) -> None:
    def alter(exchange: Exchange) -> Exchange:
        is_look = exchange.method == "GET" and re.search(rf"{REQUESTS}\d+/$", exchange.path)
        return dataclasses.replace(exchange, **change) if is_look else exchange

    with (
        replay("failure", alter) as (_replayed, url),
        site.make_engine(url) as engine,
        pytest.raises(LostError) as caught,
    ):
        site.build(engine, "slipway-broken")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: b"X" + body[1:], r"could not fetch \S+\.deb from .*with the sha256 .* came, instead of"),
        (lambda body: body[:-1], "came, instead of"),
        (lambda body: body + b"X", "the answer has more than the"),
    ],
)
def test_packages_that_are_not_those_that_were_told_do_not_come(
    site: Site, change: Callable[[bytes], bytes], words: str
) -> None:
    def alter(exchange: Exchange) -> Exchange:
        is_deb = exchange.path.endswith(".deb")
        return dataclasses.replace(exchange, body=change(exchange.body)) if is_deb else exchange

    with replay(alter=alter) as (replayed, url), site.make_engine(url) as engine:
        replayed.answers |= {("HEAD", path): rows for (_method, path), rows in replayed.answers.items()}
        with pytest.raises(LostError, match=words):
            site.build(engine)
    assert not list(site.target.glob("*.deb"))


def test_packages_that_are_not_those_of_their_changes_are_refused(site: Site) -> None:
    changes = next(row["text"] for row in read_recorded("success") if row["path"].endswith(".changes"))
    replaced = re.sub(r"(?m)^ [0-9a-f]{64} ", " " + "0" * 64 + " ", changes).encode()

    def alter(exchange: Exchange) -> Exchange:
        if exchange.path.endswith(".changes"):
            return dataclasses.replace(exchange, body=replaced)
        old = hashlib.sha256(changes.encode()).hexdigest().encode()
        return dataclasses.replace(
            exchange, body=exchange.body.replace(old, hashlib.sha256(replaced).hexdigest().encode())
        )

    with replay(alter=alter) as (_replayed, url), site.make_engine(url) as engine:
        result = site.build(engine)
    assert result.outcome == FAILED
    assert "is not the file that slipway-hello_1.0_amd64.changes names" in result.reason
    assert not list(site.target.glob("*.deb"))


def test_waits_for_a_server_that_is_away_for_ten_minutes_and_says_so(site: Site) -> None:
    left = {"tries": 25}

    def alter(exchange: Exchange) -> Exchange | None:
        if exchange.method == "GET" and re.search(rf"{REQUESTS}\d+/$", exchange.path) and left["tries"]:
            left["tries"] -= 1
            return None
        return exchange

    with replay("failure", alter) as (_replayed, url), site.make_engine(url) as engine:
        assert site.build(engine, "slipway-broken").outcome == FAILED
    assert 600 < site.clock.now < 900
    away = [words for words in site.said if "is away" in words or "answers again" in words]
    assert len(away) == 2
    assert away[1].startswith(f"debusine at {url} answers again after 6")


def test_goes_on_where_it_was_after_a_server_that_was_away_for_too_long(site: Site) -> None:
    is_away = threading.Event()
    is_away.set()

    def alter(exchange: Exchange) -> Exchange | None:
        is_look = exchange.method == "GET" and re.search(rf"{REQUESTS}\d+/$", exchange.path)
        return None if is_look and is_away.is_set() else exchange

    with replay(alter=alter) as (replayed, url), site.make_engine(url) as engine:
        with pytest.raises(LostError, match=r"look at work request \d+ of http\S+: it was away for 900 s"):
            site.build(engine)
        assert len(list(site.memory.glob("job-*.json"))) == 1
        is_away.clear()
        add_list(replayed, [])
        assert site.build(engine).outcome == DONE
        assert list_created(replayed) == ["sbuild", "autopkgtest", "autopkgtest"]


def add_list(replayed: Replay, rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"next": None, "previous": None, "results": rows}).encode()
    replayed.answers["GET", REQUESTS] = [Exchange("GET", REQUESTS, 200, body)]


def test_the_run_after_one_that_was_killed_takes_over_what_runs(site: Site) -> None:
    with replay() as (replayed, url):
        kill(site, url, replayed)
        add_list(replayed, [])
        with site.make_engine(url) as engine:
            assert site.build(engine).outcome == DONE
        assert list_created(replayed) == ["sbuild", "autopkgtest", "autopkgtest"]
        assert len(replayed.list_asked("POST", "^/api/1.0/artifact/$")) == 2
        assert [words for words in site.said if re.search(r"is still work request \d+ of debusine \(sbuild\)", words)]
        assert replayed.list_asked("POST", "/abort/$") == []


def stop_at_first_request(site: Site, replayed: Replay) -> None:
    """The run ends as soon as it has asked for a build."""

    def alter(exchange: Exchange) -> Exchange:
        if (exchange.method, exchange.path) == ("POST", REQUESTS):
            site.stop.set()
        return exchange

    replayed.alter = alter


def kill(site: Site, url: str, replayed: Replay, name: str = "slipway-hello") -> None:
    """A run that is killed while its build is done."""
    stop_at_first_request(site, replayed)
    engine = site.make_engine(url)
    engine.end = lambda _path: None  # type: ignore[method-assign]  # who is killed ends nothing
    with pytest.raises(LostError, match="the run ends"):
        site.build(engine, name)
    replayed.alter = lambda exchange: exchange
    site.stop.clear()


def test_what_another_run_built_does_not_count_if_the_archive_changed_meanwhile(site: Site) -> None:
    with replay() as (replayed, url):
        kill(site, url, replayed)
        fresh = Replay(DATA / "success.json")
        for where, rows in fresh.answers.items():
            replayed.answers[where] = rows if where[0] == "POST" else replayed.answers[where] + rows
        add_list(replayed, [])
        site.versions = {"libc6": "0.1"}
        with site.make_engine(url) as engine:
            assert site.build(engine).outcome == DONE
        assert list_created(replayed) == ["sbuild", "sbuild", "autopkgtest", "autopkgtest"]
    assert [words for words in site.said if words.endswith("it was built with other packages than the archive has now")]


def test_what_failed_in_a_run_that_was_killed_is_built_again_since_the_archive_may_have_changed(site: Site) -> None:
    with replay("failure") as (replayed, url):
        kill(site, url, replayed, "slipway-broken")
        add_list(replayed, [])
        with site.make_engine(url) as engine:
            assert site.build(engine, "slipway-broken").outcome == FAILED
        assert list_created(replayed) == ["sbuild", "sbuild"]


def test_a_work_request_whose_answer_got_lost_is_found_by_its_source_package(site: Site) -> None:
    lost = threading.Event()

    def alter(exchange: Exchange) -> Exchange | None:
        if (exchange.method, exchange.path) == ("POST", REQUESTS) and not lost.is_set():
            lost.set()
            add_list(replayed, [json.loads(exchange.body)])
            return None
        return exchange

    with replay("failure", alter) as (replayed, url), site.make_engine(url) as engine:
        assert site.build(engine, "slipway-broken").outcome == FAILED
        assert list_created(replayed) == ["sbuild"]


def test_ends_its_work_request_when_nobody_waits_any_more(site: Site) -> None:
    with replay() as (replayed, url), site.make_engine(url) as engine:
        stop_at_first_request(site, replayed)
        with pytest.raises(LostError, match="the run ends"):
            site.build(engine)
        assert len(replayed.list_asked("POST", "/abort/$")) == 1
        assert list(site.memory.glob("job-*.json")) == []


def test_ends_at_last_what_a_killed_run_left_and_nobody_wants(site: Site) -> None:
    with replay() as (replayed, url):
        kill(site, url, replayed)
        with site.make_engine(url):
            pass
        assert len(replayed.list_asked("POST", "/abort/$")) == 1
    assert list(site.memory.iterdir()) == []


def test_has_debusine_make_an_environment_once(site: Site) -> None:
    site.environment = "deb http://deb.debian.org/debian {platform} main"
    with replay("environment") as (replayed, url):
        found = []
        for _run in range(2):
            engine = site.make_engine(url)
            found += [engine.find_environment(make_job("slipway-hello")[0], stop=site.stop) for _time in range(2)]
        assert list_created(replayed) == ["mmdebstrap"]
        asked = replayed.list_asked("POST", f"^{REQUESTS}$")[0].sent["task_data"]
    assert len(set(found)) == 1
    assert isinstance(found[0], int)
    assert asked["bootstrap_repositories"] == [
        {"mirror": "http://deb.debian.org/debian", "suite": "bookworm", "components": ["main"]}
    ]


def test_follows_an_environment_that_was_lost_with_its_worker(site: Site) -> None:
    site.environment = "deb http://deb.debian.org/debian {platform} main"
    lost = next(row["json"] for row in read_recorded("worker_lost"))
    with replay("worker_lost") as (replayed, url):
        body = json.dumps({**lost, "status": "pending"}).encode()
        replayed.answers["POST", REQUESTS] = [Exchange("POST", REQUESTS, 200, body)]
        found = site.make_engine(url).find_environment(make_job("slipway-hello")[0], stop=site.stop)
        assert list_created(replayed) == ["mmdebstrap"]
    assert isinstance(found, int)
    assert [
        words for words in site.said if words.startswith(f"work request {lost['id']} of debusine was lost with its")
    ]


def test_gives_up_an_environment_that_cannot_be_made(site: Site) -> None:
    site.environment = "deb http://deb.debian.org/debian {platform} main"
    alter = alter_json(rf"{REQUESTS}\d+/$", status="completed", result="failure", artifacts=[])
    with replay("environment", alter) as (replayed, url):
        engine = site.make_engine(url)
        for _time in range(5):
            with pytest.raises(LostError, match="the environment for bookworm amd64: work request .* ended with"):
                site.build(engine)
        assert list_created(replayed) == ["mmdebstrap"] * 3


@pytest.mark.parametrize(
    ("fails_with", "outcome", "words"),
    [
        ((1,), FAILED, "Its tests pass with what is published, and fail with the new packages: says-hello."),
        ((1, 2), DONE, ""),
    ],
)
def test_what_was_red_before_does_not_block(site: Site, fails_with: tuple[int, ...], outcome: str, words: str) -> None:
    """The tests run with the new packages first, and then with those that the archive has."""
    number = [row["json"]["id"] for row in read_recorded("success") if row["path"] == REQUESTS][-1]
    result = next(row["path"] for row in read_recorded("success") if "says-hello" in json.dumps(row.get("json", "")))
    asked: list[str] = []

    def alter(exchange: Exchange) -> Exchange:
        if exchange.method == "POST" and exchange.path == REQUESTS:
            asked.append("autopkgtest")
        if len(asked) - 2 not in fails_with:
            return exchange
        if exchange.path == f"{REQUESTS}{number}/" and json.loads(exchange.body)["status"] == "completed":
            return alter_json(exchange.path, result="failure")(exchange)
        if exchange.path == result:
            body = exchange.body.replace(b'"PASS"', b'"FAIL"')
            return dataclasses.replace(exchange, body=body)
        return exchange

    with replay(alter=alter) as (replayed, url), site.make_engine(url) as engine:
        found = site.build(engine, published=True)
        inputs = [one.sent["task_data"]["input"] for one in replayed.list_asked("POST", f"^{REQUESTS}$")]
    assert (found.outcome, found.reason) == (outcome, words)
    assert found.tests == {"says-hello": "FAIL (as before)" if outcome == DONE else "FAIL"}
    assert [bool(given.get("binary_artifacts")) for given in inputs[2:]] == [True, False]
    assert inputs[2]["source_artifact"] == inputs[3]["source_artifact"] == inputs[0]["source_artifact"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"architecture": "armhf"}, "debusine does not build for armhf in a chroot of amd64."),
        ({"rebuild": 1, "parts": ("any", "all")}, "debusine makes no binary rebuild"),
    ],
)
def test_says_what_debusine_does_not_do(site: Site, more: dict[str, Any], words: str) -> None:
    result = site.build(site.make_engine("http://localhost:1"), **more)
    assert result.outcome == FAILED
    assert result.reason.startswith(words)


def test_tells_debusine_all_that_a_build_host_would_be_told() -> None:
    repository = Repository("http://apt.example.org/shadow bookworm main ros", "a key")
    job: Job = make_job(
        "slipway-hello",
        rebuild=2,
        epoch=1640995200,
        maintainer="A <a@example.org>",
        profiles=("nocheck",),
        repositories=(repository,),
    )[0]
    assert debusinetasks.make_build(job, 7, "debian/match:codename=bookworm") == {
        "backend": "unshare",
        "build_architecture": "amd64",
        "build_components": ["any"],
        "build_profiles": ["nocheck"],
        "binnmu": {
            "changelog": "Rebuild for bookworm.",
            "suffix": "+b2",
            "timestamp": "2022-01-01T00:00:00Z",
            "maintainer": "A <a@example.org>",
        },
        "environment": "debian/match:codename=bookworm",
        "extra_repositories": [
            {
                "url": "http://apt.example.org/shadow",
                "suite": "bookworm",
                "components": ["main", "ros"],
                "signing_key": "a key",
            }
        ],
        "input": {"source_artifact": 7},
    }


def test_the_source_package_that_installs_others_is_one_and_the_same_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files = debusinetasks.make_install_source(tmp_path / name, ["libone", "two"])
        made.append([path.read_bytes() for path in files])
        subprocess.run(
            ["dpkg-source", "--extract", files[0], tmp_path / name / "tree"], check=True, capture_output=True
        )
    assert made[0] == made[1]
    assert "Depends: libone, two\n" in (tmp_path / "one/tree/debian/tests/control").read_text()
    assert debusinetasks.describe_source(files)["dsc_fields"]["Testsuite"] == "autopkgtest"


@pytest.mark.parametrize("text", ["", "first\nsecond\n", "none of \N{EURO SIGN}"])
def test_a_token_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SlipwayError, match="it is not one line of letters") as caught:
        read_token(path)
    assert "second" not in str(caught.value)
