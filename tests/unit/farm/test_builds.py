"""A run of builds into a real archive; the hosts make packages without a compiler."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import (
    BUILD,
    DONE,
    FAILED,
    GIVEN_BACK,
    TEST,
    Job,
    Result,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import builds
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import site as site_module
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.builds import (
    Report,
    Run,
    Settings,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.kept import read_results
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import LostError, Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.site import (
    LocalShelf,
    LocalStore,
    SitePlanner,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for
from debs import make_deb
from tinysources import Archive, make_source

DIAMOND = {"bottom": [], "left": ["bottom"], "right": ["bottom"], "top": ["left", "right"]}
A, B = Host("a", {"amd64": "amd64"}, slots=2), Host("b", {"amd64": "amd64"}, slots=2)


class Site:
    """An archive with sources, and hosts that make of each a package that needs what its source needs."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.archive = Archive(place)
        self.depends: dict[str, list[str]] = {}
        self.faults: dict[str, Callable[[Host, Job], Result | None]] = {}
        self.built: list[str] = []
        self.jobs: dict[str, Job] = {}
        self.hosts: list[Host] = [A, B]
        self.options: dict[str, Any] = {}
        self.text = ""
        #: By turns which of its workers a host has do a build, if it has any.
        self.workers: list[int] = []

    def add(self, name: str, version: str = "1.0", *, depends: Sequence[str] = (), test: str = "") -> None:
        self.depends[name] = list(depends)
        self.archive.add_sources(
            make_source(self.place / "sources", name, version, build_depends=depends, depends=depends, test=test)
        )

    def line(self, host: Host, job: Job, source: Sequence[Path], target: Path, _watch: Watch) -> Result:
        assert source[0].name == job.dsc
        self.jobs[job.source] = job
        fault = self.faults.get(job.source)
        if fault is not None and (result := fault(host, job)) is not None:
            return result
        version = f"{job.version}+b{job.rebuild}" if job.rebuild else job.version
        fields = {"Depends": ", ".join(self.depends[job.source])} if self.depends[job.source] else {}
        if job.rebuild:
            fields["Source"] = f"{job.source} ({job.version})"
        files = {"usr/share/text": (host.name if self.text == "host" else self.text).encode()}
        make_deb(target, job.source, version, "amd64", fields=fields, files=files)
        (target / f"{job.source}_{version}_amd64.buildinfo").write_text(f"Source: {job.source}\n")
        self.built.append(f"{job.source} {version}")
        worker = f"{host.name} worker {self.workers.pop(0)}" if self.workers else ""
        return Result(DONE, TEST, "", {"build": 1.0}, host=worker)

    def run(self, *, again: int = 0, timeout: float = 60.0, **wishes: Any) -> Report:
        dists = f"{self.archive.public}/dists/{{platform}}/main"
        options = {
            "distribution": "tools",
            "stacks": None,
            "package_name": "{stack}",
            "source_version": "{version}",
            "policy": "transitive",
            **{name: [] for name in ("abi_changed", "force", "rebuild", "profiles")},
            **{name: {} for name in ("policies", "hold", "excludes", "new")},
            "alternatives": "any",
            "timeout": 60.0,
            "platforms": [
                {
                    "name": "bookworm",
                    "architectures": ["amd64"],
                    "sources": [f"{dists}/source"],
                    "shadow": [f"{dists}/binary-{{architecture}}"],
                    "base": [],
                }
            ],
            **wishes,
        }
        archive = self.archive
        run = Run(
            Settings("tools", self.place / "builds", {}, again=again, timeout=timeout, batch=0.05),
            planner=SitePlanner(options),
            shelf=LocalShelf(archive.public, "main"),
            store=LocalStore(archive.base, archive.public, archive.gnupghome, "main"),
            hosts=iter([self.hosts, *[None] * 100_000]).__next__,
            progress=Progress(str(self.place / "progress")),
            line=self.line,
        )
        self.built = []
        self.report = run.work()
        return self.report

    def told(self) -> str:
        return (self.place / "progress").read_text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def diamond(site: Site) -> Site:
    for name, depends in DIAMOND.items():
        site.add(name, depends=depends)
    return site


def states(report: Report) -> dict[str, str]:
    return {built.unit.source: built.state for built in report.built}


def fail(reason: str, stage: str = BUILD) -> Callable[[Host, Job], Result]:
    return lambda _host, _job: Result(FAILED, stage, reason)


def test_what_is_missing_is_built_in_order_and_again_nothing_is(diamond: Site) -> None:
    report = diamond.run()
    assert [name.split()[0] for name in diamond.built][::3] == ["bottom", "top"]
    assert diamond.archive.list_packages() == dict.fromkeys(DIAMOND, "1.0")
    assert (report.waiting, report.blocked, report.failed) == ([], [], [])
    infos = sorted(path.name for path in (diamond.archive.public / "buildinfo").rglob("*.buildinfo"))
    assert infos == [f"{name}_1.0_amd64.buildinfo" for name in sorted(DIAMOND)]
    before = diamond.archive.read_index()
    assert diamond.run().generations == 0
    assert (diamond.built, diamond.archive.read_index()) == ([], before)


def test_independent_results_share_a_generation(site: Site) -> None:
    for number in range(4):
        site.add(f"alone{number}")
    assert site.run().generations <= 2


def test_a_new_bottom_takes_its_dependents_away_and_they_come_back(diamond: Site) -> None:
    diamond.run()
    seen = []
    diamond.faults["left"] = lambda _host, _job: seen.append(diamond.archive.list_packages())  # type: ignore[func-returns-value]
    diamond.add("bottom", "1.1")
    report = diamond.run()
    assert seen == [{"bottom": "1.1"}], "left is built while nothing that was built with the old bottom is there"
    assert diamond.archive.list_packages() == {"bottom": "1.1", **dict.fromkeys(["left", "right", "top"], "1.0+b1")}
    why = {built.unit.source: built.why for built in report.built}
    assert "1.1 is new; the archive has 1.0" in why["bottom"]
    assert "bottom" in why["left"]
    assert "left" in diamond.told()
    assert "went until rebuilt" in diamond.told()


def test_without_a_changed_interface_the_policy_abi_rebuilds_nothing(diamond: Site) -> None:
    diamond.run()
    diamond.add("bottom", "1.1")
    diamond.run(policy="abi")
    assert diamond.built == ["bottom 1.1"]
    assert diamond.archive.list_packages() == {**dict.fromkeys(DIAMOND, "1.0"), "bottom": "1.1"}


@pytest.mark.parametrize("wish", ["force", "rebuild"])
def test_what_is_wished_for_is_built_once_and_what_it_invalidates_after_it(diamond: Site, wish: str) -> None:
    diamond.run()
    diamond.run(**{wish: ["bottom"]})
    assert sorted(diamond.built) == sorted(
        [f"bottom {'1.0+b1' if wish == 'rebuild' else '1.0'}", "left 1.0+b1", "right 1.0+b1", "top 1.0+b1"]
    )


def test_a_failure_changes_nothing_and_holds_up_no_other(diamond: Site) -> None:
    diamond.add("alone")
    diamond.faults["left"] = fail("sbuild failed at build: make: *** [all] Error 2.")
    report = diamond.run()
    assert states(report) == {"bottom": "ok", "alone": "ok", "right": "ok", "left": "failed"}
    assert sorted(diamond.archive.list_packages()) == ["alone", "bottom", "right"]
    print(report.waiting, report.blocked)
    assert "left 1.0 for bookworm amd64 failed on" in diamond.told()
    assert "Error 2" in diamond.told()
    del diamond.faults["left"]
    diamond.run()
    assert sorted(diamond.archive.list_packages()) == ["alone", *sorted(DIAMOND)]


def test_a_failed_new_version_leaves_the_old_packages_and_their_dependents(diamond: Site) -> None:
    diamond.run()
    before = diamond.archive.read_index()
    diamond.add("bottom", "1.1")
    diamond.faults["bottom"] = fail(
        "The tests of left pass with what is published, and fail with the new packages.", TEST
    )
    report = diamond.run()
    assert states(report) == {"bottom": "failed"}
    assert diamond.archive.read_index() == before


def test_a_lost_host_gives_its_builds_back_to_others(diamond: Site) -> None:
    def lose(host: Host, _job: Job) -> None:
        if host.name == "a":
            raise LostError("a gave no result: the line was cut")

    diamond.faults["bottom"] = lose
    report = diamond.run()
    assert {built.unit.source: built.host for built in report.built}["bottom"] == "b"
    assert sorted(diamond.archive.list_packages()) == sorted(DIAMOND)
    assert "bottom 1.0 for bookworm amd64 came back from a: a gave no result: the line was cut" in diamond.told()


def test_what_comes_back_everywhere_fails_and_says_why(site: Site) -> None:
    site.add("alone")
    site.faults["alone"] = lambda host, _job: Result(GIVEN_BACK, BUILD, f"Only 5 bytes are free on {host.name}.")
    (failed,) = site.run().failed
    assert failed.reason == "3 attempts on a, b came to nothing, the last because Only 5 bytes are free on a." or (
        re.fullmatch(
            r"3 attempts on [ab], [ab] came to nothing, the last because Only 5 bytes are free on [ab]\.", failed.reason
        )
    )


def test_a_build_that_breaks_its_thread_is_told_too(site: Site) -> None:
    def break_it(_host: Host, _job: Job) -> None:
        raise ZeroDivisionError

    site.add("alone")
    site.faults["alone"] = break_it
    (failed,) = site.run().failed
    assert "ZeroDivisionError" in failed.reason


def test_packages_of_another_source_are_refused_and_the_others_are_taken(site: Site) -> None:
    for name in ("good", "bad"):
        site.add(name)
    site.run()
    site.add("good", "1.1")
    site.add("bad", "1.1")

    def make_old(_host: Host, job: Job) -> Result:
        target = site.place / "builds/bookworm-amd64/bad_1.1"
        make_deb(target, "bad", "1.1", "amd64", fields={"Source": "good (1.1)"})
        return Result(DONE, TEST)

    site.faults["bad"] = make_old
    report = site.run()
    assert states(report) == {"good": "ok", "bad": "failed"}
    assert site.archive.list_packages() == {"good": "1.1", "bad": "1.0"}


def test_dependents_with_tests_are_tried_with_what_they_depend_on(site: Site) -> None:
    site.add("library")
    site.add("user", depends=["library"], test="#!/bin/sh\n")
    site.add("other", depends=["library"])
    site.run()
    assert site.jobs["library"].dependents == ()
    assert not site.jobs["library"].published
    site.add("library", "1.1")
    site.run()
    (dependent,) = site.jobs["library"].dependents
    assert (dependent.source, dependent.dsc, site.jobs["library"].published) == ("user", "user_1.0.dsc", True)


@pytest.mark.parametrize(("text", "state"), [("", "same"), ("host", "different")])
def test_a_sample_is_built_twice_on_another_host_and_compared(site: Site, text: str, state: str) -> None:
    site.text = text
    site.add("alone")
    report = site.run(again=100)
    (built,) = report.built
    assert (built.state, built.reproduced["state"]) == ("ok", state)
    assert built.reproduced["host"] != built.host
    assert set(built.reproduced["differ"]) == ({"alone_1.0_amd64.deb"} if text else set())
    (result,) = read_results(site.place / "builds", report.plan)
    assert result["reproduced"] == built.reproduced
    assert site.archive.list_packages() == {"alone": "1.0"}
    assert not list((site.place / "builds").rglob("*.deb"))


@pytest.mark.parametrize(("worker", "words"), [(1, ", on the same host as before"), (2, "")])
def test_says_plainly_that_a_second_build_was_on_the_same_host(site: Site, worker: int, words: str) -> None:
    site.hosts, site.workers = [Host("debusine", {"amd64": "amd64"})], [1, worker]
    site.add("alone")
    (built,) = site.run(again=100).built
    assert (built.host, built.reproduced["host"]) == ("debusine worker 1", f"debusine worker {worker}")
    assert f"built again on debusine worker {worker}: the same bytes{words}\n" in site.told()


class KilledError(BaseException):
    """The run ends at once, as by SIGKILL."""


@pytest.mark.parametrize(
    ("place", "built"),
    [(f"{reprepro.__name__}.publish_export", []), (f"{site_module.__name__}.take_results", ["alone"])],
)
def test_what_a_killed_run_built_is_built_again_only_if_it_is_not_in_the_archive(
    site: Site, place: str, built: list[str]
) -> None:
    site.add("alone")
    with mock.patch(place, side_effect=KilledError), pytest.raises(KilledError):
        site.run()
    site.run()
    assert [name.split()[0] for name in site.built] == built
    assert site.archive.list_packages() == {"alone": "1.0"}
    assert "Package: alone\n" in site.archive.read_index()
    assert [path.name for path in (site.archive.public / "buildinfo").rglob("*.buildinfo")] == [
        "alone_1.0_amd64.buildinfo"
    ]
    assert not list((site.place / "builds").rglob("*.deb"))


def test_a_killed_run_leaves_no_result_of_what_is_not_in_the_archive(site: Site) -> None:
    site.add("alone")
    with mock.patch(f"{site_module.__name__}.take_results", side_effect=KilledError), pytest.raises(KilledError):
        site.run()
    site.hosts = []
    assert read_results(site.place / "builds", site.run().plan) == []


def test_a_version_that_readers_have_seen_is_not_built_again_after_a_kill(site: Site) -> None:
    site.add("bottom")
    site.add("top", depends=["bottom"])
    site.run()
    site.add("bottom", "1.1")
    ordinary = builds.make_directory

    def make_directory(path: Path) -> None:
        ordinary(path)
        if path.name == "top_1.0" and "bottom 1.1 for bookworm amd64 is in the archive" in site.told():
            raise KilledError  # as the build of top begins

    with mock.patch.object(builds, "make_directory", make_directory), pytest.raises(KilledError):
        site.run()
    site.run()
    assert site.archive.list_packages() == {"bottom": "1.1", "top": "1.0+b1"}


def test_what_is_not_wanted_any_more_when_it_is_built_is_left_out(site: Site) -> None:
    for name, depends in {"alone": [], "other": [], "later": ["other"]}.items():
        site.add(name, depends=depends)

    changed = threading.Event()

    def change(_host: Host, job: Job) -> None:
        if job.version == "1.0":
            site.add("alone", "1.1")
            changed.set()
            wait_for(lambda: "later" in site.jobs, bool, attempt="plan anew", on="", timeout=30, interval=0.02)

    site.faults |= {"alone": change, "other": lambda _host, _job: changed.wait(30) and None}
    report = site.run()
    assert states(report) == dict.fromkeys(["alone", "other", "later"], "ok")
    assert site.archive.list_packages() == {"alone": "1.1", "other": "1.0", "later": "1.0"}
    assert "alone 1.0 for bookworm amd64 is not wanted any more" in site.told()
    assert not list((site.place / "builds").rglob("*.deb"))


def test_no_host_for_an_architecture_is_told(site: Site) -> None:
    site.hosts = [Host("a", {"armhf": "armhf"})]
    site.add("alone")
    assert [(one["source"], one["for"]) for one in site.run().waiting] == [("alone", "a host that builds for amd64")]


def test_the_whole_run_has_a_limit_and_says_what_is_left(site: Site) -> None:
    site.add("alone")
    stop = threading.Event()

    def wait(_host: Host, _job: Job) -> None:
        stop.wait(5)
        raise LostError("a gave no result: the run ends")

    site.faults["alone"] = wait
    with pytest.raises(SlipwayError, match=r"1 build are left|1 build is left|1 build"):
        site.run(timeout=0.5)


def test_what_the_archive_lists_is_what_was_built(diamond: Site) -> None:
    diamond.run()
    paragraphs = [Control(f"{text.strip()}\n") for text in diamond.archive.read_index().split("\n\n") if text.strip()]
    assert {one.get("Package"): one.get("Version") for one in paragraphs} == dict.fromkeys(DIAMOND, "1.0")
