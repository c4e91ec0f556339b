# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where what was made again differs: which files of an image, which element makes them, and which sources changed."""

from __future__ import annotations

import lzma
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bill.difference import compare_bills, read_bill
from ..buildstream.command import Project, format_options, run_bst
from ..difference.facts import list_words
from ..difference.images import read_tree
from ..errors import SlipwayError
from ..escape import escape_line, redacted
from ..files import copy_hashed
from ..git.remote import COMMIT, make_repository, run_git
from ..process import run
from .unpacked import ENDINGS

#: Kinds of deployments with files inside.
TREES = ("tar", "rawdisk", "squashfs", "erofs")
BILL = ".spdx.json"
MOST_FILES = 20
#: What is told, once, where the program is missing that would show more.
ABSENT = "diffoscope, which would show more, is not installed: the Debian package is diffoscope-minimal"
#: What a source of an element says of a part of the definitions.
LOCAL = re.compile(r"^\s*(?:-\s*)?path:\s*['\"]?([^'\"#\n]+?)['\"]?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Limits:
    """How long and with how much memory the differences of one file are looked for, and how much is said of them."""

    seconds: float = 600.0
    memory: int = 4 << 30
    report: int = 4 << 20


@dataclass(frozen=True)
class Place:
    """What differs in one published file: paths in it, with how; reports of it; or why nothing more is known."""

    name: str
    paths: Mapping[str, str]
    reports: tuple[str, ...] = ()
    note: str = ""

    def tell(self, owners: Mapping[str, str]) -> list[str]:
        """A sentence for each path, and one for what else is known."""
        told = [
            f"{self.name}: {escape_line(path)} {how}{f', which {owners[path]} makes' if path in owners else ''}"
            for path, how in [*self.paths.items()][:MOST_FILES]
        ]
        if len(self.paths) > MOST_FILES:
            told.append(f"{self.name}: {len(self.paths) - MOST_FILES} more files in it differ")
        told += [f"{self.name}: {self.note}"] if self.note else []
        return told + ([f"{self.name}: {' and '.join(self.reports)} show it"] if self.reports else [])


def order_names(names: Iterable[str]) -> list[str]:
    """The files in the order in which they are looked into: what says most in the shortest time comes first."""
    return sorted(names, key=lambda each: (not each.endswith(BILL), each.endswith(".json"), ".tar" not in each, each))


def locate_difference(
    published: Path, made: Path, *, name: str, kind: str, scratch: Path, reports: Path, limits: Limits
) -> Place:
    """Where two files of the same name differ; ``kind`` is the type of the deployment, ``scratch`` is empty."""
    if name.endswith(BILL):
        return Place(name, _compare_bills(published, made))
    paths: dict[str, str] = {}
    notes: list[str] = []
    pair = []
    for place, source in (("published", published), ("made", made)):
        directory = scratch / place
        directory.mkdir()
        pair.append(_unpack(source, name, directory))
    if kind in TREES:
        try:
            trees = []
            for number, each in enumerate(pair):
                (scratch / f"tree{number}").mkdir()
                trees.append(read_tree(each, kind, scratch / f"tree{number}").entries)
            paths = _compare(*trees)
            notes += [] if paths else ["the files in it are the same: their times, their order or the packing differ"]
        except SlipwayError as error:
            notes.append(error.came_back)
    if paths and kind != "tar":  # diffoscope would compare the bytes of two disks
        return Place(name, paths)
    written, note = _run_diffoscope(pair[0], pair[1], reports / f"difference-{name}", scratch=scratch, limits=limits)
    return Place(name, paths, written, "; ".join([*notes, *([note] if note else [])]))


def _compare_bills(published: Path, made: Path) -> dict[str, str]:
    """The components that differ between two bills of materials, with how."""
    before, now = (read_bill(each.read_bytes(), on=each.name) for each in (published, made))
    told = {}
    for each in compare_bills(before, now).describe():
        if each["kind"] == "changed":
            pair = [f"{each[side]} {each[f'licence_{side}']}".strip() for side in ("before", "now")]
            told[each["name"]] = f"was {pair[0]}, is {pair[1]}" if pair[0] != pair[1] else "differs"
        else:
            told[each["name"]] = (
                "is published, and was not made" if each["kind"] == "removed" else ("was made, and is not published")
            )
    return told


def _unpack(source: Path, name: str, directory: Path) -> Path:
    """The file without its compression, under its name without the ending; as it is, if it cannot be unpacked."""
    ending = next((each for each in ENDINGS if each and name.endswith(each)), "")
    target = directory / name.removesuffix(ending)
    try:
        with ENDINGS[ending](source) as reader, open(target, "wb") as writer:
            copy_hashed(reader, writer)
    except (OSError, EOFError, lzma.LZMAError):
        target = directory / name
        shutil.copyfile(source, target)
    return target


def _compare(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, str]:
    told = {}
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            told[path] = "is published, and was not made"
        elif path not in before:
            told[path] = "was made, and is not published"
        elif before[path] != now[path]:
            told[path] = "differs"
    return told


def has_diffoscope() -> bool:
    """Whether there will be reports; if not, ``ABSENT`` says so."""
    return shutil.which("diffoscope") is not None


def _run_diffoscope(
    published: Path, made: Path, report: Path, *, scratch: Path, limits: Limits
) -> tuple[tuple[str, ...], str]:
    """The reports that diffoscope wrote, or why there are none."""
    if not has_diffoscope():
        return (), ""
    text, page = (f"{report}.{ending}" for ending in ("txt", "html"))
    bounds = [f"--max-text-report-size={limits.report}", f"--max-report-size={limits.report}"]
    temporary = scratch / "diffoscope"
    temporary.mkdir()
    try:
        run(
            [
                *("prlimit", f"--as={limits.memory}", "diffoscope", "--no-progress", f"--timeout={limits.seconds:.0f}"),
                *(*bounds, f"--text={text}", f"--html={page}", "--", os.fspath(published), os.fspath(made)),
            ],
            attempt="compare",
            on=made.name,
            timeout=limits.seconds + 30,
            env={"TMPDIR": os.fspath(temporary)},
            ok_codes=(0, 1),
        )
    except SlipwayError as error:
        return tuple(each for each in (text, page) if os.path.exists(each)), f"diffoscope: {error.came_back}"
    return tuple(each for each in (text, page) if os.path.exists(each)), ""


def find_owners(
    project: Project, options: Mapping[str, str], element: str, paths: Iterable[str], *, timeout: float = 300.0
) -> dict[str, str]:
    """Which element below ``element`` makes each of the paths, as far as BuildStream's cache here knows.

    Of several that have a path, it is the one with the fewest files: the others were composed of it.
    """
    wanted = set(paths)
    if not wanted:
        return {}
    shown = run_bst(
        project,
        *(*format_options(options), "show", "--deps", "all", "--format", "%{name}", element),
        attempt="look at the elements in",
        timeout=timeout,
    )
    elements = [line for line in shown.stdout.splitlines() if line.strip()] if shown.returncode == 0 else []
    if not elements:
        return {}
    listed = run_bst(
        project,
        *(*format_options(options), "artifact", "list-contents", *elements),
        attempt="list what is in the artifacts of",
        timeout=timeout,
    )
    contents: dict[str, set[str]] = {}
    current = ""
    for line in listed.stdout.splitlines():
        if line.startswith("\t"):
            contents.setdefault(current, set()).add(line.strip().lstrip("/"))
        elif line.strip().endswith(":"):
            current = line.strip()[:-1]
    owners: dict[str, str] = {}
    for name in sorted(contents, key=lambda each: (len(contents[each]), each), reverse=True):
        owners |= dict.fromkeys(contents[name] & wanted, name)
    return owners


def find_changed_sources(
    url: str, commits: tuple[str, str], *, elements: Path | None = None, timeout: float = 120.0
) -> list[str]:
    """What differs between two commits of definitions, with the elements that use it; empty if one is not to be had."""
    if not all(COMMIT.match(each) for each in commits) or commits[0] == commits[1]:
        return []
    with make_repository() as repository:
        for commit in commits:
            done = run_git(
                *("fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit),
                attempt=f"fetch {commit} from",
                on=redacted(url),
                repository=repository,
                timeout=timeout,
                ok_codes=range(256),
            )
            if done.returncode != 0:
                return []
        words = ["diff-tree", "-r", "-z", "--name-only", *commits]
        names = run_git(*words, attempt="compare", on=redacted(url), repository=repository).stdout.split("\0")
        words = ["show", "--no-patch", "--no-show-signature", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"]
        dates = run_git(*words, *commits, attempt="read", on=redacted(url), repository=repository).stdout.split()
    changed = [name for name in names if name]
    users = _find_users(elements, changed) if elements is not None and elements.is_dir() else {}
    told = [
        f"source: {escape_line(name)} differs between {commits[0][:12]} and {commits[1][:12]}"
        + (f", used by {list_words(users[name])}" if users.get(name) else "")
        for name in changed[:MOST_FILES]
    ]
    if len(changed) > MOST_FILES:
        told.append(f"source: {len(changed) - MOST_FILES} more files differ")
    if len(set(dates)) > 1:
        told.append(f"source: the commits are of {dates[0]} and {dates[1]}, the time of every file that is packed")
    return told


def _find_users(top: Path, changed: Sequence[str]) -> dict[str, list[str]]:
    """The elements that are a changed file, or have one as a local source."""
    found: dict[str, list[str]] = {}
    for path in sorted(top.rglob("*.bst")):
        name = str(path.relative_to(top))
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        places = [each.strip().rstrip("/") for each in LOCAL.findall(text)]
        for each in changed:
            if each == name or any(each == place or each.startswith(f"{place}/") for place in places):
                found.setdefault(each, []).append(name)
    return found
