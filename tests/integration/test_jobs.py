"""The playbook asserts its jobs on a real Hudson, and what it starts there is our playbook, with nothing but names."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hudson import PASSWORD, USER, Hudson, NoHudsonError, hudson
from jobwalk import BASE, Walk, recorded, write_recording

from .conftest import Ran, Site

JOBS = "playbooks/debs_jobs.yml"
TOKEN, SOURCE = "job-t0ken", "debbuild-sourcedeb"
JOB = "debbuild-build-debs-cturtle-bookworm-i386"
NAMES = [BASE, f"{BASE}-bookworm-amd64", JOB, SOURCE]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hudson]:
    try:
        with hudson(tmp_path_factory.mktemp("hudson")) as started:
            yield started
    except NoHudsonError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def site(server: Hudson, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Site:
    """A site with that server, whose jobs write down what they would run."""
    top = tmp_path_factory.mktemp("jobs")
    command = top / "it's ansible-playbook"
    command.write_text('#!/bin/sh\npwd\nfor word; do printf "<%s>\\n" "$word"; done\n')
    command.chmod(0o755)
    variables = {
        "debs_jobs_url": server.url,
        "debs_jobs_user": USER,
        "debs_jobs_password": PASSWORD,
        "debs_jobs_token": TOKEN,
        "debs_jobs_targets": {"cturtle": ["bookworm"]},
        "debs_jobs_directory": str(top),
        "debs_jobs_command": [str(command), "-i", "in ventory"],
    }
    return Site(top, cache, variables)


def play(site: Site, *, check: bool = False, **extra: Any) -> Ran:
    return site.play(JOBS, check=check, **extra)


def list_jobs(server: Hudson) -> list[str]:
    """The jobs on its disk; Hudson keeps an empty directory of a job that it refused."""
    return sorted(path.parent.name for path in server.home.glob("jobs/*/config.xml") if path.parent.name != "odd")


def count_builds(server: Hudson, name: str) -> int:
    return len(list((server.home / "jobs" / name).glob("builds/[0-9]/log")))


def wait_for_build(server: Hudson, name: str, number: int = 1) -> str:
    log = server.home / "jobs" / name / f"builds/{number}/log"
    for _ in range(600):
        if log.exists() and "Finished: " in (text := log.read_text()):
            return text
        time.sleep(0.1)
    raise AssertionError(f"no build {number} of {name}: {list(log.parents[2].rglob('log'))}")


def test_everything_is_done_on_the_real_server_as_on_the_recording(server: Hudson) -> None:
    with recorded(server.url) as kept:
        seen = Walk(server.url).run()
    assert {step: one["changed"] for step, one in seen.items() if " written by the server" in step} == {
        f"{which} written by the server": False for which in ("base", "copy", "base changed,", "copy changed,")
    }
    assert not [step for step, one in seen.items() if isinstance(one, str) and one.startswith("not refused")]
    if "SLIPWAY_RECORD_HUDSON" in os.environ:
        write_recording(kept, server.home)
    Walk(server.url).assert_job(BASE, state="absent")


def test_jobs_are_made_once_and_mended_when_somebody_changes_one(server: Hudson, site: Site) -> None:
    ran = play(site)
    assert ran.status == 0, ran.text
    assert list_jobs(server) == NAMES
    walk = Walk(server.url)
    for name in NAMES:
        walk.touch(name, "disable", "enable")
    walk.change(JOB, "<defaultValue>i386</defaultValue>", "<defaultValue>sparc</defaultValue>")
    config = server.home / "jobs" / JOB / "config.xml"
    for check in (True, False):
        assert "<defaultValue>sparc</defaultValue>" in config.read_text()
        ran = play(site, check=check)
        assert re.findall(r"changed: .*\(item=([^)]*)\)", ran.text) == [JOB], ran.text
        for line in ("-          <defaultValue>sparc</defaultValue>", "+          <defaultValue>i386</defaultValue>"):
            assert line in ran.text or not check
        assert TOKEN not in ran.text
        assert PASSWORD not in ran.text
    assert "sparc" not in config.read_text()


def test_a_started_job_runs_the_playbook_and_takes_nothing_but_names(server: Hudson, site: Site) -> None:
    walk = Walk(server.url)
    start: dict[str, Any] = {"user": "", "token": TOKEN}
    walk.trigger(JOB, parameters={"STACK_NAME": "common_msgs"}, **start)
    told = wait_for_build(server, JOB)
    words = ["-e", "distro=cturtle", "-e", '{"debs_binary_lock_timeout": 86400}', "-e", "platform=bookworm"]
    said = ["-i", "in ventory", "playbooks/debs_binary.yml", *words, "-e", "architecture=i386"]
    assert "\n".join([str(site.base), *(f"<{word}>" for word in said)]) in told
    values = {"DISTRO_NAME": "cturtle", "STACK_NAME": "common_msgs", "STACK_VERSION": "1:1.10~rc1+b"}
    walk.trigger(SOURCE, parameters=values, **start)
    told = wait_for_build(server, SOURCE)
    for word in ("distro=cturtle", "stack=common_msgs", "version=1:1.10~rc1+b", "playbooks/debs_source.yml"):
        assert f"<{word}>\n" in told
    assert TOKEN not in told
    for number, hostile in enumerate(["x y=z", "{{ 1 }}", "$(id)", "a'b", "a\nb"], 2):
        walk.trigger(SOURCE, parameters={**values, "STACK_NAME": hostile}, **start)
        told = wait_for_build(server, SOURCE, number)
        assert "A parameter of this job is no name" in told
        assert "Finished: FAILURE" in told
        assert "<-i>" not in told


def test_stages_start_the_jobs_of_what_is_new(server: Hudson, site: Site) -> None:
    stacks = [{"name": name, "version": "1.0", "label": f"{name}-1.0"} for name in ("ros", "rx")]
    platforms = [{"name": name, "architectures": ["amd64", "i386"]} for name in ("bookworm", "trixie")]
    found: dict[str, Any] = {
        "debs_release": {"distribution": "cturtle", "stacks": stacks, "platforms": platforms},
        "debs_trigger_created": {"ros": {"new": True}, "rx": {"present": True}},
        "debs_trigger_included": ["bookworm"],
    }
    play_of_role = {
        "name": "Start jobs",
        "hosts": "localhost",
        "gather_facts": False,
        "roles": ["slipway.release.debs_trigger"],
    }
    playbook = site.base / "trigger.yml"
    playbook.write_text(json.dumps([play_of_role]))
    names = [SOURCE, f"{BASE}-bookworm-amd64", JOB]
    before = {name: count_builds(server, name) for name in names}
    for check in (True, False):
        assert {name: count_builds(server, name) for name in names} == before
        ran = site.play(str(playbook), check=check, **found)
        assert ran.status == 0, ran.text
        assert TOKEN not in ran.text
        started = re.findall(r"changed: .*\(item=([^)]*)\)", ran.text)
        assert started == ["ros-1.0", "bookworm for amd64", "bookworm for i386"]
    for name in names:
        assert "<distro=cturtle>" in wait_for_build(server, name, before[name] + 1)
    assert "<stack=ros>" in (server.home / "jobs" / SOURCE / f"builds/{before[SOURCE] + 1}/log").read_text()


def test_jobs_go_when_that_is_asked_for(server: Hudson, site: Site) -> None:
    ran = play(site, debs_jobs_state="absent")
    assert ran.status == 0, ran.text
    assert list_jobs(server) == []
