# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate of a release: its version is the wanted one, and it depends on what it says it does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..deb.version import find_version_fault, strip_epoch
from ..errors import SlipwayError
from ..release.artifact import find_name_fault
from .controlfile import ROS
from .manifest import STACK_NAME
from .source import Source

#: The stack that all others are made with, in distributions that have it.
IMPLICIT = "ros"


@dataclass(frozen=True)
class Known:
    """What is known of another stack: the packages in it, and the stacks that it depends on."""

    packages: Sequence[str] = ()
    depends: Sequence[str] = ()


@dataclass
class Verdict:
    """What the gate found: the stacks to depend on, the rosdep keys with who needs them, and what is wrong."""

    depends: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_known(values: Mapping[str, Any]) -> dict[str, Known]:
    """Other stacks as modules are given them: a list of packages, or a mapping with ``packages`` and ``depends``."""
    known = {}
    for name, value in values.items():
        fields = value if isinstance(value, Mapping) else {"packages": value}
        lists = [fields.get(key) or [] for key in ("packages", "depends")]
        if not all(isinstance(each, (list, tuple)) for each in lists):
            do_next = "Give a list of packages, or a mapping with the lists packages and depends."
            raise SlipwayError("use what is known of", name, f"it is {value!r}", do_next=do_next)
        known[name] = Known(*(tuple(map(str, each)) for each in lists))
    return known


def check_names(stack: str, version: str) -> None:
    """Refuse a stack or a version that cannot be named."""
    do_next = "Correct the distro file, or what was asked for, and run again."
    if not STACK_NAME.match(stack):
        raise SlipwayError("release the stack", repr(stack), "it cannot be the name of a stack", do_next=do_next)
    if fault := find_version_fault(version):
        raise SlipwayError("release the stack", stack, f"the version {version!r} {fault}", do_next=do_next)
    if fault := find_name_fault(f"{stack}-{strip_epoch(version)}"):
        raise SlipwayError("release the stack", stack, fault, do_next=do_next)


def judge_source(
    source: Source,
    version: str,
    *,
    known: Mapping[str, Known],
    stacks: Collection[str],
    keys: Collection[str],
) -> Verdict:
    """Judge a tree that is to be ``version`` of its stack, in a distribution of ``stacks``.

    ``keys`` are those that rosdep data names.
    """
    verdict = Verdict(faults=[*source.faults], remarks=[*source.remarks])
    _check_version(source, version, verdict)
    if source.kind == ROS:
        _check_depends(source, verdict, known, stacks=stacks, keys=keys)
    return verdict


def _check_version(source: Source, version: str, verdict: Verdict) -> None:
    own = source.about.version
    if not own:
        if not source.faults:
            verdict.faults.append(f"its sources name no version, and {version} is to be released")
        return
    if fault := find_version_fault(own):
        if source.kind == ROS:  # those of Debian sources are looked at where they are read
            verdict.faults.append(f"its version {own!r} {fault}")
        return
    # An epoch is the distribution's in ROS, whose manifests have none, and the package's in Debian.
    same = strip_epoch(version) == own if source.kind == ROS else version == strip_epoch(own)
    if version != own and not same:
        verdict.faults.append(f"its sources are version {own}, and {version} is to be released")


def _check_depends(
    source: Source,
    verdict: Verdict,
    known: Mapping[str, Known],
    *,
    stacks: Collection[str],
    keys: Collection[str],
) -> None:
    stack, declared = source.about.name, source.about.depends
    for name in declared:
        if name == stack:
            verdict.faults.append(f"{stack} depends on itself")
        elif name not in stacks:
            verdict.faults.append(f"it depends on the stack {name}, which is not in the distro file")
    needed = _find_needed(source, verdict, known, stacks=stacks, keys=keys)
    covered = {*declared, *(below for name in declared if name in known for below in known[name].depends)}
    if source.is_catkin:
        covered |= needed.keys()  # what its packages depend on is all that it declares
    for name in sorted(needed.keys() - covered):
        if name == IMPLICIT and IMPLICIT in stacks:
            verdict.remarks.append(f"it depends on the stack {IMPLICIT}, without saying so")
        else:
            verdict.faults.append(f"it does not declare that it depends on the stack {name}: {needed[name]}")
    direct = needed.keys() if source.is_catkin else {IMPLICIT} & needed.keys() & {*stacks}
    verdict.depends = sorted({*declared, *direct} - {stack})


def _find_needed(
    source: Source,
    verdict: Verdict,
    known: Mapping[str, Known],
    *,
    stacks: Collection[str],
    keys: Collection[str],
) -> dict[str, str]:
    """The other stacks that the packages need, each with a reason; keys and what nobody has go to the verdict."""
    own = {package.name for package in source.packages}
    owners = {package: name for name in sorted(known) for package in known[name].packages}
    needed: dict[str, str] = {}
    for package in source.packages:
        for name in package.keys:
            verdict.keys.setdefault(name, f"the package {package.name}")
        for name in package.needs:
            owner = owners.get(name)
            if name in own:
                continue
            if owner is not None and owner != source.about.name:
                needed.setdefault(owner, f"{package.name} needs {name}")
            elif name in keys or name in source.rosdep:
                verdict.keys.setdefault(name, f"the package {package.name}")
            elif name in stacks and name not in known and name != source.about.name:
                needed.setdefault(name, f"{package.name} needs {name}")
            else:
                verdict.faults.append(
                    f"{package.name} depends on {name}, which is in no stack that is known, and no rosdep key"
                )
    return needed
