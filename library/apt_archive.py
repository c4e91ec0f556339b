#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_archive
short_description: Manage the packages of an apt archive kept by reprepro
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Includes, removes and copies packages of one suite, or keeps the suite as a snapshot.
  - However many packages are given, the indexes are written once.
  - If C(conf/served) has lines C(directory PATH) and C(key FINGERPRINT), clients read in that directory. What reprepro
    exports is published there by one rename, with indexes by digest. Without it clients read what reprepro writes, file
    by file.
extends_documentation_fragment:
  - slipway.release.apt.archive
  - slipway.release.attributes
options:
  state:
    description:
      - What is to hold afterwards. With V(present) the suite has the O(debs), with V(copied) the packages of O(source),
        with V(absent) it is without O(packages), with V(snapshot) it is kept under O(name).
      - With V(received) the suite has what was uploaded into O(incoming). A file that cannot be included is named and
        kept aside, in C(incoming/<suite>/refused) of O(directory), and the others are included. Then the module fails.
        A C(.dsc) goes in with the files that it names, if all their digests are right and C(source) is among the
        architectures of the suite. One whose files are not all there yet stays, with a warning.
      - With V(exported) the suite has indexes, also one that had none yet, or whose settings changed since, or whose
        indexes or signatures clients cannot use.
    type: str
    choices: [present, absent, copied, received, snapshot, exported]
    default: present
  debs:
    description:
      - For O(state=present), the files. What is there already with the same bytes stays as it is.
      - A file is refused, and with it the whole call, if its version is there with other content, or is older than
        what is there.
    type: list
    elements: path
  incoming:
    description:
      - For O(state=received), the directory that is uploaded to, on the file system of O(directory).
      - Files are moved away from there, so that their uploader cannot reach them, and copied before they are looked at.
    type: path
  source_keyring:
    description:
      - For O(state=received), a file of public keys, armored or not. A C(.dsc) must have a good signature of one of
        them. Without it, no signature is looked at.
    type: path
  component:
    description:
      - For O(state=present) and O(state=received), the component. Without it reprepro chooses by the section of each
        package.
    type: str
  packages:
    description:
      - For O(state=absent), exactly what to remove. A package of which another version is there stays.
      - For O(state=copied), the packages to copy. Without it, all of them.
    type: list
    elements: dict
    suboptions:
      name:
        description: The package.
        type: str
        required: true
      version:
        description: Remove it in this version only. Without it, in any.
        type: str
      architecture:
        description: Remove it from the index of this architecture only. Without it, from all.
        type: str
  source:
    description: For O(state=copied), the suite that has the packages.
    type: str
  name:
    description: For O(state=snapshot), its name. Apt finds it as the suite C(<suite>/snapshots/<name>).
    type: str
attributes:
  check_mode:
    details: Looks at a copy of reprepro's database and tells what would be done.
  diff_mode:
    details: Shows the list of the suite's packages before and after.
"""

EXAMPLES = r"""
- name: Include what was built in the shadow archive
  slipway.release.apt_archive:
    directory: /srv/apt/shadow
    suite: bookworm
    debs:
      - /srv/build/ros-cturtle-ros_1.2.0-0~bookworm_amd64.deb

- name: Include what was uploaded
  slipway.release.apt_archive:
    directory: /srv/apt/shadow
    suite: bookworm
    state: received
    incoming: /srv/apt/incoming/bookworm

- name: Remove what must be built again
  slipway.release.apt_archive:
    directory: /srv/apt/shadow
    suite: bookworm
    state: absent
    packages:
      - name: ros-cturtle-navigation
        version: 1.0.1-0~bookworm
        architecture: i386
"""

RETURN = r"""
added:
  description: >-
    What came, as package, architecture (of the index; V(source) for source packages) and version.
  returned: when O(state) is V(present), V(absent), V(copied) or V(received)
  type: list
  elements: dict
updated:
  description: What has another version now, with RV(ignore:was).
  returned: when O(state) is V(present), V(absent), V(copied) or V(received)
  type: list
  elements: dict
removed:
  description: What went, as package, architecture and RV(ignore:was).
  returned: when O(state) is V(present), V(absent), V(copied) or V(received)
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import incoming, reprepro
from ..module_utils.slipway.apt.index import read_debs
from ..module_utils.slipway.errors import refuse
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import APT_ARCHIVE
from ..module_utils.slipway.module.report import run_module


def main() -> None:
    package = {"name": {"type": "str", "required": True}, "version": {"type": "str"}, "architecture": {"type": "str"}}
    run_module(
        act,
        {
            **APT_ARCHIVE,
            "state": {
                "type": "str",
                "choices": ["present", "absent", "copied", "received", "snapshot", "exported"],
                "default": "present",
            },
            "debs": {"type": "list", "elements": "path"},
            "incoming": {"type": "path"},
            # Where public keys are is not a secret.
            "source_keyring": {"type": "path", "no_log": False},
            "component": {"type": "str"},
            "packages": {"type": "list", "elements": "dict", "options": package},
            "source": {"type": "str"},
            "name": {"type": "str"},
        },
        required_if=[
            ("state", "present", ["debs"]),
            ("state", "absent", ["packages"]),
            ("state", "copied", ["source"]),
            ("state", "received", ["incoming"]),
            ("state", "snapshot", ["name"]),
        ],
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    state, suite = options["state"], options["suite"]
    if state == "exported":
        return {"changed": export(options, write=write)}
    debs = read_debs(options["debs"]) if state == "present" else []
    with reprepro.open_archive(
        options["directory"],
        gnupghome=options["gnupghome"],
        write=write,
        timeout=options["lock_timeout"],
    ) as archive:
        if state == "snapshot":
            return {"changed": archive.snapshot(suite, options["name"], write=write)}
        if state == "present":
            done = (
                archive.include(suite, debs, component=options["component"])
                if write
                else archive.plan_include(suite, debs)
            )
        elif state == "received":
            done = receive(archive, options, write=write)
        elif state == "absent":
            done = (archive.remove if write else archive.plan_remove)(suite, options["packages"])
        else:
            names = None if options["packages"] is None else [row["name"] for row in options["packages"]]
            done = (archive.copy if write else archive.plan_copy)(suite, options["source"], names)
    return {
        "changed": done.changed,
        "added": done.added,
        "updated": done.updated,
        "removed": done.removed,
        "warnings": done.waiting,
        "diff": diff_texts({suite: (reprepro.format_listing(done.before), reprepro.format_listing(done.after))}),
    }


def receive(archive: reprepro.Archive, options: dict[str, Any], *, write: bool) -> reprepro.Outcome:
    suite = options["suite"]
    places = incoming.locate_uploads(archive.base, suite, Path(options["incoming"]))
    component = options["component"]
    keyring = None if options["source_keyring"] is None else Path(options["source_keyring"])
    if write:
        done, findings = incoming.take_uploads(
            archive, suite, places, component=component, keyring=keyring, timeout=options["lock_timeout"]
        )
    else:
        done, findings = incoming.plan_uploads(archive, suite, places, component=component, keyring=keyring)
    refuse(
        "include all that was uploaded for",
        suite,
        findings,
        several="files are refused",
        do_next="Everything else is included. Upload these again, corrected.",
    )
    return done


def export(options: dict[str, Any], *, write: bool) -> bool:
    base, suite = Path(options["directory"]), options["suite"]
    home = None if options["gnupghome"] is None else Path(options["gnupghome"])
    due = reprepro.is_export_due(base, suite, gnupghome=home)
    if due and write:
        with reprepro.open_archive(base, gnupghome=home, timeout=options["lock_timeout"]) as archive:
            archive.find_suite(suite)
            archive.export(suite, anew=True)
    return due


if __name__ == "__main__":
    main()
