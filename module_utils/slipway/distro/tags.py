# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tags of source repositories mean: a version of a stack, by the ``release-tag`` of its rules.

Only rules of git are looked at. What stands for ``:`` and ``~`` in a tag is read back as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..deb.version import compare_versions, find_version_fault, version_key
from ..errors import SlipwayError
from .file import REF_SIGNS, VARIABLE, Distro, Stack


@dataclass(frozen=True)
class Tagged:
    """A version of a stack that a tag means, and the distributions that have the stack by this rule."""

    tag: str
    stack: str
    version: str
    distributions: tuple[str, ...]


def find_tagged(distros: Sequence[Distro], tag: str, *, uri: str | None = None) -> Tagged:
    """The one stack and version that a tag means, in all ``distros`` together; else the failure says what is unclear.

    ``uri`` is the repository that has the tag; without it any repository may.
    """
    found, refused = _match_tag(distros, tag, uri=uri)
    if len(found) == 1:
        return found[0]
    if found:
        meanings = " or ".join(f"{each.stack} {each.version}" for each in found)
        reason, do_next = f"it could be {meanings}", "Say which stack is meant, or change the rules of one."
    elif refused:
        reason, do_next = "; ".join(refused), "Tag a version that Debian's packages can have."
    else:
        names = ", ".join(distro.name for distro in distros)
        reason, do_next = f"no release-tag of {names} fits it", "Tag as the distro file's rules say."
    raise SlipwayError("find the stack of", f"the tag {tag}", reason, do_next=do_next)


def find_new_releases(distro: Distro, stack: str, tags: Iterable[str]) -> tuple[list[Tagged], list[str]]:
    """Which ``tags`` of a stack's repository are versions that come after the distro file's, the lowest first.

    Of a stack that is not released all are. Tags that could be another stack's of the same repository as well are
    left out, with a sentence for each; those that mean no version are none of ours.
    """
    entry = distro.stacks[stack]
    uri = None if entry.rules is None else entry.rules.values.get("uri")
    new: dict[str, Tagged] = {}
    remarks = []
    for tag in sorted({*tags}):
        found, _refused = _match_tag([distro], tag, uri=uri)
        mine = [each for each in found if each.stack == stack]
        if not mine or (entry.version is not None and compare_versions(mine[0].version, entry.version) <= 0):
            continue
        if len(found) > 1:
            meanings = " or ".join(f"{each.stack} {each.version}" for each in found)
            remarks.append(f"the tag {tag} could be {meanings}")
        else:
            new.setdefault(mine[0].version, mine[0])
    return sorted(new.values(), key=lambda each: version_key(each.version)), remarks


def _match_tag(distros: Sequence[Distro], tag: str, *, uri: str | None) -> tuple[list[Tagged], list[str]]:
    """What a tag can mean, and a sentence for each version in it that no package can have."""
    meant: dict[tuple[str, str], list[str]] = {}
    refused = {}
    for distro in distros:
        for stack in distro.stacks.values():
            if uri is not None and not _is_kept_at(stack, uri):
                continue
            for version in _read_version(stack, tag, distro.name):
                fault = find_version_fault(version)
                if fault is None:
                    meant.setdefault((stack.name, version), []).append(distro.name)
                else:
                    refused[stack.name, version] = f"{version!r} would be a version of {stack.name}, and {fault}"
    found = [Tagged(tag, name, version, tuple(places)) for (name, version), places in meant.items()]
    return found, [*refused.values()]


def _is_kept_at(stack: Stack, uri: str) -> bool:
    return stack.rules is not None and uri in (stack.rules.values.get("uri"), stack.rules.values.get("anon-uri"))


def _read_version(stack: Stack, tag: str, release: str) -> Iterator[str]:
    """The version in a tag, if it is made as the stack's rules say."""
    template = "" if stack.rules is None or stack.rules.kind != "git" else stack.rules.templates.get("release-tag", "")
    names = {"STACK_NAME": stack.name, "RELEASE_NAME": release}
    pattern, is_there = "", False
    # Text and the names of variables take turns.
    for number, part in enumerate(VARIABLE.split(template)):
        if number % 2 == 0 or part in names:
            pattern += re.escape(names[part] if number % 2 else part)
        elif part == "STACK_VERSION":
            pattern += "(?P=version)" if is_there else "(?P<version>.+)"
            is_there = True
    match = re.fullmatch(pattern, tag, re.DOTALL) if is_there else None
    if match is not None:
        version = match["version"]
        for sign, written in REF_SIGNS["git"].items():
            version = version.replace(written, sign)
        yield version
