"""Real machines under qemu, which start a boot sector that says one thing, or Linux with nothing but busybox."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.boot import console as console_module
from ansible_collections.slipway.release.plugins.module_utils.slipway.boot import shell as shell_module
from ansible_collections.slipway.release.plugins.module_utils.slipway.boot.console import Log, open_console
from ansible_collections.slipway.release.plugins.module_utils.slipway.boot.machines import (
    MACHINES,
    Disk,
    Firmware,
    Machine,
    Start,
    choose_firmware,
    find_missing,
    make_command,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.boot.shell import (
    BootFailedError,
    Report,
    Shell,
    await_report,
)
from bootables import AGAIN, HALT, RESET, find_kernel, make_initramfs, make_sector
from conftest import CACHE

REPORT = "boot-report: id=tiny version=1.0 failed={}\r\n"


@pytest.fixture
def start_sector(tmp_path: Path) -> Callable[..., tuple[Report, Log]]:
    def start(text: str, *, then: bytes = HALT, limit: float = 20) -> tuple[Report, Log]:
        disk, log = tmp_path / "disk", Log(4096)
        disk.write_bytes(make_sector(text, then=then))
        machine = Start("x86_64", "bios", "32M", disks=(Disk(disk),))
        try:
            with open_console(make_command(machine, tmp_path), log=log, on="tiny") as console:
                return await_report(console, limit), log
        finally:
            log.save(tmp_path / "log")

    return start


def test_a_report_is_read_from_a_serial_console(start_sector):
    report, log = start_sector(f"\x1b[2J\x1b[1;1Hhello\r\n{REPORT.format('none')}")
    assert report == Report("tiny", "1.0", ())
    assert log.read().decode().splitlines()[:2] == ["hello", REPORT.format("none").strip()]


def test_a_report_in_the_middle_of_a_line_of_the_kernel_counts(start_sector):
    report, _ = start_sector(f"[    1.5] usb {REPORT.format('a,b')}")
    assert report.find_faults(version="1.0", ids=["tiny"]) == ["2 units failed: a, b"]


def test_what_reports_another_version_or_another_system_is_not_what_was_expected():
    faults = Report("tiny", "1.0", ()).find_faults(version="1.1", ids=["other", "label"])
    assert faults == ["it reports the version 1.0, and not 1.1", "it reports that it is tiny, and not other or label"]


@pytest.mark.parametrize(
    ("text", "then", "said"),
    [
        ("", HALT, "there was no report within 2 s: it said nothing at all on its serial console"),
        ("GRUB loading.\r\n", HALT, "it hangs in the firmware or the boot loader; the last was 'GRUB loading.'"),
        ("\u2500\u2500 Boot in  1 s. \u2500\r\n\u2500\u2500\r\n", HALT, "the last was 'Boot in 1 s.'"),
        ("[    0.000000] Linux version 6\r\n", HALT, "the kernel runs, but has started no program"),
        ("[    0.1] Run /init as init process\r\n", HALT, "the kernel started its first program, which did not get"),
        ("bye\r\n", RESET, "it restarted or went off before it reported; the last that it said was 'bye'"),
        ("BdsDxe: No bootable option or device was found.\r\n", HALT, "the firmware found nothing that it can boot"),
        ("error: no disk\r\nEntering rescue mode...\r\ngrub rescue> ", HALT, "mode...', and 'error: no disk'"),
        ("Wrong Image\r\n\r\n=> ", HALT, "it stopped at the prompt of the boot loader, after 'Wrong Image'"),
        ("linux... failed: Gone\r\nboot: ", HALT, "at the prompt of the boot loader, after 'linux... failed: Gone'"),
        ("initramfs: no disk\r\ninitramfs: this is a shell", HALT, "its initramfs stopped in a shell: no disk"),
        ("SYSLINUX\r\nboot: ", HALT, "there was no report within 2 s"),
        ("Give root password: You are in emergency mode\r\n", HALT, "it stopped in an emergency shell"),
    ],
    ids=[
        "nothing",
        "loader",
        "menu",
        "kernel",
        "init",
        "reset",
        "no-loader",
        "grub",
        "u-boot",
        "syslinux",
        "initramfs",
        "asks",
        "emergency",
    ],
)
def test_each_way_of_not_booting_is_told_apart(
    start_sector, text: str, then: bytes, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shell_module, "PROMPT_LASTS", 0.5)
    with pytest.raises(BootFailedError, match=re.escape(said)):
        start_sector(text, then=then, limit=2)


def test_a_line_that_begins_like_a_prompt_is_none():
    said = f"printf 'first\n=> '; sleep 0.5; printf 'second\n{REPORT.format('none')}'"
    with open_console(["sh", "-c", said], log=Log(), on="tiny") as console:
        assert await_report(console, 20) == Report("tiny", "1.0", ())


def test_a_panic_of_a_system_that_was_up_is_told_with_the_command_that_got_no_answer():
    said = "read a; echo 'Kernel panic - not syncing: sysrq'; sleep 9"
    opened = open_console(["sh", "-c", said], log=Log(), on="tiny")
    with opened as console, pytest.raises(BootFailedError) as caught:
        Shell(console).run("uname", 1)
    assert str(caught.value) == "the command 'uname' did not end within 1 s, and the kernel panicked: sysrq"


def test_printing_without_end_is_ended_and_the_log_keeps_beginning_and_end(
    start_sector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(console_module, "MOST_BYTES", 50_000)
    with pytest.raises(BootFailedError, match="without a report; the last was '.*line"):
        start_sector("one line\r\n", then=AGAIN)
    log = (tmp_path / "log").read_text()
    assert log.startswith("one line\none line\n")
    assert re.search(r"\n\[\.\.\. \d{5} bytes are left out here \.\.\.\]\n", log)
    assert len(log) < 2 * 4096 + 100


def test_a_qemu_that_is_killed_is_told_with_the_signal(start_sector, tmp_path: Path):
    """By its process, found by the disk that it has."""

    def below(process: Path) -> list[str]:
        return (process / f"task/{process.name}/children").read_text().split()

    def find() -> list[int]:
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                words = (process / "cmdline").read_bytes().split(b"\0")
                if str(tmp_path / "disk").encode() in words and Path(os.fsdecode(words[0])).name == "bwrap":
                    found += [int(pid) for child in below(process) for pid in below(Path("/proc", child))]
        return found

    def kill() -> None:
        while not (found := find()) and not ended.wait(0.1):
            pass
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    ended = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(BootFailedError, match="qemu ended with signal 9"):
            start_sector("waiting\r\n", limit=20)
    finally:
        ended.set()
        killer.join()


def test_a_disk_that_qemu_cannot_read_is_told_in_its_words(tmp_path: Path):
    (tmp_path / "disk").write_bytes(b"no qcow2")
    machine = Start("x86_64", "bios", "32M", disks=(Disk(tmp_path / "disk", "qcow2"),))
    command, said = make_command(machine, tmp_path), "qemu ended with status 1: .*not in qcow2 format"
    with open_console(command, log=Log(), on="tiny") as console, pytest.raises(BootFailedError, match=said):
        await_report(console, 20)


def test_nothing_runs_on_when_whoever_started_it_is_killed(tmp_path: Path):
    (tmp_path / "disk").write_bytes(make_sector("waiting"))
    command = make_command(Start("x86_64", "bios", "32M", disks=(Disk(tmp_path / "disk"),)), tmp_path)
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); print(flush=True); input()"
    words = ["/usr/bin/python3", "-c", script, *command]
    parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    output = parent.stdout
    assert output.readline() == b"\n"
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    rest = output.read()  # ends when nobody can write any more
    assert rest in (b"", b"waiting")


def test_a_machine_sees_no_file_but_its_own_and_has_no_network(tmp_path: Path):
    command = make_command(Start("x86_64", "bios", "32M"), tmp_path)
    end = command.index("--")
    inside = [*command[: end + 1], "/bin/sh", "-c", "ls / /tmp /home /etc /root; cat /proc/net/dev; id -u; kill -0 1"]
    done = subprocess.run(inside, capture_output=True, text=True)
    assert set(done.stdout.split("/:\n")[-1].split("\n\n")[0].split()) == {
        *("bin", "dev", "lib", "lib32", "lib64", "proc", "sbin", "tmp", "usr", "var")
    }
    assert "eth" not in done.stdout
    assert "\n65534\n" in done.stdout


def test_what_a_machine_writes_to_its_disk_is_lost(tmp_path: Path):
    before = make_sector(REPORT.format("none"))
    (tmp_path / "disk").write_bytes(before)
    words = make_command(Start("x86_64", "bios", "32M", disks=(Disk(tmp_path / "disk"),)), tmp_path)
    at = words.index(str(tmp_path / "disk"))
    assert words[at - 1] == "--ro-bind"
    assert any("snapshot=on" in word for word in words)


def test_missing_programs_and_firmware_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_missing([("x86_64", "bios"), ("armv7lhf", "uboot")])
    assert "the program qemu-system-arm is missing: install the Debian package qemu-system-arm" in "\n".join(found)
    assert sum("bwrap" in each for each in found) == 1
    lacking = {"efi": Firmware("ovmf", (("/no/code", "/no/variables"),))}
    monkeypatch.setitem(MACHINES, "x86_64", Machine("sh", "dash", {"efi": ()}, "ttyS0", lacking))
    assert find_missing([("x86_64", "efi")])[-1].startswith("the firmware /no/code is missing: install the Debian")


def test_an_architecture_starts_by_those_firmwares_that_it_has():
    assert choose_firmware("x86_64", ["efi", "bios"]) == ["bios", "efi"]
    assert choose_firmware("armv7lhf", ["bios", "efi", "uboot"]) == ["uboot"]
    assert choose_firmware("x86_32", {"x86_64": ["efi"]}) == []
    assert choose_firmware("vax", ["bios"]) == []


@pytest.fixture(scope="module")
def kernel() -> Path:
    return find_kernel(CACHE / "kernel")


def start_linux(kernel: Path, tmp_path: Path, **facts: str) -> Start:
    return Start("x86_64", "kernel", "128M", kernel=kernel, initramfs=make_initramfs(tmp_path, **facts))


def test_commands_are_typed_on_the_console_and_only_what_they_say_is_their_answer(kernel: Path, tmp_path: Path):
    machine = start_linux(kernel, tmp_path, commands="echo 'printk: noise' >/dev/kmsg")
    log = Log()
    with open_console(make_command(machine, tmp_path), log=log, on="tiny") as console:
        assert await_report(console, 60).version == "1.0"
        shell = Shell(console)
        shell.find()
        assert shell.run("echo \"it's\"; echo 'two' >&2; false", 20).__dict__ == {"text": "it's\ntwo", "status": 1}
        assert shell.run("printf nothing-after-it", 20).text == "nothing-after-it"
        assert shell.run("cat", 20).text == ""  # it waits for nobody
        assert shell.run("if", 20).status != 0
        with pytest.raises(BootFailedError, match="the command 'sleep 60' did not end within 1 s"):
            shell.run("sleep 60", 1)
        shell.type("\x03")
        with pytest.raises(BootFailedError, match="when it was to run 'poweroff -f', it restarted or went off"):
            shell.run("poweroff -f", 20)
    assert "it's" in log.read().decode()


def test_a_broken_init_is_a_panic_that_is_told_at_once(kernel: Path, tmp_path: Path):
    machine = start_linux(kernel, tmp_path, init="#!/bin/nothing\n")
    command, said = make_command(machine, tmp_path), "the kernel panicked: .*init"
    with open_console(command, log=Log(), on="tiny") as console, pytest.raises(BootFailedError, match=said):
        await_report(console, 60)
