# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a function as the owner of a directory, when we are root."""

from __future__ import annotations

import multiprocessing
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import SlipwayError

#: How the variables begin that say where root's own settings are.
PERSONAL = ("GIT_CONFIG", "SSH_", "XDG_")

Result = TypeVar("Result")


def run_as_owner(directory: Path, act: Callable[[], Result]) -> Result:
    """Call ``act`` as the owner of ``directory`` if we are root and it is another user's; return its result.

    What is written stays the owner's, and root runs no program in a repository that another user configures. It
    happens in a process of its own: what ``act`` returns or raises is sent back, what it changes in memory is not.
    """
    try:
        owner = directory.stat().st_uid
    except FileNotFoundError:
        return act()
    if os.geteuid() != 0 or owner == 0:
        return act()
    try:
        person = pwd.getpwuid(owner)
    except KeyError as error:
        raise SlipwayError(
            "work as the owner of",
            str(directory),
            f"there is no user with the number {owner}",
            do_next="Give the directory to the user who keeps it, and run again.",
        ) from error
    return _run_forked(person, act)


def find_existing(path: Path) -> Path:
    """``path``, or the nearest directory above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def _run_forked(person: pwd.struct_passwd, act: Callable[[], Result]) -> Result:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            theirs.send(_call_as(person, act))
        finally:
            os._exit(0)
    theirs.close()
    try:
        result, error = ours.recv()
    except EOFError:
        raise SlipwayError(
            "work as", person.pw_name, "the process ended without a result", do_next="Run the same command again."
        ) from None
    finally:
        ours.close()
        os.waitpid(child, 0)
    if error is not None:
        raise error
    value: Result = result
    return value


def _call_as(person: pwd.struct_passwd, act: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    try:
        os.initgroups(person.pw_name, person.pw_gid)
        os.setgid(person.pw_gid)
        os.setuid(person.pw_uid)
        for name in [name for name in os.environ if name.startswith(PERSONAL)]:
            del os.environ[name]
        os.environ.update(HOME=person.pw_dir, USER=person.pw_name, LOGNAME=person.pw_name)
        os.chdir("/")
        return act(), None
    except SlipwayError as error:
        return None, error
    except Exception as error:
        return None, SlipwayError(
            "work as", person.pw_name, f"{type(error).__name__}: {error}", do_next="Run the same command again."
        )
