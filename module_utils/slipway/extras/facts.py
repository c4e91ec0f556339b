# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of components, found out once: kept by repository, commit, and the version of what found it out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import SlipwayError
from ..files import make_directory, make_scratch, write_atomic
from ..progress import Progress
from ..release.making import refuse_failed
from .licences import judge_tree, state_licences
from .manifest import Component, Licences, shorten_repo
from .sources import Sources
from .versions import FILES, guess_version

#: What guesses versions has changed when this has.
GUESSED_BY = "guess 1"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Facts:
    """A directory of files ``<repository>-<commit>.<kind>``, which many releases share."""

    directory: Path
    tool: str
    sources: Sources
    progress: Progress

    def resolve(self, components: Iterable[Component]) -> list[Component]:
        """The components with their commits."""
        return [dataclasses.replace(each, commit=self.sources.find_commit(each)) for each in components]

    def find_licences(
        self, components: Sequence[Component], *, stated: Mapping[str, Sequence[str]]
    ) -> dict[str, Licences]:
        """The licences of each component by its chunk: stated, known, or read now on all cores."""
        found = {each.chunk: known for each in components if (known := state_licences(stated, each.chunk)) is not None}
        wanted = {each.chunk: each for each in components if each.chunk not in found}
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:

            def make(component: Component) -> dict[str, Any]:
                return self._read_licences(component, pool)

            return {**found, **self._find_all(wanted, "licences", self.tool, make, _load_licences)}

    def find_versions(self, components: Sequence[Component]) -> list[Component]:
        """The components with their versions; what is the same commit has the same."""
        wanted = {
            f"{each.repo} {each.commit}": each for each in components if each.kind == "chunk" and not each.version
        }
        found = self._find_all(wanted, "version", GUESSED_BY, self._read_version, str)
        return [
            dataclasses.replace(each, version=each.version or found.get(f"{each.repo} {each.commit}", ""))
            for each in components
        ]

    def _find_all(
        self,
        wanted: Mapping[str, Component],
        kind: str,
        tool: str,
        make: Callable[[Component], Any],
        load: Callable[[Any], Found],
    ) -> dict[str, Found]:
        found = {key: self._load(component, kind, tool) for key, component in wanted.items()}
        missing = [key for key, value in found.items() if value is None]
        self.progress.total += len(missing)

        def find(key: str) -> Any | SlipwayError:
            component = wanted[key]
            try:
                value = make(component)
            except SlipwayError as error:
                return error
            make_directory(self.directory)
            text = json.dumps({**_identify(component, tool), kind: value}, indent=1, sort_keys=True)
            write_atomic(self._path(component, kind), f"{text}\n".encode())
            self.progress.step(f"{component.chunk}: {kind} found")
            return value

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            made = dict(zip(missing, pool.map(find, missing), strict=True))
        refuse_failed(
            f"find the {kind} of",
            "components",
            [error for error in made.values() if isinstance(error, SlipwayError)],
            do_next="Correct them and run again; what was found of others is kept.",
        )
        return {key: load(made.get(key, value)) for key, value in found.items()}

    def _path(self, component: Component, kind: str) -> Path:
        commit = component.identity or component.commit
        if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
            commit = hashlib.sha256(commit.encode()).hexdigest()[:40]
        name = re.sub(r"[^A-Za-z0-9._+-]", "_", shorten_repo(component.repo)).lstrip(".")[:100]
        return self.directory / f"{name}-{commit}.{kind}"

    def _load(self, component: Component, kind: str, tool: str) -> Any | None:
        """What is kept, if it was found out by the same tool of the same component."""
        try:
            kept = json.loads(self._path(component, kind).read_bytes())
            return kept[kind] if {**kept, kind: None} == {**_identify(component, tool), kind: None} else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read_licences(self, component: Component, pool: Executor) -> dict[str, Any]:
        self.progress.report(f"{component.chunk}: reading the licences of {component.repo}")
        with make_scratch("slipway-licences-") as scratch, self.sources.open_files(component) as files:
            return dataclasses.asdict(judge_tree(files, name=component.chunk, scratch=scratch, pool=pool))

    def _read_version(self, component: Component) -> str:
        return guess_version(self.sources.read_named(component, FILES))


def _identify(component: Component, tool: str) -> dict[str, str]:
    return {"repo": component.alias or component.repo, "commit": component.identity or component.commit, "tool": tool}


def _load_licences(value: Mapping[str, Any]) -> Licences:
    return Licences(dict(value["files"]), str(value["main"]))
