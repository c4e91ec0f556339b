#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_excuses
short_description: Tell why stacks of a distribution are not released, and how their builds went
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes C(excuses.json) and C(excuses.html) into a directory. For each stack they say where it is released, what
    blocks it, since when, whom it blocks in turn, and the command that helps; and how the last builds went.
  - C(excuses.atom) is a feed of the newest results of builds.
  - Files change only when facts do. A reason that the C(excuses.json) of an earlier run has for the same stack, code
    and place keeps its date; a new one gets the day of O(now).
  - What was told of stacks that the distribution does not have (any more) counts for nothing; excludes and holds of
    such are remarks.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  directory:
    description: Where the files are written. It is made if it is absent.
    type: path
    required: true
  distribution:
    description: The name of the distribution.
    type: str
    required: true
  stacks:
    description:
      - The stacks of the distro file by their names, as C(distro_file_info) returns them.
      - Each is a mapping with C(version), a text, or null for one that is not to be released yet. C(package), the
        name of its package or of its source package, and C(source_version), where its version in the shadow archive is
        not O(source_version), are optional. Other keys are not read.
    type: dict
    required: true
  platforms:
    description: The platforms, each with C(name) and C(architectures), a list. Other keys are not read.
    type: list
    elements: dict
    required: true
  shadow:
    description:
      - 'What is in the shadow archive, as C({platform: {architecture: {package: version}}}).'
    type: dict
  fixed:
    description:
      - The same of the archive of releases. Without it and O(fixed_public) nobody looks whether a stack is released.
    type: dict
  shadow_public:
    description: The directory of the shadow archive that is served. Its indexes are read.
    type: path
  fixed_public:
    description: The directory of the archive of releases that is served. Its indexes are read.
    type: path
  component:
    description: The component of the archives.
    type: str
    default: main
  excludes:
    description:
      - Stacks that may be missing, each with C(stack), C(places) (C(bookworm-i386), or C(bookworm) for all
        architectures; without places everywhere), C(reason), and C(until), C(YYYY-MM-DD), the last day on which it
        holds.
    type: list
    elements: dict
    default: []
  holds:
    description: The stacks that are held by name, with the reason of each.
    type: dict
    default: {}
  plan:
    description: The plan of the next run, as C(deb_plan_info) returns it.
    type: dict
  builds:
    description:
      - Builds, each with C(stack), C(platform), C(architecture) and C(state), one of V(failed), V(ok) and V(running).
      - C(log) is the address or the path of its log, C(at) the time in seconds since the epoch or in ISO 8601,
        C(version) the version of the stack that was built, or of its source package. Of several, the last one counts;
        those of other versions do not.
      - C(stage), C(reason), C(host), C(seconds), by step, and C(reproduced), what a second build said, are told if they
        are there.
    type: list
    elements: dict
    default: []
  builds_directory:
    description:
      - The directory in which M(slipway.release.deb_builds) keeps results and logs. The results that are there count
        like O(builds), and the logs of those that the page names are published below C(logs/) in O(directory), of long
        ones beginning and end. Logs that it does not name any more are removed from there.
      - Nothing is read if it is not there.
    type: path
  url:
    description: The address of O(directory) for readers of the feed, who need it where they keep links as they are.
    type: str
    default: ""
  sources:
    description:
      - Source packages, each with C(stack), C(platform), C(reason) and C(state), one of V(ok), V(failed), V(refused),
        and V(unsupported) for one that is not made because the stack does not support the platform.
    type: list
    elements: dict
    default: []
  uninstallable:
    description:
      - Packages that cannot be installed, each with C(package), C(platform), C(architecture) and C(reason), a
        sentence of the solver. Without C(package), it is of those that the sentence names with their versions in the
        shadow archive.
    type: list
    elements: dict
    default: []
  depends:
    description:
      - 'The stacks that each stack depends on, as C({stack: [stacks]}).'
    type: dict
    default: {}
  package_name:
    description: How packages are called, with C({distribution}) and C({stack}).
    type: str
    default: "{stack}"
  source_version:
    description: The version in the shadow archive, with C({version}) and C({platform}).
    type: str
    default: "{version}-0~{platform}"
  stamped_version:
    description: The version in the archive of releases, as M(slipway.release.stamp_plan) takes it.
    type: str
    default: "{version}-{release}~{platform}"
  distro_command:
    description: The command that builds a stack again, with C({distribution}) and C({stack}).
    type: str
    default: ansible-playbook playbooks/debs.yml -e distro={distribution} -e stack={stack}
  release_command:
    description: The command that releases a version of a stack, with C({version}) too.
    type: str
    default: ansible-playbook playbooks/debs.yml -e distro={distribution} -e stack={stack} -e version={version}
  now:
    description: The time in seconds since the epoch, for dates. The default is now.
    type: int
attributes:
  diff_mode:
    details: Shows how each stack stands and why, a line each, or which file changes where that is all the same.
"""

EXAMPLES = r"""
- name: Write the excuses
  slipway.release.deb_excuses:
    directory: /srv/apt/public/excuses/cturtle
    distribution: cturtle
    stacks: "{{ distro.stacks }}"
    platforms: "{{ debs_platforms | slipway.release.target_platforms(debs_targets, 'cturtle') }}"
    shadow_public: /srv/apt/public/shadow
    fixed_public: /srv/apt/public/fixed
    excludes: "{{ debs_excludes.cturtle | default([]) }}"
    holds: {mapping: waits for the new solver}
    plan: "{{ plan }}"
    builds: "{{ builds }}"

- name: Write them from what is known already
  slipway.release.deb_excuses:
    directory: /srv/excuses
    distribution: cturtle
    stacks: {ros: {version: 1.2.0}, navigation: {version: 1.0.1}, mapping: {version: null}}
    platforms: [{name: bookworm, architectures: [amd64, i386]}]
    shadow: {bookworm: {amd64: {ros-cturtle-ros: 1.2.0-0~bookworm}}}
    depends: {navigation: [ros]}
"""

RETURN = r"""
files:
  description: The names of the files that were written.
  returned: success
  type: list
  elements: str
logs:
  description: The names of the logs that were published, and of those that were removed.
  returned: success
  type: list
  elements: str
  sample: [logs/bookworm-amd64/ros-cturtle-navigation_1.0.1-0~bookworm.txt]
counts:
  description:
    - The number of C(stacks), and of those in each state. A stack is in the first of these states that it has anywhere,
      C(unreleased), C(blocked), C(building), C(built), C(released), C(excluded).
  returned: success
  type: dict
  sample: {stacks: 9, unreleased: 1, blocked: 5, building: 0, built: 1, released: 2, excluded: 0}
first:
  description:
    - The stacks to begin with, at most 25, those that block the most others first.
    - Each has C(stack), C(blocks) and C(reasons) (how many of each), C(codes), C(places), C(since), the sentences
      C(what), C(why) and C(helps), and the C(command) or null. All of C(excuses.json) is described in docs/excuses.md.
  returned: success
  type: list
  elements: dict
  sample:
    - stack: navigation
      blocks: 2
      reasons: 1
      codes: [build-failed]
      places: [bookworm-amd64]
      since: "2026-11-28"
      what: "bookworm (amd64): the build of navigation 1.0.1 failed."
      why: The last attempt ended with an error.
      helps: Read the end of the log, which names the error.
      command: ansible-playbook playbooks/debs.yml -e distro=cturtle -e stack=navigation
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.distro import excuses_builds, excuses_files
from ..module_utils.slipway.distro.excuses import build_excuses
from ..module_utils.slipway.distro.excuses_facts import Versions
from ..module_utils.slipway.distro.excuses_feed import render_feed
from ..module_utils.slipway.distro.excuses_input import list_places, read_facts
from ..module_utils.slipway.distro.excuses_page import MOST_FIRST, render_page
from ..module_utils.slipway.distro.release import Names
from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.report import run_module


def act(given: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory = Path(given["directory"])
    results, names = read_results(given)
    links = {log: excuses_builds.make_link(name) for log, name in names.items()}
    facts = read_facts(
        {**given, "builds": [*results, *given["builds"]]},
        links=links,
        shadow=read_archive(given, "shadow"),
        fixed=read_archive(given, "fixed"),
        now=int(time.time()) if given["now"] is None else given["now"],
    )
    previous = excuses_files.read_previous(directory, given["distribution"])
    excuses = build_excuses(facts, previous)
    texts = {
        excuses_files.DATA: excuses_files.format_data(excuses),
        excuses_files.PAGE: render_page(excuses, has_queue=(directory / excuses_files.QUEUE).is_file()),
        excuses_files.FEED: render_feed(excuses, url=given["url"]),
    }
    told = {build.log: names[build.log] for build in facts.builds.values() if build.log in names}
    logs = excuses_builds.publish_logs(directory, told, write=write)
    changed = excuses_files.publish_texts(directory, texts, write=write)
    logs += excuses_builds.remove_logs(directory, told.values(), write=write) if given["builds_directory"] else []
    before, after = ("".join(excuses_files.list_lines(each or {})) for each in (previous, excuses))
    diff = {"before": before, "after": after} if before != after else diff_added([*changed, *logs])
    return {
        "changed": bool(changed or logs),
        "files": changed,
        "logs": logs,
        "counts": excuses["counts"],
        "first": excuses["first"][:MOST_FIRST],
        **({"diff": diff} if changed or logs else {}),
    }


def read_results(given: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What the directory of builds has, and the names under which logs are published, by their paths."""
    if given["builds_directory"] is None:
        return [], {}
    directory = Path(given["builds_directory"])
    results = excuses_builds.read_results(directory)
    return results, excuses_builds.name_logs(directory, {row["log"] for row in results if row["log"]})


def read_archive(given: dict[str, Any], name: str) -> Versions | None:
    """What an archive holds, from its indexes or as it was given; None if nobody looked."""
    if given[f"{name}_public"]:
        places = list_places(given["platforms"])
        return excuses_files.read_archive(Path(given[f"{name}_public"]), places, component=given["component"])
    return None if given[name] is None else excuses_files.read_versions(given[name], what=f"the {name} archive")


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path", "required": True},
            "distribution": {"type": "str", "required": True},
            "stacks": {"type": "dict", "required": True},
            "platforms": {"type": "list", "elements": "dict", "required": True},
            "shadow": {"type": "dict"},
            "fixed": {"type": "dict"},
            "shadow_public": {"type": "path"},
            "fixed_public": {"type": "path"},
            "component": {"type": "str", "default": "main"},
            "excludes": {"type": "list", "elements": "dict", "default": []},
            "holds": {"type": "dict", "default": {}},
            "plan": {"type": "dict"},
            **{
                name: {"type": "list", "elements": "dict", "default": []}
                for name in ("builds", "sources", "uninstallable")
            },
            "builds_directory": {"type": "path"},
            "url": {"type": "str", "default": ""},
            "depends": {"type": "dict", "default": {}},
            "package_name": {"type": "str", "default": Names.package},
            "source_version": {"type": "str", "default": Names.shadow},
            "stamped_version": {"type": "str", "default": Names.stamped},
            "distro_command": {
                "type": "str",
                "default": "ansible-playbook playbooks/debs.yml -e distro={distribution} -e stack={stack}",
            },
            "release_command": {
                "type": "str",
                "default": "ansible-playbook playbooks/debs.yml -e distro={distribution} -e stack={stack} "
                "-e version={version}",
            },
            "now": {"type": "int"},
        },
        required_one_of=[("shadow", "shadow_public")],
        mutually_exclusive=[("shadow", "shadow_public"), ("fixed", "fixed_public")],
    )


if __name__ == "__main__":
    main()
