# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cluster files: which systems a release has, and which files are made from them.

The format is Baserock's. Where its tools disagreed, this is what counts here:

* ``deploy-defaults`` counts for every key of a deployment, ``type`` and ``location`` too; the deployment's own wins.
* A location of a top-level deployment is a bare file name. It must not begin with the release's label, but one that
  begins with the label of a longer version does not (``baserock-15.25-x`` in the release 15.2).
* The location of a subsystem's deployment is a path inside its parent's tree, whether it begins with ``/`` or not.
* Deployment names are unique in the whole cluster, subsystems included.
* Keys at the top that Morph did not know are faults; unknown keys of a system's entry are ignored with a remark.
* Settings are text as written, or what Morph makes of a list or a mapping where Morph makes the image. Those with
  PASSWORD in their name are left out, so that nothing records them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ..policy.values import suggest
from ..release.names import FILE_NAME, MAX_FILE_NAME, begins_with_label, make_file_name
from ..yamltext import Node, NotPlainError, read, to_plain

TOP_KEYS = ("name", "kind", "description", "systems")
ENTRY_KEYS = ("morph", "arch", "deploy", "deploy-defaults", "subsystems")
#: Keys of a deployment that steer the deploying itself; all others are settings of the system.
STEERING = frozenset({"type", "location", "upgrade-type", "upgrade-location"})
DEPLOYMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
TYPE = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
PATH = re.compile(r"[A-Za-z0-9._+~@-]+(?:/[A-Za-z0-9._+~@-]+)*\Z")
SYSTEM_FILE = re.compile(r"[A-Za-z0-9._/-]+\Z")
SUFFIXES = (".morph", ".bst")
MAX_NAME = 128
#: What packaging adds to a file's name.
PACKAGED = ("", ".sha256", *(f"{suffix}{more}" for suffix in (".gz", ".xz", ".zst") for more in ("", ".sha256")))
#: Morph took this as another word for that.
SAME_ARCHITECTURE = {"armv7": "armv7l"}


@dataclass(frozen=True)
class Deployment:
    """One file (or, of a subsystem, one part of its parent's tree) made from a system."""

    where: str
    line: int
    name: str
    type: str
    location: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class System:
    """One entry of a cluster. ``arch`` is what the entry itself says, if it says anything."""

    where: str
    line: int
    file: str
    arch: str | None
    deployments: tuple[Deployment, ...]
    subsystems: tuple[System, ...]

    def walk(self) -> Iterator[System]:
        """This system and every one nested in it."""
        yield self
        for subsystem in self.subsystems:
            yield from subsystem.walk()


@dataclass(frozen=True)
class Cluster:
    """What a cluster file says. With ``faults`` it is not usable; ``remarks`` say what was ignored."""

    systems: tuple[System, ...]
    faults: list[str]
    remarks: list[str]
    name: str = ""

    def walk(self) -> Iterator[System]:
        """Every system, nested ones after their parents."""
        for system in self.systems:
            yield from system.walk()


def read_cluster(data: bytes, *, label: str, types: Collection[str] = (), plain: bool = True) -> Cluster:
    """Read a whole cluster and list every fault; ``types`` are the known deployment types, empty for any.

    Unless settings are to be ``plain``, they may be lists and mappings.
    """
    try:
        root, twice = read(data)
    except NotPlainError as error:
        return Cluster((), [str(error)], [])
    reader = _Reader(label, types, plain, faults=twice)
    systems = reader.read_cluster(root)
    return Cluster(tuple(systems), reader.faults, reader.remarks, reader.name)


def sanitise_path(name: str) -> str:
    """Baserock's rule: a name with ``/`` is a path; another one gets ``.morph`` unless it has a suffix."""
    whole = name if "/" in name or name.endswith(SUFFIXES) else f"{name}.morph"
    while whole.startswith("./"):
        whole = whole[1:].lstrip("/")
    return whole


def read_system_architecture(file: str, data: bytes) -> tuple[str | None, list[str]]:
    """The architecture that a system's file states, ``None`` if it states none, and the file's faults."""
    try:
        root, twice = read(data)
    except NotPlainError as error:
        return None, [f"{file}: {error}"]
    faults = [f"{file}: {fault}" for fault in twice]
    mapping = root.mapping
    if mapping is None:
        return None, [f"{file}: it is {root.kind}, not a mapping"]
    if file.endswith(".morph"):
        kind = _read_text(mapping.get("kind"))
        if kind != "system":
            faults.append(f"{file}: its kind is {kind or 'missing'}, not system")
        stated = _read_text(mapping.get("arch"))
    else:
        stated = _read_text(_read_below(_read_below(mapping.get("public"), "slipway"), "arch"))
    return (None if stated is None else canonicalise_architecture(stated)), faults


def canonicalise_architecture(name: str) -> str:
    """The one name of an architecture that has several."""
    return SAME_ARCHITECTURE.get(name, name)


@dataclass
class _Reader:
    label: str
    types: Collection[str]
    plain: bool
    faults: list[str]
    remarks: list[str] = field(default_factory=list)
    name: str = ""
    names: dict[str, str] = field(default_factory=dict)
    published: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add_fault(self, where: str, node: Node, sentence: str) -> None:
        self.faults.append(f"{where}: {sentence} (line {node.line})" if where else f"{sentence} (line {node.line})")

    def read_cluster(self, root: Node) -> list[System]:
        top = root.mapping
        if top is None:
            self.add_fault("", root, f"it is {root.kind}, not a mapping with kind: cluster")
            return []
        kind = _read_text(top.get("kind"))
        if kind != "cluster":
            found = "it has no kind" if kind is None else f"it is of the kind {_quote(kind)}"
            self.add_fault("kind", top.get("kind", root), f"{found}; a release needs a file with kind: cluster")
            return []
        for key in (key for key in top if key not in TOP_KEYS):
            self.add_fault(_quote(key), top[key], f"this key is not known in a cluster{suggest(key, TOP_KEYS)}")
        self.name = _read_text(top.get("name")) or ""
        systems = top.get("systems", root)
        if "systems" not in top or not systems.items:
            self.add_fault("systems", systems, "the cluster lists no systems; give at least one")
            return []
        found_systems = (self.read_system(node, f"systems[{number}]", ()) for number, node in enumerate(systems.items))
        return [system for system in found_systems if system is not None]

    def read_system(self, node: Node, where: str, parents: tuple[str, ...]) -> System | None:
        entry = node.mapping
        if entry is None:
            self.add_fault(where, node, f"a system is a mapping with morph and deploy, this is {node.kind}")
            return None
        self.remarks += [
            f"{where}.{_quote(key)}: this key is ignored{suggest(key, ENTRY_KEYS)} (line {entry[key].line})"
            for key in entry
            if key not in ENTRY_KEYS
        ]
        file = self.read_file(node, entry, f"{where}.morph")
        arch = self.read_optional_text(entry.get("arch"), f"{where}.arch")
        deployments = self.read_deployments(node, entry, where, nested=bool(parents))
        subsystems = self.read_subsystems(entry.get("subsystems"), f"{where}.subsystems", (*parents, where))
        if file is None:
            return None
        return System(
            where,
            node.line,
            file,
            None if arch is None else canonicalise_architecture(arch),
            tuple(deployments),
            tuple(subsystems),
        )

    def read_subsystems(self, node: Node | None, where: str, parents: tuple[str, ...]) -> list[System]:
        if node is None or node.value is None:
            return []
        if node.items is None:
            self.add_fault(where, node, f"subsystems are a list, this is {node.kind}")
            return []
        found = [self.read_system(item, f"{where}[{number}]", parents) for number, item in enumerate(node.items)]
        systems = [system for system in found if system is not None]
        taken: dict[str, str] = {}
        for deployment in (each for system in systems for each in system.deployments):
            other = taken.setdefault(deployment.location, deployment.where)
            if other != deployment.where:
                sentence = f"{deployment.location} is already the place of {other} in the parent's tree"
                self.faults.append(
                    f"{deployment.where}.location: {sentence}; give each its own (line {deployment.line})"
                )
        return systems

    def read_file(self, node: Node, entry: dict[str, Node], where: str) -> str | None:
        stated = entry.get("morph", node)
        if not _read_text(stated) or "morph" not in entry:
            self.add_fault(where, stated, "the system's file is missing; name one, such as systems/minimal-system.bst")
            return None
        file = sanitise_path(str(stated.text))
        if not SYSTEM_FILE.match(file) or file != posixpath.normpath(file) or file.startswith(("/", "../", "-")):
            sentence = "is not a plain path inside the definitions; give one such as systems/minimal-system.bst"
        elif not file.endswith(SUFFIXES):
            sentence = "is neither a *.morph nor a *.bst file"
        elif not DEPLOYMENT_NAME.match(posixpath.basename(file)):
            sentence = "has a file name that does not begin with a letter or digit"
        else:
            return file
        self.add_fault(where, stated, f"{_quote(file)} {sentence}")
        return None

    def read_deployments(self, node: Node, entry: dict[str, Node], where: str, *, nested: bool) -> list[Deployment]:
        defaults = self.read_settings(entry.get("deploy-defaults"), f"{where}.deploy-defaults")
        deploy = entry.get("deploy")
        if deploy is None or not deploy.mapping:
            wrong = deploy is not None and deploy.value is not None and deploy.mapping is None
            what = f"deployments are a mapping, this is {deploy.kind}" if wrong and deploy else "it has no deployment"
            self.add_fault(f"{where}.deploy", deploy or node, f"{what}; give at least one, with type and location")
            return []
        found = (
            self.read_deployment(name, value, defaults, where=f"{where}.deploy.{_quote(name)}", nested=nested)
            for name, value in deploy.mapping.items()
        )
        return [deployment for deployment in found if deployment is not None]

    def read_deployment(
        self, name: str, node: Node, defaults: dict[str, Node], *, where: str, nested: bool
    ) -> Deployment | None:
        before = len(self.faults)
        self.check_name(name, node, where)
        merged = {**defaults, **self.read_settings(node, where)}
        kind = self.read_type(merged.get("type"), node, f"{where}.type")
        stated = merged.get("location")
        location = _read_text(stated)
        if nested and location is not None:
            location = location.lstrip("/")
        if stated is not None and stated.compound:
            pass  # read_settings reports it
        elif stated is None or not location:
            wanted = "a path" if nested else "a file name"
            self.add_fault(f"{where}.location", stated or node, f"the location is missing; give {wanted}")
        elif nested:
            self.check_inner_location(location, stated, f"{where}.location")
        else:
            self.check_location(location, stated, where)
        if len(self.faults) > before:
            return None
        settings = {
            key: str(_hide_passwords(to_plain(value))) if value.compound else value.text or ""
            for key, value in sorted(merged.items())
            if key not in STEERING and not _is_secret(key)
        }
        return Deployment(where, node.line, name, str(kind), str(location), settings)

    def check_name(self, name: str, node: Node, where: str) -> None:
        if not DEPLOYMENT_NAME.match(name) or len(name) > MAX_NAME:
            sentence = "may hold letters, digits, points, hyphens and underscores, and begins with a letter or digit"
            self.add_fault(
                where, node, f"the deployment's name {_quote(name)} {sentence} (at most {MAX_NAME} characters)"
            )
        elif (other := self.names.setdefault(name, where)) != where:
            self.add_fault(where, node, f"the deployment's name {name} is already used at {other}; give each its own")

    def read_type(self, stated: Node | None, node: Node, where: str) -> str | None:
        if stated is not None and stated.compound:
            return None  # read_settings reports it
        text = (_read_text(stated) or "").removeprefix("extensions/")
        known = f"; known are {', '.join(sorted(self.types))}" if self.types else ""
        if not text:
            self.add_fault(
                where, stated or node, f"the type is missing; say what is made, such as tar or rawdisk{known}"
            )
        elif not TYPE.match(text) or (self.types and text not in self.types):
            self.add_fault(
                where, stated or node, f"{_quote(text)} is not a type of deployment{suggest(text, self.types)}{known}"
            )
        return text

    def check_location(self, location: str, node: Node, where: str) -> None:
        place = f"{where}.location"
        name = make_file_name(self.label, location)
        if "/" in location:
            self.add_fault(place, node, f"{_quote(location)} holds '/'; give the bare name of a file")
        elif begins_with_label(location, self.label):
            self.add_fault(
                place,
                node,
                f"{_quote(location)} begins with the release's label {self.label}, which is put before it anyway; "
                "leave the label out",
            )
        elif not FILE_NAME.match(location) or len(name) > MAX_FILE_NAME:
            self.add_fault(
                place,
                node,
                f"{_quote(location)} is not a safe file name; use letters, digits and . _ + ~ - (at most "
                f"{MAX_FILE_NAME - len(self.label) - 1} of them) and begin with a letter or digit",
            )
        else:
            self.check_published_names(location, node, where)

    def check_published_names(self, location: str, node: Node, where: str) -> None:
        for suffix in PACKAGED:
            other, theirs = self.published.setdefault(location + suffix, (where, location))
            if other != where:
                same = f"{location} is already the location of {other}"
                clash = (
                    f"{location} and the location {theirs} of {other} would both be published as {location + suffix}"
                )
                self.add_fault(f"{where}.location", node, f"{same if theirs == location else clash}; give each its own")
                return

    def check_inner_location(self, location: str, node: Node, where: str) -> None:
        parts = location.split("/")
        if ".." in parts:
            sentence = "holds '..'; a subsystem stays inside its parent's tree"
        elif not PATH.match(location) or "." in parts or location.startswith("-"):
            sentence = "is not a plain path; use letters, digits and the characters . _ + ~ @ - between single slashes"
        else:
            return
        self.add_fault(where, node, f"{_quote(location)} {sentence}")

    def read_settings(self, node: Node | None, where: str) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if node.mapping is None:
            self.add_fault(where, node, f"settings are a mapping, this is {node.kind}")
            return {}
        for key, value in node.mapping.items():
            if key not in STEERING and not SETTING_NAME.match(key):
                self.add_fault(
                    f"{where}.{_quote(key)}", value, "the name of a setting holds letters, digits and underscores"
                )
            if value.compound and (self.plain or key in STEERING):
                self.add_fault(f"{where}.{_quote(key)}", value, f"a setting is text, this is {value.kind}")
        return node.mapping

    def read_optional_text(self, node: Node | None, where: str) -> str | None:
        if node is None or node.value is None:
            return None
        if not node.text:
            self.add_fault(where, node, f"this is {node.kind}, not text")
        return node.text


def _is_secret(name: str) -> bool:
    return "PASSWORD" in name.upper()


def _hide_passwords(value: object) -> object:
    if isinstance(value, dict):
        return {name: _hide_passwords(below) for name, below in value.items() if not _is_secret(name)}
    return [_hide_passwords(below) for below in value] if isinstance(value, list) else value


def _read_below(node: Node | None, key: str) -> Node | None:
    return node.mapping.get(key) if node is not None and node.mapping is not None else None


def _read_text(node: Node | None) -> str | None:
    return None if node is None else node.text


def _quote(text: str) -> str:
    plain = text.isprintable() and len(text) <= MAX_NAME and " " not in text and text != ""
    return text if plain else repr(text if len(text) <= MAX_NAME else text[:MAX_NAME] + "...")
