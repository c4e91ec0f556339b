# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restrict an ssh key to one thing: sending files of a release to ``<directory>/<label>/`` with rsync.

It is both the forced command of the key (``upload-guard <directory>``) and the login shell of the account, which
sshd starts as ``upload-guard -c "upload-guard <directory>"``. What the client asked for is in SSH_ORIGINAL_COMMAND.

Allowed is the very command that Slipway's upload sends, and nothing that differs from it in more than the label: every
option is looked at, and rsync is started by us, without a shell. It cannot send anything back, delete, follow or make
links. Files that are there already are not replaced: a file gets its name when it is whole, so what bears a
name is finished. What was cut off is in the label's directory ``.partial``, from where it is resumed.

One question is answered: ``slipway-room <directory>/<label>`` tells the room and the rights there and which files have
arrived, because a client whose transfer fails often hears of it only that the connection broke.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import re
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

RSYNC = "/usr/bin/rsync"
#: A label: what a release file may be called too, so no hidden name, no option and no other directory.
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}\Z")
#: Dry run, verbosity, permissions, times, digests, relative names; after ``e`` what the client's rsync can do.
#: Not there: links, devices, owners, recursion, deletion, in-place writing.
LETTERS = re.compile(r"-(?P<letters>[nvptcR]+)(?P<abilities>e[0-9]*\.[A-Za-z]*)\Z")
REPORTS = ("--log-format=X", "--log-format=%i")
PARTIAL = ".partial"
ROOM = "slipway-room"
NUMBER = re.compile(r"[0-9]{1,5}\Z")
#: What a client is that says nothing about it.
IDLE_TIMEOUT = 600
LOCK_WAIT = 30.0


class RefusedError(Exception):
    """What was asked for is not allowed."""


@dataclass
class UploadRequest:
    """What of the client's command goes into ours."""

    label: str
    letters: str = ""
    abilities: str = ""
    report: str = REPORTS[0]
    timeout: int = IDLE_TIMEOUT


def make_command(directory: str, asked: str | None) -> tuple[str, list[str], bool]:
    """The directory to be written to, the rsync command for it, and whether it only looks."""
    request = parse_request(directory, asked)
    target = os.path.join(directory, request.label)
    dry = "n" in request.letters
    options = [
        f"-{'n' if dry else ''}cpR{request.abilities}",
        request.report,
        f"--timeout={request.timeout}",
        # A dry run writes nothing, and tells truly what differs.
        *([] if dry else ["--ignore-existing"]),
        f"--partial-dir={PARTIAL}",
        "--mkpath",
    ]
    return target, options, dry


def parse_request(directory: str, asked: str | None) -> UploadRequest:
    """The client's request, if all of it is allowed."""
    if not asked:
        raise RefusedError("there is no shell here")
    try:
        words = shlex.split(asked)
    except ValueError as error:
        raise RefusedError("the command cannot be read") from error
    if words[:2] != ["rsync", "--server"] or len(words) < 5 or words[-2] != ".":
        raise RefusedError("only Slipway's upload by rsync is allowed")
    request = UploadRequest(_check_label(directory, words[-1]))
    options = iter(words[2:-2])
    for option in options:
        name, _equals, value = option.partition("=")
        if option == "--partial-dir":
            value = next(options, "")
        if found := LETTERS.match(option):
            request.letters, request.abilities = found["letters"], found["abilities"]
        elif name == "--timeout" and NUMBER.match(value) and int(value):
            request.timeout = min(int(value), IDLE_TIMEOUT)
        elif option in REPORTS:
            request.report = option
        elif option != "--mkpath" and not (name == "--partial-dir" and value == PARTIAL):
            raise RefusedError(f"rsync's option {option!r} is not allowed")
    if not {"c", "R"} <= set(request.letters):
        raise RefusedError("only an upload that compares digests is allowed")
    return request


def parse_room_request(directory: str, asked: str | None) -> str | None:
    """The directory of a release whose room is asked for; None if something else is asked for."""
    try:
        words = shlex.split(asked or "")
    except ValueError:
        return None
    if len(words) != 2 or words[0] != ROOM:
        return None
    return os.path.join(directory, _check_label(directory, words[1]))


def describe_room(target: str) -> Iterator[str]:
    """Room and rights of ``target``, or of where it would be created: one word and its value a line."""
    place = target if os.path.lexists(target) else os.path.dirname(target)
    found, system = os.stat(place, follow_symlinks=False), os.statvfs(place)
    if not stat.S_ISDIR(found.st_mode):
        raise RefusedError(f"{place} is not a directory")
    yield f"place {place}"
    owner, group = _named(pwd.getpwuid, found.st_uid), _named(grp.getgrgid, found.st_gid)
    yield f"account {_named(pwd.getpwuid, os.geteuid())}"
    yield f"rights {stat.filemode(found.st_mode)} {owner} {group}"
    if os.access(place, os.W_OK | os.X_OK):
        yield "writable"
    if system.f_flag & os.ST_RDONLY:
        yield "readonly"
    if system.f_blocks:
        yield f"free {system.f_bavail * system.f_frsize}"
    if system.f_files:
        yield f"inodes {system.f_favail}"
    yield from _list_files("file", target)
    yield from _list_files("part", os.path.join(target, PARTIAL))


def _named(look: Callable[[int], Sequence[Any]], number: int) -> str:
    try:
        return str(look(number)[0])
    except KeyError:
        return str(number)


def _list_files(word: str, directory: str) -> Iterator[str]:
    """The files in a directory that bear names of releases; links are not followed."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and LABEL.match(entry.name):
                yield f"{word} {entry.stat(follow_symlinks=False).st_size} {entry.name}"
    os.close(descriptor)


def _check_label(directory: str, target: str) -> str:
    """The label in ``<directory>/<label>/``, the one kind of place that may be written to."""
    label = target.removeprefix(f"{directory}/").removesuffix("/")
    if not target.startswith(f"{directory}/") or not LABEL.match(label):
        raise RefusedError(f"{target!r} is not {directory}/ with the name of a release")
    return label


def prepare(target: str) -> None:
    """Create and lock the release's directory until rsync ends."""
    try:
        os.mkdir(target, 0o755)
    except FileExistsError:
        pass
    except OSError as error:
        raise RefusedError(f"{target} cannot be made: {error.strerror}") from error
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise RefusedError(f"{target} is not a directory") from error
    if os.fstat(descriptor).st_uid != os.geteuid() or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise RefusedError(f"{target} belongs to somebody else")
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RefusedError(f"another upload to {target} is under way") from None
            time.sleep(0.2)
        else:
            break
    os.set_inheritable(descriptor, True)  # rsync holds the lock until its end


def parse_arguments(arguments: Sequence[str], program: str) -> str:
    """The directory that the key may send to; as a login shell only our own forced command is known."""
    words = list(arguments)
    if words[:1] == ["-c"] and len(words) == 2:
        words = shlex.split(words[1])
        if words[:1] != [program]:
            raise RefusedError("there is no shell here")
        del words[0]
    if len(words) != 1 or not os.path.isabs(words[0]):
        raise RefusedError("there is no shell here")
    return words[0].rstrip("/")


def main(arguments: Sequence[str], program: str, environment: Mapping[str, str]) -> NoReturn:
    """Become rsync, or refuse with a sentence."""
    try:
        directory = parse_arguments(arguments, program)
        asked = environment.get("SSH_ORIGINAL_COMMAND")
        if target := parse_room_request(directory, asked):
            print(*describe_room(target), sep="\n")
            sys.exit()
        target, options, dry = make_command(directory, asked)
        os.umask(0o022)
        if not dry:
            prepare(target)
    except (RefusedError, ValueError, OSError) as error:
        sys.exit(f"Refused: {error}.")
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    words = ["rsync", "--server", *options, ".", f"{target}/"]
    os.execve(RSYNC, words, clean)  # noqa: S606  # that there is no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:], os.path.abspath(sys.argv[0]), os.environ)
