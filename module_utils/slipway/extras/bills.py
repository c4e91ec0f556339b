# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bills of materials of a release's systems: what they are made of, and the Debian packages in them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..bill.debian import take_tree
from ..bill.make import find_python, make_bills
from ..bill.parts import Job, Part
from ..buildstream.cache import read_setting_texts
from ..errors import SlipwayError
from ..escape import redacted
from .elements import Element, list_components, list_inside, require_key, select_chunks, show_elements
from .manifest import Component, Licences
from .morph import read_metadata
from .site import Site, Wanted

TYPE, ELEMENT = "bill", ".bst"
SPDX, CDX = "spdx", "cdx"
#: So many programs run at a time that say what systems are made of.
WORKERS = 2


@dataclass(frozen=True)
class _System:
    """One system of which a bill is wanted, and its files by their formats."""

    name: str
    architecture: str
    element: str
    files: Mapping[str, Wanted]

    @property
    def settings(self) -> Mapping[str, Any]:
        return next(iter(self.files.values())).settings


def write_bills(wanted: Sequence[Wanted], site: Site, work: Path) -> tuple[list[Path], list[SlipwayError]]:
    """Make all bills that are wanted in one go; the files, and why others could not be made."""
    systems: dict[str, dict[str, Wanted]] = {}
    for each in wanted:
        systems.setdefault(each.system_name, {})[str(each.settings["format"])] = each
    listed = [
        _System(name, each.architecture, each.system, files)
        for name, files in systems.items()
        for each in [next(iter(files.values()))]
    ]
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        jobs = list(pool.map(lambda system: _describe(system, site, work), listed))
    errors = [job for job in jobs if isinstance(job, SlipwayError)]
    ready = [job for job in jobs if isinstance(job, Job)]
    failures = make_bills(ready, python=find_python(site.bst), tools=site.bill_tools)
    made = [work / each.file for each in wanted if (work / each.file).is_file()]
    return made, [*errors, *failures.values()]


def _describe(system: _System, site: Site, work: Path) -> Job | SlipwayError:
    try:
        tree = work / f"tree-{system.name}"
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(site.open_tree(system.name))
            architecture = take_tree(archive, tree, name=system.name)
            parts, contained = (
                _list_elements(system, site)
                if system.element.endswith(ELEMENT)
                else (_list_artifacts(system, site, archive), [])
            )
    except SlipwayError as error:
        return error
    files = {
        name: work / system.files[name].file if name in system.files else work / f"{system.name}.{name}"
        for name in (SPDX, CDX)
    }
    return Job(
        name=f"{site.release.label}-{system.name}",
        version=site.release.version,
        epoch=site.release.epoch,
        spdx=files[SPDX],
        cdx=files[CDX],
        parts=parts,
        contained=contained,
        tree=tree if architecture else None,
        architecture=architecture,
    )


def _list_elements(system: _System, site: Site) -> tuple[list[Part], list[str]]:
    """The elements in a system of BuildStream's, and the systems that its deployments put into it."""
    contained = list(
        dict.fromkeys(
            each["system"]
            for deployment in site.deployments
            if deployment["system_name"] == system.name
            for each in _walk(deployment.get("subsystems") or [])
            if each["architecture"] == system.architecture and each["system"] != system.element
        )
    )
    options = site.options_of(system.architecture)
    elements = show_elements(site.project, system.element, options, more=contained)
    require_key(elements, system.element, key=site.keys.get(system.name, ""))
    aliases = read_setting_texts(site.release.source / "project.conf", "aliases")
    components, chunks = list_components(elements, system.element, origin=site.release.definitions)
    for each in contained:
        _add_components(components, chunks, *list_components(elements, each, origin=site.release.definitions))
    licences = _find_licences(system, site, components, chunks)
    inside = dict.fromkeys(name for top in (system.element, *contained) for name in list_inside(elements, top))
    ordered = [system.element, *(name for name in inside if name != system.element)]
    return [_describe_element(elements[name], aliases, licences.get(name)) for name in ordered], contained


def _add_components(
    components: list[Component], chunks: dict[str, str], more: Sequence[Component], their: Mapping[str, str]
) -> None:
    """Add those components of a system inside another one that are not in that by themselves."""
    known = {*chunks.values()}
    for each in more:
        if each.kind == "chunk" and their[each.chunk] not in known:
            chunk = each.name if each.chunk in chunks else each.chunk
            components.append(replace(each, chunk=chunk))
            chunks[chunk] = their[each.chunk]


def _walk(subsystems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for subsystem in subsystems for each in (subsystem, *_walk(subsystem.get("subsystems") or []))]


def _describe_element(element: Element, aliases: Mapping[str, str], licences: Licences | None) -> Part:
    own = aliases if ":" not in element.name else {}
    return Part(
        name=element.name,
        sources=tuple(
            {**source, "url": redacted(_resolve(str(source.get("url") or ""), own))} for source in element.sources
        ),
        below=element.inside,
        licences=() if licences is None else tuple(licences.known),
        declared="" if licences is None else licences.main,
    )


def _resolve(url: str, aliases: Mapping[str, str]) -> str:
    """An address whose alias is one of the project's, as it is meant."""
    alias, colon, rest = url.partition(":")
    return f"{aliases[alias]}{rest}" if colon and alias in aliases else url


def _find_licences(
    system: _System, site: Site, components: Sequence[Component], chunks: Mapping[str, str]
) -> dict[str, Licences]:
    """The licences of components by the names of their elements, as the manifest of licences has them."""
    stated = system.settings.get("stated") or {}
    listed = select_chunks(components)
    if not system.settings.get("licences"):
        listed = [each for each in listed if each.chunk in stated]
    sources = site.element_sources(chunks, system.architecture)
    found = site.facts(sources, judge=bool(system.settings.get("licences"))).find_licences(listed, stated=stated)
    return {chunks[name]: licences for name, licences in found.items()}


def _list_artifacts(system: _System, site: Site, archive: Path) -> list[Part]:
    """The artifacts in a system of Morph's, by the metadata in it."""
    components = read_metadata(archive, system=system.name)
    stated = system.settings.get("stated") or {}
    listed = list({each.chunk: each for each in components if each.kind == "chunk"}.values())
    if not system.settings.get("licences"):
        listed = [each for each in listed if each.chunk in stated]
    facts = site.facts(site.git, judge=bool(system.settings.get("licences")))
    licences = facts.find_licences(listed, stated=stated)
    order = sorted(components, key=lambda each: (each.kind != "system", each.kind, each.name))
    names = {each: f"{each.kind} {each.name}" for each in order}
    return [
        Part(
            name=names[each],
            kind=each.kind,
            sources=(_describe_commit(each),),
            below=tuple(names[other] for other in order if other.kind != "system") if each.kind == "system" else (),
            licences=tuple(licences[each.chunk].known) if each.kind == "chunk" and each.chunk in licences else (),
            declared=licences[each.chunk].main if each.kind == "chunk" and each.chunk in licences else "",
        )
        for each in order
    ]


def _describe_commit(component: Component) -> dict[str, Any]:
    version = {"version-guess": component.version} if component.version else {}
    return {
        "kind": "git",
        "medium": "git",
        "url": redacted(component.repo),
        "version-type": "commit",
        "version": component.commit,
        **version,
    }
