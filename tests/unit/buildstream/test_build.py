"""Builds, with a stand-in that says what the real bst said."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.build import build_all, check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    TRIES,
    Project,
    run_bst,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.session import BuildError, Fault
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from bstlogs import (
    AWAY,
    BAD,
    GOOD,
    HEADING,
    KEYS,
    LACKING,
    PUSHED,
    PUSHED_BEFORE,
    REMOTELY,
    SHOWN,
    STUMBLED,
    UNKNOWN,
    UNPUSHED,
    for_architecture,
    play,
)


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


def test_what_becomes_of_elements_on_a_farm_is_told_and_counted(project: Project, tmp_path: Path) -> None:
    play(project, "build", "x86_64", HEADING + REMOTELY + BAD, status=255)
    play(project, "show", "x86_64", SHOWN)
    progress = Progress(tmp_path / "progress")
    with pytest.raises(BuildError):
        build_all(
            project,
            [for_architecture("x86_64", "systems/good.bst", "systems/broken.bst")],
            log_directory=tmp_path / "logs",
            timeout=60,
            progress=progress,
        )
    said = [line.split(" ", 2)[2] for line in (tmp_path / "progress").read_text().splitlines()]
    assert [line.removeprefix("x86_64: ") for line in said if "farm" in line] == [
        "one.bst waits for a worker with ISA=x86-64 OSFamily=linux (the farm: 1 waiting)",
        "one.bst runs on worker-1 (the farm: 1 running)",
        "one.bst waits for a worker with ISA=x86-64 OSFamily=linux (the farm: 1 waiting)",
        "systems/good.bst has been built there before (the farm: 1 waiting, 1 known before)",
        "one.bst runs (the farm: 1 running, 1 known before)",
        "one.bst has run on worker-2 (the farm: 1 done, 1 known before)",
        "bad.bst waits for a worker with ISA=aarch32 OSFamily=linux (the farm: 1 waiting, 1 done, 1 known before)",
    ]


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


def test_a_server_that_goes_away_while_it_is_pushed_to_costs_no_system(project: Project, tmp_path: Path) -> None:
    heading = HEADING.replace("Pipeline\n", SERVERS)
    play(project, "build", "x86_64", heading + GOOD + UNPUSHED, status=255)
    play(project, "show", "x86_64", SHOWN)
    with pytest.raises(SlipwayError, match="everything was built, but not everything was pushed") as caught:
        build_all(
            project, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60
        )
    assert caught.value.findings == ["x86_64: systems/good.bst is not on http://cache:50051"]


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
            on_event=lambda architecture, event: told.append(
                (architecture, event.element, event.action, event.outcome)
            ),
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
    assert run_bst(project, "build", attempt="try", timeout=60).returncode == 1
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


def test_checkout_needs_only_the_name_of_the_project(project: Project, tmp_path: Path) -> None:
    play(project, "artifact", "none", "")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    check_out(Project(scratch, None, project.bst), "mini/a/k", archive=tmp_path / "a.tar", timeout=60)
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
        check_out(Project(tmp_path, None, str(program)), "mini/nope/k", archive=tmp_path / "a.tar", timeout=60)
    assert str(caught.value).startswith(
        "Could not take mini/nope/k out of BuildStream's cache: "
        "Error while staging: 'nope' This artifact is not yet cached. Run the build stage again"
    )


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (LACKING, "http://cache:50051: it does not have it. Check that the server runs"),
        (AWAY, "http://cache:50051: Failed to connect to remote host: Connection refused. Check that the server runs"),
    ],
)
def test_a_server_from_which_nothing_comes_is_named(project: Project, tmp_path: Path, said: str, fault: str) -> None:
    play(project, "artifact", "none", said, status=255)
    with pytest.raises(SlipwayError) as caught:
        check_out(project, "mini/a/k", archive=tmp_path / "a.tar", timeout=60)
    words = "Could not take mini/a/k out of BuildStream's cache or pull it from http://cache:50051: "
    assert str(caught.value).startswith(words + fault)
