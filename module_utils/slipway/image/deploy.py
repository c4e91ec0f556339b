# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the files of a release: one for each deployment of its cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..process import read_version
from ..progress import Progress
from ..release.artifact import Artifact
from ..release.making import Making, open_making, refuse_failed
from .job import Job, program_path
from .programs import Program
from .tree import Changes, rewrite_tree
from .writers import WRITERS

#: Writes the tree of a build artifact to a tar file; the second path is a directory for its own use.
Checkout = Callable[[str, Path, Path], None]
CHANGED = "Find out who changed them; remove them to deploy them again from the same artifacts."


@dataclass(frozen=True)
class Deployment:
    """One file of a release, or without ``file``, one at ``location`` inside its parent's tree.

    ``system`` is the name of a system, which several systems never share as they may share their file.
    """

    name: str
    system: str
    architecture: str
    type: str
    location: str
    file: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    subsystems: tuple[Deployment, ...] = ()

    @classmethod
    def from_plan(cls, entry: Mapping[str, Any]) -> Deployment:
        """Read an entry of a release plan's deployments or subsystems."""
        return cls(
            name=str(entry["name"]),
            system=str(entry["system_name"]),
            architecture=str(entry["architecture"]),
            type=str(entry["type"]),
            location=str(entry["location"]),
            file=str(entry.get("file", "")),
            settings={key: str(value) for key, value in (entry.get("settings") or {}).items()},
            subsystems=tuple(cls.from_plan(each) for each in entry.get("subsystems") or ()),
        )

    def walk(self) -> Iterable[Deployment]:
        """This deployment and all nested in it."""
        yield self
        for subsystem in self.subsystems:
            yield from subsystem.walk()

    def describe_tree(self) -> str:
        """Equal for deployments whose files are made from the same tree."""
        nested = [
            (each.location, each.name, each.type, sorted(each.settings.items()), each.describe_tree())
            for each in self.subsystems
        ]
        return json.dumps([self.system, self.settings.get("PERMISSIONS"), nested])


@dataclass(frozen=True)
class Release:
    """What all deployments of a release have in common. ``epoch`` is the time of every file in them."""

    label: str
    version: str
    epoch: int


def find_faults(deployments: Iterable[Deployment]) -> list[str]:
    """What is wrong with the types and settings of ``deployments``, one sentence each."""
    found = []
    for deployment in (each for top in deployments for each in top.walk()):
        writer = WRITERS.get(deployment.type)
        if writer is None:
            known = ", ".join(sorted(WRITERS))
            found.append(f"{deployment.name}: there is no deployment type {deployment.type!r}, known are {known}")
        else:
            faults = writer.faults(deployment.settings) or writer.unfit(deployment.architecture, deployment.settings)
            found += [f"{deployment.name}: {fault}" for fault in faults]
    return found


def deploy_files(
    deployments: Sequence[Deployment],
    *,
    release: Release,
    directory: Path,
    artifacts: Mapping[str, str],
    checkout: Checkout,
    previous: Mapping[str, Artifact],
    progress: Progress | None = None,
    write: bool = True,
) -> tuple[dict[str, Artifact], list[str]]:
    """Ensure the file of every deployment in ``directory``; return the files, and the names of those made now.

    ``artifacts`` are the build artifacts by system, ``previous`` the files of an earlier run by their names. Without
    ``write`` nothing is touched, and ``artifacts`` may lack.
    """
    _refuse_faults(deployments, artifacts=artifacts if write else None)
    names = [each.file for each in deployments]
    with open_making(directory, names, previous, do_next=CHANGED, write=write) as making:
        todo = [each for each in deployments if each.file in making.todo]
        if write and todo:
            progress = progress or Progress(None)
            progress.total += len(todo)
            _make_all(todo, _Maker(release, artifacts, checkout, making, progress))
    return making.present, making.todo


def read_tool_versions(deployments: Iterable[Deployment]) -> dict[str, str]:
    """The versions of the programs that the types of ``deployments`` are made with."""
    programs = list_programs(deployments)
    return {
        each.name: read_version(each.name, each.asked, env={"PATH": program_path()}, ok_codes=each.statuses)
        for each in programs
    }


def list_programs(deployments: Iterable[Deployment]) -> list[Program]:
    """The programs that ``deployments`` are made with, each once."""
    found: dict[Program, None] = {}
    for each in (each for top in deployments for each in top.walk()):
        if each.type in WRITERS:
            found |= dict.fromkeys(WRITERS[each.type].programs(each.architecture, each.settings))
    return sorted(found, key=lambda program: program.name)


def _refuse_faults(deployments: Sequence[Deployment], *, artifacts: Mapping[str, str] | None) -> None:
    found = find_faults(deployments)
    if artifacts is not None:
        wanted = dict.fromkeys(each.system for top in deployments for each in top.walk())
        found += [f"{system} has not been built" for system in wanted if system not in artifacts]
    refuse(
        "deploy",
        "the systems",
        found,
        do_next="Correct the cluster file, or build what is missing, and run again. Nothing was made.",
    )


def _make_all(todo: Sequence[Deployment], maker: _Maker) -> None:
    """Make all files; deployments of the same tree one after the other, the rest on all cores."""
    groups: dict[str, list[Deployment]] = {}
    for deployment in todo:
        groups.setdefault(deployment.describe_tree(), []).append(deployment)
    with maker.making.open_work() as work, ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        ends = list(pool.map(lambda group: maker.make_group(group, Path(tempfile.mkdtemp(dir=work))), groups.values()))
    refuse_failed("deploy", "systems", [end for end in ends if end is not None])


@dataclass(frozen=True)
class _Maker:
    release: Release
    artifacts: Mapping[str, str]
    checkout: Checkout
    making: Making
    progress: Progress

    def make_group(self, deployments: Sequence[Deployment], work: Path) -> SlipwayError | None:
        """Make the files of deployments that have the same tree; a failure is returned."""
        first = deployments[0]
        try:
            self.progress.report(f"{first.architecture}: taking {first.system} out of the cache")
            tree = self._make_tree(first, work)
            for deployment in deployments:
                self._make_file(deployment, tree, work)
        except SlipwayError as error:
            return error
        except OSError as error:
            return SlipwayError(
                "deploy", first.system, str(error), do_next="Check that the disk is not full, and run again."
            )
        return None

    def _make_tree(self, deployment: Deployment, work: Path) -> Path:
        """The canonical tar of a deployment's system, with its subsystems inside."""
        home = Path(tempfile.mkdtemp(prefix="tree-", dir=work))
        added = {}
        for count, subsystem in enumerate(deployment.subsystems):
            added[subsystem.location] = home / f"subsystem-{count}"
            self._write_file(subsystem, self._make_tree(subsystem, work), target=home / f"subsystem-{count}", work=work)
        built, tree = home / "built.tar", home / "tree.tar"
        self.checkout(self.artifacts[deployment.system], built, home)
        mark = {
            "IMAGE_ID": _make_identifier(deployment.system),
            "IMAGE_VERSION": _make_identifier(self.release.version),
        }
        permissions = deployment.settings.get("PERMISSIONS")
        rewrite_tree(built, tree, changes=Changes(self.release.epoch, permissions, mark, added))
        built.unlink()
        return tree

    def _make_file(self, deployment: Deployment, tree: Path, work: Path) -> None:
        self.progress.report(f"{deployment.architecture}: making {deployment.file} ({deployment.type})")
        target = work / deployment.file
        self._write_file(deployment, tree, target=target, work=work)
        made = self.making.put(target)
        self.progress.step(f"{deployment.architecture}: {made.name} is made, {-(-(made.size or 0) // (1 << 20))} MiB")

    def _write_file(self, deployment: Deployment, tree: Path, *, target: Path, work: Path) -> None:
        job = Job(
            name=deployment.name,
            label=self.release.label,
            architecture=deployment.architecture,
            settings=deployment.settings,
            epoch=self.release.epoch,
            tree=tree,
            work=Path(tempfile.mkdtemp(prefix="write-", dir=work)),
        )
        WRITERS[deployment.type].write(job, target)
        shutil.rmtree(job.work)


def _make_identifier(text: str) -> str:
    """A name as os-release(5) allows it: lower case, digits, dot, underscore, hyphen."""
    return re.sub(r"[^a-z0-9._-]", "-", text.lower())
