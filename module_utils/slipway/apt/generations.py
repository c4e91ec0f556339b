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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import link_atomic, name_temporary, sync_directory, write_atomic
from ..release.records import format_json
from .dists import BY_HASH, find_wrong_dists, is_snapshot, make_directory, redate_dists
from .signed import DAY, RELEASE, VALID_UNTIL, Signer, read_date, read_fields

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


@dataclass(frozen=True)
class Freshness:
    """A generation that clients read: its number and date, and until when they believe each suite; None is for ever."""

    generation: int
    published: int
    valid_days: float
    suites: Mapping[str, int | None]

    def is_due(self, valid_days: float, *, ahead: float, now: float) -> bool:
        """Whether it is to be signed anew, so that clients believe it for ``ahead`` days at least."""
        ends = [end for end in self.suites.values() if end is not None]
        if not valid_days:
            return bool(ends or self.valid_days)
        is_set = self.valid_days == valid_days and len(ends) == len(self.suites)
        return bool(self.suites) and not (is_set and min(ends) - now >= ahead * DAY)


def read_freshness(directory: Path, account: str) -> Freshness | None:
    """Until when clients believe what they read; None if nothing is published. Snapshots are not looked at."""
    now = read_account(directory, account)
    if now is None:
        return None
    place = directory / GENERATIONS / str(now["generation"])
    suites = {}
    for path in sorted(now["files"]):
        if path.endswith(f"/{RELEASE}") and not is_snapshot(path):
            text = (place / path).read_text("utf-8", "replace") if (place / path).is_file() else ""
            suites[path.split("/")[1]] = read_date(read_fields(text), VALID_UNTIL)
    return Freshness(now["generation"], now["published"], now.get("valid_days", 0.0), suites)


def find_faults_before_signing(
    directory: Path, account: str, *, signer: Signer, known: Freshness | None = None
) -> list[str]:
    """Why what clients read now must not be signed once more; ``known`` is what was seen there before."""
    now = read_account(directory, account) or {}
    number = now.get("generation", 0)
    findings = []
    if known is not None and (number, now.get("published", 0)) < (known.generation, known.published):
        day = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(known.published))
        findings.append(
            f"{CURRENT_LINK} leads to generation {number}, and clients have seen generation {known.generation} of {day}"
        )
    place = directory / GENERATIONS / str(number)
    files = now.get("files", {})
    there = {str(path.relative_to(place)) for path in (place / CURRENT_LINK).rglob("*") if path.is_file()}
    there -= {path for path in there if "/by-hash/" in path}
    findings += [f"{path} is there, and was not published" for path in sorted(there - files.keys())]
    return findings + find_wrong_dists(place, files, signer=signer)


def refresh_generation(
    directory: Path,
    account: str,
    *,
    signer: Signer,
    valid_days: float,
    known: Freshness | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Sign what clients read with another date, as a generation of its own: all else stays the same files.

    What is not as it was published is refused, so that nobody's change is signed. ``known`` is what was seen there
    before.
    """
    now = read_account(directory, account)
    if now is None:
        raise SlipwayError("refresh", str(directory), "nothing is published there", do_next="Publish something first.")
    refuse(
        "refresh",
        str(directory),
        find_faults_before_signing(directory, account, signer=signer, known=known),
        summary="it is not what was published, and was not signed",
        do_next="Find out who changed it, and restore it from a copy.",
    )
    remove_leftovers(directory)
    moment = choose_date(directory, now["published"], clock=clock, sleep=sleep)
    before, target = (directory / GENERATIONS / str(now["generation"] + step) for step in (0, 1))
    temporary = make_temporary(target)
    files = redate_dists(before, temporary, now["files"], signer=signer, moment=moment, valid_days=valid_days)
    refuse(
        "refresh",
        str(directory),
        find_wrong_dists(temporary, files, signer=signer),
        do_next="Clients see what they saw before. Check the disk and the key, and run again.",
    )
    following = {"generation": now["generation"] + 1, "published": moment, "valid_days": valid_days, "files": files}
    write_atomic(temporary / account, format_json(now | following))
    put_in_place(temporary, target)
    sync_directory(target.parent)
    switch_to(directory, now["generation"] + 1)


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
