# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at the git servers of stacks, and starts the release of a new tag that one of its signers made.

Each call of :func:`watch_once` is one look, and starts at most one release: the next look sees what that one changed.
Of several new tags of a stack the newest that may be released counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ..deb.version import compare_versions
from ..distro.file import Distro
from ..distro.source import fetch_distro
from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_directory
from ..git.remote import list_remote_refs
from ..git.signers import RefusedTagError, SignedTag, Signers, read_signers, verify_tag
from ..locks import hold_flock
from ..process import run
from .settings import Distribution, Settings, fill_command
from .status import DONE, FAILED, GONE, REFUSED, RUNNING, WAITING, Entry, Status, describe, format_time, parse_time
from .tags import ReleaseTag, find_new_tags

#: How many servers are asked at once.
PARALLEL = 8
#: A failed release is tried again at the latest after this time.
LONGEST_PAUSE = 86400.0

Refs = Mapping[str, str]


@dataclass(frozen=True)
class Watched:
    """A stack of a distribution, and where its tags are.

    ``rivals`` are the distributions that have it from the same repository, this one among them.
    """

    distribution: str
    distro: Distro
    stack: str
    url: str
    signers: tuple[str, ...]
    rivals: tuple[str, ...] = ()

    @property
    def version(self) -> str | None:
        """The version in the distro file."""
        return self.distro.stacks[self.stack].version


def watch_once(
    settings: Settings, *, clock: Callable[[], float] = time.time, tell: Callable[[str], None]
) -> Entry | None:
    """Look once, and release what is due; the entry of what was released, if anything.

    What a server does not answer, and what a release fails of, is in the status and the journal.
    """
    make_directory(settings.work / "logs")
    with hold_flock(settings.work / "lock", attempt="watch with", on=str(settings.work), timeout=5):
        watch = _Watch(settings, Status(settings.work, clock=clock, tell=tell))
        watch.resume()
        chosen = watch.look()
        return watch.release_next(chosen)


class _Watch:
    """One look."""

    def __init__(self, settings: Settings, status: Status) -> None:
        self._settings = settings
        self._status = status
        self._deadline = time.monotonic() + settings.look_timeout
        self._subjects: set[str] = set()

    def resume(self) -> None:
        """A release that still runs by the status was ended with the service, or the host: nobody else has the lock."""
        for entry in self._status.tags:
            if entry["state"] == RUNNING:
                self._fail(entry, "it was interrupted", pause=0)

    def look(self) -> list[tuple[Watched, Entry]]:
        """The tag of each stack that may be released, with what is known of it."""
        watched = self._find_rivals(list(self._list_watched()))
        refs = self._list_refs({each.url for each in watched})
        chosen, idle = [], list[Entry]()
        for stack in watched:
            if stack.url not in refs:
                continue
            found = self._find_tags(stack, refs[stack.url])
            entry = self._choose(stack, found)
            if entry is not None:
                chosen.append((stack, entry))
                self._subjects.add(_name_last_check(stack, entry))
            idle += self._settle(stack, {each.tag for each in found})
        self._status.forget_tags(idle, self._settings.keep)
        self._status.forget_troubles(self._subjects)
        self._status.report_look()
        self._status.write()
        return chosen

    def _list_watched(self) -> Iterator[Watched]:
        for distribution in self._settings.distributions:
            found: list[Watched] = []
            subject = f"the distro file of {distribution.name}"
            self._subjects.add(subject)
            with self._status.noting(subject):
                found = list_watched(distribution, timeout=self._limit())
                self._status.report_stacks(distribution.name, {each.stack: each.url for each in found})
            yield from found

    def _find_rivals(self, watched: Sequence[Watched]) -> list[Watched]:
        """The same with the distributions that each stack is in; of one that cannot be read now, as it was last."""
        names = [each.name for each in self._settings.distributions]
        return [replace(each, rivals=self._status.find_sharing(names, each.stack, each.url)) for each in watched]

    def _list_refs(self, urls: set[str]) -> dict[str, Refs]:
        """The tags of each repository that answers; the rest is noted, and delays no other by more than its limit."""
        ordered = self._status.sort_by_look(urls)
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            answers = list(pool.map(self._ask, ordered))
        found: dict[str, Refs] = {}
        for url, answer in zip(ordered, answers, strict=True):
            subject = f"the tags of {redacted(url)}"
            self._subjects.add(subject)
            with self._status.noting(subject):
                if isinstance(answer, SlipwayError):
                    raise answer
                found[url] = answer
        self._status.report_servers(urls, found)
        return found

    def _ask(self, url: str) -> Refs | SlipwayError:
        try:
            return list_remote_refs(url, "refs/tags/*", attempt="look at the tags of", timeout=self._limit())
        except SlipwayError as error:
            return error

    def _limit(self) -> float:
        """Seconds that the next program may take."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise SlipwayError(
                "look at",
                "all git servers",
                f"the {self._settings.look_timeout:.0f} s for them were over before this one's turn",
                do_next="It is one of the first the next time. See which servers do not answer.",
            )
        return min(left, self._settings.git_timeout)

    def _find_tags(self, stack: Watched, refs: Refs) -> list[ReleaseTag]:
        found, unclear = find_new_tags(refs, stack.distro, stack.stack)
        for sentence in unclear:
            subject = f"{sentence} of {redacted(stack.url)}"
            self._subjects.add(subject)
            with self._status.noting(subject):
                do_next = "Tag as the rules say, or change the rules of one."
                raise SlipwayError("release from the tags of", redacted(stack.url), sentence, do_next=do_next)
        return found

    def _choose(self, stack: Watched, found: Sequence[ReleaseTag]) -> Entry | None:
        """The newest tag that is not refused; each that nobody judged yet is judged."""
        for tag in found:
            subject = f"the tag {tag.tag} of {redacted(stack.url)}"
            self._subjects.add(subject)
            entry: Entry | None = None
            with self._status.noting(subject):
                entry = self._judge(stack, tag)
            if entry is None or entry["state"] != REFUSED:
                return entry  # of one that cannot be judged now, nobody knows whether an older one is wanted
        return None

    def _judge(self, stack: Watched, tag: ReleaseTag) -> Entry:
        """What is known of a tag, which is judged if it, or who may sign it, is not what it was."""
        signers = read_signers(stack.signers, self._settings.keys)
        basis = " ".join([signers.digest, *stack.rivals])
        entry = self._status.find(stack.distribution, stack.stack, tag.tag)
        same = entry is not None and entry["object"] == tag.object
        if entry is not None and same and (entry["state"] != REFUSED or entry["basis"] == basis):
            return entry
        entry = _make_entry(stack, tag, basis=basis, seen=format_time(self._status.now()))
        try:
            signed = self._verify(stack, entry, signers, timeout=self._limit())
        except RefusedTagError as error:
            self._status.put(entry | {"state": REFUSED, "reason": str(error)}, f"Refused {describe(entry)}: {error}")
        else:
            entry |= {"commit": signed.commit, "fingerprint": signed.fingerprint, "tagger": signed.tagger}
            by = f"signed by {signed.fingerprint}, {signed.tagger}"
            self._status.put(entry, f"Accepted {describe(entry)}, {by}")
        return self._status.tags[-1]

    def _verify(self, stack: Watched, entry: Entry, signers: Signers, *, timeout: float) -> SignedTag:
        signed = verify_tag(
            stack.url,
            entry["tag"],
            signers=signers,
            stack=stack.stack,
            version=entry["version"],
            expected=entry["object"],
            timeout=timeout,
        )
        refuse_other_distribution(stack, signed)
        return signed

    def _settle(self, stack: Watched, tags: Collection[str]) -> list[Entry]:
        """The entries of a stack whose tags are new no more; those that were to be released are ended."""
        mine = (stack.distribution, stack.stack)
        idle = [each for each in self._status.tags if (each["distribution"], each["stack"]) == mine]
        idle = [each for each in idle if each["tag"] not in tags]
        for entry in (each for each in idle if each["state"] in (WAITING, FAILED)):
            order = -1 if stack.version is None else compare_versions(stack.version, entry["version"])
            reason = "the tag was taken away" if order < 0 else f"the distro file has {stack.version} by now"
            state = DONE if order == 0 else GONE
            told = f"Nothing is left to do for {describe(entry)}: {reason}"
            self._status.update(entry, told, state=state, reason=reason, next=None)
        return idle

    def release_next(self, chosen: Sequence[tuple[Watched, Entry]]) -> Entry | None:
        """Release what is due and was tried least, the oldest first; what could not be judged the last time waits."""
        due = [each for each in chosen if self._is_due(each[1])]
        if not due:
            return None
        stack, entry = min(due, key=self._rank)
        accepted = False
        with self._status.noting(_name_last_check(stack, entry)):
            accepted = self._is_still_good(stack, entry)
        if accepted:
            self._release(entry)
        self._status.write()
        return entry

    def _rank(self, due: tuple[Watched, Entry]) -> tuple[bool, int, str]:
        return self._status.has_trouble(_name_last_check(*due)), due[1]["tries"], due[1]["seen"]

    def _is_due(self, entry: Entry) -> bool:
        if entry["state"] == FAILED and entry["next"] is not None:
            return parse_time(entry["next"]) <= self._status.now()
        return bool(entry["state"] == WAITING)

    def _is_still_good(self, stack: Watched, entry: Entry) -> bool:
        """Judge a tag right before its release, too: it may have waited while a key was revoked."""
        try:
            signers = read_signers(stack.signers, self._settings.keys)
            self._verify(stack, entry, signers, timeout=self._settings.git_timeout)
        except RefusedTagError as error:
            self._status.update(
                entry, f"Refused {describe(entry)}: {error}", state=REFUSED, reason=str(error), next=None
            )
            return False
        return True

    def _release(self, entry: Entry) -> None:
        settings = self._settings
        log = settings.work / "logs" / f"{entry['distribution']}_{entry['stack']}_{entry['version']}.log"
        begun = {"started": format_time(self._status.now()), "ended": None, "tries": entry["tries"] + 1, "next": None}
        told = f"Started {describe(entry)}, try {begun['tries']} of {settings.tries}: the log is {log}"
        self._status.update(entry, told, state=RUNNING, reason="", log=str(log), **begun)
        names = {"distro": "distribution", "stack": "stack", "version": "version", "tag": "tag", "commit": "commit"}
        values = {name: str(entry[key]) for name, key in (names | {"object": "object"}).items()}
        try:
            run(
                fill_command(settings.command, values),
                attempt="release",
                on=describe(entry),
                cwd=settings.directory,
                env=settings.environment,
                timeout=settings.command_timeout,
                log=log,
                do_next="Read the log.",
            )
        except (SlipwayError, OSError) as error:
            self._fail(entry, str(error), pause=settings.retry * 2 ** (entry["tries"] - 1))
            return
        ended = format_time(self._status.now())
        self._status.update(entry, f"Released {describe(entry)}", state=DONE, ended=ended)

    def _fail(self, entry: Entry, reason: str, *, pause: float) -> None:
        """Note a failure, and when it is tried again, if it is."""
        now = self._status.now()
        again = None if entry["tries"] >= self._settings.tries else format_time(now + min(pause, LONGEST_PAUSE))
        later = f"again after {again}" if again else "not again by itself: release it by hand, or push the tag anew"
        told = f"Failed {describe(entry)}, try {entry['tries']} of {self._settings.tries}, {later}: {reason}"
        self._status.update(entry, told, state=FAILED, reason=reason, ended=format_time(now), next=again)


def _name_last_check(stack: Watched, entry: Entry) -> str:
    return f"the last check of the tag {entry['tag']} of {redacted(stack.url)} for {stack.distribution}"


def _make_entry(stack: Watched, tag: ReleaseTag, *, basis: str, seen: str) -> Entry:
    return {
        "distribution": stack.distribution,
        "stack": stack.stack,
        "version": tag.version,
        "tag": tag.tag,
        "repository": redacted(stack.url),
        "object": tag.object,
        "basis": basis,
        "state": WAITING,
        "reason": "",
        "commit": None,
        "fingerprint": None,
        "tagger": None,
        "seen": seen,
        "started": None,
        "ended": None,
        "tries": 0,
        "next": None,
        "log": None,
    }


def list_watched(distribution: Distribution, *, timeout: float) -> list[Watched]:
    """The stacks of a distro file that have their source in git, and signers."""
    distro, _text, _commit = fetch_distro(distribution.place, timeout=timeout)
    found = []
    for stack in distro.stacks.values():
        signers, rules = distribution.find_signers(stack.name), stack.rules
        url = None if rules is None or rules.kind != "git" else rules.values["anon-uri"]
        if signers and url is not None:
            found.append(Watched(distribution.name, distro, stack.name, url, signers))
    return found


def refuse_other_distribution(stack: Watched, signed: SignedTag) -> None:
    """Refuse a tag that does not say that it is for this distribution, where it could be for several."""
    words = set(re.findall(r"[\w.+-]*\w", f"{signed.tag.replace('/', ' ')}\n{signed.annotation}"))
    if len(stack.rivals) < 2 or words & {stack.distribution, stack.distro.name}:
        return
    raise RefusedTagError(
        "accept",
        f"the tag {signed.tag} of {redacted(stack.url)} for {stack.distribution}",
        f"{', '.join(stack.rivals)} have {stack.stack} from there, and its message does not name {stack.distribution}",
        do_next=f"If it is meant for {stack.distribution}, make it again with this name in its message.",
    )
