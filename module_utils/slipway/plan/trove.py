# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of a release on the public Trove."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..git.remote import COMMIT, list_names, list_remote_refs
from ..release import names

UNREACHABLE = "Check the network, your access to it and its address (release_definitions_url), and run again."
UNPROVISIONED = "Provision the Trove (playbooks/provision.yml), or correct release_definitions_url, and run again."


@dataclass(frozen=True)
class RemoteState:
    """What the public Trove holds of this release; commits are ``None`` where there is none."""

    branch_commit: str | None
    tag_commit: str | None
    ref_commit: str | None
    previous_tag: str | None
    previous_commit: str | None
    newer_tags: list[str]


def query_trove(url: str, release_names: names.Names, *, ref: str, timeout: float = 60.0) -> RemoteState:
    """Query in one call what the public Trove has of this release, and the release before it."""
    branch = f"refs/heads/{release_names.branch}"
    candidates = list_names(ref)
    tags = f"refs/tags/{release_names.project}-*"
    wanted = [pattern for candidate in candidates for pattern in (candidate, f"{candidate}^{{}}")]
    absent = url.startswith("/") and not os.path.exists(url)
    refs = list_remote_refs(
        *(url, branch, tags, *wanted),
        attempt="reach the definitions at",
        timeout=timeout,
        do_next=UNPROVISIONED if absent else UNREACHABLE,
    )

    def commit(name: str) -> str | None:
        return refs.get(f"{name}^{{}}") or refs.get(name)

    found = (name.removeprefix("refs/tags/") for name in refs if name.startswith("refs/tags/"))
    tagged = names.find_tagged_versions(release_names.project, (name for name in found if not name.endswith("^{}")))
    previous = names.find_previous_version(release_names.version, tagged)
    previous_tag = None if previous is None else tagged[previous]
    key = names.version_key(release_names.version)
    return RemoteState(
        branch_commit=commit(branch),
        tag_commit=commit(f"refs/tags/{release_names.tag}"),
        ref_commit=ref if COMMIT.match(ref) else next(filter(None, map(commit, candidates)), None),
        previous_tag=previous_tag,
        previous_commit=None if previous_tag is None else commit(f"refs/tags/{previous_tag}"),
        newer_tags=[tagged[each] for each in sorted(tagged, key=names.version_key) if names.version_key(each) > key],
    )
