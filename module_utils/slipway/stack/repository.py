# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release repository: ``<stack>/<stack>-<version>/`` with a tarball, or the files of a .dsc, and control YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..deb.version import strip_epoch
from ..errors import SlipwayError, refuse
from ..progress import Progress
from .controlfile import ControlFile, name_control_files, name_release, read_control_file
from .fetch import Reader, check_place, join_place
from .gate import check_names
from .package import HashingStream
from .tree import MAX_BYTES

MAX_CONTROL = 1 << 20
AT_ONCE = 4
#: What existing tarballs are called after the label.
TARBALLS = (".tar.bz2", ".tar.gz", ".tgz")


@dataclass
class Release:
    """What a release repository has of a version of a stack.

    It is ``present`` with its control file. ``faults`` are what is wrong with what is there.
    """

    stack: str
    version: str
    place: str
    present: bool = False
    control: dict[str, Any] | None = None
    control_name: str | None = None
    control_file: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The form in results of modules."""
        return {
            "version": self.version,
            "present": self.present,
            "place": self.place,
            "control": self.control,
            "control_name": self.control_name,
            "files": self.files,
            "faults": self.faults,
            "remarks": self.remarks,
        }


def read_releases(
    repository: str,
    stacks: Mapping[str, str],
    *,
    reader: Reader,
    verify: bool = True,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> list[Release]:
    """What is in a release repository of these versions; with ``verify`` each file is read and hashed.

    What cannot be asked is a failure, with all others: only "not found" is absence.
    """
    base = check_place(repository)
    for stack, version in stacks.items():
        check_names(stack, version)
    looking = _Looking(base, reader, verify, max_bytes, progress or Progress(None))
    looking.progress.total = len(stacks)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = list(pool.map(looking.look, sorted(stacks.items())))
    errors = [each for each in found if isinstance(each, SlipwayError)]
    refuse(
        "read the release repository",
        repository,
        [f"{error.on}: {error.came_back}" for error in errors],
        several="of its files could not be asked for",
        do_next="Check what serves it, and run again.",
    )
    return [each for each in found if isinstance(each, Release)]


def list_known(releases: list[Release]) -> dict[str, dict[str, list[str]]]:
    """The packages and dependencies of what is present, by stack, as the gate of other stacks wants them."""
    return {
        each.stack: {"packages": each.control["packages"], "depends": each.control["depends"]}
        for each in releases
        if each.control is not None
    }


@dataclass(frozen=True)
class _Looking:
    base: str
    reader: Reader
    verify: bool
    max_bytes: int
    progress: Progress

    def look(self, wanted: tuple[str, str]) -> Release | SlipwayError:
        """One release, or why it could not be looked at."""
        stack, version = wanted
        label = name_release(stack, version)
        release = Release(stack, version, join_place(self.base, stack, label))
        try:
            control = self.read_control(release)
            if control is None:
                self.look_for_tarball(release, label)
            else:
                release.present = True
                release.control = dict(control.mapping)
                release.remarks += control.remarks
                self.check_names(release, control)
                self.check_files(release, control)
                release.files.append(release.control_file)
        except SlipwayError as error:
            return error
        self.progress.step(f"{label}: {'; '.join(release.faults) or ('there' if release.present else 'absent')}")
        return release

    def read_control(self, release: Release) -> ControlFile | None:
        for name in name_control_files(release.stack, release.version):
            place = join_place(release.place, name)
            data = self.reader.read(place, size=MAX_CONTROL)
            if data is None:
                continue
            release.control_name = name
            digest = hashlib.sha256(data).hexdigest()
            release.control_file = {"name": name, "size": len(data), "sha256": digest, "place": place}
            try:
                return read_control_file(data, on=place)
            except SlipwayError as error:
                release.faults += [f"{name}: {finding}" for finding in error.findings or [error.came_back]]
                return None
        return None

    def look_for_tarball(self, release: Release, label: str) -> None:
        """A tarball alone is no release, and it is in the way of one."""
        if release.control_name is None:
            release.faults += [
                f"there is {label}{ending} without control YAML"
                for ending in TARBALLS
                if self.reader.exists(join_place(release.place, f"{label}{ending}"))
            ]

    def check_names(self, release: Release, control: ControlFile) -> None:
        said = control.mapping["stack"], strip_epoch(control.mapping["version"])
        if said != (release.stack, strip_epoch(release.version)):
            release.faults.append(f"{release.control_name} is of {said[0]} {said[1]}")

    def check_files(self, release: Release, control: ControlFile) -> None:
        for file in control.files:
            place = join_place(release.place, file["name"])
            if self.verify:
                stream = HashingStream()
                there = self.reader.receive(place, stream.write, size=self.max_bytes) is not None
                seen = {"size": stream.size, "sha256": stream.sha256.hexdigest(), "md5sum": stream.md5sum.hexdigest()}
                fault = _find_difference(file, seen) if there else f"{file['name']} is missing"
                found = {"name": file["name"], "size": seen["size"], "sha256": seen["sha256"], "place": place}
            else:
                fault = None if self.reader.exists(place) else f"{file['name']} is missing"
                found = {"name": file["name"], "size": file.get("size"), "sha256": file.get("sha256"), "place": place}
            release.files += [found] if fault is None else []
            release.faults += [] if fault is None else [fault]


def _find_difference(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> str | None:
    """How a file's bytes are not those that its control file names."""
    for key in ("sha256", "md5sum", "size"):
        if wanted.get(key) is not None and wanted[key] != seen[key]:
            return f"{wanted['name']} has {key} {seen[key]} ({seen['size']} bytes) instead of {wanted[key]}"
    return None
