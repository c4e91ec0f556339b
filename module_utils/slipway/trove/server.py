# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Trove that mirrors single repositories of any git server: promotion fetches the one that is asked for."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_directory, make_scratch
from ..git.remote import COMMIT, find_remote_commit, list_remote_refs, run_git
from ..locks import hold_posix_lock
from ..wait import wait_for
from .grokmirror import TRIES, find_mirrored_commit

#: What a mirror has of its server, and loses when the server does.
MIRRORED = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def promote_from_server(
    toplevel: Path,
    path: str,
    *,
    url: str,
    ref: str,
    commit: str,
    timeout: float,
    interval: float = 2.0,
    write: bool = True,
) -> bool:
    """Mirror the repository at ``url`` as ``path`` below ``toplevel``, so that its ``ref`` names ``commit``.

    Returns whether anything had to be fetched. A server may show a little later what was pushed, so that is waited
    for; another commit at ``ref`` is a failure at once. The lock is grokmirror's, which may keep other mirrors here.
    """
    repository = toplevel / f"{path}.git"
    if repository.is_dir() and find_mirrored_commit(repository, ref) == commit:
        return False
    if not write:
        return True
    attempt, on = f"promote {path} on", str(toplevel)
    tries = iter(range(TRIES - 1, -1, -1))

    def look() -> str:
        try:
            return find_remote_commit(url, ref) or "absent"
        except SlipwayError:
            if not next(tries, 0):
                raise
            return "not to be read"

    found = wait_for(
        look,
        lambda state: COMMIT.match(state) is not None,
        attempt=attempt,
        on=on,
        timeout=timeout,
        interval=interval,
        do_next=f"{redacted(url)} must show {ref} at {commit}: see what it has there, and run again.",
    )
    if found != commit:
        raise SlipwayError(
            attempt,
            on,
            f"{ref} of {redacted(url)} is at {found}, and not at {commit}",
            do_next="Find out who moved it and put it back, or release under another version.",
        )
    make_directory(repository.parent)
    with hold_posix_lock(repository.with_name(f".{repository.name}.lock"), attempt=attempt, on=on, timeout=timeout):
        _update_mirror(repository, url, timeout=timeout)
    if (mirrored := find_mirrored_commit(repository, ref)) != commit:
        raise SlipwayError(
            attempt,
            on,
            f"the mirror's {ref} is at {mirrored or 'nothing'} after a fetch, and not at {commit}",
            do_next=f"See what {redacted(url)} has there, and run again.",
        )
    return True


def check_upstream(url: str, path: str, *, refs: tuple[str, str], commit: str) -> None:
    """Fail unless the repository that is, or will be, mirrored from ``url`` has ``commit`` now.

    ``refs`` are the ref that is to be promoted, which may not be there yet, and the one that it is made of: the name
    of a branch or tag, or a commit.
    """
    wanted, source = refs
    candidates = [source] if source == "HEAD" or source.startswith("refs/") else []
    candidates = candidates or [f"refs/heads/{source}", f"refs/tags/{source}"]
    names = [wanted, *candidates]
    found = list_remote_refs(
        url, *(name for each in names for name in (each, f"{each}^{{}}")), attempt="reach what is mirrored from"
    )
    if COMMIT.match(source) or commit in found.values():
        return
    there = next((found[name] for name in candidates if name in found), None)
    raise SlipwayError(
        f"promote {path} from",
        redacted(url),
        f"it has {source} at {there}, and not at {commit}" if there else f"it has no {source}",
        do_next="The local Trove must mirror the repository of release_definitions_url: correct what it mirrors, or "
        "set release_promote_backend to git, which fetches from that address; then run again.",
    )


def _update_mirror(repository: Path, url: str, *, timeout: float) -> None:
    """Fetch what the server has; a mirror that is not there yet appears when it is complete."""
    if repository.is_dir():
        _fetch(repository, url, timeout=timeout)
        return
    with make_scratch(f".making-{repository.name}-", directory=repository.parent) as scratch:
        new = scratch / "new"
        words = ("init", "--quiet", "--bare", "--template=")
        run_git(*words, attempt="make a mirror in", on=str(repository.parent), repository=new)
        _fetch(new, url, timeout=timeout)
        shutil.move(new, repository)


def _fetch(repository: Path, url: str, *, timeout: float) -> None:
    words = ("fetch", "--quiet", "--prune", "--no-tags", "--", url, *MIRRORED)
    fetch = partial(run_git, *words, attempt="mirror", on=redacted(url), repository=repository, timeout=timeout)
    for left in range(TRIES - 1, -1, -1):
        try:
            fetch()
            return
        except SlipwayError:
            if not left:
                raise
