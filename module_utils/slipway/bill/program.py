# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that makes bills of materials by buildstream-sbom and debsbom, and validates them by spdx-tools.

It is started with the Python that has these, reads a list of jobs as ``parts.py`` describes them, and answers with what
is wrong with each. Nothing that it writes depends on the host, the time or the network. Python's own sets have the same
order in each run only if PYTHONHASHSEED is 0; all lists are sorted besides.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlsplit

try:
    import debsbom.apt.copyright as debsbom_copyright
    from buildstream_sbom.spdx import generate_spdx
    from cyclonedx.model.bom import Bom
    from cyclonedx.output.json import JsonV1Dot6
    from debsbom.generate.generate import Debsbom
    from debsbom.merge.merge import SbomMerger
    from debsbom.sbom import SBOMType
    from license_expression import get_spdx_licensing
    from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
    from spdx_tools.spdx.parser.error import SPDXParsingError
    from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    from spdx_tools.spdx.validation.uri_validators import validate_download_location
except ImportError as error:  # it is only for the Python that has them
    ABSENT = str(error)
else:
    ABSENT = ""

Plain = dict[str, Any]

#: What decides about the bytes.
TOOLS = ("buildstream-sbom", "cyclonedx-python-lib", "debsbom", "spdx-tools")
NOASSERTION = "NOASSERTION"
#: Where documents of SPDX are named, as its own tools do; nothing is there.
NAMESPACE = "https://spdx.org/spdxdocs"
#: Any name space of UUIDs is as good as another, as long as it stays.
UUIDS = uuid.UUID("5ad9c1f3-7f0f-5a3b-9c63-6c1f4b1f0c52")
ELEMENT = "bst-element"
STACK = "vcs"
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
LOCAL = "local"
#: What may be said of a licence without a name of SPDX's.
NO_REFERENCE = re.compile(r"[^A-Za-z0-9.-]+")
#: Control characters, which neither format has a use for.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
MOST_FAULTS = 10


def main() -> None:
    """Make the bills that standard input tells of, and answer on standard output."""
    if ABSENT:
        raise SystemExit(ABSENT)
    logging.disable(logging.CRITICAL)
    # It reads the whole list of licences, for each package anew.
    debsbom_copyright.get_spdx_licensing = _read_licensing
    jobs = json.load(sys.stdin)
    tools = {name: version(name) for name in TOOLS}
    sys.stdout.write(json.dumps({"tools": tools, "answers": [_answer(job) for job in jobs]}))


def _answer(job: Plain) -> Plain:
    try:
        faults = make_bill(job)
    except Exception as error:  # whatever its tools stumble over is a fault of this bill only
        faults = [f"{type(error).__name__}: {error}"[:1000]]
    return {"name": job["name"], "faults": faults}


def make_bill(job: Plain) -> list[str]:
    """Write both files of a job; what is wrong with what was made."""
    meant: dict[str, str] = {}
    described = _describe_elements(job, meant) if job["elements"] else None
    debian = _scan_debian(job)
    spdx = finish_spdx(_merge_spdx(described, debian, job), job, meant)
    faults = find_faults(spdx)
    if faults:
        return faults
    _write(job["spdx"], spdx)
    del spdx  # of a large base, each of the two documents takes much memory
    _write(job["cdx"], finish_cdx(_merge_cdx(described, debian, job), job))
    return []


def _merge_spdx(described: Plain | None, debian: Any, job: Plain) -> Plain:
    documents = [] if described is None else [JsonLikeDictParser().parse(described)]
    documents += [] if debian is None else [debian.generate(SBOMType.SPDX)]
    merged = SbomMerger.create(SBOMType.SPDX, **_name_whole(job), omit_roots=True).merge(documents)
    said: Plain = DocumentConverter().convert(merged)
    return said


def _merge_cdx(described: Plain | None, debian: Any, job: Plain) -> Plain:
    boms = [] if described is None else [Bom.from_json(_convert_elements(described, job))]
    boms += [] if debian is None else [debian.generate(SBOMType.CycloneDX)]
    merged = SbomMerger.create(SBOMType.CycloneDX, **_name_whole(job), omit_roots=True).merge(boms)
    said: Plain = json.loads(JsonV1Dot6(merged).output_as_string())
    return said


def _name_whole(job: Plain) -> Plain:
    return {"distro_name": job["id"], "distro_version": job["version"], "timestamp": _find_time(job)}


def _write(path: str, content: Plain) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.write("\n")


def find_faults(said: Plain) -> list[str]:
    """What spdx-tools finds wrong with a document, as it reads it itself."""
    try:
        document = JsonLikeDictParser().parse(said)
    except SPDXParsingError as error:
        return [str(message) for message in error.get_messages()][:MOST_FAULTS]
    found = [
        f"{each.context.spdx_id or each.context.parent_id or 'document'}: {each.validation_message}"
        for each in validate_full_spdx_document(document, "SPDX-2.3")
    ]
    return found[:MOST_FAULTS]


@functools.lru_cache(maxsize=1)
def _read_licensing() -> Any:
    return get_spdx_licensing()


def _find_time(job: Plain) -> datetime:
    return datetime.fromtimestamp(job["epoch"], UTC)


def _clean(text: object) -> str:
    return CONTROL.sub("\ufffd", str(text))


def _scan_debian(job: Plain) -> Any | None:
    """What debsbom finds in a tree or in an index; nothing if there is neither."""
    if not job["tree"] and not job["index"]:
        return None
    known = Debsbom(
        distro_name=f"{job['id']}.debian",
        distro_arch=job["architecture"] or None,
        root=job["tree"] or "/nonexistent",
        distro_version=job["version"],
        timestamp=_find_time(job),
        with_licenses=bool(job["tree"]),
    )
    if job["tree"]:
        known.scan()
    else:
        with open(job["index"], "rb") as stream:
            known.scan(pkgs_stream=stream)
    # Where several could be meant, the first one is taken.
    known.packages = sorted(
        known.packages, key=lambda each: (each.name, each.is_source(), str(each.version), each.purl())
    )
    known.virtual_packages = known._virtual_packages()
    return known


def _describe_elements(job: Plain, meant: dict[str, str]) -> Plain:
    """What buildstream-sbom makes of the elements, with what it leaves out or would not be valid."""
    elements = {each["id"]: each for each in job["elements"]}
    (system, *_rest) = elements
    infos = [
        {
            "name": each["id"],
            "kind": each["kind"],
            "source-infos": [_prepare_source(source) for source in each["sources"]],
            "runtime-deps": each["below"],
            "build-deps": [],
            "config": {},
            "public": {},
            "vars": {},
        }
        for each in elements.values()
    ]
    config = argparse.Namespace(
        elements=[system, *job["contained"]],
        deps="run",
        with_licenses=False,
        with_known_vulnerabilities=None,
        spdx_name=job["id"],
        spdx_namespace=f"{NAMESPACE}/{job['id']}",
        spdx_comment=None,
        spdx_creators=["Tool: buildstream-sbom"],
    )
    said: Plain = generate_spdx(infos, config, None)
    said["creationInfo"]["created"] = f"{_find_time(job):%Y-%m-%dT%H:%M:%SZ}"
    by_id = {package["SPDXID"]: package for package in said["packages"]}
    for identifier, each in elements.items():
        package = by_id.get(f"SPDXRef-{identifier}")
        if package is None:
            continue
        _complete(package, each, None, meant)
        for number, source in enumerate(each["sources"]):
            _complete(by_id[f"SPDXRef-{identifier}-{number}"], each, source, meant)
    _nest_contained(said, system, job["contained"])
    return said


def _prepare_source(source: Plain) -> Plain:
    """A source with what buildstream-sbom counts on."""
    url, medium = str(source.get("url") or ""), str(source.get("medium") or "")
    kept = {key: value for key, value in source.items() if value is not None}
    return {
        **kept,
        "url": url,
        "medium": medium,
        "kind": str(source.get("kind") or medium),
        "version": str(source.get("version") or ""),
    }


def _complete(package: Plain, element: Plain, source: Plain | None, meant: dict[str, str]) -> None:
    """Name a package of buildstream-sbom's as it is called, and say what is known of it, or that it is not."""
    locator = quote(element["name"], safe="/:.+~_-")
    package["externalRefs"] = [{"referenceCategory": "OTHER", "referenceType": ELEMENT, "referenceLocator": locator}]
    package["copyrightText"] = package.get("copyrightText") or NOASSERTION
    for name in ("licenseConcluded", "licenseDeclared"):
        package[name] = package.get(name) or NOASSERTION
    for name in ("supplier", "originator"):
        if not re.match(r"(Person|Organization): \S", str(package.get(name, ""))):
            package.pop(name, None)
    if source is None:
        package["name"] = _clean(element["name"])
        package["versionInfo"] = _name_version(element["sources"][0]) if element["sources"] else NOASSERTION
        package["downloadLocation"] = NOASSERTION
    else:
        _complete_source(package, source)
    _complete_licences(package, element, meant)
    package["name"] = _clean(package["name"]) or NOASSERTION


def _complete_licences(package: Plain, element: Plain, meant: dict[str, str]) -> None:
    expressions = set()
    for each in element["licences"]:
        expression, names = _read_licence(each)
        expressions.add(expression)
        meant.update(names)
    if len(expressions) == 1:
        (package["licenseConcluded"],) = expressions
    elif expressions:
        licensing = _read_licensing()
        package["licenseConcluded"] = str(licensing.AND(*map(licensing.parse, sorted(expressions))))
    if element["declared"]:
        package["licenseDeclared"], names = _read_licence(element["declared"])
        meant.update(names)


def _name_version(source: Plain) -> str:
    return _clean(source.get("version-guess") or source.get("version") or NOASSERTION)


def _complete_source(package: Plain, source: Plain) -> None:
    url, stated = str(source.get("url") or ""), str(source.get("version") or "")
    package["versionInfo"] = _name_version(source)
    package["sourceInfo"] = _clean(f"{source.get('kind') or 'source'} {url} {stated}".strip())
    medium = source.get("medium")
    if medium == "git":
        git = f"git+{url}" + (f"@{stated}" if stated else "")
        package["downloadLocation"] = git if "://" in url and not validate_download_location(git) else NOASSERTION
        if COMMIT.match(stated):
            kind = "sha1" if len(stated) == 40 else "sha256"
            locator = f"gitoid:commit:{kind}:{stated}"
            package["externalRefs"].append(
                {"referenceCategory": "PERSISTENT-ID", "referenceType": "gitoid", "referenceLocator": locator}
            )
    else:
        fetched = medium != LOCAL and "://" in url and not validate_download_location(url)
        package["downloadLocation"] = url if fetched else NOASSERTION
        if SHA256.match(stated) and source.get("version-type") == "sha256":
            package["checksums"] = [{"algorithm": "SHA256", "checksumValue": stated}]
    homepage = str(package.get("homepage") or "")
    if not urlsplit(homepage).scheme or validate_download_location(homepage):
        package.pop("homepage", None)


def _nest_contained(said: Plain, system: str, contained: Sequence[str]) -> None:
    """A document is about one system: others that are inside it are contained."""
    inside = {f"SPDXRef-{each}" for each in contained}
    for relationship in said["relationships"]:
        if relationship["relationshipType"] == "DESCRIBES" and relationship["relatedSpdxElement"] in inside:
            relationship |= {"spdxElementId": f"SPDXRef-{system}", "relationshipType": "CONTAINS"}
    # The first that is described counts as the root of all.
    said["relationships"].sort(key=lambda each: each["relationshipType"] != "DESCRIBES")


def _convert_elements(said: Plain, job: Plain) -> Plain:
    """The same packages as CycloneDX has them."""
    root = f"SPDXRef-{job['elements'][0]['id']}"
    components = [_convert_package(each) for each in said["packages"]]
    below: dict[str, list[str]] = {each["bom-ref"]: [] for each in components}
    for relationship in said["relationships"]:
        if relationship["relationshipType"] in ("DEPENDS_ON", "GENERATED_FROM", "CONTAINS"):
            below[relationship["spdxElementId"]].append(relationship["relatedSpdxElement"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": next(each for each in components if each["bom-ref"] == root)},
        "components": [each for each in components if each["bom-ref"] != root],
        "dependencies": [{"ref": ref, "dependsOn": sorted({*refs})} for ref, refs in sorted(below.items())],
    }


def _convert_package(package: Plain) -> Plain:
    references = {each["referenceType"]: each["referenceLocator"] for each in package["externalRefs"]}
    found: Plain = {
        "type": "library",
        "bom-ref": package["SPDXID"],
        "name": package["name"],
        "version": package["versionInfo"],
        "properties": [{"name": "slipway:element", "value": references[ELEMENT]}],
    }
    if "sourceInfo" in package:
        found["properties"].append({"name": "slipway:source", "value": package["sourceInfo"]})
    location = package["downloadLocation"]
    if location != NOASSERTION:
        kind = "vcs" if location.startswith("git+") else "distribution"
        found["externalReferences"] = [{"type": kind, "url": quote(location, safe="%/:?=&@+~!$'()*,;[]")}]
    if "gitoid" in references:
        found["pedigree"] = {"commits": [{"uid": references["gitoid"].rpartition(":")[2]}]}
    if "checksums" in package:
        found["hashes"] = [{"alg": "SHA-256", "content": each["checksumValue"]} for each in package["checksums"]]
    licence = next((package[key] for key in ("licenseConcluded", "licenseDeclared") if package[key] != NOASSERTION), "")
    if licence:
        found["licenses"] = [{"expression": _read_licence(licence)[0]}]
    return found


def _read_licence(text: str) -> tuple[str, dict[str, str]]:
    """A licence as an expression that SPDX takes, and what is meant by the names in it that are not SPDX's."""
    licensing = _read_licensing()
    try:
        expression = licensing.parse(text)
        unknown = {
            str(each): f"LicenseRef-{_name_reference(str(each))}" for each in licensing.unknown_license_keys(expression)
        }
        if expression is None:
            return NOASSERTION, {}
        mended = str(expression.subs({licensing.parse(old): licensing.parse(new) for old, new in unknown.items()}))
        licensing.parse(mended)
    except Exception:  # what is no expression at all is a name
        reference = f"LicenseRef-{_name_reference(text)}"
        return reference, {reference: text}
    return mended, {new: old for old, new in unknown.items()}


def _name_reference(text: str) -> str:
    plain = NO_REFERENCE.sub("-", text.removeprefix("LicenseRef-")).strip("-")
    return plain or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def finish_spdx(said: Plain, job: Plain, meant: dict[str, str]) -> Plain:
    """What tells this document from others, in an order that is always the same.

    ``meant`` is what names of licences that are not SPDX's stand for.
    """
    said["name"] = _clean(job["name"])
    for package in said["packages"]:
        if package["SPDXID"] == f"SPDXRef-{job['id']}":
            package["name"] = said["name"]
        for name in ("licenseConcluded", "licenseDeclared"):
            if package.get(name, NOASSERTION) not in (NOASSERTION, "NONE"):
                package[name], more = _read_licence(package[name])
                meant.update({name: text for name, text in more.items() if name not in meant})
        package.setdefault("versionInfo", NOASSERTION)
        _add_stack(package, job["stacks"])
        for name in ("externalRefs", "checksums"):
            if name in package:
                package[name].sort(key=_order)
        for name in ("summary", "description", "name"):
            if name in package:
                package[name] = _clean(package[name])
    if meant:
        said["hasExtractedLicensingInfos"] = [
            {"licenseId": reference, "name": _clean(text), "extractedText": _clean(text)}
            for reference, text in sorted(meant.items())
        ]
    _separate(said["packages"])
    for name in ("packages", "relationships"):
        said[name] = sorted(said.get(name) or [], key=_order)
    tools = ["buildstream-sbom"] if job["elements"] else []
    tools += ["debsbom"] if job["tree"] or job["index"] else []
    creation = said["creationInfo"]
    creation.pop("licenseListVersion", None)
    creation["creators"] = [f"Tool: {name}-{version(name)}" for name in sorted({*tools, "debsbom"})]
    said["documentNamespace"] = NAMESPACE
    said["documentNamespace"] = f"{NAMESPACE}/{quote(job['id'])}-{_make_uuid(said)}"
    return said


def _separate(packages: Sequence[Plain]) -> None:
    """Give those a number that have the identifier of another one."""
    taken: set[str] = set()
    for package in sorted(packages, key=_order):
        number, plain = 1, package["SPDXID"]
        while package["SPDXID"] in taken:
            number += 1
            package["SPDXID"] = f"{plain}.{number}"
        taken.add(package["SPDXID"])


def _add_stack(package: Plain, stacks: Mapping[str, Mapping[str, str]]) -> None:
    """Where the source of a package of debs is from, as far as records know it."""
    if package.get("primaryPackagePurpose") != "SOURCE" or package["name"] not in stacks:
        return
    stack = stacks[package["name"]]
    location = _locate_stack(stack)
    if location and not validate_download_location(location):
        package["downloadLocation"] = location
    words = [f"{name} {stack[name]}" for name in ("repository", "tag", "commit") if stack.get(name)]
    package["sourceInfo"] = _clean(", ".join(words))
    if COMMIT.match(stack["commit"]):
        locator = f"gitoid:commit:sha1:{stack['commit']}"
        package.setdefault("externalRefs", []).append(
            {"referenceCategory": "PERSISTENT-ID", "referenceType": "gitoid", "referenceLocator": locator}
        )


def _locate_stack(stack: Mapping[str, str]) -> str:
    """Where a release's source is, as SPDX writes it; Subversion's tags are addresses themselves."""
    kind, revision = stack.get("kind") or "git", stack["commit"] or stack["tag"]
    if not stack["repository"]:
        return f"{kind}+{stack['tag']}" if "://" in stack["tag"] else ""
    return f"{kind}+{stack['repository']}" + (f"@{revision}" if revision else "")


def finish_cdx(said: Plain, job: Plain) -> Plain:
    """The same of the document in CycloneDX."""
    said.pop("$schema", None)
    said["metadata"]["component"]["name"] = _clean(job["name"])
    said["metadata"]["timestamp"] = f"{_find_time(job):%Y-%m-%dT%H:%M:%SZ}"
    for component in said.get("components", []):
        for name in ("name", "version", "description"):
            if name in component:
                component[name] = _clean(component[name])
        stack = job["stacks"].get(component["name"])
        if stack and _locate_stack(stack) and component.get("purl", "").endswith("arch=source"):
            url = quote(_locate_stack(stack), safe="%/:?=&@+~")
            component.setdefault("externalReferences", []).append({"type": "vcs", "url": url, "comment": stack["tag"]})
            if stack["commit"]:
                component["pedigree"] = {"commits": [{"uid": stack["commit"]}]}
        for name in ("externalReferences", "hashes", "properties"):
            if name in component:
                component[name].sort(key=_order)
    said["components"] = sorted(said.get("components", []), key=lambda each: (each["bom-ref"], _order(each)))
    for each in said.get("dependencies", []):
        if "dependsOn" in each:
            each["dependsOn"].sort()
    said["dependencies"] = sorted(said.get("dependencies", []), key=lambda each: str(each["ref"]))
    said["serialNumber"] = ""
    said["serialNumber"] = f"urn:uuid:{_make_uuid(said)}"
    return said


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _make_uuid(said: Plain) -> uuid.UUID:
    """The same for the same content."""
    return uuid.uuid5(UUIDS, hashlib.sha256(_order(said).encode("utf-8", "replace")).hexdigest())


if __name__ == "__main__":
    main()
