# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stacks of a distribution that a run is about, and how what is made of them is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..deb.version import find_version_fault, strip_epoch
from ..errors import SlipwayError
from .file import Distro, Stack, load_distro
from .tags import find_tagged


def select_stacks(found: Mapping[str, Any], *, stack: str, version: str, directory: str) -> list[dict[str, Any]]:
    """The stacks to release, in the distro file's order: ``stack`` in ``version``, or all that have a version.

    ``found`` is what the module ``distro_file_info`` returned. Each stack has its ``name``, the ``version`` to
    release, its ``kind`` and ``values`` for that version, its ``label`` (``<stack>-<version>``, without an epoch), and
    the ``directory`` of its own below ``directory``.
    """
    distro = load_distro("", text=found["text"])
    if stack and stack not in distro.stacks:
        raise SlipwayError(
            "release the stack",
            stack,
            f"the distro file of {distro.name} does not have it, only {', '.join(sorted(distro.stacks))}",
            do_next="Add it there with its rules and no version, or correct the name.",
        )
    wanted = [distro.stacks[stack]] if stack else [each for each in distro.stacks.values() if each.version is not None]
    return [_describe_stack(distro, each, version or each.version, directory) for each in wanted]


def _describe_stack(distro: Distro, stack: Stack, version: str | None, directory: str) -> dict[str, Any]:
    if version is None:
        do_next = "Give the version, -e version=X.Y.Z."
        raise SlipwayError("release the stack", stack.name, "it has no version yet", do_next=do_next)
    fault = find_version_fault(version)
    if fault:
        do_next = "Give a version that Debian's packages can have."
        raise SlipwayError("release the stack", stack.name, f"the version '{version}' {fault}", do_next=do_next)
    if stack.rules is None:
        do_next = "Give it _rules there."
        raise SlipwayError(
            "release the stack", stack.name, "the distro file does not say where its source is", do_next=do_next
        )
    rules = stack.rules.expand(stack=stack.name, version=version, release=distro.name)
    label = f"{stack.name}-{strip_epoch(version)}"
    return {
        "name": stack.name,
        "version": version,
        "kind": rules.kind,
        "values": dict(rules.values),
        "label": label,
        "directory": f"{directory}/{distro.name}/{label}",
    }


def find_tagged_release(found: Iterable[Mapping[str, Any]], tag: str, *, stack: str) -> dict[str, str]:
    """The one distribution, stack and version that a tag means, and the address of the repository that has it.

    ``found`` is what the module ``distro_file_info`` returned for each distribution; ``stack`` may be empty.
    """
    distros = [load_distro("", text=each["text"]) for each in found]
    if stack:
        distros = [_keep_stack(distro, stack) for distro in distros]
    tagged = find_tagged(distros, tag)
    if len(tagged.distributions) > 1:
        reason = f"{tagged.stack} is in the distributions {', '.join(tagged.distributions)}"
        raise SlipwayError("release", f"the tag {tag}", reason, do_next="Say which one is meant, -e distro=NAME.")
    distribution = tagged.distributions[0]
    rules = next(distro for distro in distros if distro.name == distribution).stacks[tagged.stack].rules
    uri = "" if rules is None else rules.values["uri"] or ""
    return {"distribution": distribution, "stack": tagged.stack, "version": tagged.version, "uri": uri}


def _keep_stack(distro: Distro, stack: str) -> Distro:
    stacks = {name: entry for name, entry in distro.stacks.items() if name == stack}
    return Distro(distro.name, distro.version, stacks, {}, [], [])
