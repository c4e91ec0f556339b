# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Merge the changes that waited for a release into the branch that definitions are developed on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import SlipwayError
from ..escape import redacted
from ..git.files import has_moved
from ..git.remote import TIMEOUT, Person, list_remote_refs, make_repository, push_ref, run_git
from ..policy.held import Held
from ..release.names import version_key

#: What became of a held change.
MERGED, ALREADY, WAITING, GONE, CONFLICT, REFUSED, LEFT = (
    *("merged", "already", "waiting", "gone", "conflict", "refused", "left"),
)
#: Those after which somebody has to do something.
FAILED = (CONFLICT, REFUSED, LEFT)
#: So many files of a conflict are named.
MOST_FILES = 20
_MAIN, _HELD = "refs/slipway/main", "refs/slipway/held"
_TREE = re.compile(r"[0-9a-f]{40}\Z")


@dataclass
class Merges:
    """The branch's commit before and after, and what became of each held change."""

    before: str
    after: str
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Those that somebody has to see to."""
        return [each for each in self.results if each["state"] in FAILED]


#: Says why a tree of definitions cannot be used, or nothing.
Judge: TypeAlias = Callable[[Path, str], "str | None"]


@dataclass(frozen=True)
class Wanted:
    """What is merged into what: the release that was made, and whether it is all of the changes or none."""

    url: str
    branch: str
    label: str
    version: str
    held: Sequence[Held]
    person: Person
    whole: bool = False
    timeout: float = TIMEOUT


def merge_held(wanted: Wanted, *, judge: Judge | None = None, attempts: int = 5, write: bool = True) -> Merges:
    """Merge each change that waited for this version or an earlier one; what conflicts is left as it is.

    Only whole merges are pushed, all in one push. Where the branch moved meanwhile, all is done anew, ``attempts``
    times in all.
    """
    ref = f"refs/heads/{wanted.branch}"
    for number in range(1, attempts + 1):
        with make_repository() as repository:
            heads = _fetch(wanted, repository)
            found = _merge_all(wanted, repository, heads, judge=judge)
            if found.after == found.before or not write:
                return found
            try:
                push_ref(wanted.url, ref, source=found.after, expected=found.before, repository=repository)
            except SlipwayError:
                if number == attempts or not has_moved(wanted.url, wanted.branch, found.before):
                    raise
            else:
                return found
    raise ValueError(f"{attempts} attempts are none")


def _fetch(wanted: Wanted, repository: Path) -> dict[str, str]:
    """The commits of the branch and of those held changes that are due and are there, by their branches."""
    due = [held.branch for held in wanted.held if _is_due(held, wanted.version)]
    refs = [f"refs/heads/{branch}" for branch in (wanted.branch, *due)]
    listed = list_remote_refs(wanted.url, *refs, attempt="look for held changes at")
    heads = {ref.removeprefix("refs/heads/"): listed[ref] for ref in refs if ref in listed}
    if wanted.branch not in heads:
        raise SlipwayError(
            "merge held changes into",
            f"{wanted.branch} of {redacted(wanted.url)}",
            "there is no branch of this name",
            do_next="Say with release_followup_branch which branch the definitions are developed on, and run again.",
        )
    places = {branch: f"{_HELD}/{number}" for number, branch in enumerate(due)} | {wanted.branch: _MAIN}
    run_git(
        *("fetch", "--quiet", "--no-tags", "--", wanted.url),
        *(f"+refs/heads/{branch}:{places[branch]}" for branch in heads),
        attempt="fetch held changes from",
        on=redacted(wanted.url),
        repository=repository,
        timeout=wanted.timeout,
    )
    return {branch: _resolve(repository, places[branch]) for branch in heads}


def _is_due(held: Held, version: str) -> bool:
    return version_key(held.until) <= version_key(version)


def _resolve(repository: Path, name: str) -> str:
    words = ("rev-parse", "--verify", f"{name}^{{commit}}")
    return run_git(*words, attempt="read", on=name, repository=repository).stdout.strip()


def _merge_all(wanted: Wanted, repository: Path, heads: Mapping[str, str], *, judge: Judge | None) -> Merges:
    found = Merges(heads[wanted.branch], heads[wanted.branch])
    for held in wanted.held:
        result: dict[str, Any] = {"branch": held.branch, "until": held.until, "why": held.why}
        result |= _merge_one(wanted, repository, held, heads.get(held.branch), onto=found.after, judge=judge)
        found.results.append(result)
        if result["state"] == MERGED:
            found.after = result["merge"]
    if wanted.whole and found.failed:
        found.after = found.before
        for each in found.results:
            if each["state"] == MERGED:
                each |= {"state": LEFT, "merge": "", "reason": "it merges, but another does not, and all go or none"}
    return found


def _merge_one(
    wanted: Wanted, repository: Path, held: Held, head: str | None, *, onto: str, judge: Judge | None
) -> dict[str, Any]:
    """What becomes of one change on top of the commit ``onto``."""
    result: dict[str, Any] = {"state": WAITING, "commit": head or "", "merge": "", "reason": "", "files": []}
    if not _is_due(held, wanted.version):
        return {**result, "reason": f"it waits for {held.until}"}
    if head is None:
        return {**result, "state": GONE, "reason": f"there is no branch {held.branch} any more"}
    run_here = partial(run_git, attempt="merge", on=f"{held.branch} into {wanted.branch}", repository=repository)
    if run_here("merge-base", "--is-ancestor", head, onto, ok_codes=(0, 1)).returncode == 0:
        return {**result, "state": ALREADY}
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", onto, head)
    done = run_here(*words, ok_codes=range(256), timeout=wanted.timeout)
    tree, *files = [field for field in done.stdout.split("\0") if field] or [""]
    if done.returncode not in (0, 1) or not _TREE.match(tree):
        reason = " ".join(done.stderr.split()) or f"git ended with status {done.returncode}"
        return {**result, "state": CONFLICT, "reason": f"git cannot merge it: {reason}"}
    if done.returncode == 1:
        files = list(dict.fromkeys(files))
        more = f" and {len(files) - MOST_FILES} more" if len(files) > MOST_FILES else ""
        reason = f"it conflicts with {wanted.branch} in {', '.join(files[:MOST_FILES])}{more}"
        return {**result, "state": CONFLICT, "reason": reason, "files": files}
    if judge is not None and (fault := judge(repository, tree)) is not None:
        return {**result, "state": REFUSED, "reason": fault}
    return {**result, "state": MERGED, "merge": _commit(wanted, repository, held, tree, parents=(onto, head))}


def _commit(wanted: Wanted, repository: Path, held: Held, tree: str, *, parents: tuple[str, str]) -> str:
    """The merge: the same bytes whenever it is made, so that a lost answer leads to no second one."""
    run_here = partial(run_git, attempt="merge", on=held.branch, repository=repository)
    dates = run_here("show", "--no-patch", "--format=%ct", *parents).stdout.split()
    date = max(wanted.person.date, *map(int, dates))
    person = Person(wanted.person.name, wanted.person.email, date)
    text = f"Merge {held.branch}, which waited for {held.until}\n"
    if held.why:
        text += f"\n{held.why}\n"
    text += f"\n{wanted.label} is released.\n"
    words = ("commit-tree", tree, *(word for parent in parents for word in ("-p", parent)))
    return run_here(*words, env=person.environment(), stdin=text.encode()).stdout.strip()
