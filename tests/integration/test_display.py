"""What people see of a run: on terminals of any width, in a log, and through ansible-runner; with the real Ansible."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.text import measure
from publishing import put

ROOT = Path(__file__).resolve().parents[2]
CALLBACK = "slipway.release.stages"
CLEAR = "\r\x1b[K"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
REASON = """\
Could not build lua: its sources are in /srv/slipway/releases/26.47/a-directory-with-a-long-name and cannot be read. \
Give them to slipway, and run again.
  - lua.c is root's, as is everything that lies beside it in that directory, whatever its name is
  - and lua.h"""
SLOW = {"name": "Wait for the sources", "ansible.builtin.command": "sleep 2.5", "changed_when": True}
SPECS = {"main": {"short_description": "A stage", "options": {"some_stage_variable": {"type": "str", "default": "x"}}}}


@dataclass
class Shown:
    """What a run wrote: as it was written, and the lines that stay."""

    status: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """What is not taken back."""
        shown = [line.rpartition(CLEAR)[2].rstrip() for line in self.raw.replace("\r\n", "\n").split("\n")]
        return [COLOUR.sub("", line) for line in shown]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def drawn(self) -> list[str]:
        """Every line that was there for a while."""
        return [
            COLOUR.sub("", part) for line in self.raw.replace("\r\n", "\n").split("\n") for part in line.split(CLEAR)
        ]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Roles that are stages, and hosts that are this machine."""
    one: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"one": one, "two": one}}}))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\nstdout_callback = {CALLBACK}\ncollections_path = {ROOT / 'collections'}\n"
        f"roles_path = {tmp_path}/roles\nretry_files_enabled = false\nlocalhost_warning = false\n"
    )
    return tmp_path


def role(site: Path, name: str, *tasks: dict[str, Any]) -> None:
    for part, content in (("tasks/main.yml", list(tasks)), ("meta/argument_specs.yml", {"argument_specs": SPECS})):
        path = site / "roles" / name / part
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))


def book(site: Path, name: str, roles: Sequence[str], *, hosts: str = "one", **more: Any) -> Path:
    path = site / name
    path.write_text(
        json.dumps([{"name": f"Play {name}", "hosts": hosts, "gather_facts": False, "roles": roles, **more}])
    )
    return path


def environment(site: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ANSIBLE_STDOUT_CALLBACK", "NO_COLOR", "COLUMNS")
    }
    return {**kept, "ANSIBLE_CONFIG": str(site / "ansible.cfg"), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **more}


def run(site: Path, *words: str | Path, columns: int = 0, **more: str) -> Shown:
    """Run playbooks, on a terminal that has so many columns, or into a log."""
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [str(word) for word in (program, "-i", site / "hosts.json", *words)]
    streams: dict[str, Any] = {"cwd": site, "env": environment(site, **more), "stdin": subprocess.DEVNULL}
    if not columns:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **streams
        )
        return Shown(done.returncode, done.stdout)
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, start_new_session=True, **streams) as running:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # nobody has the terminal any more
        finally:
            os.close(ours)
    return Shown(running.returncode, written.decode())


def failing(site: Path) -> Path:
    role(site, "release_plan", {"name": "Read", "ansible.builtin.command": "true", "changed_when": False})
    upload = {
        "source": str(site / "images"),
        "files": put(site / "images", {f"a-{number}.tar": b"a" * 1000 for number in range(3)}),
        "directory": str(site / "there"),
        "progress": str(site / "upload.log"),
    }
    role(site, "release_publish", {"name": "Upload", "slipway.release.artifact_upload": upload}, SLOW)
    role(site, "release_build", {"name": "Build the systems", "ansible.builtin.fail": {"msg": REASON}})
    return book(site, "release.yml", ["release_plan", "release_publish", "release_build", "release_tag"])


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_of_any_width_shows_each_stage_on_a_line_and_a_reason_once(site: Path, columns: int) -> None:
    role(site, "release_tag", SLOW)
    shown = run(site, failing(site), "-e", "token=geheim", columns=columns)
    assert shown.status == 2
    assert [line for line in shown.drawn if measure(line) >= columns] == []
    assert any(re.match(r"2/4  publish +(Wait for the|3/3, 3.0 kB)", line) for line in shown.drawn), shown.raw
    kept = [line for line in shown.lines if re.match(r"\d/4  ", line)]
    assert [line.split()[:3] for line in kept] == [
        ["1/4", "plan", "unchanged"],
        ["2/4", "publish", "2"],
        ["3/4", "build", "FAILED"],
    ]
    assert all(re.search(r" \d:\d\d$", line) for line in kept)
    words = " ".join("".join(shown.text.split()).split())
    assert words.count("Couldnotbuildlua") == 1
    assert words.count("andlua.h") == 1
    assert "FAILED on one: Build the systems" in shown.lines
    assert "release.yml is not done: build failed" in shown.text
    assert "Validating" not in shown.text
    assert "geheim" not in shown.raw
    assert "Traceback" not in shown.raw


@pytest.mark.parametrize("kind", ["a log", "a dumb terminal", "no colours"])
def test_what_a_terminal_cannot_do_is_not_tried(site: Path, kind: str) -> None:
    role(site, "release_build", SLOW)
    play = book(site, "build.yml", ["release_build"])
    if kind == "a log":
        shown = run(site, play)
    else:
        shown = run(site, play, columns=80, **({"TERM": "dumb"} if kind == "a dumb terminal" else {"NO_COLOR": "1"}))
    assert COLOUR.search(shown.raw) is None
    assert ("\x1b" in shown.raw) == (kind == "no colours")
    assert re.fullmatch(r"1/1  build 1 changed +0:\d\d", shown.lines[0])
    assert len(shown.lines[0]) == (80 if kind == "a log" else 79)
    assert shown.lines[1].startswith("build.yml is done: 1 task changed, 0:0")


def test_several_hosts_are_named_and_what_fails_on_all_of_them_is_said_once(site: Path) -> None:
    role(site, "release_check", {"name": "Say", "ansible.builtin.debug": {"msg": "it is {{ inventory_hostname }}"}})
    role(site, "release_build", {"name": "Build", "ansible.builtin.fail": {"msg": REASON}})
    shown = run(site, book(site, "release.yml", ["release_check", "release_build"], hosts="all"))
    assert shown.text.count("Could not build lua") == 1
    assert {"one: it is one", "two: it is two", "FAILED on one: Build", "FAILED on two as well: Build"} <= set(
        shown.lines
    )
    assert "release.yml is not done: build failed on one, two." in shown.lines
    assert "1/2  check unchanged, 2 hosts" in shown.text


def test_a_check_shows_what_would_change_and_a_loop_is_no_line_for_each_item(site: Path) -> None:
    write = {"name": "Write", "ansible.builtin.copy": {"dest": f"{site}/new", "content": "first\nsecond\n"}}
    verify = {
        "name": "Verify",
        "ansible.builtin.stat": {"path": "{{ item }}"},
        "loop": [f"file-{n}" for n in range(15)],
    }
    role(site, "release_package", write, verify)
    shown = run(site, book(site, "package.yml", ["release_package"]), "--check", "--diff")
    assert {"would change: Write", "+first", "+second"} <= set(shown.lines)
    assert "file-3" not in shown.text
    assert "1/1  package would change 1" in shown.text
    assert "package.yml is done: 1 task would change, " in shown.text
    assert not (site / "new").exists()


def test_warnings_are_shown_at_once_and_again_at_the_end_and_ignored_and_rescued_failures_are_none(site: Path) -> None:
    ignored = {"name": "Try", "ansible.builtin.command": "false", "ignore_errors": True, "changed_when": False}
    rescued = {"block": [{"name": "Try again", "ansible.builtin.command": "false"}], "rescue": [SLOW]}
    mode = {"name": "Write", "ansible.builtin.copy": {"dest": f"{site}/new", "content": "", "mode": 644}}
    group = {"name": "Add", "ansible.builtin.group_by": {"key": "is not-a-name"}}
    role(site, "release_check", ignored, rescued, mode, group)
    shown = run(site, book(site, "check.yml", ["release_check"]))
    assert shown.status == 0, shown.raw
    assert "ignored: Try: non-zero return code" in shown.text
    assert "ignored: Try again: non-zero return code" in shown.text
    assert "FAILED" not in shown.text
    assert "check.yml is done" in shown.text
    warnings = [line for line in shown.lines if "[WARNING]" in line]
    assert len(warnings) >= 1, shown.raw
    assert shown.text.count("  warning ") == len(warnings)


def test_more_verbosity_shows_what_ansible_itself_shows(site: Path) -> None:
    role(site, "release_build", SLOW)
    shown = run(site, book(site, "build.yml", ["release_build"]), "-v")
    assert "TASK [release_build : Wait for the sources] ***" in shown.text
    assert "PLAY RECAP ***" in shown.text
    assert "1/1  build" not in shown.text
    assert "build.yml is done" in shown.text


def test_handlers_are_no_stage_a_second_time(site: Path) -> None:
    role(site, "release_build", {**SLOW, "notify": "Tell"})
    role(site, "release_tag", SLOW)
    handlers = site / "roles/release_build/handlers/main.yml"
    handlers.parent.mkdir()
    handlers.write_text(json.dumps([{**SLOW, "name": "Tell"}]))
    shown = run(site, book(site, "release.yml", ["release_build", "release_tag"]))
    assert [line.split()[:3] for line in shown.lines if line] == [
        ["1/2", "build", "1"],
        ["2/2", "tag", "2"],
        ["release.yml", "is", "done:"],
    ]


def test_two_playbooks_of_one_command_are_told_one_after_the_other(site: Path) -> None:
    role(site, "release_build", SLOW)
    role(site, "release_tag", SLOW)
    first, second = book(site, "one.yml", ["release_build"]), book(site, "two.yml", ["release_build", "release_tag"])
    shown = run(site, first, second, "--skip-tags", "none", columns=80)
    order = [line.split()[0] for line in shown.lines if line]
    assert order == ["1/1", "one.yml", "1/2", "2/2", "two.yml"], shown.raw


def test_a_run_that_is_interrupted_says_where_it_was_and_how_to_go_on(site: Path) -> None:
    begun = site / "begun"
    wait = {"name": "Build", "ansible.builtin.command": f"sh -c 'touch {begun}; sleep 60'", "changed_when": True}
    role(site, "release_build", wait)
    program = Path(sys.executable).with_name("ansible-playbook")
    words = [program, "-i", site / "hosts.json", book(site, "release.yml", ["release_build"])]
    with subprocess.Popen(
        words, cwd=site, env=environment(site), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        end = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < end:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        text = running.communicate(timeout=60)[0]
    assert running.returncode != 0
    lines = text.splitlines()
    assert "release.yml was ended in build." in lines
    assert lines[-1].startswith("To go on, give the same command again: ansible-playbook -i ")


def test_ansible_runner_gets_its_events_and_lines_that_stay(site: Path) -> None:
    role(site, "release_build", SLOW)
    play = book(site, "build.yml", ["release_build"])
    (site / "runner").mkdir()
    ran = ansible_runner.run(
        private_data_dir=str(site / "runner"),
        project_dir=str(site),
        playbook=str(play),
        inventory=str(site / "hosts.json"),
        envvars=environment(site, ANSIBLE_STDOUT_CALLBACK=CALLBACK),
        quiet=True,
    )
    text = ran.stdout.read()
    assert ran.rc == 0, text
    assert "1/1  build 1 changed" in text
    assert "Wait for the sources" not in COLOUR.sub("", text)
    assert [event["event"] for event in ran.events].count("runner_on_ok") == 2
