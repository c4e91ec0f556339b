from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.build import build_all, checkout, look
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.cache import cached
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    TRIES,
    Build,
    Project,
    artifact_name,
    bst,
    show,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.log import Event, Log
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.session import BuildError, Fault
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from hypothesis import given
from hypothesis import strategies as st

KEYS = {
    "base.bst": "5fa985335f706d7cbf5df7824591d34c308702ffa7196e9e3d4294a281c82362",
    "bad.bst": "da4571f6781ec4771c1f389a4314fa47a4adc48bc5a26dd7d4b3d73f7d27583d",
    "one.bst": "81c9dfa1d2134ab25353e03162fc934833623c12b22f2b5c1e0364a759d9d916",
    "systems/good.bst": "9f6d8a1cbfee448fdb0b68ad10da2a9d3f37776f98bba1b02a05f8ee40a12478",
    "systems/broken.bst": "4777418c90dfe6a45c8d67f4879d55701766341a9fea4fc63bfb3401c2400a3c",
}

# What bst 2.8.1 wrote, shortened where it repeats itself.
HEADING = """\
[--:--:--][        ][    main:core activity                 ] START   Build
[--:--:--][        ][    main:core activity                 ] START   Loading elements
[00:00:00][        ][    main:core activity                 ] SUCCESS Loading elements

BuildStream Version 2.8.1
    Session Start: Saturday, 21-11-2026 at 03:22:57
    Project:       mini (/srv/mini)
    Targets:       systems/good.bst, systems/broken.bst

User Configuration
    Configuration File:      /srv/bst.conf
    Cache Directory:         /srv/cache
    Log Files:               LOGS
    Strict Build Plan:       Yes

Project: mini

    Project Options
        arch: x86_64

Pipeline
      cached 5fa985335f706d7cbf5df7824591d34c308702ffa7196e9e3d4294a281c82362 base.bst\x20
   buildable 81c9dfa1d2134ab25353e03162fc934833623c12b22f2b5c1e0364a759d9d916 one.bst\x20
fetch needed da4571f6781ec4771c1f389a4314fa47a4adc48bc5a26dd7d4b3d73f7d27583d bad.bst\x20
     waiting 9f6d8a1cbfee448fdb0b68ad10da2a9d3f37776f98bba1b02a05f8ee40a12478 systems/good.bst\x20
     waiting 4777418c90dfe6a45c8d67f4879d55701766341a9fea4fc63bfb3401c2400a3c systems/broken.bst\x20
===============================================================================
"""
GOOD = """\
[--:--:--][81c9dfa1][   fetch:one.bst                       ] START   mini/one/81c9dfa1-fetch.20261121-032257.log
[00:00:00][81c9dfa1][   fetch:one.bst                       ] SUCCESS mini/one/81c9dfa1-fetch.20261121-032257.log
[--:--:--][81c9dfa1][   build:one.bst                       ] START   mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][81c9dfa1][   build:one.bst                       ] START   Staging dependencies at: /
[00:00:00][81c9dfa1][   build:one.bst                       ] SUCCESS Staging dependencies at: /
[--:--:--][81c9dfa1][   build:one.bst                       ] START   Running commands

    mkdir -p "/buildstream-install/usr/share" && echo one x86_64 > "/buildstream-install/usr/share/one"

[00:00:01][81c9dfa1][   build:one.bst                       ] SUCCESS Running commands
[00:00:01][81c9dfa1][   build:one.bst                       ] SUCCESS mini/one/81c9dfa1-build.20261121-032257.log
[--:--:--][9f6d8a1c][   build:systems/good.bst] START   mini/systems-good/9f6d8a1c-build.20261121-032258.log
[00:00:00][9f6d8a1c][   build:systems/good.bst] SUCCESS mini/systems-good/9f6d8a1c-build.20261121-032258.log
"""
BAD = """\
[--:--:--][da4571f6][   build:bad.bst                       ] START   mini/bad/da4571f6-build.20261121-032257.log
[--:--:--][da4571f6][   build:bad.bst                       ] START   Running commands

    echo about to fail; ls /nonexistent; false

[00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Running commands
[--:--:--][da4571f6][   build:bad.bst                       ] START   Caching artifact
[00:00:00][da4571f6][   build:bad.bst                       ] SUCCESS Caching artifact
[00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Command failed

    Printing the last 20 lines from log file:
    LOGS/mini/bad/da4571f6-build.20261121-032257.log
    ======================================================================
    about to fail
    ls: /nonexistent: No such file or directory
    [00:00:00] FAILURE [da4571f6] bad.bst: Command failed
    ======================================================================

[00:00:02][        ][    main:core activity                 ] FAILURE Build

Failure Summary
    bad.bst:
    [00:00:00][da4571f6][   build:bad.bst                       ] FAILURE Command failed

        Printing the last 20 lines from log file:
        LOGS/mini/bad/da4571f6-build.20261121-032257.log
        ======================================================================
        about to fail
        ======================================================================

Pipeline Summary
    Total:       5
    Session:     5
    Fetch Queue: processed 5, skipped 0, failed 0\x20
    Build Queue: processed 3, skipped 0, failed 1\x20
"""
PUSHED = """\
[--:--:--][9f6d8a1c][    push:systems/good.bst] START   mini/systems-good/9f6d8a1c-push.20261121-072125.log
[--:--:--][9f6d8a1c][    push:systems/good.bst] STATUS  Pushing artifact 9f6d8a1c -> http://cache:50051
[--:--:--][9f6d8a1c][    push:systems/good.bst] INFO    Pushed artifact 9f6d8a1c -> http://cache:50051
[00:00:00][9f6d8a1c][    push:systems/good.bst] SUCCESS mini/systems-good/9f6d8a1c-push.20261121-072125.log
"""
PUSHED_BEFORE = """\
[--:--:--][9f6d8a1c][    push:systems/good.bst] STATUS  Pushing artifact 9f6d8a1c -> http://cache:50051
[--:--:--][9f6d8a1c][    push:systems/good.bst] INFO    Remote (http://cache:50051) already has artifact 9f6d8a1c cached
[00:00:00][9f6d8a1c][    push:systems/good.bst] SKIPPED Push
"""
LACKING = """\
[--:--:--][d8cbcf0a][    pull:systems-good    ] STATUS  Pulling artifact d8cbcf0a <- http://cache:50051
[--:--:--][d8cbcf0a][    pull:systems-good    ] INFO    Remote (http://cache:50051) does not have artifact d8c
[00:00:00][d8cbcf0a][    pull:systems-good    ] SKIPPED Pull
"""
AWAY = """\
[--:--:--][        ][    main:core activity                 ] WARNING Failed to initialize remote http://cache:50051: \
Remote initialisation failed with status UNAVAILABLE: FetchBlob: 14: failed to connect to all addresses; \
last error: UNKNOWN: ipv4:192.0.2.1:50051: Failed to connect to remote host: Connection refused
"""
UNKNOWN = """\
[--:--:--][        ][    main:core activity                 ] START   Build
[--:--:--][        ][    main:core activity                 ] START   Loading elements
[00:00:00][        ][    main:core activity                 ] FAILURE Loading elements
[00:00:00][        ][    main:core activity                 ] FAILURE Build

Could not find element 'systems/nope.bst' in elements directory '/srv/mini/elements'
"""
STUMBLED = """\
Traceback (most recent call last):
  File "/venv/bin/bst", line 8, in <module>
    sys.exit(cli())
  File "/venv/lib/buildstream/_cas/casdprocessmanager.py", line 320, in _rotate_and_get_next_logfile
    os.remove(os.path.join(self._log_dir, logfile_to_delete))
FileNotFoundError: [Errno 2] No such file or directory: '/srv/cache/logs/_casd/1795232236.885943.log'
"""
SHOWN = "\n".join(
    [
        f"slipway\tcached\t{KEYS['base.bst']}\tbase.bst\t[]",
        f"slipway\t failed\t{KEYS['bad.bst']}\tbad.bst\t- base.bst",
        f"slipway\tcached\t{KEYS['one.bst']}\tone.bst\t- base.bst",
        f"slipway\tcached\t{KEYS['systems/good.bst']}\tsystems/good.bst\t- base.bst\n- one.bst",
        f"slipway\twaiting\t{KEYS['systems/broken.bst']}\tsystems/broken.bst\t- one.bst\n- bad.bst",
    ]
)


def events(text: str) -> tuple[Log, list[Event]]:
    log = Log()
    found = [log.read(line) for line in text.splitlines()]
    return log, [event for event in found if event is not None]


# -- what BuildStream says --


def test_the_log_tells_what_begins_and_ends_with_whole_paths() -> None:
    log, found = events((HEADING + GOOD).replace("LOGS", "/srv/logs"))
    fetch, build = (f"/srv/logs/mini/one/81c9dfa1-{action}.20261121-032257.log" for action in ("fetch", "build"))
    system = "/srv/logs/mini/systems-good/9f6d8a1c-build.20261121-032258.log"
    assert found == [
        Event("one.bst", "fetch", "started", fetch),
        Event("one.bst", "fetch", "done", fetch),
        Event("one.bst", "build", "started", build),
        Event("one.bst", "build", "done", build),
        Event("systems/good.bst", "build", "started", system),
        Event("systems/good.bst", "build", "done", system),
    ]
    assert log.version == "2.8.1"
    assert {name: node.key for name, node in log.listed.items()} == KEYS
    assert [node.state for node in log.listed.values()] == ["cached", "buildable", "fetch needed", "waiting", "waiting"]


def test_a_failure_is_told_once_with_its_log() -> None:
    log, found = events((HEADING + BAD).replace("LOGS", "/srv/logs"))
    path = "/srv/logs/mini/bad/da4571f6-build.20261121-032257.log"
    assert found == [Event("bad.bst", "build", "started", path), Event("bad.bst", "build", "failed", path)]
    assert [(failure.element, failure.action, failure.reason, failure.log) for failure in log.failures.values()] == [
        ("bad.bst", "build", "Command failed", path)
    ]


def test_a_later_try_that_goes_well_is_no_failure() -> None:
    log, _ = events(
        (HEADING + BAD).replace("LOGS", "/srv/logs")
        + "[00:00:01][da4571f6][   build:bad.bst ] SUCCESS mini/bad/da4571f6-build.20261121-032299.log\n"
    )
    assert log.failures == {}


def test_a_failed_build_that_is_pushed_stays_a_failure() -> None:
    pushed = "[00:00:00][da4571f6][    push:bad.bst] SUCCESS mini/bad/da4571f6-push.20261121-032257.log\n"
    log, _seen = events(HEADING + BAD + pushed)
    assert list(log.failures) == ["bad.bst"]


def test_an_element_of_a_junction_keeps_its_whole_name() -> None:
    _, found = events("[--:--:--][81c9dfa1][   build:sub.bst:a/one.bst ] START   sub/a-one/81c9dfa1-build.1-2.log\n")
    assert found[0].element == "sub.bst:a/one.bst"


def test_a_complaint_before_the_beginning_is_kept() -> None:
    assert events(UNKNOWN)[0].complained() == (
        "Could not find element 'systems/nope.bst' in elements directory '/srv/mini/elements'"
    )


def test_of_a_traceback_only_the_end_is_told() -> None:
    assert events(STUMBLED)[0].complained().startswith("FileNotFoundError: ")


@given(st.lists(st.text() | st.sampled_from((HEADING + GOOD + BAD + UNKNOWN + STUMBLED).splitlines())))
def test_no_output_is_too_strange_to_read(lines: list[str]) -> None:
    log = Log()
    for line in lines:
        log.read(line)


# -- building, with a stand-in that says what the real one said --


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose bst plays back what is in the directory ``plays`` for the architecture it is called with."""
    home = tmp_path / "mini"
    plays = home / "plays"
    plays.mkdir(parents=True)
    (home / "project.conf").write_text('# ours\nname: "mini" # short\nmin-version: 2.0\n')
    script = home / "bst"
    script.write_text(
        f"""#!/bin/sh
echo "$*" >> {home}/calls
verb=build architecture=none
for word in "$@"; do
    case $word in
        show|artifact) verb=$word ;;
        x86_64|x86_32|armv7lhf) architecture=$word ;;
    esac
done
play={plays}/$verb-$architecture
cat "$play" || exit 9
status=$(cat "$play.status" 2>/dev/null || echo 0)
test ! -e "$play.next" || {{ mv "$play.next" "$play"; echo 0 > "$play.status"; }}
exit "$status"
"""
    )
    script.chmod(0o755)
    failing = tmp_path / "bstlogs" / "mini" / "bad" / "da4571f6-build.20261121-032257.log"
    failing.parent.mkdir(parents=True)
    failing.write_text("ls: /nonexistent: No such file or directory\n")
    return Project(home, None, str(script))


def play(project: Project, verb: str, architecture: str, text: str, *, status: int = 0) -> Path:
    path = project.directory / "plays" / f"{verb}-{architecture}"
    path.write_text(text.replace("LOGS", str(project.directory.parent / "bstlogs")))
    path.with_name(f"{path.name}.status").write_text(str(status))
    return path


def for_architecture(architecture: str, *elements: str) -> Build:
    return Build(architecture, elements, {"arch": architecture})


def test_everything_that_was_built_is_returned_by_architecture(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + GOOD)
    play(project, "build", "x86_32", HEADING.replace("     waiting", "      cached"))
    progress = Progress(tmp_path / "progress")
    built, version = build_all(
        project,
        [for_architecture("x86_64", "systems/good.bst"), for_architecture("x86_32", "systems/good.bst")],
        log_directory=tmp_path / "logs",
        timeout=60,
        progress=progress,
    )
    key = KEYS["systems/good.bst"]
    assert [(each.architecture, each.key, each.artifact, each.cached) for each in built] == [
        ("x86_64", key, f"mini/systems-good/{key}", False),
        ("x86_32", key, f"mini/systems-good/{key}", True),
    ]
    assert version == "2.8.1"
    assert "SUCCESS mini/systems-good" in (tmp_path / "logs" / "build-x86_64.log").read_text()
    said = [line.split(" ", 1)[1] for line in (tmp_path / "progress").read_text().splitlines()]
    log = tmp_path / "bstlogs" / "mini" / "one" / "81c9dfa1-build.20261121-032257.log"
    assert said[:3] == [
        "0/4 x86_64: one.bst is fetched",
        f"0/4 x86_64: one.bst is being built, its log is {log}",
        "1/4 x86_64: one.bst is built",
    ]
    assert said[-1] == "2/4 x86_64: systems/good.bst is built"


def test_options_and_elements_reach_bst(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + GOOD)
    config = tmp_path / "bst.conf"
    config.write_text("cachedir: /nowhere\n")
    configured = Project(project.directory, config, project.bst)
    build_all(configured, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60)
    call = (project.directory / "calls").read_text().split()
    assert call[:2] == ["--config", str(config)]
    assert "--on-error continue" in " ".join(call)
    assert " ".join(call).endswith("--option arch x86_64 build --retry-failed systems/good.bst")


#: Out of the user's configuration, its section for the project, and project.conf; then another project.
SERVERS = """\
    Artifact cache servers
      * http://cache:50051
        push: True type: all instance: None
        loaded from: /srv/bst.conf [line 11 column 8]
      * http://other
        push: False type: all instance: me
        loaded from: /srv/bst.conf [line 13 column 8]
      * http://files
        push: True type: storage instance: None
        loaded from: project.conf [line 5 column 2]

    Source cache servers
      * http://sources
        push: True type: all instance: None
        loaded from: project.conf [line 7 column 2]

Project: sub
    Junction path: sub.bst

    Artifact cache servers
      * http://sub
        push: True type: all instance: None
        loaded from: sub.bst:project.conf [line 5 column 2]

Pipeline
"""


def test_what_the_server_for_all_hosts_did_not_get_is_a_failure(project: Project, tmp_path: Path) -> None:
    heading = HEADING.replace("Pipeline\n", SERVERS)
    build = for_architecture("x86_64", "systems/good.bst")
    play(project, "build", "x86_64", AWAY + heading + GOOD)
    with pytest.raises(SlipwayError) as caught:
        build_all(project, [build], log_directory=tmp_path / "logs", timeout=60)
    assert caught.value.findings == [
        "x86_64: systems/good.bst is not on http://cache:50051 (Failed to connect to remote host: Connection refused)"
    ]
    for pushed in (PUSHED, PUSHED_BEFORE):
        play(project, "build", "x86_64", heading + GOOD + pushed)
        built, _version = build_all(project, [build], log_directory=tmp_path / "logs", timeout=60)
        assert [each.element for each in built] == ["systems/good.bst"]


def test_an_output_that_does_not_say_where_it_pushes_is_a_failure(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING.replace("Project: mini", "The project: mini") + GOOD + PUSHED)
    with pytest.raises(SlipwayError, match="x86_64: the output of bst does not say to which servers it pushes"):
        build_all(
            project, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60
        )


def test_a_failing_component_is_named_with_the_system_that_it_costs_and_its_log(
    project: Project, tmp_path: Path
) -> None:
    play(project, "build", "x86_64", HEADING + GOOD + BAD, status=255)
    play(project, "show", "x86_64", SHOWN)
    play(project, "build", "x86_32", HEADING + GOOD)
    play(project, "build", "armv7lhf", UNKNOWN, status=255)
    builds = [
        for_architecture("x86_64", "systems/good.bst", "systems/broken.bst"),
        for_architecture("x86_32", "systems/good.bst"),
        for_architecture("armv7lhf", "systems/nope.bst"),
    ]
    with pytest.raises(SlipwayError) as caught:
        build_all(project, builds, log_directory=tmp_path / "logs", timeout=60)
    kept = tmp_path / "logs" / "failed-x86_64-bad-build.log"
    assert caught.value.findings == [
        f"x86_64: bad.bst failed to build (Command failed), so systems/broken.bst was not built; its log is {kept}",
        "armv7lhf: Could not find element 'systems/nope.bst' in elements directory '/srv/mini/elements'; "
        f"the whole output is {tmp_path}/logs/build-armv7lhf.log",
    ]
    assert str(caught.value).startswith("Could not build 2 of 4 systems: ")
    assert kept.read_text() == "ls: /nonexistent: No such file or directory\n"
    assert "SUCCESS mini/systems-good" in (tmp_path / "logs" / "build-x86_32.log").read_text()


def test_what_keeps_which_system_from_being_built_is_told_for_programs_too(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + GOOD + BAD, status=255)
    play(project, "show", "x86_64", SHOWN)
    play(project, "build", "armv7lhf", "Error loading project: no such option\n", status=255)
    builds = [
        for_architecture("x86_64", "systems/good.bst", "systems/broken.bst"),
        for_architecture("armv7lhf", "systems/nope.bst"),
    ]
    told: list[tuple[str, str, str, str]] = []
    with pytest.raises(BuildError) as caught:
        build_all(
            project,
            builds,
            log_directory=tmp_path / "logs",
            timeout=60,
            told=lambda architecture, event: told.append((architecture, event.element, event.action, event.outcome)),
        )
    kept = tmp_path / "logs/failed-x86_64-bad-build.log"
    whole = tmp_path / "logs/build-armv7lhf.log"
    assert caught.value.lost == {
        ("x86_64", "systems/broken.bst"): [Fault("build", "bad.bst failed to build (Command failed)", kept)],
        ("armv7lhf", "systems/nope.bst"): [Fault("", "Error loading project: no such option", whole)],
    }
    assert ("x86_64", "systems/good.bst", "build", "done") in told
    assert ("x86_64", "bad.bst", "build", "failed") in told


def test_a_sandbox_that_does_not_start_is_told_as_such(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + BAD, status=255)
    play(project, "show", "x86_64", SHOWN)
    said = "bwrap: No permissions to create new namespace"
    (tmp_path / "bstlogs/mini/bad/da4571f6-build.20261121-032257.log").write_text(f"START\n{said}\nEND\n")
    with pytest.raises(SlipwayError, match=f"the sandbox did not start: {said}"):
        build_all(
            project, [for_architecture("x86_64", "systems/broken.bst")], log_directory=tmp_path / "logs", timeout=60
        )


def test_the_logs_of_an_earlier_failure_go(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + GOOD)
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "failed-x86_64-bad-build.log").write_text("old")
    (logs / "build-x86_64.log").write_text("old")
    build_all(project, [for_architecture("x86_64", "systems/good.bst")], log_directory=logs, timeout=60)
    assert [path.name for path in logs.iterdir()] == ["build-x86_64.log"]
    assert "old" not in (logs / "build-x86_64.log").read_text()


def test_keys_are_asked_for_when_the_output_does_not_tell_them(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING.partition("Pipeline")[0] + "somebody changed the format\n")
    play(project, "show", "x86_64", SHOWN)
    built, _ = build_all(
        project, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60
    )
    assert built[0].key == KEYS["systems/good.bst"]


def test_bst_is_started_again_when_it_stumbled_over_another_one(project: Project, tmp_path: Path) -> None:
    path = play(project, "build", "x86_64", STUMBLED, status=1)
    path.with_name(f"{path.name}.next").write_text(HEADING + GOOD)
    built, _ = build_all(
        project, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60
    )
    assert built[0].key == KEYS["systems/good.bst"]
    assert len((project.directory / "calls").read_text().splitlines()) == 2


UNFETCHED = BAD.replace("build:bad.bst", "fetch:bad.bst").replace("-build.", "-fetch.")


def test_what_could_not_be_fetched_beside_another_one_is_fetched_alone(project: Project, tmp_path: Path) -> None:
    path = play(project, "build", "x86_64", HEADING + UNFETCHED, status=255)
    path.with_name(f"{path.name}.next").write_text(HEADING + GOOD)
    play(project, "build", "x86_32", HEADING + GOOD)
    play(project, "show", "x86_64", SHOWN)
    builds = [for_architecture(each, "systems/good.bst") for each in ("x86_64", "x86_32")]
    built, _ = build_all(project, builds, log_directory=tmp_path / "logs", timeout=60)
    assert [each.architecture for each in built] == ["x86_64", "x86_32"]
    calls = [line for line in (project.directory / "calls").read_text().splitlines() if " build " in line]
    assert [call.partition("--option arch ")[2].split()[0] for call in calls].count("x86_64") == 2
    assert len(calls) == 3


def test_a_source_that_one_build_alone_does_not_find_is_told_at_once(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + UNFETCHED, status=255)
    play(project, "show", "x86_64", SHOWN)
    with pytest.raises(SlipwayError, match="bad.bst failed to fetch"):
        build_all(
            project, [for_architecture("x86_64", "systems/broken.bst")], log_directory=tmp_path / "logs", timeout=60
        )
    assert (project.directory / "calls").read_text().count(" build ") == 1


def test_stumbling_has_an_end(project: Project) -> None:
    play(project, "build", "none", STUMBLED, status=1)
    assert bst(project, "build", attempt="try", timeout=60).returncode == 1
    assert len((project.directory / "calls").read_text().splitlines()) == TRIES


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("bst", "the program /nowhere/bst was not found. Install BuildStream 2"),
        ("project", "it is not a BuildStream project: it has no project.conf"),
        ("config", "its configuration /nowhere/bst.conf is not there"),
        ("sandbox", "its sandbox needs the program bwrap, which was not found"),
    ],
)
def test_what_is_missing_is_one_clear_sentence(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str, sentence: str
) -> None:
    directory, config, program = project.directory, None, project.bst
    if spoil == "bst":
        program = "/nowhere/bst"
    elif spoil == "project":
        (directory / "project.conf").unlink()
    elif spoil == "config":
        config = Path("/nowhere/bst.conf")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError) as caught:
        build_all(
            Project(directory, config, program),
            [for_architecture("x86_64", "systems/good.bst")],
            log_directory=tmp_path / "logs",
            timeout=60,
        )
    assert sentence in str(caught.value)
    assert not (tmp_path / "logs").exists()


def test_remote_execution_needs_no_sandbox_here(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + GOOD)
    config = tmp_path / "bst.conf"
    config.write_text("remote-execution:\n  execution-service: {url: 'http://farm.example.org:50051'}\n")
    # Only what the stand-in itself uses.
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cat", "mv", "setpriv", "timeout"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tools))
        build_all(
            Project(project.directory, config, project.bst),
            [for_architecture("x86_64", "systems/good.bst")],
            log_directory=tmp_path / "logs",
            timeout=60,
        )


def sleeper(tmp_path: Path) -> Project:
    """A project whose bst runs until it is interrupted, and says so in the file ``ended``."""
    home = tmp_path / "mini"
    home.mkdir()
    (home / "project.conf").write_text("name: mini\n")
    program = home / "bst"
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, time\nhome = pathlib.Path({str(home)!r})\n"
        "try:\n    (home / 'started').touch()\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('ending', flush=True)\n    (home / 'ended').touch()\n"
        "    raise SystemExit(1)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Project(home, None, str(program))


def test_the_end_of_the_time_interrupts_bst_so_that_it_cleans_up(tmp_path: Path) -> None:
    project = sleeper(tmp_path)
    with pytest.raises(SlipwayError) as caught:
        build_all(project, [for_architecture("x86_64", "a.bst")], log_directory=tmp_path / "logs", timeout=2)
    assert "bst was not done after 2 s and was ended" in str(caught.value)
    assert (project.directory / "ended").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_builds_end_with_whoever_started_them(tmp_path: Path, how: signal.Signals) -> None:
    project = sleeper(tmp_path)
    code = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"  # as the modules do: a shell's background jobs ignore it
        f"from {build_all.__module__} import Build, Project, build_all\n"
        f"build_all(Project(pathlib.Path({str(project.directory)!r}), None, {project.bst!r}), "
        f"[Build('x86_64', ('a.bst',))], log_directory=pathlib.Path({str(tmp_path / 'logs')!r}), timeout=60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    appears(project.directory / "started")
    starter.send_signal(how)
    starter.wait(timeout=10)
    appears(project.directory / "ended")


def appears(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def test_show_reads_keys_states_and_dependencies(project: Project) -> None:
    play(project, "show", "x86_64", SHOWN)
    nodes = show(project, for_architecture("x86_64", "systems/broken.bst"))
    assert nodes["systems/broken.bst"].dependencies == ("one.bst", "bad.bst")
    assert nodes["base.bst"].dependencies == ()
    assert nodes["bad.bst"].state == "failed"
    assert {name: node.key for name, node in nodes.items()} == KEYS


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ("systems/minimal-system-x86_64.bst", "systems-minimal-system-x86_64"),
        ("a b/ü+c.bst", "a_b-__c"),
    ],
)
def test_an_artifact_has_the_name_that_bst_gives_it(project: Project, element: str, name: str) -> None:
    assert artifact_name(project, element, "k") == f"mini/{name}/k"


# -- taking a tree out of the cache --


def test_checkout_needs_only_the_name_of_the_project(project: Project, tmp_path: Path) -> None:
    play(project, "artifact", "none", "")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    checkout(Project(scratch, None, project.bst), "mini/a/k", archive=tmp_path / "a.tar", timeout=60)
    assert (scratch / "project.conf").read_text() == "name: mini\nmin-version: 2.0\n"
    call = (project.directory / "calls").read_text().strip()
    assert call.endswith(f"artifact checkout --deps none --no-integrate --tar {tmp_path}/a.tar mini/a/k")


def test_an_artifact_that_is_nowhere_is_told_with_what_to_do(tmp_path: Path) -> None:
    program = tmp_path / "bst"
    program.write_text(
        "#!/bin/sh\necho '[--:--:--][        ][    main:core activity                 ] START   Query cache' >&2\n"
        "echo \"Error while staging: 'nope'\" >&2\necho '    This artifact is not yet cached' >&2\nexit 255\n"
    )
    program.chmod(0o755)
    with pytest.raises(SlipwayError) as caught:
        checkout(Project(tmp_path, None, str(program)), "mini/nope/k", archive=tmp_path / "a.tar", timeout=60)
    assert str(caught.value).startswith(
        "Could not take mini/nope/k out of BuildStream's cache: "
        "Error while staging: 'nope' This artifact is not yet cached. Run the build stage again"
    )


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (LACKING, "http://cache:50051: it does not have it. See that the server runs"),
        (AWAY, "http://cache:50051: Failed to connect to remote host: Connection refused. See that the server runs"),
    ],
)
def test_a_server_from_which_nothing_comes_is_named(project: Project, tmp_path: Path, said: str, fault: str) -> None:
    play(project, "artifact", "none", said, status=255)
    with pytest.raises(SlipwayError) as caught:
        checkout(project, "mini/a/k", archive=tmp_path / "a.tar", timeout=60)
    words = "Could not take mini/a/k out of BuildStream's cache or pull it from http://cache:50051: "
    assert str(caught.value).startswith(words + fault)


# -- the cache on disk --


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer, its value shorter than 128 bytes or numbers."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A configuration whose cache holds mini/a/k: a directory with one file and a directory with another."""
    objects = tmp_path / "cache" / "cas" / "objects"

    def store(data: bytes) -> bytes:
        digest = hashlib.sha256(data).hexdigest()
        path = objects / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return field(1, digest.encode()) + field(2, len(data))

    inner = store(field(1, field(1, b"deep") + field(2, store(b"the deep file"))))
    top = store(
        field(1, field(1, b"file") + field(2, store(b"the file")) + field(4, 1))
        + field(2, field(1, b"directory") + field(2, inner))
        + field(3, field(1, b"link") + field(2, b"file"))
    )
    ref = tmp_path / "cache" / "artifacts" / "refs" / "mini" / "a" / "k"
    ref.parent.mkdir(parents=True)
    ref.write_bytes(field(1, 1) + field(2, 1) + field(5, b"strong" * 40) + field(8, top))
    config = tmp_path / "bst.conf"
    config.write_text(f"# ours\ncachedir: '{tmp_path}/cache' # here\nlogdir: /nowhere\n")
    return config


def test_a_whole_artifact_is_cached(cache: Path) -> None:
    assert cached(cache, "mini/a/k")


def test_an_artifact_nobody_made_is_not_cached(cache: Path) -> None:
    assert not cached(cache, "mini/b/k")


@pytest.mark.parametrize("content", [b"the file", b"the deep file"])
def test_an_artifact_that_lacks_one_file_is_not_cached(cache: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    (cache.parent / "cache" / "cas" / "objects" / digest[:2] / digest[2:]).unlink()
    assert not cached(cache, "mini/a/k")


@given(st.binary(max_size=64))
def test_a_broken_reference_is_not_cached(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    home = tmp_path_factory.mktemp("broken")
    (home / "cache" / "artifacts" / "refs").mkdir(parents=True)
    (home / "cache" / "artifacts" / "refs" / "k").write_bytes(data)
    (home / "bst.conf").write_text(f"cachedir: {home}/cache\n")
    assert not cached(home / "bst.conf", "k")


def test_the_default_cache_is_the_users(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").rename(tmp_path / "buildstream")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert cached(None, "mini/a/k")


def test_what_is_recorded_and_whole_need_not_be_built(cache: Path, tmp_path: Path) -> None:
    recorded = {("x86_64", "a.bst"): ("k", "mini/a/k"), ("x86_64", "gone.bst"): ("k", "mini/gone/k")}
    found = look(Project(tmp_path, cache), [for_architecture("x86_64", "a.bst", "gone.bst", "new.bst")], recorded)
    assert [(each.element, each.key, each.cached) for each in found] == [
        ("a.bst", "k", True),
        ("gone.bst", "k", False),
        ("new.bst", "", False),
    ]
