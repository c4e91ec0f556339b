# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Trove that mirrors another one in bulk, by grokmirror."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import snapshot
from .errors import SlipwayError
from .process import run

TIMEOUT = 1800.0


@dataclass(frozen=True)
class Difference:
    """A repository (path on the Trove, without .git) of which the mirror lacks something, and what."""

    path: str
    lacks: str


def repositories(toplevel: Path) -> list[str]:
    """The paths of the bare repositories below ``toplevel``, without ``.git``, sorted."""
    found = []
    for parent, directories, _unused in os.walk(toplevel):
        here = [name for name in directories if name.endswith(".git") and not name.startswith(".")]
        found += [str((Path(parent) / name).relative_to(toplevel)).removesuffix(".git") for name in here]
        directories[:] = [name for name in directories if name not in here and not name.startswith(".")]
    return sorted(found)


def differences(upstream: Path, mirror: Path) -> list[Difference]:
    """What ``mirror`` lacks of the refs of the repositories below ``upstream``."""
    found = []
    for path in repositories(upstream):
        theirs, ours = (snapshot.resolve(top / f"{path}.git") for top in (upstream, mirror))
        if not ours:
            found.append(Difference(path, "all of it"))
        elif theirs != ours:
            refs = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
            found.append(Difference(path, ", ".join(refs)))
    return found


def mirror(upstream: Path, mirror: Path, *, configuration: Path, log: Path, write: bool = True) -> list[Difference]:
    """Let grokmirror make one pass if ``mirror`` lacks anything of ``upstream``; return what it lacked.

    The upstream's manifest is written first, so that the pass sees what is there now.
    """
    lacking = differences(upstream, mirror)
    if not lacking or not write:
        return lacking
    _check(configuration, mirror)
    mirror.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    manifest = upstream / "manifest.js.gz"
    listing = ["grok-manifest", "-m", str(manifest), "-t", str(upstream), "-i", "*/.making-*", "-l", str(log)]
    _grok(listing, "list the repositories of")
    _grok(["grok-pull", "-c", str(configuration)], "mirror the Trove by")
    still = differences(upstream, mirror)
    if still:
        raise SlipwayError(
            "mirror",
            str(upstream),
            f"after a whole pass of grokmirror {mirror} differs",
            do_next="Look into the log, and run again.",
            log=str(log),
            findings=[f"{one.path}: {one.lacks}" for one in still],
        )
    return lacking


def program(name: str) -> str:
    """The path of a program that was installed together with this Python, or its bare name."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _grok(words: Sequence[str], attempt: str) -> None:
    run(
        [program(words[0]), *words[1:]],
        attempt=attempt,
        on="grokmirror",
        timeout=TIMEOUT,
        do_next="Look into grokmirror's log and run again.",
    )


def _check(configuration: Path, toplevel: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(configuration.read_text(encoding="utf-8"))
        said = parser["core"]["toplevel"]
    except (OSError, KeyError, configparser.Error) as error:
        raise SlipwayError(
            "read grokmirror's configuration", str(configuration), str(error), do_next="Provision the Trove again."
        ) from error
    if Path(said) != toplevel:
        raise SlipwayError(
            "mirror to",
            str(toplevel),
            f"{configuration} keeps another Trove, {said}",
            do_next="Correct one of the two paths.",
        )
