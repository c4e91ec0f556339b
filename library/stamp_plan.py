#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stamp_plan
short_description: Plan the version-locked release of a distribution or a set of packages and verify the plan
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads a distro file, the indexes of the shadow archive and what is published, and plans the release that the
    distro file describes.
  - Four gates must be passed, and all their findings are listed together. Every stack of the distro file is there in
    its version on every architecture, unless it is excluded by name. Every package is the same version on all
    architectures. No package is older than the one that is published. A solver finds that every package can be
    installed on its platform.
  - Without a distro file, a set of packages gets a release, O(set) and O(release). It is made of packages of the shadow
    archive by their names (O(packages)), of debs in directories (O(debs)), or of packages that apt fetches and
    verifies (O(sources)). The gates are the same.
  - The shadow archive is read in one generation, which RV(provenance) names. What is published there meanwhile is not
    in the release.
  - A release that clients have seen already is only looked at. It must have been made from the same stacks, versions,
    variants and platforms, and all its files must be there.
requirements:
  - dose-debcheck (Debian's dose-distcheck)
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  distro_file:
    description: The distro file, which names the distribution, its release, stacks, versions and variants.
    type: path
  distro_text:
    description: Its text, if O(distro_file) is on another machine.
    type: str
  set:
    description: Without a distro file, what the set of packages is called, in the place of a distribution's name.
    type: str
  release:
    description: With O(set), the name of its release. Letters, digits and C(. + ~).
    type: str
  packages:
    description:
      - With O(set), the packages by their names, or by that of their source, which means all packages of it. With
        C(=version) no other version will do. Without any, all that are there belong to it.
    type: list
    elements: str
    default: []
  debs:
    description:
      - With O(set), debs or directories of debs that it is made of. C({platform}) is filled in.
    type: list
    elements: path
    default: []
  sources:
    description:
      - With O(set) and O(packages), where apt fetches it, as lines of C(sources.list). C({platform}) is filled in. Of
        several versions the highest is taken.
    type: list
    elements: str
    default: []
  variants:
    description: With O(set), metapackages, each with the list of packages of the set that it depends on.
    type: dict
    default: {}
  generation:
    description:
      - The generation of the shadow archive, which keeps the current one and the one before. V(0) is the current one.
    type: int
    default: 0
  required_stacks:
    description: Stacks that the distro file must have.
    type: list
    elements: str
    default: []
  shadow:
    description: The shadow archive, what reprepro calls its base directory. Not needed with O(debs) or O(sources).
    type: path
  gnupghome:
    description:
      - The GnuPG directory of the archives' keys, to put the shadow archive in order after a killed user, and to verify
        the signatures of what is published.
    type: path
  published:
    description: The directory of the published archive.
    type: path
    required: true
  component:
    description: The component of both archives.
    type: str
    default: main
  platforms:
    description: The platforms to release for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its codename, which is the suite in both archives.
        type: str
        required: true
      architectures:
        description: Debian's names of its architectures.
        type: list
        elements: str
        required: true
      base:
        description:
          - Where its own packages are, as lines of C(sources.list). The word C(machine) in the place of an address
            stands for the mirror from which the host's own apt takes that suite.
        type: list
        elements: str
        required: true
      version:
        description: Its number. Not used here, as all that follows.
        type: str
      distribution:
        description: Whose release it is.
        type: str
      mirror:
        description: Where it is.
        type: str
      components:
        description: Its components.
        type: list
        elements: str
  base_directory:
    description: Where the package lists of the platforms' own packages are kept.
    type: path
    required: true
  excludes:
    description:
      - Stacks or packages that may be missing, and are left out. Each has the list of places, such as
        V(lucid-i386), where; an empty list means everywhere. A warning tells of stacks that are there by now.
    type: dict
    default: {}
  package_name:
    description:
      - The name of a stack's package, from C({distribution}) and C({stack}), with dashes for underscores. If no package
        is called so, all packages of the source of that name are the stack's.
    type: str
    default: "{stack}"
  variant_name:
    description: The name of a variant's metapackage, from C({distribution}) and C({variant}).
    type: str
    default: "{distribution}-{variant}"
  shadow_version:
    description:
      - The versions that a stack's packages may have in the shadow archive, each from C({version}) and C({platform}).
        The defaults are those of packages that were made from a stack, and of those that came with C(debian/).
    type: list
    elements: str
    default: ["{version}-0~{platform}", "{version}~{platform}1"]
  template:
    description: The version of a stamped package, see M(slipway.release.deb_stamp).
    type: str
    default: "{version}-{release}~{platform}"
  marker:
    description: The field in control files that has the name of the distribution. Empty means none.
    type: str
    default: ""
  metapackage_version:
    description: The version of metapackages, before it is stamped.
    type: str
    default: 1.0.0
  maintainer:
    description: The maintainer of metapackages, name and mail address.
    type: str
    required: true
attributes:
  check_mode:
    details: >-
      It only reads. In check mode the package lists are fetched into a copy, which is removed, and packages of
      O(sources) are not fetched, so that RV(platforms[].debs) is empty for these.
"""

EXAMPLES = r"""
- name: Plan the release
  slipway.release.stamp_plan:
    distro_file: cturtle.rosdistro
    shadow: /srv/apt/shadow
    published: /srv/apt/public/fixed
    base_directory: /var/cache/slipway/platforms
    maintainer: Release team <release@example.org>
    platforms:
      - name: bookworm
        architectures: [amd64, i386]
        base:
          - deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main
  register: plan

- name: Plan the release of a directory of debs
  slipway.release.stamp_plan:
    set: tools
    release: "2026.1"
    debs: [/srv/debs]
    published: /srv/apt/public/fixed
    base_directory: /var/cache/slipway/platforms
    maintainer: Release team <release@example.org>
    platforms:
      - name: bookworm
        architectures: [amd64]
        base:
          - deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main
"""

RETURN = r"""
label:
  description: Distribution and release, such as V(cturtle-r468).
  returned: success
  type: str
distribution:
  description: The distribution.
  returned: success
  type: str
release:
  description: Its release, the distro file's version.
  returned: success
  type: str
published:
  description: Whether clients have seen this release already. There is nothing left to do then.
  returned: success
  type: bool
platforms:
  description: What to stamp and to publish for each platform. Empty if it is published.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The platform., type: str, returned: always}
    debs: {description: Paths of the debs in the shadow archive., type: list, elements: str, returned: always}
    metapackages: {description: What M(slipway.release.deb_metapackage) shall make., type: list, returned: always}
    indexes:
      description: What each architecture's index will list, by package, with its version and a digest of its demands.
      type: dict
      returned: always
inputs:
  description: What the release is made from, to be kept with it.
  returned: success
  type: dict
provenance:
  description: >-
    Which generation of the shadow archive the packages are of, with its date and the digests of its InRelease files;
    or the sources. That of a release that is published already is what was kept then.
  returned: success
  type: dict
remarks:
  description: What was ignored or left out.
  returned: success
  type: list
  elements: str
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import publication
from ..module_utils.slipway.apt.sources import fetch_package_lists
from ..module_utils.slipway.distro.release import Names, Plan, check_installable
from ..module_utils.slipway.distro.subjects import find_lists, find_subject
from ..module_utils.slipway.errors import SlipwayError, refuse
from ..module_utils.slipway.files import make_scratch
from ..module_utils.slipway.module.report import run_module

PLATFORM = {
    "name": {"type": "str", "required": True},
    "architectures": {"type": "list", "elements": "str", "required": True},
    "base": {"type": "list", "elements": "str", "required": True},
    **{name: {"type": "str"} for name in ("version", "distribution", "mirror")},
    "components": {"type": "list", "elements": "str"},
}


def main() -> None:
    run_module(
        act,
        {
            "distro_file": {"type": "path"},
            "distro_text": {"type": "str"},
            "set": {"type": "str"},
            "release": {"type": "str"},
            "packages": {"type": "list", "elements": "str", "default": []},
            "debs": {"type": "list", "elements": "path", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "variants": {"type": "dict", "default": {}},
            "generation": {"type": "int", "default": 0},
            "required_stacks": {"type": "list", "elements": "str", "default": []},
            "shadow": {"type": "path"},
            "gnupghome": {"type": "path"},
            "published": {"type": "path", "required": True},
            "component": {"type": "str", "default": "main"},
            "platforms": {"type": "list", "elements": "dict", "required": True, "options": PLATFORM},
            "base_directory": {"type": "path", "required": True},
            "excludes": {"type": "dict", "default": {}},
            "package_name": {"type": "str", "default": Names.package},
            "variant_name": {"type": "str", "default": Names.variant},
            "shadow_version": {"type": "list", "elements": "str", "default": [Names.shadow, *Names.or_shadow]},
            "template": {"type": "str", "default": Names.stamped},
            "marker": {"type": "str", "default": Names.marker},
            "metapackage_version": {"type": "str", "default": Names.metapackage},
            "maintainer": {"type": "str", "required": True},
        },
        required_one_of=[("distro_file", "set")],
        mutually_exclusive=[("distro_file", "set")],
        required_by={"set": ("release",)},
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    subject = find_subject(options)
    directory = Path(options["published"])
    label = publication.make_label(subject.name, subject.release)
    answer = {"changed": False, "label": label, "distribution": subject.name, "release": subject.release}
    answer["sources"] = subject.list_sources()
    published = publication.read_published(directory, label)
    if published is not None:
        provenance = published.get("provenance") or {}
        refuse_other_generation(options, label, provenance)
        publication.refuse_other_inputs(directory, label, published, subject.describe_inputs())
        publication.verify_release(directory, label, gnupghome=options["gnupghome"])
        told = {"inputs": subject.describe_inputs(), "provenance": provenance, "remarks": subject.remarks}
        return {**answer, "published": True, "platforms": [], **told}
    with make_scratch("slipway-lists-") as temporary:
        there, provenance = subject.find_packages(temporary, write=write)
        plan = subject.plan(there, publication.read_current_packages(directory, subject.name))
        solve(plan, options, temporary, write=write)
        refuse(
            "release",
            f"{subject.name} {subject.release}",
            plan.findings,
            several="problems",
            do_next=f"Build what is missing, correct {subject.what}, or exclude a package by its name, and run again.",
        )
        fetched = subject.fetch_packages(plan, write=write)
    parts = [
        {
            "name": platform.name,
            "debs": [os.fspath(path) for path in platform.debs] if fetched else [],
            "metapackages": [asdict(metapackage) for metapackage in platform.metapackages],
            "indexes": platform.indexes,
        }
        for platform in plan.platforms
    ]
    told = {"inputs": plan.inputs, "provenance": provenance, "remarks": plan.remarks, "warnings": plan.warnings}
    return {**answer, "published": False, "platforms": parts, **told}


def refuse_other_generation(options: Mapping[str, Any], label: str, provenance: Mapping[str, Any]) -> None:
    asked, was = options["generation"], provenance.get("generation")
    if asked and asked != was:
        fault = f"it was made from {f'generation {was}' if was else 'none'} of the shadow archive"
        do_next = "Give it a new version, or do not ask for a generation."
        raise SlipwayError("release", f"{label} from generation {asked}, which is published", fault, do_next=do_next)


def solve(plan: Plan, options: Mapping[str, Any], temporary: Path, *, write: bool) -> None:
    lists = {}
    for platform in options["platforms"]:
        place = find_lists(Path(options["base_directory"]) / platform["name"], temporary, write=write)
        lists[platform["name"]] = fetch_package_lists(platform["base"], platform["architectures"], directory=place)
    check_installable(plan, lists)


if __name__ == "__main__":
    main()
