# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Release files on their way to a download server's private directory."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..files import copy_hashed, make_directory, replace_file
from ..process import SSH_OPTIONS, run
from ..progress import Progress
from ..release.artifact import Artifact, explain_missing, inspect_files, select_missing
from ..room import Place, require_room
from .directory import PARTIAL_DIRECTORY, lock_directory

HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?)\Z"
)
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
SSH_OPTION = re.compile(r"[A-Za-z]+=[^\x00-\x1f]+\Z")

#: How fast: bytes a second, in units of 1024 of them with a letter.
LIMIT = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[KMG]?)\Z")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

SENT = "sent"
#: What rsync says of the file that it sends: how many of its bytes are there.
UNDER_WAY = re.compile(r" *(\d+) +\d+% ")


@dataclass(frozen=True)
class SshHost:
    """A machine reached by rsync over ssh.

    ``options`` (``Key=value``) come before ``arguments``, which are words for ssh, and these before our own. The first
    wins.
    """

    host: str
    user: str | None = None
    port: int | None = None
    options: Sequence[str] = ()
    arguments: Sequence[str] = ()

    def check(self) -> None:
        """Refuse hosts and users that ssh or rsync could misinterpret."""
        faults = []
        if not HOST.match(self.host):
            faults.append(f"the host {self.host!r} is not a host name or address")
        if self.user is not None and not USER.match(self.user):
            faults.append(f"the user {self.user!r} is not a user name")
        if self.port is not None and not 0 < self.port < 65536:
            faults.append(f"the port {self.port} is none")
        faults += [
            f"{option!r} is not of the form Key=value" for option in self.options if not SSH_OPTION.match(option)
        ]
        refuse("upload to", repr(self.host), faults, summary="settings are not usable", do_next="Correct them.")

    def format_target(self, directory: Path) -> str:
        """The destination in rsync's form."""
        address = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{address}:{directory}/" if self.user else f"{address}:{directory}/"

    def format_remote_shell(self) -> str:
        """The ssh command as rsync's option ``-e`` reads it: it splits at spaces, and a doubled quote is a quote."""
        return " ".join("'" + word.replace("'", "''") + "'" for word in self._list_words())

    def format_command(self) -> list[str]:
        """The words that a command for the server follows."""
        return [*self._list_words(), *(["-l", self.user] if self.user else []), "--", self.host]

    def _list_words(self) -> list[str]:
        port = [f"Port={self.port}"] if self.port is not None else []
        # A shared connection that began here would outlive rsync and hold its output.
        first, last = (
            [word for option in options for word in ("-o", option)]
            for options in (("ControlMaster=no", *port, *self.options), ("StrictHostKeyChecking=yes", *SSH_OPTIONS))
        )
        return ["ssh", *first, *self.arguments, *last]


def upload_files(
    source: Path,
    files: Sequence[Artifact],
    *,
    directory: Path,
    host: SshHost | None = None,
    timeout: float = 4 * 3600.0,
    idle_timeout: int = 60,
    limit: str = "",
    progress: Progress | None = None,
    check: bool = False,
) -> list[str]:
    """Upload the files to ``directory`` (local, or on ``host``), only those that are missing; return the names sent.

    The sources' digests are checked first. ``timeout`` bounds all of it and ``idle_timeout`` a silence of
    the other side, in seconds. ``limit`` is how many bytes a second may go to a ``host``, such as ``2M``; none if
    empty. ``check`` only says what would be sent.
    """
    reporter = progress or Progress(None)
    reporter.total, reporter.total_bytes = len(files), sum(file.size or 0 for file in files)
    if host is not None:
        host.check()
    rate = _read_limit(limit)
    if not directory.is_absolute():
        raise SlipwayError("upload to", str(directory), "it is not an absolute path", do_next="Correct it.")
    if not files:
        return []
    if check and not all(file.sha256 for file in files):
        return [file.name for file in files]  # they are not made yet
    _check_sources(source, files)
    with name_refusals("upload to", str(directory)):
        if host is None:
            return _copy_files(source, files, directory, reporter, check=check)
        return _Rsync(source, files, directory, host, timeout, idle_timeout, rate, reporter).send(check=check)


def _read_limit(limit: str) -> int:
    """KiB a second for rsync; 0 for no limit."""
    found = LIMIT.match(limit)
    rate = int(found["number"]) * UNITS[found["unit"]] >> 10 if found else 0
    if limit and not rate:
        raise SlipwayError(
            "upload",
            "the files",
            f"the limit {limit!r} is none: give bytes a second, at least 1K, such as 500K or 2M",
            do_next="Correct it (bwlimit in release_publish_upload) and run again.",
        )
    return rate


def _check_sources(source: Path, files: Sequence[Artifact]) -> None:
    faults = explain_missing(files, inspect_files(source, files))
    refuse("upload from", str(source), faults, summary="it is not what was packaged", do_next="Package it again.")


def _copy_files(
    source: Path, files: Sequence[Artifact], directory: Path, progress: Progress, *, check: bool
) -> list[str]:
    wanted = select_missing(files, inspect_files(directory, files))
    if check or not wanted:
        return [file.name for file in wanted]
    make_directory(directory.parent)
    progress.total, progress.total_bytes = len(wanted), sum(file.size or 0 for file in wanted)

    def one(file: Artifact) -> None:
        with open(source / file.name, "rb", buffering=0) as reader, replace_file(directory / file.name) as writer:
            if copy_hashed(reader, writer)[1] != file.sha256:
                raise SlipwayError(
                    "upload", str(source / file.name), "it changed meanwhile", do_next="Package it again."
                )
        progress.step(f"{file.name} is there", size=file.size)

    # Publishing takes the same lock, so that it meets no copy that is under way.
    with (
        require_room(_list_sizes(wanted), Place(str(directory)), attempt="upload to", on=str(directory)),
        lock_directory(directory.parent, attempt="upload to", on=str(directory)),
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
    ):
        make_directory(directory)
        list(pool.map(one, wanted))
    return [file.name for file in wanted]


def _list_sizes(files: Sequence[Artifact]) -> dict[str, int]:
    return {file.name: file.size or 0 for file in files}


@dataclass(frozen=True)
class _Rsync:
    """One rsync of all files: it compares contents, resumes cut off files and sends only differences."""

    source: Path
    files: Sequence[Artifact]
    directory: Path
    host: SshHost
    timeout: float
    idle_timeout: int
    rate: int
    progress: Progress

    def send(self, *, check: bool) -> list[str]:
        """Send the files, or only look; the names of those that are, or would be, sent.

        A server that takes uploads and nothing else leaves a file alone that arrived whole before, whatever its bytes:
        where something was not sent, a second look says whether it is the same.
        """
        if check:
            return self.run("--dry-run")
        target = self.host.format_target(self.directory)
        place = Place(str(self.directory), self.host.format_command(), PARTIAL_DIRECTORY)
        with require_room(_list_sizes(self.files), place, attempt="upload to", on=target, timeout=self.timeout):
            sent = self.run()
        refuse(
            "upload to",
            target,
            self.run("--dry-run") if len(sent) < len(self.files) else [],
            summary="the server has finished files there with other bytes, and does not let them be replaced",
            do_next="Find out which bytes are right. If it is these, remove the files listed there and run again.",
        )
        return sent

    def run(self, *options: str) -> list[str]:
        """Run rsync with these options too; the names that it says it sends."""
        sent: list[str] = []
        sizes = _list_sizes(self.files)

        def on_line(line: str) -> None:
            if found := UNDER_WAY.match(line):
                self.progress.meter(f"sending to {self.host.host}", int(found[1]))
            words = line.split(" ", 2)
            if len(words) == 3 and words[0] == SENT:
                sent.append(words[2])
                if "--dry-run" not in options:
                    self.progress.step(f"{words[2]} is there", size=sizes.get(words[2]))

        run(
            [
                "rsync",
                # rsync itself quotes the path for the remote shell. A server that allows nothing but uploads
                # reads it in the command, where it is not with -s.
                *("--no-s", "--no-old-args"),
                *("--files-from=-", "--from0", "--checksum", "--perms", "--chmod=D755,F644", "--mkpath"),
                *(f"--partial-dir={PARTIAL_DIRECTORY}", f"--timeout={self.idle_timeout}"),
                *([f"--bwlimit={self.rate}"] if self.rate else []),
                *("--info=progress1", "--no-human-readable"),
                *("--rsh", self.host.format_remote_shell(), f"--out-format={SENT} %b %n"),
                *options,
                "--",
                f"{self.source}/",
                self.host.format_target(self.directory),
            ],
            attempt="upload to",
            on=self.host.format_target(self.directory),
            do_next="Fix it, or this machine's access without a prompt (ssh, known_hosts, keys), and run again.",
            stdin=b"".join(os.fsencode(file.name) + b"\0" for file in self.files),
            timeout=self.timeout,
            on_line=on_line,
        )
        return sorted(sent)
