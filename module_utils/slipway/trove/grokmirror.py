# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Promotion on a Trove that grokmirror keeps: fetch one repository now, under grokmirror's own lock."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..git.remote import run_git
from ..locks import hold_posix_lock
from ..wait import wait_for

#: The upstream Trove may be away for a moment.
TRIES = 3


def find_mirrored_commit(repository: Path, ref: str) -> str | None:
    """The commit that ``ref`` of a mirror names; ``None`` when it has no such ref."""
    answer = run_git(
        *("for-each-ref", "--format=%(objectname) %(*objectname)", ref),
        attempt="read the refs of",
        on=str(repository),
        repository=repository,
    )
    words = answer.stdout.split()
    return words[-1] if words else None


def find_upstream(repository: Path) -> str:
    """The address that a mirror is fetched from."""
    answer = run_git(
        *("config", "--get-regexp", r"^remote\..*\.url$"),
        attempt="read what is mirrored in",
        on=str(repository),
        repository=repository,
        do_next="Remove it and have grokmirror mirror it again, and run again.",
    )
    return answer.stdout.splitlines()[0].partition(" ")[2]


def promote_mirror(
    toplevel: Path, path: str, *, ref: str, commit: str, timeout: float, interval: float = 2.0, write: bool = True
) -> bool:
    """Wait until the mirror of ``path`` below ``toplevel`` has ``commit`` at ``ref``, fetching it at once.

    ``path`` is the repository's path on the Trove, without ``.git``. Returns whether anything had to be
    fetched. grokmirror holds a ``lockf`` lock on ``.NAME.git.lock`` while it works on a repository; holding
    it too, we are never inside a repository at the same time. grokmirror's own bulk passes go on.
    """
    repository = toplevel / f"{path}.git"
    if not repository.is_dir():
        raise SlipwayError(
            f"promote {path} on",
            str(toplevel),
            "the local Trove does not mirror it",
            do_next="Put it on the Trove that this one mirrors and run `grok-pull -c` with its configuration, or set "
            "release_promote_backend to git, which mirrors from any git server; then run again.",
        )
    if find_mirrored_commit(repository, ref) == commit:
        return False
    if not write:
        return True

    run_here = partial(run_git, attempt="update the mirror", on=str(repository), repository=repository)
    tries = iter(range(TRIES - 1, -1, -1))

    def update_mirror() -> str | None:
        lock = repository.with_name(f".{repository.name}.lock")
        with hold_posix_lock(lock, attempt=f"promote {path} on", on=str(toplevel), timeout=timeout):
            try:
                run_here("remote", "update", "--prune")
            except SlipwayError:
                if not next(tries, 0):
                    raise
        return find_mirrored_commit(repository, ref)

    wait_for(
        update_mirror,
        lambda found: found == commit,
        attempt=f"promote {path} on",
        on=str(toplevel),
        timeout=timeout,
        interval=interval,
        do_next=f"The mirror's {ref} must become {commit}: see what the upstream Trove has there, and run again.",
    )
    return True
