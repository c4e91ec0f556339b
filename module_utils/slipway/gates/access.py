# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release may do on the servers of others, tried before it begins, on something that does not matter.

A push is tried with the very names that a release uses, so that the server's hooks judge them, and no ref is there
afterwards, nor for a moment; a few small objects that nothing names go at the server's next gc. For git refuses to let
a branch name anything but a commit, at the very last, after every hook and every look at rights, and an atomic push is
applied as a whole or not at all. So each push here has a branch that is to name a tag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..escape import redacted
from ..git.remote import Annotation, extract_reason, fetch_commit, find_remote_commit, make_tag, run_git
from ..publish.relay import Relay, try_relay
from .preflight import Report

#: A branch that no release makes, beside those that it makes.
SCRATCH = "slipway-preflight"
#: How git's own refusal of a branch that names no commit is known, and what follows from it for the rest of the push.
LAST = re.compile(r"non-commit object|bad sha1 objects", re.IGNORECASE)
FOLLOWS = re.compile(r"atomic|failed to update ref|bad ref|not a commit")
#: A line of git's report on each ref.
STATUS = re.compile(r"(?P<flag>.)\t[^\t]*:(?P<ref>[^\t:]+)\t\[?(?P<said>[^\]\t(]*)\]?(?: \((?P<reason>.*)\))?\Z")
NO_ATOMIC = "does not support --atomic"
BEFORE_HOOK = "pre-receive hook declined"


@dataclass(frozen=True)
class Tried:
    """The end of a push: the server's reason for each ref that it refused, what it accepted, and its words."""

    refused: Mapping[str, str]
    accepted: Sequence[str]
    words: str
    last: bool

    def find_reason(self, ref: str) -> str | None:
        """Why the server would refuse this ref in earnest; ``None`` if nothing is known against it."""
        reason = self.refused.get(ref)
        if reason is None:
            return None if self.refused or self.accepted else self.words or "git does not say why"
        if FOLLOWS.search(reason) and (self.last or any(not FOLLOWS.search(other) for other in self.refused.values())):
            return None
        return f"{reason}: {self.words}" if self.words else reason


def try_definitions(plan: Mapping[str, Any], annotation: Annotation) -> Report:
    """Whether the release's branch and tag can be pushed, as far as they are not there."""
    url, commit, remote = plan["definitions"]["url"], plan["definitions"]["commit"], plan["remote"]
    branch, tag = f"refs/heads/{plan['branch']}", f"refs/tags/{plan['tag']}"
    wanted = [*([] if remote["tag_commit"] else [tag]), *([] if remote["branch_commit"] else [branch])]
    if not wanted:
        return Report()
    try:
        with fetch_commit(url, commit) as repository:
            made = make_tag(repository, tag, commit=commit, annotation=annotation)
            return _try_refs(_Server(repository, url), made, wanted, branch=branch)
    except SlipwayError as error:
        return Report([str(error)])


def try_branch(url: str, branch: str, annotation: Annotation) -> Report:
    """Whether a commit on top of a branch, such as a wiki's, can be pushed."""
    ref = f"refs/heads/{branch}"
    try:
        head = find_remote_commit(url, ref)
        with fetch_commit(url, head) as repository:
            server = _Server(repository, url, {ref: head} if head else {})
            commit = _make_commit(repository, head, annotation)
            made = make_tag(repository, f"refs/tags/{SCRATCH}", commit=commit, annotation=annotation)
            tried = server.push((commit, ref), (made, f"refs/heads/{SCRATCH}")) if head else None
            if tried is None or NO_ATOMIC in tried.words or tried.refused.get(ref) == BEFORE_HOOK:
                tried = server.push((made, ref))  # with no name but the branch's own
            server.explain(tried, [ref])
            return server.found
    except SlipwayError as error:
        return Report([str(error)])


def try_mail(relay: Relay, *, sender: str, recipients: Sequence[str]) -> Report:
    """Whether an SMTP server takes mails of the sender for the recipients; that it takes none now is a warning."""
    try:
        refused = try_relay(relay, sender=sender, recipients=recipients)
    except SlipwayError as error:
        return Report([str(error)])
    found = Report()
    for address, reason in sorted(refused.items()):
        told = f"{relay.address} does not take the announcement for {address}: {reason}"
        if reason.startswith("4"):
            found.warnings.append(f"{told}; that may pass")
        else:
            found.findings.append(
                f"{told}: correct the address, in release_announce_recipients or the lists of release_policy"
            )
    return found


def _make_commit(repository: Path, head: str | None, annotation: Annotation) -> str:
    """A commit that changes nothing."""
    attempt, on = "make a commit on", head or "nothing"
    if head is None:
        tree = run_git("mktree", attempt=attempt, on=on, repository=repository, stdin=b"").stdout.strip()
    else:
        tree = f"{head}^{{tree}}"
    parents = ["-p", head] if head else []
    person, message = annotation.tagger.environment(), annotation.message.encode()
    words = ("commit-tree", tree, *parents)
    return run_git(*words, attempt=attempt, on=on, repository=repository, env=person, stdin=message).stdout.strip()


def _try_refs(server: _Server, made: str, wanted: Sequence[str], *, branch: str) -> Report:
    """Try refs that are not there: the tag, the branch, or both."""
    refs = wanted if branch in wanted else [*wanted, f"{branch}-{SCRATCH}"]
    tried = server.push(*((made, ref) for ref in refs))
    tags = [ref for ref in wanted if ref != branch]
    if NO_ATOMIC in tried.words or (branch not in wanted and tried.refused.get(tags[0]) == BEFORE_HOOK):
        # A hook that judges all of a push may have refused the scratch's name.
        server.found.warnings += [
            f"whether {redacted(server.url)} takes a push of {tag} cannot be tried without leaving something there"
            for tag in tags
        ]
    else:
        server.explain(tried, wanted)
    stopped = tags and tried.find_reason(tags[0]) is not None  # before the branch was looked at
    if branch in wanted and (NO_ATOMIC in tried.words or (stopped and tried.find_reason(branch) is None)):
        server.explain(server.push((made, branch)), [branch])
    return server.found


@dataclass(frozen=True)
class _Server:
    """A repository of others at ``url``, and one here to push from; ``before`` are commits of refs that it has."""

    repository: Path
    url: str
    before: Mapping[str, str] = field(default_factory=dict)
    found: Report = field(default_factory=Report)

    def push(self, *updates: tuple[str, str]) -> Tried:
        """Push what cannot succeed as a whole, and read what the server has against each part."""
        atomic = ["--atomic"] if len(updates) > 1 else []
        refspecs = [f"{source}:{ref}" for source, ref in updates]
        done = run_git(
            *("push", "--porcelain", *atomic, "--", self.url, *refspecs),
            attempt="try a push to",
            on=redacted(self.url),
            repository=self.repository,
            ok_codes=range(256),
        )
        stderr = done.stderr.replace(self.url, redacted(self.url))
        # The server's words may be in another language; of the object it speaks in this one reason only.
        last = LAST.search(stderr) is not None or any(source in stderr for source, _ref in updates)
        tried = _read_push(done.stdout, stderr, last=last)
        self._take_back(tried.accepted)
        return tried

    def explain(self, tried: Tried, refs: Sequence[str]) -> None:
        """A finding for each reason."""
        reasons: dict[str, list[str]] = {}
        for ref in refs:
            if (reason := tried.find_reason(ref)) is not None:
                reasons.setdefault(reason, []).append(ref)
        self.found.findings += [
            f"{redacted(self.url)} would not take a push of {' and '.join(names)} from here: {reason}. "
            "Give this account the right to it there, and run again"
            for reason, names in reasons.items()
        ]

    def _take_back(self, refs: Sequence[str]) -> None:
        """Take back what a server accepted that is not git as we know it."""
        for ref in refs:
            words = ("push", "--quiet", "--force", "--", self.url, f"{self.before.get(ref, '')}:{ref}")
            try:
                run_git(*words, attempt=f"take back {ref} at", on=redacted(self.url), repository=self.repository)
            except SlipwayError as error:
                self.found.findings.append(f"a push of {ref} was only tried, and is there now. {error}")


def _read_push(stdout: str, stderr: str, *, last: bool) -> Tried:
    status = {found["ref"]: found for line in stdout.splitlines() if (found := STATUS.match(line))}
    said = [line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")]
    spoken = [line for line in said if line and not line.startswith("error: hook declined")]
    return Tried(
        {ref: found["reason"] or found["said"] for ref, found in status.items() if found["flag"] == "!"},
        [ref for ref, found in status.items() if found["flag"] != "!"],
        " / ".join(spoken) or ("" if status else extract_reason(stderr)),
        last,
    )
