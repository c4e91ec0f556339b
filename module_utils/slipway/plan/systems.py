# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systems that a cluster names, and the files that define them."""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import refuse
from ..policy.values import suggest
from ..yamltext import Node, NotPlainError, read
from .cluster import Cluster, read_cluster, read_system_architecture, sanitise_path
from .definitions import Definitions
from .request import Plan


@dataclass(frozen=True)
class ResolvedSystems:
    """The systems of a cluster with the contents of their files; keys are the places of entries."""

    architecture: dict[str, str] = field(default_factory=dict)
    file: dict[str, str] = field(default_factory=dict)
    name: dict[tuple[str, str], str] = field(default_factory=dict)

    def list_names(self, cluster: Cluster) -> list[str]:
        """The names of the systems that files are made of, each once; not of those that are only parts of others."""
        return list(dict.fromkeys(name for each in cluster.systems if (name := self.get_name(each.where))))

    def get_name(self, where: str) -> str:
        """The name of the system of an entry; empty if it has none because of its faults."""
        return self.name[self.file[where], self.architecture[where]] if where in self.file else ""


def list_systems_at(repository: Path, commit: str, *, cluster: str, known: Collection[str] | None = None) -> list[Plan]:
    """Every system (``name``, ``file``, ``architecture``) of a cluster at a commit that ``repository`` holds.

    With ``known``, one of another architecture is refused.
    """
    parts = list_parts_at(repository, commit, cluster=cluster, known=known)
    return list({system["name"]: system for systems in parts.values() for system in systems}.values())


def list_parts_at(
    repository: Path, commit: str, *, cluster: str, known: Collection[str] | None = None
) -> dict[str, list[Plan]]:
    """The same by the systems that files are made of: each with those that are parts of it."""
    definitions = Definitions(repository, commit, f"the definitions at {commit[:12]}")
    found = read_cluster(definitions.read_cluster(sanitise_path(cluster)), label=commit[:12], plain=False)
    resolved, faults = resolve_systems(found, definitions, known)
    refuse(
        "read the cluster",
        f"{sanitise_path(cluster)} at {commit[:12]}",
        [*found.faults, *faults],
        several="faults",
        do_next="Fix this and run again.",
    )
    parts: dict[str, list[Plan]] = {}
    for entry in found.systems:
        parts.setdefault(resolved.get_name(entry.where), []).extend(
            {
                "name": resolved.get_name(each.where),
                "file": resolved.file[each.where],
                "architecture": resolved.architecture[each.where],
            }
            for each in entry.walk()
        )
    return parts


def resolve_systems(
    cluster: Cluster, definitions: Definitions, known: Collection[str] | None
) -> tuple[ResolvedSystems, list[str]]:
    """Find every system's file and architecture, which may be any unless some are ``known``, and name each system."""
    entries = list(cluster.walk())
    if not entries:
        return ResolvedSystems(), []
    prefix = _read_element_path(definitions)
    resolved, faults = ResolvedSystems(), []
    contents = definitions.read(path for entry in entries for path in (entry.file, posixpath.join(prefix, entry.file)))
    listed: set[str] = set()
    for entry in entries:
        file, data = _find_element(entry.file, prefix, contents)
        if data is None:
            near = [
                path.removeprefix(f"{prefix}/")
                for path in definitions.list_paths()
                if path.endswith((".bst", ".morph"))
            ]
            hint = suggest(entry.file, near)
            faults.append(
                f"{entry.where}.morph: there is no file {entry.file} in {definitions.name}{hint} (line {entry.line})"
            )
            continue
        stated, wrong = read_system_architecture(file, data)
        faults += [fault for fault in wrong if fault not in listed]
        listed.update(wrong)
        architecture = entry.arch or stated
        if architecture is None and not wrong:
            faults.append(f"{entry.where}: {_explain_no_architecture(file)} (line {entry.line})")
        elif architecture is not None and known is not None and architecture not in known:
            by = f"{entry.where}.arch" if entry.arch else f"{entry.where}.morph: {file}"
            faults.append(
                f"{by}: {architecture!r} is not a known architecture{suggest(architecture, known)}; "
                f"known are {', '.join(sorted(known))} (line {entry.line})"
            )
        elif architecture is not None:
            resolved.architecture[entry.where] = architecture
            resolved.file[entry.where] = file
    if not cluster.name:
        faults.append("name: the cluster has no name; give it one, such as name: release (line 1)")
    morphologies = {file: contents[file] for file in resolved.file.values() if file.endswith(".morph")}
    faults += _find_nameless(definitions, morphologies)
    resolved.name.update(
        _name_systems({(resolved.file[where], resolved.architecture[where]) for where in resolved.file})
    )
    return resolved, faults


def _find_nameless(definitions: Definitions, systems: Mapping[str, bytes | None]) -> list[str]:
    """The systems for Morph, the strata that they are made of and those that these are built with, if without a name.

    Morph builds none, and says so after it has begun.
    """
    faults: list[str] = []
    seen, ahead, kind = set(systems), dict(systems), "system"
    while ahead:
        named: set[str] = set()
        for file, data in ahead.items():
            try:
                mapping = read(data)[0].mapping if data else None
            except NotPlainError as error:
                faults += [f"{file}: {error}"] if kind == "stratum" else []  # of systems it is told already
                continue
            if mapping is not None:
                faults += _find_morphology_faults(file, mapping, kind)
                named |= {path for key in ("strata", "build-depends") for path in _list_strata(mapping.get(key))}
        new, kind = sorted(named - seen), "stratum"
        ahead = definitions.read(new) if new else {}
        seen |= named
    return faults


def _find_morphology_faults(file: str, mapping: Mapping[str, Node], kind: str) -> list[str]:
    stated = {key: (mapping[key].text or "") if key in mapping else "" for key in ("kind", "name")}
    if stated["kind"] != kind:  # of systems it is told already
        return [f"{file}: its kind is {stated['kind'] or 'missing'}, not stratum"] if kind == "stratum" else []
    return [] if stated["name"] else [f"{file}: the {kind} has no name, without which Morph does not build it"]


def _list_strata(listed: Node | None) -> list[str]:
    """The files of the strata in a list of a morphology, but for those in other repositories, as old ones have."""
    entries = [each.mapping or {} for each in listed.items or ()] if listed is not None else []
    stated = [each.get("morph", each.get("name")) for each in entries if "repo" not in each]
    return [sanitise_path(node.text) for node in stated if node is not None and node.text]


def _read_element_path(definitions: Definitions) -> str:
    """Where a BuildStream project keeps its elements; empty when that is the top, or it is not such a project."""
    data = definitions.read(["project.conf"])["project.conf"]
    try:
        root, _unused = read(data or b"{}")
    except NotPlainError:
        return ""  # BuildStream itself will tell what is wrong with it
    stated = (root.mapping or {}).get("element-path")
    return "" if stated is None or stated.text in (None, ".") else posixpath.normpath(str(stated.text))


def _find_element(file: str, prefix: str, contents: Mapping[str, bytes | None]) -> tuple[str, bytes | None]:
    """A system's file as its build tool calls it (elements: without the element path), and its content."""
    if file.endswith(".bst") and prefix:
        below = contents.get(posixpath.join(prefix, file))
        if below is not None:
            return file, below
        if file.startswith(f"{prefix}/"):
            return file.removeprefix(f"{prefix}/"), contents.get(file)
        return file, None
    return file, contents.get(file)


def _explain_no_architecture(file: str) -> str:
    if file.endswith(".bst"):
        return (
            f"{file} does not say its architecture; add `public: {{slipway: {{arch: x86_64}}}}` to it, "
            "or `arch: x86_64` to this entry"
        )
    return f"{file} does not say its architecture; add `arch: x86_64` to it"


def _name_systems(systems: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Short names of systems: the file's own, with its directories, architecture or a digest only where needed."""
    stems = {system: PurePosixPath(system[0]).stem for system in systems}
    exact = {each: f"{stems[each]}-{each[1]}-{hashlib.sha256(each[0].encode()).hexdigest()[:8]}" for each in systems}
    forms = (
        stems,
        {each: f"{stems[each]}-{each[1]}" for each in systems},
        {each: posixpath.splitext(each[0])[0].replace("/", "-") for each in systems},
        exact,
    )
    counts = [Counter(form.values()) for form in forms]
    found = {
        system: next(form[system] for form, count in zip(forms, counts, strict=True) if count[form[system]] == 1)
        for system in systems
    }
    count = Counter(found.values())
    return {system: name if count[name] == 1 else exact[system] for system, name in found.items()}
