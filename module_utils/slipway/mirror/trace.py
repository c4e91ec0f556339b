# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trace files: when a mirror got what it has, what that is, and from whom, in the manner of Debian's mirrors."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from ..errors import SlipwayError
from .tree import Tree, read_file

TRACES = "trace"
LATEST = "latest.json"
MOST_BYTES = 1 << 20
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")


@dataclass(frozen=True)
class Push:
    """From which host to which a push goes."""

    mirror: str
    source: str

    def __post_init__(self) -> None:
        for name in (self.mirror, self.source):
            if not HOST.match(name):
                raise SlipwayError("push to", repr(name), "it is no host name", do_next="Correct mirror_name.")


def format_trace(push: Push, public: Path, tree: Tree, name: str) -> bytes:
    """The text of ``trace/<mirror>``: the date alone, and then what it is the date of."""
    now = formatdate(time.time()).replace("-0000", "+0000")
    release, serial = find_current(public)
    lines = [
        now,
        f"Date: {now}",
        f"Release: {release or 'none'}",
        *([f"Serial: {serial}"] if serial is not None else []),
        f"Pushed-From: {push.source}",
        f"Running on host: {push.mirror}",
        f"Files: {len(tree.files)}",
        f"Size: {sum(file.size for file in tree.files)}",
        f"List: {name}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def find_current(public: Path) -> tuple[str | None, int | None]:
    """The release that a directory says is current, and the serial of that word; nothing of it is verified."""
    label: str | None = None
    serial: int | None = None
    data = read_file(public, LATEST, size=MOST_BYTES)
    try:
        said = json.loads(base64.b64decode(json.loads(data)["payload"])) if data is not None else {}
        label, serial = said.get("label"), said.get("serial")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    if not isinstance(label, str):
        try:
            label = os.path.basename(os.path.realpath(public / "current", strict=True))
        except OSError:
            label = None
    known = label is not None and HOST.match(label) is not None
    return (label if known else None), serial if isinstance(serial, int) else None
