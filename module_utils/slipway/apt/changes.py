# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a published release of a distribution changed, beside the one that was published before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import read_regular
from .index import locate_index
from .publication import make_label, read_current, read_published

#: How versions are stamped where a release does not say it.
TEMPLATE = "{version}-{release}~{platform}"
_FIELD = re.compile(r"^(Package|Maintainer): (.+)$", re.MULTILINE)

Packages = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, order=True)
class Change:
    """A package, the version that it has and the one that it had, without the releases, and in which indexes."""

    package: str
    version: str | None
    was: str | None
    places: tuple[str, ...] = ()

    def as_dict(self, everywhere: int) -> dict[str, Any]:
        """As plain values; no ``places`` if they are all."""
        places = [] if len(self.places) == everywhere else list(self.places)
        return {"package": self.package, "version": self.version, "was": self.was, "places": places}


@dataclass(frozen=True)
class Changes:
    """What a release changed; ``previous`` is the release before, ``maintainers`` the names of whose packages came."""

    label: str
    release: str
    previous: str | None
    platforms: Mapping[str, list[str]]
    added: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    maintainers: list[str] = field(default_factory=list)


def find_changes(directory: Path, distribution: str, release: str = "", *, component: str = "main") -> Changes:
    """What a release changed in a published archive; the newest of the distribution, if none is named."""
    kept = _list_releases(directory, distribution)
    names = [each["release"] for each in kept]
    if not kept or (release and release not in names):
        raise SlipwayError(
            "find what changed with",
            make_label(distribution, release) if release else distribution,
            f"{directory} has no such release, but {', '.join(names) or 'none'}",
            do_next="Publish it first, or name another one.",
        )
    number = names.index(release) if release else len(names) - 1
    this, before = kept[number], kept[number - 1] if number else None
    now, old = _strip_packages(this), _strip_packages(before) if before is not None else {}
    changes = _compare(now, old)
    came = {each.package for each in changes if each.version is not None}
    rows = [each.as_dict(len(now)) for each in changes]
    label = make_label(distribution, this["release"])
    return Changes(
        label=label,
        release=this["release"],
        previous=before["release"] if before is not None else None,
        platforms=_list_platforms(now),
        added=[row for row in rows if row["was"] is None],
        updated=[row for row in rows if None not in (row["was"], row["version"])],
        removed=[row for row in rows if row["version"] is None],
        unchanged=len({name for packages in now.values() for name in packages} - came),
        maintainers=_list_maintainers(directory / "snapshots" / label, now, came, component),
    )


def _list_releases(directory: Path, distribution: str) -> list[dict[str, Any]]:
    """All releases of a distribution that clients ever saw, the oldest first."""
    history = read_current(directory).history
    kept = (read_published(directory, label) for label in history if label.startswith(f"{distribution}-"))
    return [each for each in kept if each is not None and each["distribution"] == distribution]


def _strip_packages(kept: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The versions of a release without its name, by index and package."""
    template = (kept["inputs"].get("names") or {}).get("stamped", TEMPLATE)
    end = template.partition("{version}")[2].replace("{release}", kept["release"])
    return {
        index: {
            name: row["version"].removesuffix(end.replace("{platform}", index.partition("/")[0]))
            for name, row in packages.items()
        }
        for index, packages in kept["packages"].items()
    }


def _compare(now: Packages, old: Packages) -> list[Change]:
    """Equal changes in several indexes are one. An index that the release does not have stays as it is."""
    places: dict[Change, list[str]] = {}
    for index, packages in sorted(now.items()):
        before = old.get(index, {})
        for name in sorted({*packages, *before}):
            if packages.get(name) != before.get(name):
                change = Change(name, packages.get(name), before.get(name))
                places.setdefault(change, []).append(index)
    ordered = sorted(places.items(), key=lambda item: (item[0].package, item[1]))
    return [Change(change.package, change.version, change.was, tuple(found)) for change, found in ordered]


def _list_platforms(packages: Packages) -> dict[str, list[str]]:
    platforms: dict[str, list[str]] = {}
    for index in sorted(packages):
        suite, _slash, architecture = index.partition("/")
        platforms.setdefault(suite, []).append(architecture)
    return platforms


def _list_maintainers(snapshot: Path, packages: Packages, came: set[str], component: str) -> list[str]:
    """The names of those who maintain what came, without their addresses."""
    found = set()
    for index in packages:
        suite, _slash, architecture = index.partition("/")
        path = snapshot / locate_index(suite, component, architecture) / "Packages"
        for paragraph in read_regular(path).decode("utf-8", "replace").split("\n\n"):
            row = dict(_FIELD.findall(paragraph))
            if row.get("Package") in came and (name := parseaddr(row.get("Maintainer", ""))[0]):
                found.add(name)
    return sorted(found)
