# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tombstone of a withdrawn release: what is said of it for ever, beside the place where it was.

``<label>.withdrawn.json`` is signed (``<label>.withdrawn.json.asc``), and lies in the public directory beside
``<label>/``. While it is there no link leads to the release, and nothing is published under its label.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line
from ..files import open_regular, sync_directory
from .names import extract_version, version_key
from .records import format_json

SUFFIX = ".withdrawn.json"
SIGNATURE_SUFFIX = f"{SUFFIX}.asc"
FORMAT = 1
KEPT, REMOVED = "kept", "removed"
WORDS = ("project", "version", "label", "withdrawn", "by", "reason")
MOST_BYTES = 1 << 20
MOST_REASON = 2000
#: What is known of the release itself, so that its page can tell it when its files are gone.
FACTS = {
    "sums": re.compile(r"[0-9a-f]{64}\Z"),
    "released": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"),
    "signed_by": re.compile(r"[0-9A-F]{40}\Z"),
    "commit": re.compile(r"[0-9a-f]{7,64}\Z"),
}
NOT_AGAIN = (
    "Nothing was changed. Release the change under another version; or, if it was withdrawn in error, bring the same "
    "files back with -e release_reinstate=true."
)
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Tombstone:
    """Who withdrew which release, when (UTC) and why; ``files`` is whether its files are still public.

    ``sums`` is the digest of its SHA256SUMS: nothing with another one may ever bear its label.
    """

    project: str
    version: str
    label: str
    withdrawn: str
    by: str
    reason: str
    files: str = KEPT
    sums: str | None = None
    released: str | None = None
    signed_by: str | None = None
    commit: str | None = None

    def format(self) -> str:
        """The text of the file."""
        return format_json({"format": FORMAT, **asdict(self)}).decode()

    def explain(self) -> str:
        """What happened, without a full stop."""
        reason = escape_line(self.reason).removesuffix(".")
        return f"{self.label} was withdrawn on {self.withdrawn[:10]} by {escape_line(self.by)}: {reason}"


def name_tombstone(label: str) -> str:
    """The tombstone of a release."""
    return f"{label}{SUFFIX}"


def name_tombstone_signature(label: str) -> str:
    """The signature of a tombstone."""
    return f"{label}{SIGNATURE_SUFFIX}"


def format_moment(moment: float) -> str:
    """A time as tombstones have it, in Greenwich."""
    return time.strftime(MOMENT, time.gmtime(moment))


def parse_moment(text: str) -> int:
    """The seconds since the epoch of a time as tombstones have it."""
    return calendar.timegm(time.strptime(text, MOMENT))


def read_reason(text: str) -> str:
    """A reason that can be published: one paragraph."""
    reason = " ".join(text.split())
    if not reason or len(reason) > MOST_REASON:
        fault = f"it has {len(reason)} characters, at most {MOST_REASON} may be" if reason else "no reason was given"
        raise SlipwayError(
            "withdraw",
            "the release",
            fault,
            do_next="Nothing was changed. Give -e reason='...', a sentence or two for those who wonder.",
        )
    return escape_line(reason)


def parse_tombstone(text: str, label: str) -> Tombstone | None:
    """The tombstone that a text is; None if it is not one of this release."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) and found[name] for name in WORDS):
        return None
    words = {name: str(found[name]) for name in WORDS}
    if (words["label"], f"{words['project']}-{words['version']}") != (label, label):
        return None
    if not FACTS["released"].match(words["withdrawn"]):
        return None
    facts = {
        name: found[name]
        for name, form in FACTS.items()
        if isinstance(found.get(name), str) and form.match(found[name])
    }
    return Tombstone(**words, files=REMOVED if found.get("files") == REMOVED else KEPT, **facts)


def find_tombstone(public: Path, label: str) -> Tombstone | None:
    """The tombstone of a release, if it is withdrawn. One that cannot be read withdraws it all the same."""
    text = read_small(public / name_tombstone(label))
    if text is None:
        return None
    project, _hyphen, version = label.rpartition("-")
    unknown = Tombstone(project, version, label, format_moment(0), "somebody", "its tombstone cannot be read")
    return parse_tombstone(text, label) or unknown


def read_small(path: Path) -> str | None:
    """The text of a tombstone, or of its signature; None if nothing is there, empty if that is no file."""
    if not os.path.lexists(path):
        return None
    try:
        with open(open_regular(path), "rb") as stream:
            return stream.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def list_tombstones(public: Path, project: str) -> list[Tombstone]:
    """Those of all withdrawn releases of a project, the newest version first."""
    names = [path.name for path in public.glob(f"*{SUFFIX}")] if public.is_dir() else []
    labels = [label for name in names if extract_version(label := name.removesuffix(SUFFIX), project) is not None]
    labels.sort(key=lambda label: version_key(extract_version(label, project) or ""), reverse=True)
    return [tombstone for label in labels if (tombstone := find_tombstone(public, label)) is not None]


def lift_tombstone(public: Path, label: str) -> None:
    """Take a tombstone away, and its signature after it."""
    for name in (name_tombstone(label), name_tombstone_signature(label)):
        (public / name).unlink(missing_ok=True)
    sync_directory(public)


def refuse_withdrawn(public: Path, label: str, *, attempt: str) -> None:
    """Fail if a release is withdrawn."""
    tombstone = find_tombstone(public, label)
    if tombstone is not None:
        raise SlipwayError(attempt, label, tombstone.explain(), do_next=NOT_AGAIN)
