# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The licences in a tree of sources.

Where somebody has written down file by file what applies, in Debian's machine-readable format, that counts: it is
better than any guess. Everywhere else Debian's licensecheck reads the files, around which GENIVI's own scripts were
made: it is kept well, judges one file by itself, and says the same wherever its version is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..process import read_version, run
from .manifest import UNKNOWN, Licences

#: What is judged has changed when this has, besides licensecheck itself.
RULES = "1"
PROGRAM = "licensecheck"
#: What licensecheck reads: sixty lines from the top, and if there is nothing, so many bytes from the end.
HEAD, TAIL = 48 << 10, 5000
#: So many files at a time: starting licensecheck takes as long as ten of them.
BATCH = 200
TIMEOUT = 900.0
#: The files that say what is under which licence as a whole.
WHOLE = re.compile(r"(?:COPYING|LICEN[CS]E|COPYRIGHT)(?:[._-][\w.-]+)?\Z", re.IGNORECASE)
MACHINE_READABLE = re.compile(r"\s*Format(?:-Specification)?:\s*\S*(?:copyright-format|dep5|DEP-?5)", re.IGNORECASE)
#: What a tree of installed Debian packages has for each of them.
INSTALLED = re.compile(r"usr/share/doc/[^/]+/copyright\Z")
STATED = "debian/copyright"
#: How Debian calls licences, and SPDX.
GNU = re.compile(r"(?P<name>A?GPL|LGPL|GFDL)-(?P<version>\d+(?:\.\d+)?)(?P<later>\+?)\Z")
SPDX = {
    "Expat": "MIT",
    "Apache-2": "Apache-2.0",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "BSD-4-clause": "BSD-4-Clause",
    "CC0": "CC0-1.0",
    "MPL-1": "MPL-1.0",
    "MPL-2": "MPL-2.0",
    "zlib": "Zlib",
    "public-domain": "public-domain",
}


@dataclass(frozen=True)
class SourceFile:
    """One file of a tree: its path, and its beginning and end."""

    path: str
    content: bytes


def read_tool() -> str:
    """What judges, with its version: the same gives the same."""
    return f"{read_version(PROGRAM, '--version').removeprefix('This is ')}, rules {RULES}"


def clip(content: bytes) -> bytes:
    """As much of a file as is judged."""
    return content if len(content) <= HEAD + TAIL else content[:HEAD] + b"\n" + content[-TAIL:]


def is_text(content: bytes) -> bool:
    """Whether a file can say a licence in words."""
    return bool(content) and b"\0" not in content[:8000]


def judge_tree(files: Iterable[SourceFile], *, name: str, scratch: Path, pool: Executor) -> Licences:
    """The licences of a component; its files are put into ``scratch`` and are read by ``pool``, a part at a time."""
    stated: dict[str, Licences] = {}
    waiting: dict[str, str] = {}
    for number, each in enumerate(files):
        is_stated = each.path == STATED or INSTALLED.match(each.path) is not None
        text = each.content.decode("utf-8", "replace") if is_stated else ""
        if MACHINE_READABLE.match(text):
            stated[each.path] = read_machine_readable(text)
        else:
            waiting[each.path] = _put_file(each, scratch, number=number)
    if STATED in stated:
        return stated[STATED]
    if any(INSTALLED.match(each) for each in stated):
        # These are programs, not sources: what packages say of themselves is all that can be read.
        waiting = {path: place for path, place in waiting.items() if INSTALLED.match(path)}
    found: dict[str, str] = {}
    for part in pool.map(lambda part: _judge_part(part, name=name, directory=scratch), _split(waiting.items())):
        found.update(part)
    every = Counter(found.values())
    for licences in stated.values():
        every.update(licences.files)
    known = Counter({licence: count for licence, count in every.items() if licence != UNKNOWN})
    whole = min((path for path, licence in found.items() if WHOLE.match(path) and licence != UNKNOWN), default="")
    ranked = sorted(known, key=lambda licence: (-known[licence], licence))
    return Licences(dict(sorted(every.items())), found[whole] if whole else next(iter(ranked), ""))


def _put_file(file: SourceFile, scratch: Path, *, number: int) -> str:
    """Where a file is below ``scratch`` now: its name has nothing that licensecheck's lines could not hold."""
    plain = re.sub(r"[^\w.+-]", "_", file.path.rpartition("/")[2], flags=re.ASCII)[-100:]
    (scratch / str(number)).mkdir()
    (scratch / str(number) / plain).write_bytes(file.content)
    return f"{number}/{plain}"


def _split(files: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    rest = iter(files)
    while part := dict(islice(rest, BATCH)):
        yield part


def _judge_part(files: Mapping[str, str], *, name: str, directory: Path) -> dict[str, str]:
    """The licence of each file, by its path."""
    done = run(
        [PROGRAM, "--machine", "--shortname-scheme=spdx,debian", "--check=.", "--ignore=^$", "--", *files.values()],
        attempt="read the licences of",
        on=name,
        cwd=directory,
        timeout=TIMEOUT,
        do_next="Install Debian's package licensecheck, or state its licences in the policy, and run again.",
    )
    judged = {}
    for line in done.stdout.splitlines():
        place, _tab, licence = line.partition("\t")
        judged[place] = licence.split("\t")[0].strip()
    return {path: judged.get(place) or UNKNOWN for path, place in files.items()}


def read_machine_readable(text: str) -> Licences:
    """The licences in a file of Debian's machine-readable format, by number of paragraphs; the first is the main."""
    found = Counter[str]()
    main = ""
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        licence = fields.get("License", "").strip()
        if licence and ("Files" in fields or "Format" in fields):
            found[name_by_spdx(licence)] += 1
            main = main or name_by_spdx(licence)
    return Licences(dict(sorted(found.items())) or {UNKNOWN: 1}, main)


def name_by_spdx(stated: str) -> str:
    """What Debian calls a licence, in SPDX's words where these are known."""
    return " ".join(_name_word(word) for word in stated.split())


def _name_word(word: str) -> str:
    bare = word.rstrip(",")
    gnu = GNU.match(bare)
    if gnu is not None:
        version = gnu["version"] if "." in gnu["version"] else f"{gnu['version']}.0"
        return f"{gnu['name']}-{version}-{'or-later' if gnu['later'] else 'only'}"
    return bare.upper() if bare in ("and", "or", "with") else SPDX.get(bare, bare)


def state_licences(stated: Mapping[str, Sequence[str]], chunk: str) -> Licences | None:
    """What the policy says of a component, if it does."""
    listed = stated.get(chunk)
    return None if not listed else Licences(dict.fromkeys(sorted(listed), 1), listed[0])
