#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_train_info
short_description: Find out which products of a project are due
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads C(releases.json) of a public address, judges by the schedule of each product in O(policy) whether it is due,
    and says why or why not, when it is next, and under which version what is due would be released.
  - Where a schedule depends on what changed, the definitions at the commit of the product's last release are compared
    with those of now, and the artifact keys of its systems in that release's manifest with O(keys).
  - A version that has begun on this host and is not finished is gone on with before anything else.
  - Run it where the release's records are, which is on the coordinator.
extends_documentation_fragment:
  - slipway.release.plan.defined
  - slipway.release.connection.https
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  project:
    description: The project.
    type: str
    required: true
  channel:
    description: The public address that has C(releases.json).
    type: str
    required: true
  date:
    description: The day to judge, such as V(2026-11-02). By default this one, in UTC.
    type: str
    default: ""
  version:
    description: The version under which what is due is released. By default that of the week, such as V(26.45).
    type: raw
  definitions:
    description: The repository that says what the systems are made of.
    type: dict
    required: true
    suboptions:
      url:
        description: Its URL on the public Trove.
        type: str
        required: true
      ref:
        description: The branch, tag or commit that would be released.
        type: str
        default: master
  state_directory:
    description: The directory below which each release has its own, V(releases/<version>).
    type: path
    required: true
  keys:
    description:
      - The artifact keys that the systems have now, by the systems' names. Without them a system counts as changed if
        what the definitions say of it does, and the table says that.
    type: dict
"""

EXAMPLES = r"""
- name: Find out what is due
  slipway.release.release_train_info:
    project: baserock
    policy: "{{ release_policy }}"
    channel: https://download.example.org/
    definitions: {url: ssh://git@git.example.org/baserock/baserock/definitions.git}
    state_directory: /srv/slipway
  register: train
"""

RETURN = r"""
day: {description: The day that was judged., returned: success, type: str, sample: "2026-11-02"}
version: {description: The version of what is due. Empty if nothing is., returned: success, type: str}
products:
  description: The names of the products that are due. Empty also if an unfinished version goes on with its own.
  returned: success
  type: list
  elements: str
unfinished: {description: Whether RV(version) has begun already., returned: success, type: bool}
next: {description: The next day on which something is due by the calendar., returned: success, type: str}
rows:
  description: Each product with its title, its last release, whether it is due, why, and when it is next.
  returned: success
  type: list
  elements: dict
table: {description: The same for people., returned: success, type: list, elements: str}
commit: {description: The commit that would be released., returned: success, type: str}
systems:
  description: The systems on whose artifact keys it depends what is due, with name, file and architecture.
  returned: success
  type: list
  elements: dict
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError, refuse
from ..module_utils.slipway.git.remote import find_named_commit
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, PLAN_DEFINED
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.trove import UNREACHABLE
from ..module_utils.slipway.policy.due import Changes
from ..module_utils.slipway.policy.schema import Policy, Product, read_policy
from ..module_utils.slipway.release.names import check_project, check_version
from ..module_utils.slipway.train.changes import Snapshot, find_changes, open_snapshot
from ..module_utils.slipway.train.public import Public, read_manifest, read_public
from ..module_utils.slipway.train.timetable import find_unfinished, make_timetable, read_day

DEFINITIONS = {"url": {"type": "str", "required": True}, "ref": {"type": "str", "default": "master"}}


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    project = check_project(options["project"])
    day = read_day(options["date"])
    version = check_version(options["version"]) if options["version"] else ""
    policy, faults = read_policy(options["policy"], project=project)
    refuse(
        "find out what is due by",
        "release_policy",
        faults,
        several="faults",
        do_next="Nothing was changed. Correct this and run again.",
    )
    public = read_public(
        options["channel"], project=project, timeout=options["timeout"], ca_path=options["ca_path"] or None
    )
    with ExitStack() as stack:
        now = stack.enter_context(_open_now(options, policy))

        def compare(product: Product) -> Changes:
            return _compare(product, now, public, options)

        table = make_timetable(
            policy,
            public.last,
            day=day,
            version=version,
            public=public.versions,
            unfinished=find_unfinished(
                Path(options["state_directory"], "releases"),
                public=public.versions,
                withdrawn=public.withdrawn,
                project=project,
            ),
            products=now.list_products(),
            find_changes=compare,
        )
        wanted = [product for product in policy.products if product.schedule.systems and product.name in public.last]
        systems = {name: each for product in wanted for name, each in now.list_systems(product).items()}
    return {
        "changed": False,
        **table.describe(),
        "commit": now.definitions.commit,
        "systems": list(systems.values()),
    }


def _open_now(options: dict[str, Any], policy: Policy) -> Any:
    definitions = options["definitions"]
    if not definitions["url"]:
        raise SlipwayError(
            "find out what is due of",
            policy.project,
            "release_definitions_url is empty; a train releases what is made of definitions",
            do_next="Nothing was changed. Give the URL of the definitions on the public Trove.",
        )
    commit = find_named_commit(
        definitions["url"],
        definitions["ref"],
        attempt="reach the definitions at",
        do_next=UNREACHABLE,
        timeout=options["timeout"],
    )
    if commit is None:
        raise SlipwayError(
            "find",
            f"{definitions['ref']} in {definitions['url']}",
            "it has no branch or tag of this name",
            do_next="Set release_definitions_ref to a branch, a tag or a whole commit, and run again.",
        )
    return open_snapshot(definitions["url"], commit, cluster=options["cluster"], policy=policy)


def _compare(product: Product, now: Snapshot, public: Public, options: dict[str, Any]) -> Changes:
    """What changed since a product's last release; nothing is known if that does not say what it was made of."""
    manifest = read_manifest(public, product.name, timeout=options["timeout"], ca_path=options["ca_path"] or None)
    commit = manifest.get("commit")
    if not isinstance(commit, str):
        return Changes()
    cluster = str(manifest.get("cluster") or options["cluster"])
    url = options["definitions"]["url"]
    with open_snapshot(url, commit, cluster=cluster, policy=now.policy) as before:
        return find_changes(product, before, now, manifest=manifest, keys=options["keys"])


def main() -> None:
    run_module(
        act,
        {
            **PLAN_DEFINED,
            **CONNECTION_HTTPS,
            "project": {"type": "str", "required": True},
            "channel": {"type": "str", "required": True},
            "date": {"type": "str", "default": ""},
            "version": {"type": "raw"},
            "definitions": {"type": "dict", "required": True, "options": DEFINITIONS},
            "state_directory": {"type": "path", "required": True},
            "keys": {"type": "dict", "no_log": False},
        },
    )


if __name__ == "__main__":
    main()
