# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tags of a stack's repository are releases that its distro file does not have yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..distro.file import Distro
from ..distro.tags import find_new_releases

TAGS = "refs/tags/"
#: What else git would take in a name goes into no command.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+%_/=-]*\Z")


@dataclass(frozen=True)
class ReleaseTag:
    """A tag that a stack's rule calls a release: its name, the version, and the object that it names."""

    tag: str
    version: str
    object: str


def find_new_tags(refs: Mapping[str, str], distro: Distro, stack: str) -> tuple[list[ReleaseTag], list[str]]:
    """The tags among ``refs`` for versions of a stack above that of the distro file, or for any; the newest first.

    Those that could be another stack's are left out, with a sentence for each.
    """
    names = [ref.removeprefix(TAGS) for ref in refs if ref.startswith(TAGS)]
    found, unclear = find_new_releases(distro, stack, filter(_NAME.match, names))
    return [ReleaseTag(each.tag, each.version, refs[f"{TAGS}{each.tag}"]) for each in reversed(found)], unclear
