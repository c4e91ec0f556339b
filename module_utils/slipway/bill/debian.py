# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Debian's packages say of themselves in the archive of a tree, put where debsbom looks for it."""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..tar import normalise_path

STATUS = "var/lib/dpkg/status"
#: Where trees without a package manager have it, a file for each package.
STATUS_PARTS = re.compile(r"var/lib/dpkg/status\.d/[A-Za-z0-9][A-Za-z0-9.+~_-]*\Z")
#: The files of such a directory that list digests, and say nothing of the package.
NO_PARTS = (".md5sums", ".list")
COPYRIGHT = re.compile(r"usr/share/doc/[A-Za-z0-9][A-Za-z0-9.+~_-]*/copyright\Z")
STATES = "var/lib/apt/extended_states"
#: Nobody's list of packages is so large, and no file about copyright that a machine could read.
LARGEST_STATUS, LARGEST_COPYRIGHT = 256 << 20, 1 << 20
NOT_THERE = ("not-installed", "config-files")
UNKNOWN = "NOASSERTION"
FIELD = re.compile(r"^(?P<name>[!-9;-~]+):[ \t]*(?P<value>.*)$")


def take_tree(archive: Path, target: Path, *, name: str) -> str:
    """Write what Debian's packages say in an archive below ``target``; the architecture of most of them.

    It is empty if there are no packages. What is no UTF-8 in it is replaced.
    """
    attempt, parts = "read which Debian packages are in", dict[str, str]()
    try:
        with tarfile.open(archive, "r:*") as tar:
            for info in tar:
                path = normalise_path(info.name)
                if path is not None and info.isreg() and _is_wanted(path):
                    _check_size(path, info.size, name=name)
                    stream = tar.extractfile(info)
                    parts[path] = "" if stream is None else stream.read().decode("utf-8", "replace")
    except (OSError, EOFError, tarfile.TarError) as error:
        do_next = "Build the system again, or bring its whole archive."
        raise SlipwayError(attempt, name, f"{archive} is no whole tar archive: {error}", do_next=do_next) from error
    stanzas, faults = [], []
    for path, text in sorted(parts.items()):
        if path == STATUS or STATUS_PARTS.match(path):
            kept, wrong = _read_stanzas(path, text)
            stanzas += kept
            faults += wrong
        else:
            _write(target / path, text)
    refuse(
        attempt,
        name,
        faults[:20],
        summary="" if len(faults) == 1 else f"{len(faults)} entries are none of dpkg's",
        do_next="Correct the system's list of packages, and build it again.",
    )
    if not stanzas:
        return ""
    _write(target / STATUS, "\n".join(stanzas))
    return _find_architecture(stanzas)


def _is_wanted(path: str) -> bool:
    if STATUS_PARTS.match(path):
        return not path.endswith(NO_PARTS)
    return path in (STATUS, STATES) or COPYRIGHT.match(path) is not None


def _check_size(path: str, size: int, *, name: str) -> None:
    if size > (LARGEST_COPYRIGHT if COPYRIGHT.match(path) else LARGEST_STATUS):
        raise SlipwayError(
            "read which Debian packages are in",
            name,
            f"{path} has {size} bytes",
            do_next="Find out what it is, correct the system, and build it again.",
        )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _read_stanzas(path: str, text: str) -> tuple[list[str], list[str]]:
    """The entries of packages that are there, and what is wrong with others."""
    kept, faults = [], []
    for lines in _split_stanzas(text):
        fields = {found["name"].lower(): found["value"].strip() for line in lines if (found := FIELD.match(line))}
        state = fields.get("status", "").split()
        if state and state[-1] in NOT_THERE:
            continue
        if not fields.get("package"):
            faults.append(f"{path}: the entry that begins with {lines[0][:60]!r} names no package")
            continue
        # Of those that were unpacked and not configured, the files are there as well.
        lines = [line for line in lines if not line.lower().startswith("status:")]
        if not fields.get("version"):
            lines = [*(line for line in lines if not line.lower().startswith("version:")), f"Version: {UNKNOWN}"]
        kept.append("\n".join(lines) + "\n")
    return kept, faults


def _split_stanzas(text: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in text.split("\n"):
        plain = line.rstrip("\r")
        if plain.strip():
            lines.append(plain)
        elif lines:
            yield lines
            lines = []
    if lines:
        yield lines


def _find_architecture(stanzas: list[str]) -> str:
    """The architecture that most packages have which are for one."""
    found = Counter(
        each["value"].strip()
        for stanza in stanzas
        for line in stanza.split("\n")
        if (each := FIELD.match(line)) and each["name"].lower() == "architecture"
    )
    ranked = sorted((name for name in found if name != "all"), key=lambda name: (-found[name], name))
    return ranked[0] if ranked else "all"
