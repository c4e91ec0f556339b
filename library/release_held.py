#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_held
short_description: Merge the changes of the definitions that waited for a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Merges each branch that waited for this release, or for an earlier one, into the branch that the definitions are
    developed on, and takes it out of the file that lists such changes.
  - What conflicts is left as it is, and only whole merges are pushed. Where the branch moves meanwhile, they are made
    anew.
  - What is merged already, waits for a later release, or is no branch any more, is told and is no failure.
extends_documentation_fragment:
  - slipway.release.git.author
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the definitions.
    type: str
    required: true
  branch:
    description: The branch that they are developed on.
    type: str
    required: true
  label:
    description: What the release is called.
    type: str
    required: true
  version:
    description: Its version.
    type: str
    required: true
  held:
    description: The changes, as the policy has them.
    type: list
    elements: dict
    default: []
    suboptions:
      branch:
        description: The branch.
        type: str
        required: true
      until:
        description: The version that it waits for.
        type: str
        required: true
      why:
        description: Why it waits, in one line.
        type: str
        default: ""
  file:
    description:
      - A file on the branch that lists more of them, with the same keys. It need not exist.
    type: str
    default: ""
  whole:
    description: Whether all changes that are due are merged, or none of them.
    type: bool
    default: false
  understood:
    description:
      - From which release on Morph understands which versions of the definitions' format, see
        M(slipway.release.release_tools_info). What the Morph of this release does not understand is not merged.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Merge what waited for this release
  slipway.release.release_held:
    repository: ssh://git@git.example.org/baserock/baserock/definitions
    branch: master
    label: baserock-26.47
    version: "26.47"
    file: held.yml
"""

RETURN = r"""
before: {description: The branch's commit before., returned: success, type: str}
commit: {description: The branch's commit after., returned: success, type: str}
results:
  description: What became of each change.
  returned: success
  type: list
  elements: dict
  contains:
    branch: {description: Its branch., type: str}
    until: {description: The version that it waited for., type: str}
    why: {description: Why it waited., type: str}
    state:
      description:
        - V(merged), V(already), V(waiting) or V(gone); V(conflict), V(refused) or V(left) if somebody must see to it.
      type: str
    commit: {description: The commit of the branch. Empty if there is none., type: str}
    merge: {description: The merge. Empty if there is none., type: str}
    reason: {description: Why it was not merged., type: str}
    files: {description: The files in conflict., type: list, elements: str}
unlisted: {description: The changes that were taken out of the file., returned: success, type: list, elements: str}
failed_changes: {description: Those that somebody must see to., returned: success, type: list, elements: str}
"""

from typing import Any

from ..module_utils.slipway.cycle.format import FILES, find_format_fault, read_format
from ..module_utils.slipway.cycle.held import merge_lists, read_held_file, remove_held
from ..module_utils.slipway.cycle.merge import ALREADY, MERGED, Merges, Wanted, merge_held
from ..module_utils.slipway.errors import SlipwayError, refuse
from ..module_utils.slipway.git.files import edit_file
from ..module_utils.slipway.git.remote import Person, find_remote_commit
from ..module_utils.slipway.module.options import GIT_AUTHOR
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.definitions import Definitions, open_commit
from ..module_utils.slipway.policy.held import Held, read_held


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    person = Person(wanted["name"], wanted["email"], wanted["epoch"])
    held, faults = read_held(wanted["held"], "release_policy.held")
    refuse("read", "the held changes", faults, several="faults", do_next="Correct the policy, and run again.")
    listed = _read_list(wanted) if wanted["file"] else []

    def judge(repository: Any, tree: str) -> str | None:
        """Why this release's own tool does not take the definitions of a tree."""
        on = "the merge"
        stated = read_format(Definitions(repository, tree, on).read(FILES), on=on)
        if stated is None or stated.tool != "morph":
            return None
        fault = find_format_fault(stated, wanted["version"], table=wanted["understood"])
        return None if fault is None else f"{wanted['label']} does not take {stated.describe()}, since {fault}"

    names = {name: wanted[name] for name in ("branch", "label", "version", "whole")}
    merges = merge_held(
        Wanted(wanted["repository"], held=merge_lists(held, listed), person=person, **names), judge=judge, write=write
    )
    done = {each["branch"] for each in merges.results if each["state"] in (MERGED, ALREADY)}
    unlisted = [each.branch for each in listed if each.branch in done]
    commit = merges.after
    if unlisted and write:
        commit = _remove_entries(wanted, unlisted, person) or commit
    return {
        "changed": merges.after != merges.before or bool(unlisted),
        "before": merges.before,
        "commit": commit,
        "results": merges.results,
        "unlisted": unlisted,
        "failed_changes": _explain_failed(merges, wanted["branch"]),
        "diff": {"before": "", "after": "".join(_describe(each, wanted["branch"]) for each in merges.results)},
    }


def _read_list(wanted: dict[str, Any]) -> list[Held]:
    url, branch = wanted["repository"], wanted["branch"]
    head = find_remote_commit(url, f"refs/heads/{branch}")
    if head is None:
        return []  # told by the merge
    with open_commit(url, head) as repository:
        data = Definitions(repository, head, branch).read([wanted["file"]])[wanted["file"]]
    return read_held_file(data, where=f"{wanted['file']} of {branch}")


def _remove_entries(wanted: dict[str, Any], branches: list[str], person: Person) -> str | None:
    """Take what is merged out of the list, on top of whatever the branch has by then."""

    def edit(text: str) -> str:
        edited = remove_held(text.encode(), branches, where=wanted["file"])
        if edited is None:
            raise SlipwayError(
                "take merged changes out of",
                f"{wanted['file']} of {wanted['branch']}",
                "it is not one entry after the other, each on lines of its own",
                do_next=f"Remove {', '.join(branches)} from it by hand, and run again: they are merged.",
            )
        return edited.decode()

    message = f"Hold {', '.join(branches)} no longer\n\n{wanted['label']} is released.\n"
    done = edit_file(wanted["repository"], wanted["branch"], wanted["file"], edit=edit, message=message, person=person)
    return done.head


def _explain_failed(merges: Merges, branch: str) -> list[str]:
    return [f"the held change {each['branch']} is not merged into {branch}: {each['reason']}" for each in merges.failed]


def _describe(result: dict[str, Any], branch: str) -> str:
    what = {MERGED: f"is merged into {branch}", ALREADY: f"is in {branch} already"}
    return f"{result['branch']} {what.get(result['state'], '') or 'stays: ' + result['reason']}\n"


def main() -> None:
    entry = {
        "branch": {"type": "str", "required": True},
        "until": {"type": "str", "required": True},
        "why": {"type": "str", "default": ""},
    }
    run_module(
        act,
        {
            **GIT_AUTHOR,
            "repository": {"type": "str", "required": True},
            "branch": {"type": "str", "required": True},
            "label": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "held": {"type": "list", "elements": "dict", "default": [], "options": entry},
            "file": {"type": "str", "default": ""},
            "whole": {"type": "bool", "default": False},
            "understood": {"type": "list", "elements": "dict", "default": []},
        },
    )


if __name__ == "__main__":
    main()
