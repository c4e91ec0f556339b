# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import Result
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import builds
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.now import LATER, SOON, Board
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import REST, Host, Schedule, Unit
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress

A, B, C = (Unit("bookworm", "amd64", name, "1.0-0~bookworm") for name in "abc")
NOW = 1772352000


@dataclass
class Clock:
    """Time that passes when a test says so."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """A board, and what it shows."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    complaints: list[str] = field(default_factory=list)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        self.schedule.set_hosts([Host("one", {"amd64": "amd64"}), Host("two", {"amd64": "amd64"}, drained=True)])
        self.board = Board(self.directory, "d", self.complaints.append, clock=self.clock, calendar=self.read_calendar)

    def read_calendar(self) -> float:
        return NOW - 100 + self.clock.now

    def show(self, *ready: Unit, after: float = 0.0) -> dict[str, Any]:
        self.clock.now += after
        self.board.show(self.schedule, ready, left=3)
        return self.read()

    def read(self) -> dict[str, Any]:
        found = json.loads((self.directory / "status.json").read_text())
        assert isinstance(found, dict)
        return found

    def tidy(self) -> str:
        words = ["tidy", "-errors", "-quiet", "-utf8", self.directory / "index.html"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stderr


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "public/now")


def test_readers_see_what_runs_where_what_waits_and_what_hosts_do(site: Site) -> None:
    (start,) = site.schedule.choose([A, B, C], site.clock())
    site.board.hear(start.unit, {"at": "build", "log": 2048})
    found = site.show(A, B, C)
    (running,) = found["running"]
    assert running == {
        **{"platform": "bookworm", "architecture": "amd64", "source": "a", "version": "1.0-0~bookworm", "again": False},
        **{"host": "one", "step": "build", "since": NOW, "log_bytes": 2048},
    }
    assert (found["queue"], [row["source"] for row in found["ready"]], found["left"]) == (2, ["b", "c"], 3)
    hosts = {host["name"]: (host["busy"], host["slots"], host["state"]) for host in found["hosts"]}
    assert hosts == {"one": (1, 1, "takes builds"), "two": (0, 1, "drained")}
    assert (found["at"], found["state"], found["format"]) == (NOW, "building", 1)
    assert site.tidy() == ""

    site.schedule.give_back(A, "it was lost", site.clock(), lost=True)
    one = site.show(A, B, C, after=SOON)["hosts"][0]
    assert (one["state"], one["until"]) == ("rests", NOW + REST)


def test_a_state_is_written_at_most_once_a_second_and_a_log_that_only_grows_less_often(site: Site) -> None:
    site.schedule.choose([A], site.clock())
    site.show(A)
    site.schedule.finish(A)
    assert len(site.show(after=SOON / 2)["running"]) == 1
    assert site.show(after=SOON / 2)["running"] == []
    site.schedule.choose([B], site.clock())
    site.show(B, after=SOON)
    site.board.hear(B, {"at": "", "log": 5})
    assert site.show(B, after=SOON)["running"][0]["log_bytes"] == 0
    assert site.show(B, after=LATER)["running"][0]["log_bytes"] == 5


def test_at_the_end_nothing_runs(site: Site) -> None:
    site.schedule.choose([A], site.clock())
    site.show(A, B)
    site.board.end()
    found = site.read()
    assert (found["state"], found["running"], found["ready"], found["hosts"][0]["busy"]) == ("idle", [], [], 0)
    assert "Nothing is being built." in (site.directory / "index.html").read_text()


def test_what_hosts_and_names_say_stays_words(site: Site) -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    site.schedule.set_hosts([Host(evil, {"amd64": "amd64"})])
    site.schedule.choose([A], site.clock())
    site.board.hear(A, {"at": evil, "log": "much"})
    assert site.show(A, Unit("x", "y", evil, evil))["running"][0]["log_bytes"] == 0
    assert "<script" not in (site.directory / "index.html").read_text()
    assert site.tidy() == ""


def test_a_disk_that_refuses_is_told_once_and_holds_up_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    site = Site(tmp_path / "file/now")
    for _ in range(2):
        site.clock.now += 60
        site.board.show(site.schedule, [A], left=1)
    site.board.end()
    assert len(site.complaints) == 1
    assert "cannot be shown" in site.complaints[0]


def test_without_a_directory_nothing_is_shown(tmp_path: Path) -> None:
    board = Board(None, "d", pytest.fail)
    board.show(Schedule(), [A], left=1)
    board.end()
    assert list(tmp_path.iterdir()) == []


def test_a_run_shows_what_it_does_and_at_its_end_that_it_does_nothing(
    tmp_path: Path,
) -> None:
    seen: list[dict[str, Any]] = []
    status = tmp_path / "now"

    def do_job(host: Host, _job: Any, _source: Any, _target: Any, watch: Watch) -> Result:
        for _ in range(1000):
            if not (status / "status.json").exists():
                time.sleep(0.01)
        watch.tell({"at": "build", "log": 1})
        seen.append(json.loads((status / "status.json").read_text()))
        return Result("failed", "build", f"It does not compile on {host.name}.")

    def plan(without: Any, _satisfied: Any) -> builds.Planned:
        entry = {"state": "build", "order": 1, "invalidates": [], "builds": ["any"], "binary_version": "", "stack": "a"}
        left = (
            [] if A in without else [{**asdict(A), **entry, "reasons": [{"kind": "missing", "text": "it is missing"}]}]
        )
        return builds.Planned({"entries": left, "blocked": []}, {}, {})

    class Nothing:
        """Neither sources nor an archive are needed."""

        def fetch(self, _unit: Unit) -> list[Path]:
            return []

        def recover(self) -> None:
            pass

        def adopt(self, _product: Any) -> bool:
            return False

        def include(self, _platform: str, _products: Any) -> dict[str, str]:
            return {}

    hosts = iter([[Host("one", {"amd64": "amd64"})]])
    run = builds.Run(
        builds.Settings("d", tmp_path / "builds", {}, status=status),
        planner=plan,
        shelf=Nothing(),
        store=Nothing(),
        hosts=lambda: next(hosts, None),
        progress=Progress(None),
        line=do_job,
    )
    assert [one.reason for one in run.work().failed] == ["It does not compile on one."]
    assert [row["host"] for row in seen[0]["running"]] == ["one"]
    assert json.loads((status / "status.json").read_text())["state"] == "idle"
