# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the files of a release: one for each deployment of its cluster."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, move_synced
from ..locks import hold_flock
from ..process import read_version
from ..progress import Progress
from ..release.artifact import Artifact, verify_deployed
from .job import Job, program_path
from .tree import Changes, rewrite_tree
from .writers import WRITERS

#: Writes the tree of a build artifact to a tar file; the second path is a directory for its own use.
Checkout = Callable[[str, Path, Path], None]
WORK = ".deploy-"
CHANGED = "Find out who changed them; remove them to deploy them again from the same artifacts."

#: Seconds to wait for another process that makes files in the same directory.
LOCK_WAIT = 600.0


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

    ``artifacts`` are the build artifacts by system, ``previous`` the files of an earlier run by their names. A file
    that is there as recorded stays; one that is not as recorded is a failure and stays too; one that nobody
    recorded was interrupted and is made again. Without ``write`` nothing is touched, and ``artifacts`` may lack.
    """
    _refuse_faults(deployments, artifacts=artifacts if write else None)
    with _lock_directory(directory) if write else contextlib.nullcontext():
        known = [previous[each.file] for each in deployments if each.file in previous]
        present = verify_deployed(directory, known, do_next=CHANGED)
        todo = [each for each in deployments if each.file not in present]
        if write:
            for leftover in directory.glob(f"{WORK}*"):
                shutil.rmtree(leftover)
            progress = progress or Progress(None)
            progress.total += len(todo)
            maker = _Maker(release, directory, artifacts, checkout, previous, progress)
            present |= _make_all(todo, maker, directory=directory)
    return present, [each.file for each in todo]


def _lock_directory(directory: Path) -> AbstractContextManager[None]:
    """Lock ``directory``; processes of an ended release may still work in it."""
    make_directory(directory)
    return hold_flock(directory, attempt="make files in", on=str(directory), timeout=LOCK_WAIT)


def read_tool_versions(deployments: Iterable[Deployment]) -> dict[str, str]:
    """The versions of the programs that the types of ``deployments`` are made with."""
    types = {each.type for top in deployments for each in top.walk()}
    programs = dict.fromkeys(program for name in sorted(types) for program in WRITERS[name].programs)
    return {program[0]: read_version(*program, env={"PATH": program_path()}) for program in programs}


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


def _make_all(todo: Sequence[Deployment], maker: _Maker, *, directory: Path) -> dict[str, Artifact]:
    """Make all files; deployments of the same tree one after the other, the rest on all cores."""
    groups: dict[str, list[Deployment]] = {}
    if not todo:
        return {}
    for deployment in todo:
        groups.setdefault(deployment.describe_tree(), []).append(deployment)
    with (
        tempfile.TemporaryDirectory(prefix=WORK, dir=directory) as work,
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
    ):
        ends = list(pool.map(lambda group: maker.make_group(group, Path(tempfile.mkdtemp(dir=work))), groups.values()))
    errors = [end for end in ends if isinstance(end, SlipwayError)]
    if len(errors) == 1:
        raise errors[0]
    refuse(
        "deploy",
        f"{len(errors)} systems",
        [str(error) for error in errors],
        summary="each for a different reason",
        do_next="Correct them and run again; the other files are made.",
    )
    return {made.name: made for end in ends if not isinstance(end, SlipwayError) for made in end}


@dataclass(frozen=True)
class _Maker:
    release: Release
    directory: Path
    artifacts: Mapping[str, str]
    checkout: Checkout
    previous: Mapping[str, Artifact]
    progress: Progress

    def make_group(self, deployments: Sequence[Deployment], work: Path) -> list[Artifact] | SlipwayError:
        """Make the files of deployments that have the same tree; a failure is returned."""
        first = deployments[0]
        try:
            self.progress.report(f"{first.architecture}: taking {first.system} out of the cache")
            tree = self._make_tree(first, work)
            return [self._make_file(deployment, tree, work) for deployment in deployments]
        except SlipwayError as error:
            return error
        except OSError as error:
            return SlipwayError(
                "deploy", first.system, str(error), do_next="Check that the disk is not full, and run again."
            )

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

    def _make_file(self, deployment: Deployment, tree: Path, work: Path) -> Artifact:
        self.progress.report(f"{deployment.architecture}: making {deployment.file} ({deployment.type})")
        target = work / deployment.file
        self._write_file(deployment, tree, target=target, work=work)
        made = Artifact(deployment.file, target.stat().st_size, hash_file(target))
        known = self.previous.get(made.name, made)
        if made.sha256 != known.sha256:
            raise SlipwayError(
                "make again",
                made.name,
                f"it got the SHA-256 {made.sha256}, but its record says {known.sha256}",
                do_next="Nothing was put in place. Use the tools of the first time, or release under another version.",
            )
        move_synced(target, self.directory / made.name)
        self.progress.step(f"{deployment.architecture}: {made.name} is made, {-(-(made.size or 0) // (1 << 20))} MiB")
        return made

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
