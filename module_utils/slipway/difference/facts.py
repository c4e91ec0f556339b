# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How two systems differ: by what is told of each, which is a set of words for each kind."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .tree import DPKG, Entry, Tree

#: Where what is started is named: systemd's own links, and directories of programs that run at the start.
UNITS = re.compile(
    r"(?:etc|usr/lib|lib)/systemd/(?:system|user)/[^/]+\.(?:wants|requires)/[^/]+"
    r"|(?:etc|usr/lib)/init\.d/[^/]+|etc/rc[0-9S]\.d/S[^/]+|etc/(?:cron\.[a-z]+|xinetd\.d)/[^/]+"
)
FIELD = re.compile(r"^(Package|Version|Architecture|Status): *(.*)$", re.MULTILINE)


@dataclass
class Facts:
    """What is told of one system, by kind; values are what has to be the same."""

    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True)
class Change:
    """What two systems differ in, of one kind."""

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()


def tell_facts(tree: Tree, *, ignore: Sequence[str] = ()) -> Facts:
    """What is told of a system by its files."""
    kinds: dict[str, dict[str, str]] = {name: {} for name in ("files", "setuid", "world_writable", "units")}
    facts = Facts(kinds)
    for path, entry in tree.entries.items():
        if any(fnmatchcase(path, pattern.lstrip("/")) for pattern in ignore):
            continue
        facts.size += entry.size
        told = f"{entry.mode:o} {entry.owner} {entry.content}"
        kinds["files"][path] = told
        if _is_privileged(entry):
            kinds["setuid"][path] = f"{entry.mode:o} {entry.owner} {entry.capability.hex()}"
        if _is_open(path, entry):
            kinds["world_writable"][path] = f"{entry.mode:o}"
        if UNITS.fullmatch(path) and not stat.S_ISDIR(entry.mode) and (entry.mode & 0o111 or "systemd" in path):
            kinds["units"][path] = ""
    kinds["packages"] = list_packages(tree)
    return facts


def _is_privileged(entry: Entry) -> bool:
    """Whether whoever starts it gets more rights than they have."""
    return entry.is_file and bool((entry.mode & 0o6000 and entry.mode & 0o111) or entry.capability)


def _is_open(path: str, entry: Entry) -> bool:
    """Whether everybody may write there; not where only owners remove files, nor to devices and links."""
    if not entry.mode & 0o002 or stat.S_ISLNK(entry.mode) or path.startswith("dev/"):
        return False
    return entry.is_file or (stat.S_ISDIR(entry.mode) and not entry.mode & 0o1000)


def list_packages(tree: Tree) -> dict[str, str]:
    """The installed Debian packages, and their versions."""
    found = {}
    for path, data in tree.kept.items():
        if path != DPKG[0] and not path.startswith(DPKG[1]):
            continue
        for paragraph in re.split(r"\n\s*\n", data.decode("utf-8", "replace")):
            fields = dict(FIELD.findall(paragraph))
            if "Package" in fields and fields.get("Status", "install ok installed").endswith(" installed"):
                found[f"{fields['Package']}:{fields.get('Architecture', '')}"] = fields.get("Version", "")
    return found


def compare_facts(before: Mapping[str, str], now: Mapping[str, str]) -> Change:
    """How one kind differs."""
    return Change(
        sorted(now.keys() - before.keys()),
        sorted(before.keys() - now.keys()),
        sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
    )


def parse_growth(bound: object, before: int) -> int:
    """The bytes that a bound such as ``20%`` or ``3M`` allows."""
    text = str(bound)
    if text.endswith("%"):
        return before * int(text[:-1]) // 100
    return int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1], 0)


def list_words(names: Iterable[str], most: int = 5) -> str:
    """Some names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
