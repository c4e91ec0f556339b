# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build host has, and what it allows, whatever it is asked for."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import SlipwayError
from ..files import make_directory
from ..process import make_environment
from .job import Job
from .limits import Limits, find_free

#: Chroots by suite and architecture, below the home of whoever builds.
CHROOTS = Path(".cache/sbuild")
ENDINGS = (".zst", ".xz", ".gz", "")
#: What clean chroots get of the host; autopkgtest does not begin without them.
DEVICES = ("/dev/console", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")
#: The bytes that a source package may have.
MAX_SOURCE = 16 << 30
#: Seconds within which the other side hears a word.
WORD = 60.0
#: Seconds to wait for a slot.
SLOT = 30.0
#: Seconds that a look at a chroot may take.
LOOK = 60.0
#: The Debian architecture of a program by its class (1: 32 bits, 2: 64), byte order (1: little) and machine.
ARCHITECTURES = {
    (1, 1, 3): "i386",
    (2, 1, 62): "amd64",
    (1, 1, 62): "x32",
    (2, 1, 183): "arm64",
    (2, 1, 21): "ppc64el",
    (2, 2, 21): "ppc64",
    (2, 2, 22): "s390x",
    (2, 1, 243): "riscv64",
    (2, 1, 258): "loong64",
    (2, 1, 8): "mips64el",
}
ARM, HARD_FLOAT = (1, 1, 40), 0x400
#: What the machine calls itself, and which of Debian's architectures it runs without help.
MACHINES = {"x86_64": ("amd64", "i386"), "i686": ("i386",), "aarch64": ("arm64",), "armv7l": ("armhf", "armel")}


def _find_own_chroots() -> Path:
    return Path.home() / CHROOTS


@dataclass(frozen=True)
class Station:
    """A build host: where its chroots are and jobs are done, how many at once (0 for any number), and what one may use.

    ``limits`` are the highest that a job can have, ``source_bytes`` is how large a source package may be. It has
    ``transfer_seconds`` to come, as the answer has to go, without an end for 0. By default all is allowed that a job
    asks for. ``strict`` says that whoever asks is somebody else: then a repository is one of the network.
    """

    chroots: Path = field(default_factory=_find_own_chroots)
    work: Path | None = None
    slots: int = 0
    limits: Limits = field(default_factory=lambda: Limits(float("inf"), float("inf"), 1 << 62, 0))
    source_bytes: int = MAX_SOURCE
    transfer_seconds: float = 0.0
    strict: bool = False

    @property
    def place(self) -> Path:
        """Where jobs are done."""
        return Path(tempfile.gettempdir() if self.work is None else self.work)

    def bound(self, job: Job) -> Job:
        """The job within what is allowed here; ``ValueError`` if it asks for what is not."""
        asked, most = job.limits, self.limits
        if self.strict and any(one.line.startswith("file:") for one in job.repositories):
            raise ValueError("a repository of a job is a directory of the host")
        return replace(
            job,
            limits=Limits(
                min(asked.seconds, most.seconds),
                min(asked.silent_seconds, most.silent_seconds),
                min(asked.log_bytes, most.log_bytes),
                max(asked.free_bytes, most.free_bytes),
            ),
        )

    def find_chroot(self, suite: str, architecture: str) -> Path | None:
        """The archive of a clean system."""
        found = (self.chroots / f"{suite}-{architecture}.tar{ending}" for ending in ENDINGS)
        return next((path for path in found if path.is_file()), None)

    @contextlib.contextmanager
    def hold_slot(self, wait: float = SLOT) -> Iterator[bool]:
        """Whether there is room for one more job, now or soon: a job that has answered still cleans up.

        It is held for the time of the block, or until the process ends.
        """
        if not self.slots:
            yield True
            return
        deadline = time.monotonic() + wait
        while (held := next(self._try_slots(), None)) is None and time.monotonic() < deadline:
            time.sleep(0.5)
        try:
            yield held is not None
        finally:
            if held is not None:
                os.close(held)

    def _try_slots(self) -> Iterator[int]:
        """Descriptors of slots that were free, locked now."""
        directory = self.place / "slots"
        make_directory(directory)
        for number in range(self.slots):
            descriptor = os.open(directory / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                yield descriptor

    def describe(self) -> dict[str, Any]:
        """What a coordinator asks for before it sends anything."""
        chroots = {}
        for path in sorted(self.chroots.glob("*.tar*")):
            if path.suffix in (".tar", *ENDINGS) and not path.name.startswith(".") and path.is_file():
                chroots[path.name.partition(".tar")[0]] = read_architecture(path)
        free_slots = list(self._try_slots())
        for descriptor in free_slots:
            os.close(descriptor)
        return {
            "machine": platform.machine(),
            "chroots": chroots,
            "runs": {name: can_run(name) for name in sorted({*chroots.values()} - {""})},
            "free": find_free(self.place),
            "wanted": self.limits.free_bytes,
            "slots": self.slots,
            "busy": self.slots - len(free_slots),
            "lacks": [
                *(name for name in ("sbuild", "autopkgtest", "unshare", "newuidmap") if shutil.which(name) is None),
                *(path for path in DEVICES if not Path(path).exists()),
            ],
        }


def read_station(path: Path) -> Station:
    """The settings that the provisioning wrote as JSON."""
    names = {one.name for one in fields(Limits)}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        limits = Limits(**{name: found.pop(name) for name in names & set(found)})
        directories = {name: Path(found[name]) for name in ("chroots", "work")}
        return Station(**{**found, **directories, "limits": limits, "strict": True})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SlipwayError(
            "read the settings of the build host", str(path), str(error), do_next="Provision this host again."
        ) from error


def read_architecture(chroot: Path) -> str:
    """The Debian architecture of an archive of a system, by its dpkg; empty if it cannot be told."""
    # Whatever the names in it begin with; tar stops there, long before the end.
    words = ["tar", "--extract", "--to-stdout", "--occurrence=1", "--no-anchored", f"--file={chroot}", "usr/bin/dpkg"]
    try:
        read = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, env=make_environment(), timeout=LOOK, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return tell_architecture(read.stdout)


def tell_architecture(head: bytes) -> str:
    """The Debian architecture of a program, by its first bytes; empty if they are of something else."""
    if len(head) < 52 or not head.startswith(b"\x7fELF"):
        return ""
    order: Literal["little", "big"] = "little" if head[5] == 1 else "big"
    kind = (head[4], head[5], int.from_bytes(head[18:20], order))
    if kind == ARM:
        return "armhf" if int.from_bytes(head[36:40], order) & HARD_FLOAT else "armel"
    return ARCHITECTURES.get(kind, "")


def can_run(architecture: str) -> bool:
    """Whether programs of an architecture run here, by themselves or by an emulation that the kernel starts."""
    if architecture in MACHINES.get(platform.machine(), ()):
        return True
    if shutil.which("arch-test") is None:
        return False
    words = ["arch-test", architecture]
    asked = subprocess.run(words, capture_output=True, env=make_environment(), timeout=LOOK, check=False)
    return asked.returncode == 0


@contextlib.contextmanager
def limit_time(seconds: float, what: str) -> Iterator[None]:
    """Raise ``TimeoutError`` in the block when its time is up; without an end for 0. It is for the main thread."""
    if not seconds:
        yield
        return

    def ring(_number: int, _frame: object) -> None:
        raise TimeoutError(f"{what} took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
