# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an extra file of each type is made; a further type is a function and a line here."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_scratch
from ..git.remote import find_named_commit
from ..plan.definitions import Definitions, open_commit
from ..process import run
from .elements import select_chunks
from .kernel import take_kernel
from .manifest import UNKNOWN, Component, Licences, format_baseline, format_licences, format_table
from .morph import list_chunks, read_metadata
from .site import DISKS, TREES, Site, Wanted
from .sources import Sources

ELEMENT = ".bst"
#: What a command may write to its standard output; what is more it writes into {output}.
LARGEST_OUTPUT = 64 << 20


def write_baseline(extra: Wanted, site: Site, target: Path) -> None:
    """What the system is made of: by BuildStream's word for elements, else by the metadata that Morph left in it.

    As a table it tells more of the chunks of the definitions.
    """
    if extra.settings.get("format") == "csv":
        _write_table(extra, site, target)
        return
    sources: Sources = site.git
    if extra.system.endswith(ELEMENT):
        components, elements = site.list_elements(extra.system, extra.architecture, name=extra.system_name)
        sources = site.element_sources(elements, extra.architecture)
    else:
        with site.open_tree(extra.system_name) as archive:
            components = read_metadata(archive, system=extra.system_name)
    components = site.facts(sources, judge=False).find_versions(components)
    _write_text(target, format_baseline(components))


def _write_table(extra: Wanted, site: Site, target: Path) -> None:
    chunks, licences, sources = _judge_chunks(extra, site)
    chunks = site.facts(sources, judge=False).find_versions(chunks)
    lorries = _read_lorries(str(extra.settings.get("lorries") or ""), site)
    upstream = {each.chunk: lorries.get(_name_lorry(each.repo), "") for each in chunks}
    _write_text(target, format_table(chunks, licences, upstream))


def write_licences(extra: Wanted, site: Site, target: Path) -> None:
    """The licences of each component, in the order of strata and chunks."""
    chunks, licences, _sources = _judge_chunks(extra, site)
    if extra.settings.get("unknown") == "fail":
        _refuse_unknown(extra, chunks, licences)
    _write_text(target, format_licences(chunks, licences))


def _write_text(target: Path, text: str) -> None:
    target.write_bytes(text.encode("utf-8", "surrogateescape"))


def _judge_chunks(extra: Wanted, site: Site) -> tuple[list[Component], dict[str, Licences], Sources]:
    """The components of a system that are not to be left out, their licences, and where their sources are."""
    sources: Sources = site.git
    if extra.system.endswith(ELEMENT):
        components, elements = site.list_elements(extra.system, extra.architecture, name=extra.system_name)
        chunks, sources = select_chunks(components), site.element_sources(elements, extra.architecture)
    else:
        with site.open_definitions() as definitions:
            chunks = list_chunks(definitions, extra.system)
    facts = site.facts(sources, judge=True)
    chunks = facts.resolve(_leave_out(chunks, extra.settings.get("skip") or []))
    return chunks, facts.find_licences(chunks, stated=extra.settings.get("stated") or {}), sources


def _refuse_unknown(extra: Wanted, chunks: Sequence[Component], licences: Mapping[str, Licences]) -> None:
    unknown = [each for each in chunks if not licences[each.chunk].known]
    names = ", ".join(each.chunk for each in unknown[:5]) + (
        f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    )
    refuse(
        "list the licences of",
        extra.system_name,
        [f"{each.chunk}: no licence is known of {each.repo} at {each.commit}" for each in unknown],
        summary=f"no licence is known of {names}",
        do_next="State them in the policy (stated), leave them out (skip), or have them listed (unknown: list).",
    )


def _leave_out(chunks: Sequence[Component], skip: Sequence[Mapping[str, Any]]) -> list[Component]:
    names = {name for each in skip for name in each["names"]}
    return [each for each in chunks if each.chunk not in names]


def _name_lorry(repo: str) -> str:
    """The name of the lorry that mirrors a repository: what is behind ``delta/``, or behind the alias."""
    name = repo.partition("delta/")[2] or repo.partition(":")[2]
    return name.removesuffix(".git")


def _read_lorries(url: str, site: Site) -> dict[str, str]:
    """Where the Trove mirrors from, by the names of its lorries, at the head of the repository that has them."""
    if not url:
        return {}
    attempt, do_next = "read the lorries of", "Correct lorries in the policy, and run again."
    address = site.git.resolve(url)
    commit = find_named_commit(address, "HEAD", attempt=attempt, do_next=do_next)
    if commit is None:
        raise SlipwayError(attempt, url, "it has no commit", do_next=do_next)
    found: dict[str, str] = {}
    with open_commit(address, commit, attempt=attempt, do_next=do_next) as repository:
        files = Definitions(repository, commit, url)
        texts = files.read(path for path in files.list_paths() if path.endswith(".lorry") and path.isprintable())
    for path, data in texts.items():
        try:
            found.update({str(name): str(each.get("url", UNKNOWN)) for name, each in json.loads(data or b"").items()})
        except (ValueError, AttributeError, TypeError) as error:
            raise SlipwayError(attempt, url, f"{path} is no lorry file: {error}", do_next=do_next) from error
    return found


def write_kernel(extra: Wanted, site: Site, target: Path) -> None:
    """The kernel of a system: out of a file that was deployed, else out of its build artifact."""
    patterns = [str(path) for path in extra.settings["paths"]]
    image = site.find_image(extra.system_name, (*TREES, *DISKS))
    if image is not None:
        take_kernel(image[1], target, kind=image[0], patterns=patterns, name=extra.system_name)
        return
    with site.open_tree(extra.system_name) as archive:
        take_kernel(archive, target, kind="tar", patterns=patterns, name=extra.system_name)


def write_file(extra: Wanted, site: Site, target: Path) -> None:
    """A file of the definitions at the release's commit."""
    path = str(extra.settings["path"])
    with site.open_definitions() as definitions:
        data = definitions.read([path])[path]
    if data is None:
        do_next = "Correct the path in the policy, or add the file to the definitions, and run again."
        raise SlipwayError("take the file", path, f"{definitions.name} has no such file", do_next=do_next)
    target.write_bytes(data)


def write_command(extra: Wanted, site: Site, target: Path) -> None:
    """What a command of the site's makes, which is run twice: other bytes the second time are refused."""
    command = shlex.join(extra.settings["command"])
    digests = [_run_command(extra, site, target.with_name(f"{number}.out")) for number in (1, 2)]
    if digests[0] != digests[1]:
        raise SlipwayError(
            "make",
            extra.file,
            f"{command} made the SHA-256 {digests[0]} first and {digests[1]} the second time",
            do_next="Correct it: the same release must give the same bytes (the time to write is SOURCE_DATE_EPOCH).",
        )
    os.replace(target.with_name("1.out"), target)


def _run_command(extra: Wanted, site: Site, output: Path) -> str:
    release = site.release
    values = {
        "system": extra.system_name,
        "architecture": extra.architecture,
        "product": extra.product,
        "label": release.label,
        "version": release.version,
        "definitions": str(release.source),
        "images": str(release.images),
        "output": str(output),
    }
    words = [str(word) for word in extra.settings["command"]]
    attempt, do_next = f"make {extra.file} by", "Correct the command in the policy, and run again."
    with make_scratch("slipway-command-") as scratch:
        done = run(
            [word.format(**values) for word in words],
            attempt=attempt,
            on=shlex.join(words),
            cwd=scratch,
            env={"SOURCE_DATE_EPOCH": str(release.epoch)},
            timeout=float(extra.settings["timeout"]),
            do_next=do_next,
        )
    if not any("{output}" in word for word in words):
        if len(done.raw) > LARGEST_OUTPUT:
            came_back = f"it wrote {len(done.raw)} bytes to its output"
            raise SlipwayError(attempt, shlex.join(words), came_back, do_next="Have it write a file instead: {output}.")
        output.write_bytes(done.raw)
    if output.is_symlink() or not output.is_file() or not output.stat().st_size:
        raise SlipwayError(
            attempt, shlex.join(words), "it succeeded, but what it made is missing or empty", do_next=do_next
        )
    return hash_file(output)


#: The types of extra files by name.
WRITERS: dict[str, Callable[[Wanted, Site, Path], None]] = {
    "baseline-manifest": write_baseline,
    "licence-manifest": write_licences,
    "kernel": write_kernel,
    "file": write_file,
    "command": write_command,
}
