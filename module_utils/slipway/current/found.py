# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a download server has of all that says which release is current; read on the server, judged elsewhere."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import hash_file, open_regular, read_regular
from ..publish.directory import SUMS
from ..publish.links import find_pointers
from ..publish.package import SIGNATURE
from ..release.names import check_project
from ..release.tombstone import list_tombstones
from ..trust.latest import FILE, name_statements
from ..views.directory import read_view

#: Signed files beside latest.json and those of the products.
BESIDE = ("keys.json", "mirrors.json")
VIEWS = ("updates", "tuf")
#: No signed file of ours is longer; what is, is somebody else's.
MOST_BYTES = 8 << 20


def inspect_server(
    public: Path, project: str, *, contents: bool = False, moves: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Signed files, views, where the links lead, what they lead to, and what is withdrawn, as plain values.

    With ``contents`` also the files of the views, in base64 by their public paths. ``moves`` are targets that links
    would get.
    """
    check_project(project)
    if not public.is_absolute():
        raise SlipwayError("look at", str(public), "it is no absolute path", do_next="Correct it.")
    names = [path.name for path in public.iterdir() if FILE.match(path.name)] if public.is_dir() else []
    pointers = find_pointers(public, project, moves) if public.is_dir() else {}
    return {
        "signed": {name: text for name in sorted((*names, *BESIDE)) if (text := read_text(public / name)) is not None},
        "views": {name: asdict(read_view(public, name)) for name in VIEWS if os.path.lexists(public / name)},
        "pointers": pointers,
        "releases": {label: _describe(public, label) for label in sorted(set(pointers.values()))},
        "withdrawn": [tombstone.version for tombstone in list_tombstones(public, project)],
        "contents": _read_contents(public) if contents else {},
    }


def read_text(path: Path) -> str | None:
    """A small text; None if nothing is there, and of what is no such file, a text that says so."""
    if not os.path.lexists(path):
        return None
    try:
        with open(open_regular(path), "rb") as stream:
            return stream.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def digest_text(text: str) -> str:
    """The SHA-256 of a text as it lies on a server."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _describe(public: Path, label: str) -> dict[str, Any]:
    """What can be compared of a release, and what proves whose it is."""
    statements = public / name_statements(label)
    return {
        "sums": read_text(public / label / SUMS),
        "signature": read_text(public / label / SIGNATURE),
        "statements": hash_file(statements) if statements.is_file() and not statements.is_symlink() else None,
    }


def _read_contents(public: Path) -> dict[str, str]:
    paths = [f"{name}/{path}" for name in VIEWS for path in read_view(public, name).files]
    return {path: base64.b64encode(read_regular(public / path)).decode() for path in paths}


def agree(servers: Mapping[str, Mapping[str, Any]], name: str, *, what: str) -> Any:
    """What all servers say of one thing; that they say different things is a failure that names them."""
    said = {host: found[name] for host, found in servers.items()}
    different = _group(said)
    if len(different) > 1:
        raise SlipwayError(
            "say which release is current on",
            ", ".join(said),
            f"the servers differ in {what}",
            do_next="Nothing was signed. Find out which is right, and release again, which brings them in step.",
            findings=[f"{', '.join(hosts)}: {_show(value)}" for hosts, value in different],
        )
    return different[0][1]


def _group(said: Mapping[str, Any]) -> list[tuple[Sequence[str], Any]]:
    groups: list[tuple[list[str], Any]] = []
    for host, value in said.items():
        for hosts, other in groups:
            if other == value:
                hosts.append(host)
                break
        else:
            groups.append(([host], value))
    return list(groups)


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name or 'current'} is {each}" for name, each in sorted(value.items())) or "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
