# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where what extra files tell of is found: systems, definitions, sources, and what is known of components."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..buildstream.build import check_out
from ..buildstream.command import Project
from ..errors import SlipwayError
from ..files import make_scratch, replace_file
from ..morph.cache import NAME, MorphCache
from ..plan.definitions import Definitions, open_commit
from ..progress import Progress
from .elements import Element, Origin, list_components, require_key, show_elements
from .facts import Facts
from .licences import read_tool
from .manifest import Component
from .sources import ElementSources, GitSources, Sources

#: What has a whole tree in it, and can be read without root.
TREES, DISKS = ("tar",), ("rawdisk",)


@dataclass(frozen=True)
class Wanted:
    """An entry of the plan's extra files."""

    name: str
    product: str
    type: str
    system: str
    system_name: str
    architecture: str
    file: str
    settings: Mapping[str, Any]

    @classmethod
    def from_plan(cls, entry: Mapping[str, Any]) -> Wanted:
        """Read an entry."""
        texts = {
            name: str(entry.get(name) or "")
            for name in ("name", "product", "type", "system", "system_name", "architecture", "file")
        }
        return cls(**texts, settings=dict(entry.get("settings") or {}))


@dataclass(frozen=True)
class Release:
    """What all extra files of a release have in common."""

    label: str
    version: str
    epoch: int
    definitions: Origin
    url: str
    source: Path
    images: Path


@dataclass(frozen=True)
class Site:
    """What this site has: deployed files and build artifacts, the Trove, BuildStream's configuration, and caches.

    ``deployments`` are those of the plan; ``artifacts`` the build artifact of each system, and ``keys`` its cache key.
    """

    release: Release
    deployments: Sequence[Mapping[str, Any]]
    artifacts: Mapping[str, str]
    keys: Mapping[str, str]
    cache: Path
    git: GitSources
    config: Path | None = None
    bst: str = "bst"
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    artifacts_directory: str = ""
    cache_url: str = ""
    timeout: float = 3600.0
    progress: Progress = field(default_factory=lambda: Progress(None))

    @cached_property
    def tool(self) -> str:
        """What judges licences."""
        return read_tool()

    @cached_property
    def bill_tools(self) -> dict[str, str]:
        """What made bills of materials, by its versions; empty until it did."""
        return {}

    @cached_property
    def _shown(self) -> dict[tuple[str, str], dict[str, Element]]:
        return {}

    @property
    def project(self) -> Project:
        """The checked out definitions, if they are a BuildStream project."""
        return Project(self.release.source, self.config, self.bst)

    def options_of(self, architecture: str) -> dict[str, str]:
        """What the project is built with for an architecture."""
        return {str(name): str(value) for name, value in (self.options.get(architecture) or {}).items()}

    def list_elements(self, system: str, architecture: str, *, name: str) -> tuple[list[Component], dict[str, str]]:
        """The parts of a system of BuildStream's, which must be those that were built; the element of each chunk."""
        key = (system, architecture)
        if key not in self._shown:
            self._shown[key] = show_elements(self.project, system, self.options_of(architecture))
            require_key(self._shown[key], system, key=self.keys.get(name, ""))
        return list_components(self._shown[key], system, origin=self.release.definitions)

    @contextlib.contextmanager
    def open_definitions(self) -> Iterator[Definitions]:
        """The files of the release's commit."""
        origin = self.release.definitions
        with contextlib.ExitStack() as stack:
            repository = stack.enter_context(open_commit(self.release.url, origin.commit))
            yield Definitions(repository, origin.commit, f"{origin.name} at {origin.commit[:12]}")

    def facts(self, sources: Sources, *, judge: bool) -> Facts:
        """What is known of components, with what judges their licences if these are wanted."""
        return Facts(self.cache, self.tool if judge else "", sources, self.progress)

    def element_sources(self, chunks: Mapping[str, str], architecture: str) -> ElementSources:
        """The sources of these elements by their chunks."""
        return ElementSources(self.project, self.options_of(architecture), chunks)

    def find_image(self, system: str, types: Sequence[str]) -> tuple[str, Path] | None:
        """A deployed file of a system, and its type: the first of these types that there is."""
        return next(
            (
                (kind, self.release.images / str(each["file"]))
                for kind in types
                for each in self.deployments
                if each["system_name"] == system and each["type"] == kind
            ),
            None,
        )

    @contextlib.contextmanager
    def open_tree(self, system: str) -> Iterator[Path]:
        """An archive of a system's tree: one that was deployed, or the build artifact."""
        image = self.find_image(system, TREES)
        if image is not None:
            yield image[1]
            return
        artifact = self.artifacts.get(system, "")
        attempt, on = "find the tree of", system
        if not artifact:
            raise SlipwayError(attempt, on, "it has not been built", do_next="Run the stages before this one.")
        with make_scratch("slipway-tree-") as scratch:
            archive = scratch / "tree.tar"
            if NAME.match(artifact):
                self._bring_artifact(artifact, archive, system=system)
            else:
                (scratch / "project").mkdir()
                project = Project(scratch / "project", self.config, self.bst)
                check_out(project, artifact, archive=archive, timeout=self.timeout)
            yield archive

    def _bring_artifact(self, artifact: str, archive: Path, *, system: str) -> None:
        """Morph's own archive of a system, of this machine or of the cache server."""
        here = Path(self.artifacts_directory, artifact)
        if self.artifacts_directory and here.is_file():
            shutil.copyfile(here, archive) if here.is_symlink() else os.symlink(here.absolute(), archive)
            return
        attempt, on = f"find the archive {artifact} of", system
        do_next = (
            "Set release_extras_cache_url to the cache server that has it, or deploy the system as tar, and run again."
        )
        if not self.cache_url:
            raise SlipwayError(attempt, on, "no cache server is named, and no archive is deployed", do_next=do_next)
        with replace_file(archive) as stream:
            size = MorphCache(self.cache_url).fetch(artifact, stream, timeout=self.timeout)
        if not size:
            raise SlipwayError(attempt, on, f"{self.cache_url} does not have it", do_next=do_next)
