# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the components are that a bill of materials lists, and how two bills differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from ..errors import SlipwayError

NOASSERTION = "NOASSERTION"
#: What stands for no licence that anybody could name.
NO_LICENCE = ("", NOASSERTION, "NONE")
ELEMENT, PURL, GITOID = "bst-element", "purl", "gitoid"
DEB = re.compile(r"pkg:deb/(?P<vendor>[^/@?]+)/(?P<name>[^@?]+)(?:@(?P<version>[^?]*))?(?:\?(?P<more>.*))?\Z")
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:_-]*")
WORDS = ("AND", "OR", "WITH")
#: How much of a commit people are told.
SHORT = 12
DIGEST = re.compile(r"[0-9a-f]{40,64}\Z")
#: How what changed is called.
CHANGES = ("added", "removed", "changed")


@dataclass(frozen=True)
class Component:
    """One component: its version, and what tells its sources apart: commits and digests.

    ``made`` is whether it has sources or is a package: what is only put together of others has no licence of its own.
    """

    name: str
    version: str = ""
    commit: str = ""
    licence: str = ""
    made: bool = True

    @property
    def licences(self) -> list[str]:
        """The licences that are named in its licence."""
        words = [] if self.licence in NO_LICENCE else LICENCE.findall(self.licence)
        return sorted({word for word in words if word not in WORDS})

    def tell(self) -> str:
        """Its version for people."""
        commit = self.commit.partition(" ")[0][:SHORT]
        if self.version and self.version != NOASSERTION and not DIGEST.match(self.version):
            return self.version
        return commit or (self.version[:SHORT] if DIGEST.match(self.version) else "")


@dataclass(frozen=True)
class Difference:
    """The components that are new, those that are gone, and those that changed, old and new."""

    added: Sequence[Component] = ()
    removed: Sequence[Component] = ()
    changed: Sequence[tuple[Component, Component]] = field(default=())

    def describe(self) -> list[dict[str, str]]:
        """Each change as plain data: ``name kind before now licence_before licence_now``, by name."""
        listed = [
            *(_describe(each, None, each) for each in self.added),
            *(_describe(each, each, None) for each in self.removed),
            *(_describe(now, before, now) for before, now in self.changed),
        ]
        return sorted(listed, key=lambda each: each["name"])


def _describe(named: Component, before: Component | None, now: Component | None) -> dict[str, str]:
    kind = "added" if before is None else "removed" if now is None else "changed"
    was, is_now = ("" if each is None else each.tell() for each in (before, now))
    if before is not None and now is not None and was == is_now and before.commit != now.commit:
        was, is_now = (_tell_commit(each, was) for each in (before, now))
    licences = ["" if each is None or each.licence in NO_LICENCE else each.licence for each in (before, now)]
    return {
        "name": named.name,
        "kind": kind,
        "before": was,
        "now": is_now,
        "licence_before": licences[0],
        "licence_now": licences[1],
    }


def _tell_commit(component: Component, told: str) -> str:
    commit = component.commit.rpartition(" ")[2][:SHORT]
    return f"{told} ({commit})" if told and commit and told != commit else told or commit


def read_bill(data: bytes, *, on: str) -> dict[str, Component]:
    """The components in a bill of SPDX's, by their names: elements, artifacts and Debian's binary packages."""
    try:
        said = json.loads(data)
        packages = {str(each["SPDXID"]): _Package(each) for each in said["packages"]}
        relationships = [
            (str(each["spdxElementId"]), str(each["relationshipType"]), str(each["relatedSpdxElement"]))
            for each in said.get("relationships") or []
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SlipwayError(
            "read the bill of materials",
            on,
            f"it is no document of SPDX's ({error})",
            do_next="Bring it as it was published.",
        ) from error
    sources: dict[str, list[_Package]] = {}
    for one, kind, other in relationships:
        whole, part = (one, other) if kind == "GENERATED_FROM" else (other, one)
        if kind in ("GENERATED_FROM", "GENERATES") and part in packages:
            sources.setdefault(whole, []).append(packages[part])
    found: dict[str, Component] = {}
    for identifier, package in packages.items():
        component = package.describe(sources.get(identifier, ()))
        if component is not None:
            found[component.name] = (
                component if component.name not in found else _join(found[component.name], component)
            )
    return dict(sorted(found.items()))


def _join(one: Component, other: Component) -> Component:
    """Two of one name count as one, which changes when either does."""
    if one == other:
        return one
    version, commit, licence = (
        " ".join(sorted({getattr(one, name), getattr(other, name)} - {""})) for name in ("version", "commit", "licence")
    )
    return Component(one.name, version, commit, licence, made=one.made or other.made)


class _Package:
    """A package of a document."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.name = str(said.get("name") or "")
        self.version = str(said.get("versionInfo") or "")
        self.source = "sourceInfo" in said
        self.words = str(said.get("sourceInfo") or "")
        self.purpose = str(said.get("primaryPackagePurpose") or "")
        licences = [str(said.get(name) or "") for name in ("licenseConcluded", "licenseDeclared")]
        self.licence = next((each for each in licences if each not in NO_LICENCE), "")
        self.references = {
            str(each.get("referenceType")): str(each.get("referenceLocator")) for each in said.get("externalRefs") or []
        }

    def describe(self, sources: Sequence[_Package]) -> Component | None:
        """The component that it is; sources and the system itself are none."""
        deb = DEB.match(self.references.get(PURL, ""))
        if deb is not None:
            architecture = parse_qs(deb["more"] or "").get("arch", [""])[0]
            if architecture == "source":
                return None
            name = f"{unquote(deb['name'])}:{architecture}"
            licence = self.licence or next((each.licence for each in sources if each.licence), "")
            return Component(name, self.version, "", licence)
        if ELEMENT not in self.references or self.source:
            return None
        listed = sorted(sources, key=lambda each: (each.name, each.commit))
        versions = dict.fromkeys(each.version for each in listed if each.version not in ("", NOASSERTION, each.commit))
        return Component(
            name=self.name,
            version=", ".join(versions),
            commit=" ".join(each.commit for each in listed if each.commit),
            licence=next((each.licence for each in listed if each.licence), self.licence),
            made=bool(listed),
        )

    @property
    def commit(self) -> str:
        """What tells a source from others: its commit, or what its definition says instead."""
        if GITOID in self.references:
            return self.references[GITOID].rpartition(":")[2]
        return self.words.rpartition(" ")[2] if self.source and len(self.words.split(" ")) > 2 else ""


def compare_bills(before: Mapping[str, Component], now: Mapping[str, Component]) -> Difference:
    """What differs between two bills."""
    return Difference(
        added=[now[name] for name in sorted(now.keys() - before.keys())],
        removed=[before[name] for name in sorted(before.keys() - now.keys())],
        changed=[(before[name], now[name]) for name in sorted(before.keys() & now.keys()) if before[name] != now[name]],
    )


def tell_names(components: Iterable[Component], *, most: int = 10) -> str:
    """Some names for a sentence."""
    names = [each.name for each in components]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
