# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages of wikis and websites in git that name the release before: rules move them to the new one, the rest is told.

Bytes that are no UTF-8 stay as they are. A name is only found as a whole: ``acme-1.2`` is not in ``acme-1.25``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from ..errors import SlipwayError
from ..escape import escape_line, redacted
from ..git.files import Texts, edit_branch
from ..git.remote import Person, run_git
from ..release.names import fill_places

#: How far a name may go on as another one, before it and after it.
BEFORE, AFTER = r"(?<![A-Za-z0-9])(?<![0-9]\.)", r"(?![A-Za-z0-9]|\.[0-9])"
MOST_BYTES, MOST_FINDINGS, MOST_LINE = 4 << 20, 100, 160
REGULAR = ("100644", "100755")


class Finding(TypedDict):
    """A line that names the release before and that no rule moves."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Rule:
    """What is replaced (from, to) in the pages of a repository that ``paths`` match, but for those of ``skip``.

    ``review`` are patterns of the pages that are looked at for findings: those of ``mentions``.
    """

    repository: str
    branch: str
    paths: Sequence[str]
    replace: Sequence[tuple[str, str]]
    skip: Sequence[str] = ()
    review: Sequence[str] = ("**",)
    mentions: Sequence[str] = ()


@dataclass(frozen=True)
class Moved:
    """What happened, or would, in a repository: its head, texts before and after by path, and what is left."""

    repository: str
    branch: str
    head: str | None
    changed: Texts
    findings: list[Finding] = field(default_factory=list)
    total: int = 0
    #: Patterns of rules that no page matches.
    idle: list[str] = field(default_factory=list)


def fill_rules(
    rules: Iterable[Mapping[str, object]],
    every: Mapping[str, str],
    *,
    skip: Sequence[str],
    products: Mapping[str, str | None] | None = None,
) -> list[Rule]:
    """Rules as policy has them (``repository branch product paths replace except review``), their placeholders filled.

    ``every`` are those of the release. A rule of a product counts if that is among ``products``, which have the version
    before of each. ``skip`` are patterns of pages that no rule is for, such as the notes of all releases.
    """
    filled = []
    for rule in rules:
        product = str(rule.get("product") or "")
        previous = (products or {}).get(product) if product else every["previous"]
        if not previous:
            continue
        names = {**every, "previous": previous, "previous_label": f"{every['project']}-{previous}"}
        pairs = [(fill_places(each["from"], names), fill_places(each["to"], names)) for each in _list(rule, "replace")]
        for old, new in pairs:
            if old != new and _compile(old).search(new):
                raise SlipwayError(
                    "move pages by the rule",
                    f"{old!r} -> {new!r}",
                    "what it makes holds what it replaces, so that it would never end",
                    do_next="Correct release_policy.rules.pages and run again.",
                )
        filled.append(
            Rule(
                str(rule["repository"]),
                str(rule.get("branch") or "main"),
                [fill_places(each, names) for each in _list(rule, "paths")],
                pairs,
                [*(fill_places(each, names) for each in _list(rule, "except")), *skip],
                [fill_places(each, names) for each in _list(rule, "review") or ["**"]],
                [previous],
            )
        )
    return filled


def move_pages(
    rules: Sequence[Rule],
    *,
    message: str,
    person: Person,
    attempts: int = 5,
    write: bool = True,
) -> list[Moved]:
    """Move the pages of each repository by one commit, and list those that still name the release before.

    What is pushed meanwhile is not lost: then pages are read and moved anew, ``attempts`` times in all.
    """
    places = dict.fromkeys((rule.repository, rule.branch) for rule in rules)
    moved = []
    for repository, branch in places:
        own = [rule for rule in rules if (rule.repository, rule.branch) == (repository, branch)]
        pages = _Pages(own, f"{branch} of {redacted(repository)}")
        update = edit_branch(
            repository, branch, edit=pages.edit, message=message, person=person, attempts=attempts, write=write
        )
        moved.append(
            Moved(
                repository,
                branch,
                update.head,
                update.changed,
                pages.findings[:MOST_FINDINGS],
                len(pages.findings),
                pages.idle,
            )
        )
    return moved


def list_changed_lines(changed: Texts) -> list[dict[str, Any]]:
    """The first lines that differ, each as it was and is."""
    lines = [
        {"path": escape_line(path), "line": number, "before": _clip(before), "after": _clip(after)}
        for path, texts in sorted(changed.items())
        for number, (before, after) in enumerate(zip(*(text.splitlines() for text in texts), strict=False), 1)
        if before != after
    ]
    return lines[:MOST_FINDINGS]


def _clip(line: str) -> str:
    return escape_line(line)[:MOST_LINE]


class _Pages:
    """The pages of one repository at a head, as rules change them."""

    def __init__(self, rules: Sequence[Rule], on: str) -> None:
        self.rules, self.on = rules, on
        looked_for = [[*(old for old, _new in rule.replace), *rule.mentions] for rule in rules]
        self.words = list(dict.fromkeys(word for words in looked_for for word in words))
        self.findings: list[Finding] = []
        self.idle: list[str] = []

    def edit(self, repository: Path, head: str | None) -> dict[str, tuple[str, str]]:
        """What the rules change at this head; findings are those of what it is afterwards."""
        self.findings = []
        if head is None:
            raise SlipwayError(
                "move the pages of",
                self.on,
                "there is no such branch",
                do_next="Correct the rule's branch and run again.",
            )
        self.idle = self._find_idle(repository, head)
        changed: dict[str, tuple[str, str]] = {}
        for path, before in self._read(repository, head):
            after = before
            for rule in self.rules:
                if _is_for(rule, path):
                    for old, new in rule.replace:
                        after = _compile(old).sub(lambda _found, new=new: new, after)  # type: ignore[misc]  # a constant
            if after != before:
                changed[path] = before, after
            self.findings += self._find(path, after)
        return changed

    def _find(self, path: str, text: str) -> list[Finding]:
        asking = [rule for rule in self.rules if _matches_any(path, rule.review) and not _matches_any(path, rule.skip)]
        mentions = [_compile(each) for each in dict.fromkeys(word for rule in asking for word in rule.mentions)]
        return [
            {"path": escape_line(path), "line": number, "text": _clip(line)}
            for number, line in enumerate(text.splitlines(), 1)
            if any(mention.search(line) for mention in mentions)
        ]

    def _find_idle(self, repository: Path, head: str) -> list[str]:
        """Patterns for which there is no page: it is gone, or was never called so."""
        done = run_git(*("ls-tree", "-r", "-z", "--name-only", head), attempt="list", on=self.on, repository=repository)
        paths = [path.split("/") for path in os.fsdecode(done.raw).split("\0") if path]
        patterns = dict.fromkeys(each for rule in self.rules for each in rule.paths)
        return [each for each in patterns if not any(_matches(path, each.split("/")) for path in paths)]

    def _read(self, repository: Path, head: str) -> list[tuple[str, str]]:
        """The texts that hold a word that is looked for, by path."""
        run_here = partial(run_git, attempt="look for pages in", on=self.on, repository=repository)
        words = [each for word in self.words for each in ("-e", word)]
        done = run_here("grep", "-I", "-l", "-z", "-F", *words, head, ok_codes=(0, 1)) if words else None
        listed = os.fsdecode(done.raw).split("\0") if done else []
        paths = [each.removeprefix(f"{head}:") for each in listed if each]
        found = []
        for path in paths:
            if not any(_matches_any(path, [*rule.paths, *rule.review]) for rule in self.rules):
                continue
            mode, _kind, rest = run_here("ls-tree", "--long", head, "--", f":(literal){path}").stdout.split(maxsplit=2)
            size = rest.split(maxsplit=2)[1]
            if mode in REGULAR and int(size) <= MOST_BYTES:
                data = run_here("cat-file", "blob", f"{head}:{path}").raw
                found.append((path, data.decode(errors="surrogateescape")))
        return found


def _is_for(rule: Rule, path: str) -> bool:
    return _matches_any(path, rule.paths) and not _matches_any(path, rule.skip)


def _matches_any(path: str, patterns: Iterable[str]) -> bool:
    return any(_matches(path.split("/"), pattern.split("/")) for pattern in patterns)


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern as shells have them matches a path; ``**`` stands for any directories, or for all below."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return len(patterns) == 1 or any(_matches(parts[skip:], patterns[1:]) for skip in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


def _compile(word: str) -> re.Pattern[str]:
    """The word as a whole: where it begins or ends with a letter or a digit, no other goes on there."""
    before = BEFORE if word[:1].isalnum() else ""
    after = AFTER if word[-1:].isalnum() else ""
    return re.compile(f"{before}{re.escape(word)}{after}")


def _list(rule: Mapping[str, object], key: str) -> list[Any]:
    value = rule.get(key)
    return list(value) if isinstance(value, (list, tuple)) else []
