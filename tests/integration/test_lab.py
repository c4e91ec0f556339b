"""Real hosts on this machine: what the lab promises, asked from outside with ssh, Ansible and iproute2."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import LAB, Lab, lab

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can run hosts on this machine")
GROUPS = {
    "troves": {"trove": {"lab_number": 11}},
    "builders": {"builder": {"lab_number": 12, "lab_binds": ["/dev/fuse"]}},
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("fleet"), GROUPS) as made:
        yield made


def boot(fleet: Lab, host: str) -> str:
    return fleet.on(host, "cat /proc/sys/kernel/random/boot_id")


def supervisor(fleet: Lab, host: str) -> int:
    return int(json.loads((fleet.directory / "hosts" / host / "supervisor.json").read_text())["pid"])


@root_only
def test_a_command_on_a_host_keeps_its_own_dashes(fleet: Lab) -> None:
    assert fleet.do("exec", "trove", "--", "printf", "%s,", "--", "a b") == "--,a b,"


@root_only
def test_each_host_is_a_whole_system_that_ansible_reaches(fleet: Lab) -> None:
    said = fleet.ansible("all", "command", "systemctl is-system-running --wait")
    assert said.count("running") == 2, said
    assert fleet.on("trove", "hostname; cat /proc/1/comm") == "trove\nsystemd"
    assert fleet.on("builder", "test -c /dev/fuse && getent hosts trove").split() == [
        next(host["address"] for host in fleet.settings["hosts"] if host["name"] == "trove"),
        "trove",
    ]


@root_only
def test_of_all_that_are_the_first_of_a_namespace_a_crash_kills_the_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a sandbox would be seen to end by what runs on the host."""
    monkeypatch.syspath_prepend(str(LAB.parents[1]))
    process = importlib.import_module("scripts.lab_process")
    with subprocess.Popen(["unshare", "-pf", "sh", "-c", "unshare -pf sleep 60; :"]) as outside:
        deadline = time.monotonic() + 30
        found: list[list[int]] = []
        while len(found) < 4 and time.monotonic() < deadline:
            found = [[outside.pid]]
            while below := [child for pid in found[-1] for child in process.list_children(pid)]:
                found.append(below)
        assert [[process.is_init(pid) for pid in pids] for pids in found] == [[False], [True], [False], [False]]
        os.kill(found[1][0], signal.SIGKILL)


@root_only
def test_hosts_that_are_up_stay_as_they_are(fleet: Lab) -> None:
    before = boot(fleet, "trove")
    fleet.up()
    assert boot(fleet, "trove") == before


@root_only
def test_debian_packages_and_wheels_are_there_and_nothing_else(fleet: Lab) -> None:
    fleet.on("trove", "apt-get update -qq && apt-get install -y -qq hello >/dev/null 2>&1")
    assert fleet.on("trove", "hello -g works") == "works"
    fetch = f"import urllib.request as r; print(r.urlopen('{fleet.settings['wheels']}').read().decode())"
    assert "grokmirror-" in fleet.on("trove", f'python3 -c "{fetch}"')
    away = "import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('192.0.2.1', 80)))"
    assert fleet.on("trove", f'python3 -c "{away}"') == "101", "not 'network is unreachable'"
    assert fleet.on("trove", "getent hosts example.org || echo unknown") == "unknown"


@root_only
def test_a_crash_takes_all_processes_and_leaves_the_disk(fleet: Lab) -> None:
    before = boot(fleet, "builder")
    fleet.on("builder", "echo kept > /var/tmp/file; setsid sleep 1000 >/dev/null 2>&1 </dev/null &")
    fleet.do("crash", "builder")
    assert "builder" in fleet.do("status")
    namespace = f"lab-{fleet.identity}-builder"
    assert subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, check=True).stdout == b""
    assert "off" in fleet.call("crash", "builder").stderr
    fleet.do("start", "builder")
    assert fleet.on("builder", "cat /var/tmp/file; ! pgrep sleep") == "kept"
    assert boot(fleet, "builder") != before


@root_only
def test_a_reboot_is_a_reboot(fleet: Lab) -> None:
    before, watcher = boot(fleet, "builder"), supervisor(fleet, "builder")
    assert "rebooted: true" in fleet.ansible("builder", "reboot", "reboot_timeout=60")
    assert boot(fleet, "builder") != before
    assert supervisor(fleet, "builder") == watcher


@root_only
def test_a_host_that_is_cut_off_is_unreachable_soon_and_comes_back(fleet: Lab) -> None:
    assert "SUCCESS" in fleet.ansible("trove"), "the shared connection exists"
    fleet.do("partition", "trove")
    begun = time.monotonic()
    said = fleet.ansible("all")
    assert time.monotonic() - begun < 30
    assert "trove | UNREACHABLE!" in said
    assert "builder | SUCCESS" in said
    assert "cut off" in fleet.do("status")
    fleet.do("heal", "trove")
    assert "SUCCESS" in fleet.ansible("trove")


@root_only
def test_two_hosts_can_be_cut_off_from_each_other_alone(fleet: Lab) -> None:
    reach = "import socket; socket.create_connection(('trove', 22), 2); print('reached')"
    ask = f'python3 -c "{reach}" 2>&1 | tail -1'
    assert fleet.on("builder", ask) == "reached"
    fleet.do("partition", "builder", "trove")
    assert fleet.on("builder", ask) == "TimeoutError: timed out"
    assert "running, cut off from trove" in fleet.do("status")
    fleet.do("heal", "trove", "builder")
    assert fleet.on("builder", ask) == "reached"
    fleet.do("partition", "builder", "trove")
    assert "cut off" not in fleet.do("up")


@root_only
def test_a_host_whose_key_is_another_one_is_refused(fleet: Lab) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    fleet.on("builder", f"cp {key} /var/tmp/key && rm {key} && ssh-keygen -q -t ed25519 -N '' -f {key}")
    fleet.do("stop", "builder")
    fleet.do("start", "builder")
    said = fleet.ansible("builder")
    assert "UNREACHABLE" in said
    assert "Host key verification failed" in said
    fleet.do("down", "builder")
    fleet.up()
    assert "SUCCESS" in fleet.ansible("builder"), "a new disk has the key that the lab knows"


@root_only
def test_what_a_crash_of_the_lab_left_is_put_right(fleet: Lab) -> None:
    before = boot(fleet, "builder")
    os.kill(supervisor(fleet, "builder"), signal.SIGKILL)
    time.sleep(0.2)
    assert boot(fleet, "builder") == before, "the host goes on without its supervisor"
    fleet.up()
    assert boot(fleet, "builder") != before
    assert [kind for kind, what in fleet.traces() if "hosts/builder/root " in what].count("mount") == 1


@root_only
def test_two_labs_do_not_meddle_and_one_that_is_down_leaves_nothing(fleet: Lab, tmp_path: Path) -> None:
    with lab(tmp_path, {"troves": {"trove": {"lab_number": 11}}}) as second:
        assert second.settings["network"] != fleet.settings["network"]
        second.on("trove", "echo second > /etc/which")
        assert fleet.on("trove", "cat /etc/which 2>/dev/null || echo first") == "first"
        assert "SUCCESS" in second.ansible("trove")
        assert {kind for kind, _what in second.traces()} == {"mount", "link", "namespace", "cgroup", "process"}
    assert second.traces() == []
    assert not second.directory.exists()
    assert fleet.on("trove", "systemctl is-system-running") == "running"


def test_only_the_process_that_was_started_is_ended_not_another_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(LAB.parents[1]))
    lab_process = importlib.import_module("scripts.lab_process")
    record, sleep = tmp_path / "record", [shutil.which("sleep"), "1000"]
    stranger = subprocess.Popen(sleep)
    time.sleep(0.05)  # the kernel tells processes of one moment apart by number only
    try:
        lab_process.start(sleep, record=record, log=tmp_path / "log")
        ours = json.loads(record.read_text())
        record.write_text(json.dumps({**ours, "pid": stranger.pid}))
        lab_process.end(record, what="a stranger")
        assert stranger.poll() is None
        record.write_text(json.dumps(ours))
        lab_process.end(record, what="ours")
        assert lab_process.start_time(ours["pid"]) is None
    finally:
        stranger.kill()
        stranger.wait()


@root_only
@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("all: {hosts: {a: {lab_number: 1}}}", "the lab_number of a is 1, not a number from 2 to 254"),
        ("all: {hosts: {a: {lab_number: 7}, b: {lab_number: 7}}}", "several hosts have the lab_number 7"),
        ("all: {hosts: {'../a': {lab_number: 7}}}", "'../a' is not a name for a host"),
        ("all: {hosts: {a: {}}}", "no host has a lab_number"),
        (
            "all: {hosts: {a: {lab_number: 7, lab_suite: potato}}}",
            "the lab_suite of a is 'potato', not bookworm or trixie",
        ),
    ],
)
def test_an_inventory_of_no_use_is_refused_in_a_sentence(tmp_path: Path, inventory: str, said: str) -> None:
    made = Lab(tmp_path, {})
    (made.inventory / "hosts.yml").write_text(inventory)
    refused = made.call("up", "--inventory", str(made.inventory / "hosts.yml"))
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert made.call("down").returncode == 0


@root_only
def test_a_suite_that_hosts_cannot_run_is_refused(tmp_path: Path) -> None:
    made = Lab(tmp_path, {"all": {"a": {"lab_number": 7}}})
    made.environment["SLIPWAY_LAB_SUITE"] = "potato"
    refused = made.call("up", "--inventory", str(made.inventory / "hosts.yml"))
    assert refused.returncode == 1
    assert "SLIPWAY_LAB_SUITE names no suite of the lab. Name bookworm or trixie." in refused.stderr
    assert made.call("down").returncode == 0


@root_only
def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    for program in ("dirname", "readlink", "python3"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    made = Lab(tmp_path / "lab", {})
    made.environment["PATH"] = str(tmp_path)
    assert "apt-get install mount openssh-client" in made.call("status").stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_other_users_are_told_that_only_root_may() -> None:
    assert "only root may" in subprocess.run([LAB, "status"], capture_output=True, text=True).stderr
