"""A release VM under qemu, for those who have no cloud: docs/release-vm.md. It ends here, disk and all."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_terminal
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.machine import STATE_LABEL
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.seed import (
    LABEL,
    RELEASERS,
    read_seed,
    summarise_seed,
)

from scripts import lab_process

SAID = "release-vm: "
READY, FAILED = f"{SAID}ready", f"{SAID}failed: "
#: What is kept of a console, and what a line of it may be.
LOG_BYTES, LINE_BYTES = 4 << 20, 4096
READ_BYTES = 1 << 16
#: Seconds for a machine to switch itself off when it is asked to, and for a firmware to say something under KVM.
OFF, PROBE = 180.0, 5.0
PROGRAM, IMAGES = "qemu-system-x86_64", "qemu-img"
MIB = 1 << 20


class Place:
    """The files of one machine that runs, or ran."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.overlay = directory / "disk.qcow2"
        self.seed = directory / "seed.img"
        self.console = directory / "console.log"
        self.control = directory / "control"
        self.record = directory / "machine.json"
        self.errors = directory / "machine.log"

    def forget(self) -> None:
        """Throw the machine away: its disk, and what it was told. The console's log stays to be read."""
        for path in (self.overlay, self.seed, self.control):
            path.unlink(missing_ok=True)


def make_seed(source: Path, target: Path) -> str:
    """A disk of the files in a directory, once they are found to be right; who may do what there."""
    seed = read_seed(source)
    size = sum(path.stat().st_size + 8192 for path in source.rglob("*"))
    mebibytes = 4 + size * 3 // 2 // MIB
    with tempfile.TemporaryDirectory(prefix="slipway-seed-") as name:
        made = Path(name) / "seed"
        made.touch(mode=0o600)  # it has secrets in it
        words = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", LABEL, "-d", str(source)]
        _run("mke2fs", *words, str(made), f"{mebibytes}M", what="make the disk of")
        shutil.copyfile(made, _touch_private(target))
    return summarise_seed(seed)


def _touch_private(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path


def make_state(path: Path, size: str) -> None:
    """The disk that is kept from one machine to the next, unless there is one."""
    if not path.exists():
        _touch_private(path)
        words = ["-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-L", STATE_LABEL]
        try:
            _run("mke2fs", *words, str(path), size, what="make the disk of")
        except SlipwayError:
            path.unlink()
            raise


def _run(*words: str, what: str) -> str:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    done = run(words, attempt=what, on="the release VM", env={"PATH": path}, do_next="See that the disk is not full.")
    return done.stdout


def find_image(cache: Path) -> Path:
    """The disk that `make release-vm` made last."""
    try:
        return Path(json.loads((cache / "vm/release-vm.json").read_text(encoding="utf-8"))["path"])
    except (OSError, ValueError, KeyError) as error:
        raise SlipwayError(
            "start",
            "a release VM",
            f"there is none in {cache}/vm",
            do_next="Make it: make release-vm, or name one by --image.",
        ) from error


@functools.cache
def has_kvm() -> bool:
    """Whether a machine runs under KVM: its device can be opened where it does not work, so a firmware has to speak."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    words = [PROGRAM, "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "64", "-nodefaults", "-display", "none"]
    words += ["-chardev", "stdio,id=said", "-device", "isa-debugcon,iobase=0x402,chardev=said"]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout or 0, selectors.EVENT_READ)
                return bool(selector.select(PROBE)) and bool(
                    os.read(process.stdout.fileno(), 1) if process.stdout else b""
                )
        finally:
            process.kill()


def format_command(given: argparse.Namespace, place: Place, *, kvm: bool) -> list[str]:
    """How qemu is called."""
    forward = f"hostfwd=tcp:127.0.0.1:{given.port}-:22"
    network = f"user,id=net,{forward}{',restrict=on' if given.isolated else ''}"
    disks = [(place.overlay, "qcow2", False), (place.seed, "raw", True)]
    if given.state:
        disks.append((given.state, "raw", False))
    words = [PROGRAM, "-name", "release-vm", "-machine", "q35", "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-accel", "kvm" if kvm else "tcg,thread=multi,tb-size=256", "-cpu", "host" if kvm else "max"]
    words += ["-smp", str(given.cpus), "-m", str(given.memory), "-display", "none"]
    words += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    words += ["-qmp", f"unix:{place.control},server=on,wait=off"]
    words += ["-netdev", network, "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"]
    for number, (path, kind, fixed) in enumerate(disks):
        about = f"if=none,id=disk{number},format={kind},file={_escape(path)},discard=unmap"
        words += ["-drive", f"{about}{',readonly=on' if fixed else ''}"]
        words += [
            "-device",
            f"virtio-blk-pci,drive=disk{number}{',bootindex=0' if number == 0 and not given.kernel else ''}",
        ]
    if given.kernel:
        words += ["-kernel", str(given.kernel), "-initrd", str(given.initrd), "-append", given.append]
    return words


def _escape(path: Path) -> str:
    return str(path).replace(",", ",,")


def prepare(given: argparse.Namespace, place: Place) -> None:
    """Make what the machine needs; nothing of it is left if that fails."""
    for program, package in ((PROGRAM, "qemu-system-x86"), (IMAGES, "qemu-utils"), ("mke2fs", "e2fsprogs")):
        if shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is None:
            raise SlipwayError(
                "start", "a release VM", f"{program} is not installed", do_next=f"Say: apt-get install {package}"
            )
    if lab_process.find_running(place.record) is not None:
        raise SlipwayError(
            "start", "a release VM", f"one runs in {place.directory}", do_next="Say: scripts/release-vm stop"
        )
    image = (given.image or find_image(given.cache)).resolve()
    if not image.is_file():
        raise SlipwayError("start", str(image), "there is no such file", do_next="Make it: make release-vm")
    if not given.seed.exists():
        raise SlipwayError(
            "read", str(given.seed), "there is no such directory", do_next="Say who may log in: docs/release-vm.md"
        )
    with contextlib.closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", given.port))
        except OSError as error:
            raise SlipwayError(
                "use the port", str(given.port), error.strerror or "", do_next="Name another one by --port."
            ) from error
    place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.forget()
    if given.seed.is_dir():
        sys.stdout.write(f"{make_seed(given.seed, place.seed)}\n")
    else:
        shutil.copyfile(given.seed, _touch_private(place.seed))
    if given.state:
        make_state(given.state, given.state_size)
    make_overlay(given, place)


def make_overlay(given: argparse.Namespace, place: Place) -> None:
    """The machine's own disk, on top of the one to start; what one had before is thrown away."""
    image = (given.image or find_image(given.cache)).resolve()
    words = ["-b", str(image), "-F", "qcow2" if image.suffix == ".qcow2" else "raw", str(place.overlay), given.disk]
    _run(IMAGES, "create", "-q", "-f", "qcow2", *words, what="make the disk of")


def follow(given: argparse.Namespace, place: Place, *, echo: bool) -> int:
    """Run a machine until it is off, or has had its hours; then throw it away.

    Nested KVM may carry a firmware and not what it loads. A machine that KVM gives up before it said a word has done
    nothing yet, so it begins again without; one that it gives up later ends, since nobody else knows what it had begun.
    """
    deadline = time.monotonic() + given.hours * 3600
    try:
        for kvm in (True, False) if has_kvm() else (False,):
            sys.stdout.write(
                f"Starting a release VM {'under KVM' if kvm else 'without KVM, which is slow'}; "
                f"its console: {place.console}\n"
            )
            sys.stdout.flush()
            status = _follow_one(format_command(given, place, kvm=kvm), place, deadline=deadline, kvm=kvm, echo=echo)
            if status is not None:
                return status
            if read_said(place.console):
                raise SlipwayError(
                    "run",
                    "the release VM",
                    "KVM of this machine gave it up with an internal error",
                    do_next=f"Look at {place.console} and {place.errors}; run it where nobody else virtualises KVM.",
                )
            make_overlay(given, place)
        return 1
    finally:
        place.forget()


def _follow_one(command: Sequence[str], place: Place, *, deadline: float, kvm: bool, echo: bool) -> int | None:
    """Run a machine until it is off; its status, or None if KVM gave it up."""
    stopping = {"asked": False, "at": 0.0}

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping["asked"] = True

    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True) as process:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        try:
            with place.console.open("wb", buffering=0) as log:
                for data in _read_output(process):
                    if log.tell() < LOG_BYTES:
                        log.write(data)
                    if echo:
                        os.write(1, escape_terminal(data.decode("utf-8", "replace")).encode())
                    now = time.monotonic()
                    if (stopping["asked"] or now > deadline) and not stopping["at"]:
                        stopping["at"] = now + OFF
                        ask(place.control, "system_powerdown")
                    if stopping["at"] and now > stopping["at"]:
                        process.kill()
                    if kvm and not data and ask(place.control, "query-status").get("status") == "internal-error":
                        return None
            return process.wait()
        finally:
            process.kill()
            process.wait()


def _read_output(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What it says, and nothing once a second so that one can look at the time, until its end."""
    if process.stdout is None:
        return
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(1.0):
                yield b""
                continue
            data = os.read(process.stdout.fileno(), READ_BYTES)
            if not data:
                return
            yield data


def ask(control: Path, command: str) -> dict[str, Any]:
    """Ask qemu for something, such as to press the machine's button; nothing if it does not answer."""
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(control))
        with connection.makefile("rwb") as stream:
            stream.readline()  # its greeting
            for word in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": word}).encode() + b"\n")
                stream.flush()
                while b'"return"' not in (answer := stream.readline()) and answer:
                    continue  # what happens meanwhile
            told = json.loads(answer)["return"]
            return told if isinstance(told, dict) else {}
    return {}


def wait_until_ready(place: Place, *, timeout: float) -> None:
    """Pass on what the machine says of itself, until it is ready; what it failed at is an error."""
    deadline, shown = time.monotonic() + timeout, 0
    while True:
        running = lab_process.find_running(place.record) is not None
        said = read_said(place.console)
        for line in said[shown:]:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        shown = len(said)
        failed = next((line for line in said if line.startswith(FAILED)), "")
        if failed or not running:
            ended = place.errors.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1] or "it ended"
            came_back = failed.removeprefix(FAILED) or ended
            raise SlipwayError("prepare", "the release VM", came_back, do_next=f"Its console is in {place.console}.")
        if READY in said:
            return
        if time.monotonic() > deadline:
            raise SlipwayError(
                "prepare",
                "the release VM",
                f"it is not ready after {timeout:.0f} s",
                do_next=f"Look at {place.console}; scripts/release-vm stop throws it away.",
            )
        time.sleep(0.5)


def read_said(console: Path) -> list[str]:
    """What the machine says of itself on its console, in whole lines; a prompt may stand before it."""
    with contextlib.suppress(FileNotFoundError), console.open("rb") as stream:
        lines = stream.read(LOG_BYTES).decode("utf-8", "replace").replace("\r", "").split("\n")[:-1]
        return [escape_terminal(line[line.index(SAID) :][:LINE_BYTES]) for line in lines if SAID in line]
    return []


def start(given: argparse.Namespace) -> int:
    """Start a machine that goes on, and wait until it is ready."""
    place = Place(given.directory)
    prepare(given, place)
    place.console.unlink(missing_ok=True)
    place.errors.unlink(missing_ok=True)
    words = [sys.executable, "-B", "-m", "scripts.release_vm", "run", "--prepared", *_repeat(given)]
    root = Path(__file__).resolve().parents[1]
    lab_process.start(words, record=place.record, log=place.errors, env={"PYTHONPATH": f"{root}:{root}/collections"})
    wait_until_ready(place, timeout=given.timeout)
    sys.stdout.write(f"To log in: ssh -p {given.port} NAME@127.0.0.1, where members of {RELEASERS} say: release X.Y\n")
    sys.stdout.write("To throw it away: scripts/release-vm stop\n")
    return 0


def _repeat(given: argparse.Namespace) -> list[str]:
    """The options once more, for the process that runs the machine; paths whole, since it is in another directory."""
    words = ["--directory", str(given.directory), "--cache", str(given.cache), "--seed", str(given.seed.resolve())]
    for name in ("port", "cpus", "memory", "hours", "disk"):
        words += [f"--{name}", str(getattr(given, name))]
    words += ["--isolated"] if given.isolated else []
    for name in ("image", "state", "kernel", "initrd"):
        words += [f"--{name}", str(getattr(given, name).resolve())] if getattr(given, name) else []
    return [*words, f"--append={given.append}"]


def run_here(given: argparse.Namespace) -> int:
    """Run a machine as long as this command, with its console on the terminal."""
    place = Place(given.directory)
    if not given.prepared:
        prepare(given, place)
    return follow(given, place, echo=not given.prepared)


def stop(given: argparse.Namespace) -> int:
    """Switch the machine off and throw it away; the disk with the state stays."""
    place = Place(given.directory)
    pid = lab_process.find_running(place.record)
    if pid is not None:
        lab_process.send(pid, signal.SIGTERM)
        lab_process.wait_gone(place.record, what="the release VM", timeout=OFF + 30)
    place.record.unlink(missing_ok=True)
    place.forget()
    return 0


def status(given: argparse.Namespace) -> int:
    """Say whether one runs, and what it said."""
    place = Place(given.directory)
    running = lab_process.find_running(place.record)
    sys.stdout.write(f"It runs as process {running}.\n" if running else "None runs.\n")
    sys.stdout.write("".join(f"{line}\n" for line in read_said(place.console)))
    return 0 if running else 1


def seed(given: argparse.Namespace) -> int:
    """Make the disk with the data for another place than this machine, such as a cloud."""
    sys.stdout.write(f"{given.output}: {make_seed(given.source, given.output)}\n")
    return 0


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    common = argparse.ArgumentParser(add_help=False)
    place = Path(os.environ.get("SLIPWAY_STATE") or home / "slipway") / "release-vm"
    common.add_argument("--directory", type=Path, default=place, help="of the machine while it runs")
    common.add_argument(
        "--cache", type=Path, default=Path(os.environ.get("SLIPWAY_CACHE") or cache), help=argparse.SUPPRESS
    )
    machine = argparse.ArgumentParser(add_help=False, parents=[common])
    machine.add_argument(
        "--seed",
        type=Path,
        required=True,
        help="the directory with user-data, inventory/ and secrets/, or a disk of it",
    )
    machine.add_argument("--image", type=Path, help="the disk to start; by default that of `make release-vm`")
    machine.add_argument("--state", type=Path, help="the disk that is kept; it is made if absent")
    machine.add_argument("--state-size", default="40G")
    machine.add_argument("--disk", default="40G", help="the size of the machine's own disk")
    machine.add_argument("--memory", type=int, default=4096, help="MiB")
    machine.add_argument("--cpus", type=int, default=os.cpu_count() or 1)
    machine.add_argument("--port", type=int, default=2222, help="of this machine, for ssh")
    machine.add_argument("--hours", type=float, default=72.0, help="after which it is switched off")
    machine.add_argument("--timeout", type=float, default=1800.0, help="seconds until it is ready")
    machine.add_argument("--isolated", action="store_true", help="without a way out")
    machine.add_argument("--prepared", action="store_true", help=argparse.SUPPRESS)
    for name in ("kernel", "initrd"):
        machine.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    machine.add_argument("--append", default="", help=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(prog="release-vm", description="A machine that makes releases, under qemu.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("start", parents=[machine], help="start one that goes on, and wait until it is ready")
    verbs.add_parser("run", parents=[machine], help="start one, and show its console until it is off")
    verbs.add_parser("stop", parents=[common], help="switch it off, and throw it away")
    verbs.add_parser("status", parents=[common], help="say whether one runs, and what it said")
    made = verbs.add_parser("seed", help="make the disk with the data, for a cloud")
    made.add_argument("source", type=Path)
    made.add_argument("output", type=Path)
    given = parser.parse_args(words)
    if "directory" in given:
        given.directory = given.directory.resolve()
    return given


VERBS = {"start": start, "run": run_here, "stop": stop, "status": status, "seed": seed}


def main() -> None:
    """Do what the command line says."""
    given = parse_arguments(sys.argv[1:])
    try:
        status = VERBS[given.verb](given)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        lab_process.end_unread()
    except SlipwayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. `scripts/release-vm status` says whether a machine runs.")


if __name__ == "__main__":
    main()
