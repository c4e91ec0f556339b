# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system is made of, and the manifests that tell it in the formats of the GENIVI Baseline."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..escape import redacted

#: The order of a baseline manifest.
KINDS = ("system", "stratum", "chunk")
#: How much of a cache key or a commit is told.
SHORT = 7
#: Morph builds systems and strata from branches of its own; what follows is cut like a commit.
BUILDS = "baserock/builds/"
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Component:
    """A part of a system. ``repo`` and ``ref`` are as its definition states them, ``commit`` is what these mean.

    ``chunk`` is the name of what it was built from, which several artifacts (``name``) may share. ``alias`` is the
    short form of ``repo`` in the definitions, if ``repo`` is not that itself; ``identity`` tells its sources from all
    others, if ``commit`` does not.
    """

    kind: str
    name: str
    chunk: str
    repo: str
    ref: str
    commit: str
    key: str = ""
    version: str = ""
    alias: str = ""
    identity: str = ""


@dataclass(frozen=True)
class Licences:
    """The licences of a component: in how many files each was found, and the one that it is under as a whole."""

    files: Mapping[str, int]
    main: str = ""

    @property
    def known(self) -> list[str]:
        """The licences by their names."""
        return sorted(name for name in self.files if name != UNKNOWN)


def format_baseline(components: Sequence[Component]) -> str:
    """The manifest of a system: system, strata and chunks, each by name, in padded columns with tabs.

    As in the original, the heads of the columns do not count for their widths.
    """
    rows = [
        _format_row(component)
        for kind in KINDS
        for component in sorted(components, key=lambda each: each.name)
        if component.kind == kind
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = [("ARTIFACT", "REPOSITORY", "REF", "COMMIT"), *rows]
    return "".join(
        "\t".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )


def _format_row(component: Component) -> tuple[str, str, str, str]:
    version = f"-{component.version}" if component.version else ""
    ref = component.ref
    if component.kind != "chunk" and ref.startswith(BUILDS):
        ref = ref[: len(BUILDS) + SHORT]
    artifact = f"{component.key[:SHORT]}.{component.kind}.{component.name}{version}"
    return artifact, redacted(component.repo), ref, component.commit[:SHORT]


def format_table(components: Sequence[Component], licences: Mapping[str, Licences], upstream: Mapping[str, str]) -> str:
    """The manifest as comma separated values, a line for each chunk; the mappings are by chunk.

    The columns are name, guessed version, main licence, all licences as Python writes a list, and where it comes from.
    As in the original, all is quoted, and there is no line with the heads of columns.
    """
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    chunks = {each.chunk: each for each in components if each.kind == "chunk"}
    for name, component in sorted(chunks.items()):
        found = licences[name]
        listed = sorted(found.files) or [UNKNOWN]
        origin = redacted(upstream.get(name) or component.repo)
        writer.writerow((name, component.version, found.main or UNKNOWN, listed, origin))
    return target.getvalue()


def format_licences(components: Sequence[Component], licences: Mapping[str, Licences]) -> str:
    """The licence manifest: of each component its repository, a line of dashes, and its licences, sorted and once each.

    Each licence stands behind a space, where the original had cut off the name of the file.
    """
    parts = []
    for component in components:
        lines, origin = sorted(licences[component.chunk].files) or [UNKNOWN], redacted(component.repo)
        parts.append(f"{origin}\n{'-' * len(origin)}\n" + "".join(f" {line}\n" for line in lines) + "\n")
    return "".join(parts)


def shorten_repo(repo: str) -> str:
    """The last part of a repository's address, without ``.git``."""
    return re.split(r"[/:]", repo.rstrip("/"))[-1].removesuffix(".git") or "repository"
