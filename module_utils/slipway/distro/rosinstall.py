# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rosinstall files: a list of sources, which tools check out side by side, one directory for each stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import refuse
from .file import ALL, Distro, Rules

try:
    import yaml
except ImportError:  # the failure is raised when a file is to be read, before one is written
    yaml = None  # type: ignore[assignment]  # absent on a host that reads no distro file

#: What a stack's rule says of each point: the key of what to check out. Subversion has addresses for them.
POINTS: Mapping[str, str] = {"development": "dev-branch", "distro": "distro-tag", "release": "release-tag"}
_SVN = {**POINTS, "development": "dev"}


@dataclass(frozen=True)
class Rosinstall:
    """The text of the file, the stacks in it, and why others are not."""

    text: str
    stacks: list[str]
    remarks: list[str]


def make_rosinstall(
    distro: Distro,
    *,
    at: str = "development",
    stacks: Sequence[str] = (),
    variants: Sequence[str] = (),
    anonymous: bool = False,
) -> Rosinstall:
    """List the sources of the ``stacks`` and those of the ``variants``, of all if neither is given.

    ``at`` is one of :data:`POINTS`. A stack that is named itself and has no source there is refused, others are left
    out with a remark.
    """
    chosen = _choose_stacks(distro, stacks, variants)
    entries, absent = {}, {}
    for name in chosen:
        rules = distro.stacks[name].rules
        fault = _find_fault(rules, at)
        if rules is None or fault is not None:
            absent[name] = fault or ""
        else:
            entries[name] = {rules.kind: _describe_source(name, rules, at, anonymous=anonymous)}
    refuse(
        "write a rosinstall file of",
        distro.name,
        [f"{name} {fault}" for name, fault in absent.items() if name in stacks],
        do_next="Leave it out, or choose another point of the sources.",
    )
    text = yaml.safe_dump([*entries.values()], sort_keys=False, default_flow_style=False, width=1 << 30)
    return Rosinstall(text, [*entries], [f"{name} {fault}, and is left out" for name, fault in absent.items()])


def _choose_stacks(distro: Distro, stacks: Sequence[str], variants: Sequence[str]) -> list[str]:
    """The stacks in the order of the distro file."""
    unknown = [f"there is no stack {name}" for name in stacks if name not in distro.stacks]
    unknown += [f"there is no variant {name}" for name in variants if name not in distro.variants and name != ALL]
    refuse("write a rosinstall file of", distro.name, unknown, do_next="Use names of the distro file.")
    if (not stacks and not variants) or ALL in variants:
        return [*distro.stacks]
    wanted = {*stacks, *(stack for name in variants for stack in distro.variants[name].stacks)}
    return [name for name in distro.stacks if name in wanted]


def _find_fault(rules: Rules | None, at: str) -> str | None:
    """Why a stack cannot stand in the file; the words complete its name."""
    if rules is None:
        return "has no rule that says where its source is"
    if rules.kind == "dsc":
        return "is a source package (dsc), which rosinstall does not know"
    keys = [_SVN[at]] if rules.kind == "svn" else ["uri", POINTS[at]]
    return None if all(rules.values.get(key) for key in keys) else f"is not released, so it has no {keys[-1]}"


def _describe_source(name: str, rules: Rules, at: str, *, anonymous: bool) -> dict[str, str]:
    prefix = "anon-" if anonymous else ""
    if rules.kind == "svn":
        return {"local-name": name, "uri": rules.values[f"{prefix}{_SVN[at]}"] or ""}
    version = rules.values[POINTS[at]] or ""
    return {"local-name": name, "uri": rules.values[f"{prefix}uri"] or "", "version": version}
