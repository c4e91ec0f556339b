# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Trove that mirrors another one in bulk, by grokmirror."""

from __future__ import annotations

import configparser
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..git.tree import read_refs
from ..process import run
from ..wait import wait_for
from .manifest import NAME, compute_fingerprint, fetch_manifest, find_program, list_repositories, read_manifest

TIMEOUT = 1800.0
ALL = "all of it"


@dataclass(frozen=True)
class Difference:
    """A repository (path on the Trove, without .git) of which the mirror lacks something, and what."""

    path: str
    lacks: str


def find_differences(upstream: Path, mirror: Path) -> list[Difference]:
    """What ``mirror`` lacks of the refs of the repositories below ``upstream``."""
    found = []
    for path in list_repositories(upstream):
        theirs, ours = (read_refs(top / f"{path}.git") for top in (upstream, mirror))
        if not ours:
            found.append(Difference(path, ALL))
        elif theirs != ours:
            refs = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
            found.append(Difference(path, ", ".join(refs)))
    return found


def mirror_directory(
    upstream: Path,
    mirror: Path,
    *,
    configuration: Path,
    log: Path,
    programs: Path | None = None,
    write: bool = True,
) -> list[Difference]:
    """Run one pass of grokmirror if ``mirror`` lacks anything of ``upstream``; return what it lacked.

    The upstream's manifest is written first, so that the pass sees what is there now.
    """
    lacking = find_differences(upstream, mirror)
    if not lacking or not write:
        return lacking
    _check_configuration(configuration, mirror)
    mirror.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    listing = ["grok-manifest", "-m", str(upstream / NAME), "-t", str(upstream), "-l", str(log)]
    gone = sorted({*read_manifest(upstream)} - {*list_repositories(upstream)})
    if gone:  # grok-manifest fails at what it has to remove by itself
        _run_grokmirror(
            [*listing, "-x", *(str(upstream / f"{path}.git") for path in gone)], "forget repositories of", programs
        )
    _run_grokmirror([*listing, "-i", "*/.making-*"], "list the repositories of", programs)
    _run_grokmirror(["grok-pull", "-c", str(configuration)], "mirror the Trove by", programs)
    still = find_differences(upstream, mirror)
    refuse(
        "mirror",
        str(upstream),
        [f"{one.path}: {one.lacks}" for one in still],
        summary=f"after a whole pass of grokmirror {mirror} differs",
        do_next="Look into the log, and run again.",
        log=str(log),
    )
    return lacking


def find_remote_differences(site: str, mirror: Path) -> list[Difference]:
    """What ``mirror`` lacks of the Trove at ``site``, an HTTP address, as that one's manifest says."""
    found = []
    for path, wanted in sorted(fetch_manifest(site).items()):
        ours = compute_fingerprint(read_refs(mirror / f"{path}.git"))
        if ours != wanted:
            found.append(Difference(path, ALL if ours is None else "what is new"))
    return found


def mirror_site(
    site: str,
    mirror: Path,
    *,
    configuration: Path,
    programs: Path | None = None,
    timeout: float = TIMEOUT,
    write: bool = True,
) -> list[Difference]:
    """Run one pass of grokmirror if ``mirror`` lacks anything of the Trove at ``site``; return what it lacked.

    A service that mirrors the same may be at it already, so what the pass leaves is waited for, all in all
    ``timeout`` seconds. Each repository needs to be as the manifest says only once: others may go on pushing.
    """
    if not write and not mirror.exists():
        return [Difference("the whole Trove", ALL)]
    lacking = find_remote_differences(site, mirror)
    if not lacking or not write:
        return lacking
    log = _check_configuration(configuration, mirror, site=site)
    left = {one.path: one for one in lacking}
    started = time.monotonic()
    _run_grokmirror(
        ["grok-pull", "--no-mtime-check", "-c", str(configuration)], "mirror the Trove by", programs, timeout
    )

    def find_left() -> str:
        for path in {*left} - {one.path for one in find_remote_differences(site, mirror)}:
            del left[path]
        return ", ".join(f"{one.path} lacks {one.lacks}" for one in left.values())

    wait_for(
        find_left,
        lambda state: not state,
        attempt="mirror",
        on=site,
        timeout=max(0.0, timeout - (time.monotonic() - started)),
        interval=2.0,
        do_next="Look into the log for what failed, and run again.",
        log=log,
    )
    return lacking


def _run_grokmirror(words: Sequence[str], attempt: str, programs: Path | None = None, timeout: float = TIMEOUT) -> None:
    run(
        [find_program(words[0], programs), *words[1:]],
        attempt=attempt,
        on="grokmirror",
        timeout=timeout,
        do_next="Look into grokmirror's log and run again.",
    )


def _check_configuration(configuration: Path, toplevel: Path, *, site: str | None = None) -> str | None:
    """Make sure that the configuration is about these Troves; return the log that it names."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(configuration.read_text(encoding="utf-8"))
        configured = parser["core"]["toplevel"]
        mirrored = parser["remote"]["site"] if site is not None else None
    except (OSError, KeyError, configparser.Error) as error:
        raise SlipwayError(
            "read grokmirror's configuration", str(configuration), str(error), do_next="Provision the Trove again."
        ) from error
    if Path(configured) != toplevel:
        raise SlipwayError(
            "mirror to",
            str(toplevel),
            f"{configuration} keeps another Trove, {configured}",
            do_next="Correct one of the two paths.",
        )
    if mirrored != site:
        raise SlipwayError(
            "mirror",
            str(site),
            f"{configuration} mirrors another Trove, {mirrored}",
            do_next="Correct one of the two addresses.",
        )
    return parser["core"].get("log")
