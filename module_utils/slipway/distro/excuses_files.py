# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The excuses as files: what archives hold is read from their indexes, and both forms are written beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..apt.index import locate_index
from ..deb.version import find_version_fault, version_key
from ..errors import SlipwayError, name_refusals
from ..escape import escape_line
from ..files import make_directory, read_regular, write_atomic
from .excuses import FORMAT, read_since
from .excuses_facts import Place, Versions
from .release import Entry, read_shadow

DATA = "excuses.json"
PAGE = "excuses.html"
FEED = "excuses.atom"
#: What a run that builds says beside them of what it does, for programs.
QUEUE = "now/status.json"


def read_archive(public: Path, places: Iterable[Place], *, component: str) -> dict[Place, dict[str, str]]:
    """The versions in the indexes of an archive by package; a place without an index has nothing yet."""
    if not public.is_dir():
        raise SlipwayError(
            "read the archive",
            str(public),
            "it is not there",
            do_next="Name the directory that is served, with dists in it, and run again.",
        )
    found = {}
    for place in places:
        directory = public / locate_index(place.platform, component, place.architecture)
        if any((directory / name).exists() for name in ("Packages", "Packages.gz")):
            index = read_shadow(public, {place.platform: [place.architecture]}, component=component)
            found[place] = choose_versions(index[place.platform][place.architecture])
    return found


def choose_versions(entries: Iterable[Entry]) -> dict[str, str]:
    """The newest version of each package, and of each source that no package is named like."""
    packages: dict[str, str] = {}
    sources: dict[str, str] = {}
    for entry in entries:
        for names, name in ((packages, entry.name), (sources, entry.source)):
            if name not in names or version_key(entry.version) > version_key(names[name]):
                names[name] = entry.version
    return {**sources, **packages}


def read_versions(given: Mapping[str, Any], *, what: str) -> Versions:
    """The same from a mapping of platforms, architectures, packages and versions."""
    found: dict[Place, dict[str, str]] = {}
    for platform, architectures in given.items():
        for architecture, packages in _require_mapping(architectures, what=what, where=platform).items():
            where = f"{platform}/{architecture}"
            for package, version in _require_mapping(packages, what=what, where=where).items():
                fault = find_version_fault(version) if isinstance(version, str) else "is not text"
                if fault:
                    raise _shape_error(what, where, f"the version '{version}' of {package} {fault}")
                found.setdefault(Place(platform, architecture), {})[package] = version
    return found


def _require_mapping(value: Any, *, what: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _shape_error(what, where, "it is no mapping")
    return value


def _shape_error(what: str, where: str, fault: str) -> SlipwayError:
    return SlipwayError(
        "read the packages of",
        f"{what}, {where}",
        fault,
        do_next="Give {platform: {architecture: {package: version}}}.",
    )


def read_previous(directory: Path, distribution: str) -> dict[str, Any] | None:
    """The excuses that were written there before, if any; what else is there is refused, since it would be lost."""
    path = directory / DATA
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(data)
        is_ours = isinstance(found, dict) and found.get("format") == FORMAT
        is_ours = is_ours and all(isinstance(date, str) for date in read_since(found).values())
        named = found["distribution"] if is_ours else None
        list_lines(found if is_ours else {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_ours, named = False, None
    if not is_ours or named != distribution:
        what = f"it is of the distribution {named}" if named else f"it is not one of format {FORMAT}"
        raise SlipwayError(
            "keep the dates of",
            str(path),
            what,
            do_next="Name another directory, or move the file away, and run again.",
        )
    return dict(found)


def format_data(excuses: Mapping[str, Any]) -> str:
    """The text of the JSON file."""
    return json.dumps(excuses, indent=1) + "\n"


def list_lines(excuses: Mapping[str, Any]) -> list[str]:
    """The excuses for people who compare them: how stacks stand, and why."""
    lines = []
    for stack, row in excuses.get("stacks", {}).items():
        lines.append(f"{stack} {row['version'] or 'without a version'}: {row['state']}")
        lines += [
            f"  {name}: {place['state']}, shadow {place['shadow'] or 'nothing'}, fixed {place['fixed'] or 'nothing'}"
            for name, place in row["places"].items()
        ]
        lines += [f"  {reason['code']} since {reason['since']}: {reason['text']}" for reason in row["reasons"]]
    return [f"{escape_line(line)}\n" if line[:1] != " " else f"  {escape_line(line)}\n" for line in lines]


def publish_texts(directory: Path, texts: Mapping[str, str], *, write: bool) -> list[str]:
    """Write what is another text than before, and tell which; readers see each file whole."""
    with name_refusals("write the excuses to", str(directory)):
        changed = [name for name, text in texts.items() if _read_text(directory / name) != text]
        if write and changed:
            make_directory(directory)
            for name in changed:
                write_atomic(directory / name, texts[name].encode())
    return changed


def _read_text(path: Path) -> str | None:
    try:
        return read_regular(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
