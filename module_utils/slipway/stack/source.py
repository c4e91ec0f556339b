# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tree of sources, of any kind: what it is, what it says of itself, and which packages are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of
from ..yamltext import NotPlainError, read, to_plain
from . import manifest
from .controlfile import DEBIAN, DSC, KINDS, ROS
from .debian import CHANGELOG, DebianSource, read_debian_tree, read_dsc
from .manifest import About, ManifestReader, Package
from .tree import find_directories, is_file, read_inside

AUTO = "auto"
ROSDEP = "rosdep.yaml"


@dataclass
class Source:
    """A tree as it was read; with ``faults`` it cannot be released. ``debian`` is None for ROS stacks."""

    kind: str
    top: Path
    about: About = field(default_factory=About)
    packages: list[Package] = field(default_factory=list)
    debian: DebianSource | None = None
    dsc: Path | None = None
    is_catkin: bool = False
    rosdep: Mapping[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def required(self) -> tuple[str, ...]:
        """The files that a tarball of it must contain."""
        if self.kind == DEBIAN:
            return ("debian/changelog", "debian/control", "debian/rules")
        return () if self.is_catkin else (manifest.STACK, "CMakeLists.txt")


def read_source(top: Path, kind: str, *, stack: str, distribution: str = "") -> Source:
    """Read the tree ``top`` of a ``kind``, or of what it turns out to be; its faults are listed in what is returned."""
    if not top.is_dir():
        raise SlipwayError("read the sources of", stack, f"{top} is no directory", do_next="Check them out first.")
    found = Source(find_kind(top, kind, stack), top)
    if found.kind == DSC:
        _read_dsc(found)
        return found
    if found.kind == DEBIAN:
        found.debian, faults = read_debian_tree(top)
        found.faults += faults
        found.about = About(found.debian.source, found.debian.version)
    reader = ManifestReader(top, distribution)
    if is_file(top, manifest.STACK):
        _read_rosbuild(found, reader, stack)
    else:
        _read_catkin(found, reader, stack)
    # A manifest of a Debian source tells which packages are in it, and is no reason to refuse it.
    found.faults += reader.faults if found.kind == ROS else []
    found.remarks += reader.remarks if found.kind == ROS else reader.faults
    found.faults += [f"there is no {name}" for name in found.required if not is_file(top, name)]
    if found.kind == ROS:
        _read_rosdep(found)
    return found


def find_kind(top: Path, kind: str, stack: str) -> str:
    """The kind of a tree; one that is none, or not of the kind that it is said to be, is a failure."""
    is_dsc = len(_list_dscs(top)) == 1
    is_ros = is_file(top, manifest.STACK) or bool(find_directories(top, manifest.CATKIN, other=manifest.CATKIN))
    seen = {DSC: is_dsc, DEBIAN: is_file(top, CHANGELOG), ROS: is_ros}
    if kind == AUTO:
        kind = next((each for each in (DSC, DEBIAN, ROS) if seen[each]), "")
    if kind in KINDS and seen[kind]:
        return kind
    wanted = {
        ROS: "stack.xml at its top, or package.xml",
        DEBIAN: CHANGELOG,
        DSC: "one .dsc at its top",
    }
    lacks = wanted.get(kind) or ", ".join(wanted.values())
    raise SlipwayError(
        "read the sources of",
        f"{stack} in {top}",
        f"there is no {lacks}" if kind else f"they are nothing that can be released: there is neither {lacks}",
        do_next="Check which directory of the repository the sources are in, and which kind they are.",
    )


def _list_dscs(top: Path) -> list[Path]:
    return sorted(path for path in top.glob("*.dsc") if is_file(top, path.name))


def _read_dsc(found: Source) -> None:
    found.dsc = _list_dscs(found.top)[0]
    found.debian, faults = read_dsc(found.dsc)
    found.faults += faults
    found.about = About(found.debian.source, found.debian.version)


def _read_rosbuild(found: Source, reader: ManifestReader, stack: str) -> None:
    about = reader.read_stack()
    if about.name not in ("", stack):
        reader.faults.append(f"{manifest.STACK} names the stack {about.name!r}, and it is to be {stack!r}")
    found.packages = _read_packages(reader, stack)
    _check_packages(found.packages, reader)
    if found.kind == ROS:
        found.about = replace(about, name=stack)


def _read_catkin(found: Source, reader: ManifestReader, stack: str) -> None:
    found.packages = _read_packages(reader, stack)
    _check_packages(found.packages, reader)
    found.is_catkin = True
    if found.kind == ROS:
        found.about = _choose_about(found.packages, reader, stack)


def _read_packages(reader: ManifestReader, stack: str) -> list[Package]:
    packages = []
    for directory in find_directories(reader.top, manifest.PACKAGE, other=manifest.CATKIN):
        if is_file(reader.top, f"{directory}/{manifest.CATKIN}".lstrip("/")):
            packages.append(reader.read_catkin(directory))
        else:
            packages.append(reader.read_package(directory, directory.rpartition("/")[2] or stack))
    return [package for package in packages if package.name]


def _check_packages(packages: Sequence[Package], reader: ManifestReader) -> None:
    first: dict[str, str] = {}
    for package in packages:
        place = package.path or "the top"
        if package.name in first:
            reader.faults.append(f"the package {package.name} is there twice, in {first[package.name]} and {place}")
        first.setdefault(package.name, place)


def _choose_about(packages: Sequence[Package], reader: ManifestReader, stack: str) -> About:
    """What a repository of catkin packages says of itself: the package at its top, of its name, or its metapackage."""
    versions: dict[str, list[str]] = {}
    for package in packages:
        versions.setdefault(package.about.version, []).append(package.name)
    if len(versions) > 1:
        text = ", ".join(f"{version} of {' '.join(names)}" for version, names in sorted(versions.items()))
        reader.faults.append(f"its packages have several versions: {text}")
    metapackages = [package for package in packages if package.is_metapackage]
    main = [package for package in packages if not package.path]
    main += [package for package in packages if package.name == stack]
    main += metapackages if len(metapackages) == 1 else []
    if main:
        return replace(main[0].about, name=stack)
    if not packages:
        return About(stack)
    reader.remarks.append("no package stands for all, so maintainer and address are those of the first")
    text = f"{count_of(len(packages), 'package')}:\n\n" + "\n".join(f"* {each.name}" for each in packages)
    return replace(packages[0].about, name=stack, brief=f"the packages of {stack}", description=text)


def _read_rosdep(found: Source) -> None:
    """What the stack says of rosdeps itself."""
    if not is_file(found.top, ROSDEP):
        return
    try:
        root, twice = read(read_inside(found.top, ROSDEP))
    except (NotPlainError, OSError) as error:
        found.faults.append(f"{ROSDEP}: {error}")
        return
    found.faults += [f"{ROSDEP}: {fault}" for fault in twice]
    plain = to_plain(root)
    if isinstance(plain, dict):
        found.rosdep = plain
    else:
        found.faults.append(f"{ROSDEP} line {root.line}: it is {root.kind}, not a mapping")
