# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restrict an ssh key to one thing: sending files of a release to ``<directory>/<label>/`` with rsync.

It is both the forced command of the key (``upload-guard <directory> [<basis>]``) and the login shell of the account,
which sshd starts as ``upload-guard -c "upload-guard <directory>"``. What the client asked for is in
SSH_ORIGINAL_COMMAND.

Allowed is the very command that Slipway's upload sends, and nothing that differs from it in more than the label: every
option is looked at, and rsync is started by us, without a shell. It cannot send anything back, delete, follow or make
links. What the client sends is its own affair: rsync takes a file that it never asked for. So it is started on a
directory of the session, ``.arriving``, and what is whole there is moved to the label's directory by us: a regular file
of ours, with our permissions, under a name that is still free. What bears a name is finished, and is not replaced. What
was cut off is in the label's directory ``.partial``, from where it is resumed.

Where the guard was given a second directory, such as that of the release before, rsync takes what a new file has in
common with the most similar one there from it, so that only the rest is sent. The client has no say in that.

One question is answered: ``slipway-room <directory>/<label>`` tells the room and the rights there and which files have
arrived, because a client whose transfer fails often hears of it only that the connection broke.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
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
#: The directory of a session; what a killed one left there is the next one's.
ARRIVING = ".arriving"
ROOM = "slipway-room"
NUMBER = re.compile(r"[0-9]{1,5}\Z")
LIMIT = re.compile(r"[0-9]{1,12}\Z")
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


def make_command(directory: str, asked: str | None, basis: str = "") -> tuple[str, list[str], bool]:
    """The release's directory, the rsync command for it without the place to write to, and whether it only looks.

    ``basis`` is a directory with files that new ones may resemble.
    """
    request = parse_request(directory, asked)
    target = os.path.join(directory, request.label)
    dry = "n" in request.letters
    options = [
        # Without p: permissions are ours, and so are bits such as setuid.
        f"-{'n' if dry else ''}cR{request.abilities}",
        request.report,
        f"--timeout={request.timeout}",
        # A dry run writes nothing, and tells truly what differs.
        *([] if dry else ["--ignore-existing"]),
        f"--partial-dir={target}/{PARTIAL}",
        "--mkpath",
        # What is the same under the same name is copied, and not left out as with --compare-dest.
        *(["--fuzzy", "--fuzzy", f"--copy-dest={os.path.realpath(basis)}"] if basis and os.path.isdir(basis) else []),
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
        elif name == "--bwlimit" and LIMIT.match(value):
            continue  # the client keeps it
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
    for directory in (target, os.path.join(target, ARRIVING)):
        yield from _list_files("file", directory)
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


def prepare(target: str) -> int:
    """Create the release's directory, and lock it until rsync has ended; its descriptor."""
    try:
        os.mkdir(target, 0o755)
    except FileExistsError:
        pass
    except OSError as error:
        raise RefusedError(f"{target} cannot be made: {error.strerror}") from error
    descriptor = _open_own_directory(target)
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RefusedError(f"another upload to {target} is under way") from None
            time.sleep(0.2)
        else:
            return descriptor


def _open_own_directory(name: str, parent: int | None = None) -> int:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        raise RefusedError(f"{name} is not a directory") from error
    if os.fstat(descriptor).st_uid != os.geteuid():
        raise RefusedError(f"{name} belongs to somebody else")
    return descriptor


def receive(target: str, options: Sequence[str], lock: int) -> int:
    """Have rsync receive into the session's directory, and give what is whole its place; rsync's status."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(ARRIVING, 0o700, dir_fd=lock)
    session = _open_own_directory(ARRIVING, lock)
    settle(session, lock)  # what a killed session left
    for name in os.listdir(lock):
        if LABEL.match(name):
            # For rsync it is there, and no file can take the place of a directory.
            os.mkdir(name, 0o700, dir_fd=session)
    # rsync has the lock too, should it outlive us.
    status = run_rsync(options, os.path.join(target, ARRIVING), lock=lock)
    refused = settle(session, lock)
    os.rmdir(ARRIVING, dir_fd=lock)
    with contextlib.suppress(OSError):
        os.rmdir(PARTIAL, dir_fd=lock)  # if no beginning is left there
    if refused:
        raise RefusedError(f"these were not asked for, or are no files: {', '.join(map(repr, refused))}")
    return status


def run_rsync(options: Sequence[str], place: str, *, lock: int | None = None) -> int:
    """Run the server's rsync on ``place``; its status."""
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    words = [RSYNC, "--server", *options, ".", f"{place}/"]
    return subprocess.run(words, env=clean, pass_fds=() if lock is None else (lock,), check=False).returncode


def settle(session: int, target: int) -> list[str]:
    """Move each whole file from the session to the release, and remove the rest; the names of what was refused."""
    refused = []
    finished = set(os.listdir(target))
    with os.scandir(session) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.name, dir_fd=session)
        elif LABEL.match(entry.name) and entry.name not in finished and _take_ownership(entry.name, session):
            os.rename(entry.name, entry.name, src_dir_fd=session, dst_dir_fd=target)
        else:
            os.unlink(entry.name, dir_fd=session)
            if LABEL.match(entry.name):
                refused.append(entry.name)
    return refused


def _take_ownership(name: str, directory: int) -> bool:
    """Whether it is a regular file of ours under this one name, which then has our permissions."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
            return False
        os.fchmod(descriptor, 0o644)
        return True
    finally:
        os.close(descriptor)


def parse_arguments(arguments: Sequence[str], program: str) -> tuple[str, str]:
    """The directory that the key may send to, and that of similar files, which may be none.

    As a login shell only our own forced command is known.
    """
    words = list(arguments)
    if words[:1] == ["-c"] and len(words) == 2:
        words = shlex.split(words[1])
        if words[:1] != [program]:
            raise RefusedError("there is no shell here")
        del words[0]
    if len(words) not in (1, 2) or not all(map(os.path.isabs, words)):
        raise RefusedError("there is no shell here")
    return words[0].rstrip("/"), words[1] if len(words) > 1 else ""


def main(arguments: Sequence[str], program: str, environment: Mapping[str, str]) -> NoReturn:
    """Run rsync, or refuse with a sentence."""
    try:
        directory, basis = parse_arguments(arguments, program)
        asked = environment.get("SSH_ORIGINAL_COMMAND")
        if target := parse_room_request(directory, asked):
            print(*describe_room(target), sep="\n")
            sys.exit()
        target, options, dry = make_command(directory, asked, basis)
        os.umask(0o022)
        status = run_rsync(options, target) if dry else receive(target, options, prepare(target))
    except (RefusedError, ValueError, OSError) as error:
        sys.exit(f"Refused: {error}.")
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main(sys.argv[1:], os.path.abspath(sys.argv[0]), os.environ)
