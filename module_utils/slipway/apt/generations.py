# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Generations of an archive: each is written beside what clients read, and one rename makes it what they read.

A generation is ``generations/<number>/`` with ``dists`` and an account of itself; ``dists`` of the served directory is
a link into the current one.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import link_atomic, name_temporary
from .dists import BY_HASH, make_directory

CURRENT_LINK = "dists"
GENERATIONS = "generations"
#: Clients refuse an InRelease that is dated more than ten seconds in the future.
MAX_AHEAD = 5


def read_account(directory: Path, name: str) -> dict[str, Any] | None:
    """What the current generation says of itself in the file ``name``; None if nothing is published."""
    link = directory / CURRENT_LINK
    if not link.is_symlink():
        return None
    return read_json(directory, directory / Path(os.readlink(link)).parent / name)


def read_json(directory: Path, path: Path) -> dict[str, Any]:
    """Read an account of what is public in ``directory``."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SlipwayError(
            "see what is published in",
            str(directory),
            f"{path} is not readable ({error})",
            do_next="Restore it from a copy: it says what is public.",
        ) from error


def choose_date(
    directory: Path, before: int, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> int:
    """The date of a publication, at least a second after the last: clients compare them, and HTTP has none finer."""
    ahead = before + 1 - clock()
    if ahead > MAX_AHEAD:
        raise SlipwayError(
            "publish in",
            str(directory),
            f"the last publication is dated {ahead:.0f} s in the future",
            do_next="Set this machine's clock and run again.",
        )
    if ahead > 0:
        sleep(ahead)
    return max(before + 1, int(clock()))


def make_temporary(target: Path) -> Path:
    """A directory beside ``target``, which :func:`put_in_place` gives its name when it is complete."""
    temporary = name_temporary(target)
    make_directory(temporary, top=target.parents[1])
    return temporary


def put_in_place(temporary: Path, target: Path) -> None:
    """Give a complete directory its name."""
    if target.exists():
        shutil.rmtree(target)  # left by an interrupted run: it was never published
    temporary.rename(target)


def switch_to(directory: Path, number: int) -> None:
    """Make a generation the current one, and remove all but it and the one before."""
    try:
        link_atomic(directory / CURRENT_LINK, f"{GENERATIONS}/{number}/dists")
    except OSError as error:
        raise SlipwayError(
            "publish in",
            str(directory),
            f"{CURRENT_LINK} cannot become a link: {error.strerror}",
            do_next="Another tool made this directory; choose one of your own.",
        ) from error
    for path in (directory / GENERATIONS).iterdir():
        if path.name.isdigit() and int(path.name) not in {number, number - 1}:
            shutil.rmtree(path)


def remove_leftovers(directory: Path, *places: str) -> None:
    """Remove what killed runs have begun in ``directory``, and in ``places`` below it."""
    for place in ("", GENERATIONS, BY_HASH, *places):
        remove_temporaries(directory / place)


def remove_temporaries(directory: Path) -> None:
    """Remove what killed runs have begun in a directory: nobody else is at work there."""
    for path in directory.glob(".*.tmp"):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
