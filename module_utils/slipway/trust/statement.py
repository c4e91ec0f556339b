# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is stated of each file of a release: in-toto statements with SLSA's provenance, from records alone.

The same records give the same statements, whatever machine makes them and whenever it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import read_regular
from ..plan.inputs import find_public_url
from ..release.compression import METHODS

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
#: How the files were built: what parameters mean and are there. Documented in docs/statements.md.
FROM_DEFINITIONS = "urn:slipway:build:definitions:1"
FROM_FILES = "urn:slipway:build:files:1"
#: Stages that make bytes of a release, by how their records begin.
MAKERS = ("build-", "deploy-", "extra-")
BILL, SPDX = "bill", ".spdx.json"
ENDINGS = ("", *(method.suffix for method in METHODS.values()))
#: ``<address>@<commit>``, as bills give where a component comes from.
AT_COMMIT = re.compile(r"(?P<url>[^\s@]+(?:@[^\s@/]+/[^\s@]*)?)@(?P<commit>[0-9a-f]{40}|[0-9a-f]{64})")
MOST_BILL_BYTES, MOST_COMPONENTS = 64 << 20, 10_000
Descriptor = dict[str, Any]
Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Site:
    """What records do not hold: who builds, as an URI, and on what, as a name and its kind; no secrets, no paths."""

    builder: str
    host: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Release:
    """A release as the parts of its statements see it."""

    plan: Mapping[str, Any]
    records: Records
    site: Site
    images: Mapping[str, Mapping[str, Any]]
    packed: Mapping[str, Mapping[str, Any]]
    components: Mapping[str, Sequence[Descriptor]]

    def outputs(self, stage: str) -> Mapping[str, Any]:
        return (self.records.get(stage) or {}).get("outputs") or {}

    def inputs(self, stage: str) -> Mapping[str, Any]:
        return (self.records.get(stage) or {}).get("inputs") or {}


def make_statements(
    plan: Mapping[str, Any],
    records: Records,
    site: Site,
    *,
    components: Mapping[str, Sequence[Descriptor]] | None = None,
) -> list[dict[str, Any]]:
    """A statement for each file that ``SHA256SUMS`` lists, by name, and one for ``SHA256SUMS`` itself at the end.

    ``components`` are the sources of systems, by the system's file, as :func:`read_components` finds them.
    """
    package = records["package"]
    images = {str(each["name"]): each for each in package["inputs"]["images"]}
    packed = {str(each["name"]): each for each in package["outputs"]["files"]}
    release = _Release(plan, records, site, images, packed, components or {})
    sums = [each for each in package["outputs"]["sidecars"] if each["name"] == "SHA256SUMS"]
    return [_make_statement(release, each) for each in [*sorted(packed.values(), key=lambda file: file["name"]), *sums]]


def _make_statement(release: _Release, file: Mapping[str, Any]) -> dict[str, Any]:
    image = next((release.images[name] for name in _list_unpacked(file["name"]) if name in release.images), None)
    systems = _find_systems(release, image)
    stages = _find_stages(release, image, systems)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": file["name"], "digest": {"sha256": file["sha256"]}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": FROM_FILES if release.plan["definitions"] is None else FROM_DEFINITIONS,
                "externalParameters": _describe_external(release),
                "internalParameters": _describe_internal(release, image, systems),
                "resolvedDependencies": _list_dependencies(release, image, systems),
            },
            "runDetails": {
                "builder": {"id": release.site.builder, "version": _describe_tools(stages)},
                "metadata": _describe_run(release, stages),
                "byproducts": _list_byproducts(release, image),
            },
        },
    }


def _list_unpacked(name: str) -> list[str]:
    """What a packaged file may be called before it is compressed, the likeliest first."""
    return [name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)]


def _find_systems(release: _Release, image: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The systems that a file is made of, and those in them; all of them for a file about the whole release."""
    planned = list(release.plan["systems"])
    if image is None:
        return planned
    deployed = release.inputs(f"deploy-{image.get('deployment')}")
    names = {str(image.get("system")), *_list_subsystems(deployed)}
    return [each for each in planned if {each["name"], each["file"]} & names]


def _list_subsystems(deployed: Mapping[str, Any]) -> Iterable[str]:
    yield str(deployed.get("system"))
    for each in (deployed.get("subsystems") or {}).values():
        yield from _list_subsystems(each)


def _find_stages(
    release: _Release, image: Mapping[str, Any] | None, systems: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The records of what made a file."""
    if image is None:
        wanted = [name for name in release.records if name.startswith(MAKERS)]
    else:
        made = image.get("deployment")
        wanted = [f"build-{each['name']}" for each in systems] + [f"deploy-{made}", f"extra-{made}"]
    return [release.records[name] for name in [*wanted, "package"] if name in release.records]


def _describe_external(release: _Release) -> dict[str, Any]:
    """What whoever released said: which version of which definitions."""
    plan, definitions = release.plan, release.plan["definitions"]
    said = {name: plan[name] for name in ("project", "version", "label")}
    products = [str(each["name"]) for each in plan.get("published") or [] if isinstance(each, Mapping)]
    if products:
        said["products"] = products
    if definitions is not None:
        said["definitions"] = {
            "url": find_public_url(definitions),
            "path": definitions["path"],
            **{name: plan[name] for name in ("branch", "tag", "cluster")},
        }
    return said


def _describe_internal(
    release: _Release, image: Mapping[str, Any] | None, systems: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the site and the definitions settled: options of the build, and how files are compressed."""
    said: dict[str, Any] = {"compression_level": release.inputs("package").get("level")}
    if release.site.host:
        said["host"] = dict(release.site.host)
    said["systems"] = [
        {
            **{name: each[name] for name in ("name", "file", "architecture")},
            "options": _make_text(release.inputs(f"build-{each['name']}").get("options")),
        }
        for each in systems
    ]
    if image is not None:
        kept = ("deployment", "type", "architecture", "compression", "compression_level", "product")
        said["file"] = {name: image[name] for name in kept if image.get(name) is not None}
        epoch = release.inputs(f"deploy-{image.get('deployment')}").get("epoch")
        said["file"] |= {} if epoch is None else {"epoch": epoch}
    return said


def _make_text(options: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (options or {}).items()}


def _list_dependencies(
    release: _Release, image: Mapping[str, Any] | None, systems: Sequence[Mapping[str, Any]]
) -> list[Descriptor]:
    plan, definitions = release.plan, release.plan["definitions"]
    found: list[Descriptor] = []
    if definitions is not None:
        url = find_public_url(definitions)
        place = {"uri": f"git+{url}@refs/heads/{plan['branch']}"} if url and "://" in url else {}
        found.append({"name": "definitions", **place, "digest": {"gitCommit": definitions["commit"]}})
        found.append({"name": plan["cluster"], "digest": {"sha256": plan["cluster_sha256"]}})
    for each in systems:
        key = release.outputs(f"build-{each['name']}").get("key")
        if key:
            found.append({"name": each["file"], "digest": {"cacheKey": str(key)}})
    for source in _list_components(release, systems):
        found.append(dict(source))
    found += _list_bills(release, systems)
    for label, name, sha256 in _list_previous(release, image):
        found.append({"name": name, "digest": {"sha256": sha256}, "annotations": {"release": label}})
    return found


def _list_components(release: _Release, systems: Sequence[Mapping[str, Any]]) -> list[Descriptor]:
    listed = [each for system in systems for each in release.components.get(system["file"], ())]
    known = {json.dumps(each, sort_keys=True): each for each in listed}
    return [each for _text, each in sorted(known.items(), key=lambda item: (item[1]["name"], item[0]))]


def _list_bills(release: _Release, systems: Sequence[Mapping[str, Any]]) -> list[Descriptor]:
    """The bills of materials of these systems, which are files of the release."""
    names = {each["file"] for each in systems} | {each["name"] for each in systems}
    return [
        {"name": file["name"], "digest": {"sha256": file["sha256"]}, "annotations": {"what": "bill of materials"}}
        for file in sorted(release.packed.values(), key=lambda each: str(each["name"]))
        for name in _list_unpacked(str(file["name"]))
        if (image := release.images.get(name)) and image.get("type") == BILL and image.get("system") in names
    ]


def _list_gates(release: _Release, image: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    gates = release.outputs("gate").get("gates") or []
    if image is None:
        return list(gates)
    names = {image.get("deployment"), image.get("system"), image.get("name")}
    return [each for each in gates if {each.get("subject"), each.get("system")} & (names - {None})]


def _list_previous(release: _Release, image: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Files of the release before that gates compared with."""
    facts = [(each.get("facts") or {}).get("before") for each in _list_gates(release, image)]
    return sorted({(str(each["label"]), str(each["name"]), str(each["sha256"])) for each in facts if each})


def _describe_tools(stages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    tools: dict[str, set[str]] = {}
    for record in stages:
        for tool, version in (record.get("tools") or {}).items():
            tools.setdefault(str(tool), set()).add(str(version))
    return {tool: ", ".join(sorted(versions)) for tool, versions in sorted(tools.items())}


def _describe_run(release: _Release, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run, by the seal of the record that names its files, and the times of what made them."""
    return {
        "invocationId": f"urn:slipway:release:{release.plan['label']}:{release.records['package']['seal']}",
        "startedOn": min(str(each["started"]) for each in stages),
        "finishedOn": max(str(each["ended"]) for each in stages),
    }


def _list_byproducts(release: _Release, image: Mapping[str, Any] | None) -> list[Descriptor]:
    found: list[Descriptor] = []
    if image is not None and image.get("sha256"):
        digest = {"sha256": str(image["sha256"])}
        found.append({"name": image["name"], "digest": digest, "annotations": {"what": "uncompressed"}})
    found += [_describe_gate(each) for each in _list_gates(release, image)]
    for given in release.outputs("approval").get("approvals") or []:
        kept = ("name", "fingerprint", "date", "commit", "tag")
        said = {name: str(given[name]) for name in kept if given.get(name) is not None}
        tag = given.get("object")
        digest = {"gitTag": str(tag)} if tag else {"gitCommit": str(given["commit"])}
        found.append({"name": f"approval/{given['name']}", "digest": digest, "annotations": said})
    return found


def _describe_gate(gate: Mapping[str, Any]) -> Descriptor:
    """What came of a check; its digest is that over the files and settings that it judged.

    The words of a fault that was waived are left out: they may tell of this machine.
    """
    way = (gate.get("facts") or {}).get("firmware")
    kept = ("result", "expected", "reason", "until", "waiver", "architecture", "product")
    said = {name: str(gate[name]) for name in kept if gate.get(name)}
    parts = ["gate", str(gate["gate"]), str(gate["subject"]), *([str(way)] if way else [])]
    return {"name": "/".join(parts), "digest": {"sha256": str(gate.get("key") or "")}, "annotations": said}


def read_components(directory: Path, images: Iterable[Mapping[str, Any]]) -> dict[str, list[Descriptor]]:
    """The sources that the SPDX bills of a release name, by the system; a bill that cannot be read names none.

    The bills are packaged files, whose digests stand in the records.
    """
    found: dict[str, list[Descriptor]] = {}
    for image in images:
        name = str(image["name"])
        if image.get("type") != BILL or not name.endswith(SPDX):
            continue
        path = directory / name
        try:
            if path.stat().st_size > MOST_BILL_BYTES:
                continue
            packages = json.loads(read_regular(path))["packages"]
            listed = [each for each in map(_describe_component, packages[:MOST_COMPONENTS]) if each]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        found.setdefault(str(image.get("system")), []).extend(listed)
    return found


def _describe_component(package: Mapping[str, Any]) -> Descriptor | None:
    """A component whose very bytes are named: by a commit, or by a digest."""
    place = str(package.get("downloadLocation") or "")
    sums = {str(each.get("algorithm")): str(each.get("checksumValue")) for each in package.get("checksums") or []}
    at = AT_COMMIT.match(place)
    digest = {"gitCommit": at["commit"]} if at else {}
    if not digest and "SHA256" in sums:
        digest = {"sha256": sums["SHA256"].lower()}
    if not digest:
        return None
    where = {"uri": place[:2000]} if "://" in place else {}
    version = package.get("versionInfo")
    return {
        "name": str(package.get("name"))[:500],
        **where,
        "digest": digest,
        **({"annotations": {"version": str(version)[:200]}} if version else {}),
    }


def find_contradictions(public: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> list[str]:
    """What public statements say otherwise than the records do now, a sentence each.

    Records that were made again give other times, and name what was installed meanwhile. Which files a release has,
    what it was asked to be, and the commit and digests that both name must be the same.
    """
    theirs, ours = ({_name_subject(each): each for each in some} for some in (public, expected))
    faults = [f"no statement is public of {name}" for name in sorted(ours.keys() - theirs.keys())]
    more = sorted(theirs.keys() - ours.keys())
    faults += [f"a statement is public of {name}, which is no file of this release" for name in more]
    for name in sorted(ours.keys() & theirs.keys()):
        public_facts, facts = _list_facts(theirs[name]), _list_facts(ours[name])
        faults += [
            f"of {name} the public statement has {what} {_show(public_facts[what])}, the records {_show(facts[what])}"
            for what in sorted(public_facts.keys() & facts.keys())
            if public_facts[what] != facts[what]
        ]
    return faults


def _name_subject(statement: Mapping[str, Any]) -> str:
    try:
        return ", ".join(str(subject["name"]) for subject in statement["subject"]) or "nothing"
    except (KeyError, TypeError):
        return "nothing"


def _list_facts(statement: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same whenever a statement is made, each by its name."""
    return {
        "the subject": statement.get("subject"),
        "externalParameters": _define(statement).get("externalParameters"),
        **_map_digests(statement),
    }


def _define(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    predicate = statement.get("predicate")
    found = predicate.get("buildDefinition") if isinstance(predicate, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _map_digests(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The digests of what definitions and systems were, by name. Of a name that comes twice, none is compared."""
    listed = _define(statement).get("resolvedDependencies")
    found: dict[str, Any] = {}
    twice = set()
    for each in listed if isinstance(listed, list) else []:
        name = each.get("name") if isinstance(each, Mapping) else None
        if isinstance(name, str):
            twice |= {name} & found.keys()
            found[name] = each.get("digest")
    return {name: digest for name, digest in found.items() if name not in twice}


def _show(value: Any) -> str:
    return json.dumps(value, sort_keys=True)[:300]
