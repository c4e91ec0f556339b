# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people wrote for the notes of a release before it is made: Markdown files in a directory of a git repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import escape_line, escape_mail, redacted
from ..git.remote import fetch_commit, find_named_commit, run_git

SUFFIX = re.compile(r"\.(?:md|mdwn|markdown)\Z")
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*\Z")
MOST_BYTES, MOST_PARTS = 256 << 10, 50


@dataclass(frozen=True)
class Wanted:
    """The directory of some notes, and the parts that must be there."""

    directory: str
    required: Sequence[str] = ()


@dataclass
class Drafts:
    """The commit that they were read at, the text of each part by notes and part, and what is wrong with them."""

    commit: str | None = None
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def read_drafts(url: str, ref: str, wanted: Mapping[str, Wanted]) -> Drafts:
    """Read the drafts at a branch, tag or commit of ``url``. None are no fault, unless a part is required."""
    drafts = Drafts(find_named_commit(url, ref), {name: {} for name in wanted})
    where = f"{redacted(url)} at {ref}"
    if drafts.commit is not None:
        with fetch_commit(url, drafts.commit) as repository:
            for name, each in wanted.items():
                drafts.texts[name] = _read_directory(repository, drafts, each.directory, where=where)
    for name, each in wanted.items():
        drafts.findings += [
            f"there is no draft {each.directory}/{part}.md in {where}, which the notes of {name} need"
            for part in each.required
            if not drafts.texts[name].get(part, "").strip()
        ]
    return drafts


def _read_directory(repository: Path, drafts: Drafts, directory: str, *, where: str) -> dict[str, str]:
    directory = posixpath.normpath(directory)
    if directory.startswith(("/", "../")) or directory in (".", ".."):
        do_next = "Give a path inside it, such as drafts/{version}."
        raise SlipwayError("read drafts from", where, f"{directory!r} is no directory inside of it", do_next=do_next)
    run_here = partial(run_git, attempt=f"read {directory} of", on=where, repository=repository)
    listed = run_here("ls-tree", "-z", "--long", str(drafts.commit), "--", f"{directory}/").stdout.split("\0")
    texts: dict[str, str] = {}
    for line in sorted(filter(None, listed)):
        facts, _tab, path = line.partition("\t")
        mode, kind, blob, size = facts.split()
        name = posixpath.basename(path)
        part = SUFFIX.sub("", name)
        if kind != "blob" or part == name or name.startswith("."):
            continue
        fault = None
        if mode == "120000":
            fault = "it is a link"
        elif int(size) > MOST_BYTES:
            fault = f"it is larger than {MOST_BYTES >> 10} KiB"
        elif not PART.match(part):
            fault = "its name may hold letters, digits, points, hyphens and underscores"
        elif part in texts:
            fault = "another draft has this name with another suffix"
        elif len(texts) == MOST_PARTS:
            fault = f"there are more than {MOST_PARTS} drafts"
        else:
            try:
                texts[part] = escape_mail(run_here("cat-file", "blob", blob).raw.decode()).strip("\n") + "\n"
            except UnicodeDecodeError as error:
                fault = f"byte {error.start} is not UTF-8"
        if fault is not None:
            drafts.findings.append(f"the draft {escape_line(path)} in {where} cannot be used: {fault}")
    return texts
