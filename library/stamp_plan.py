#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stamp_plan
short_description: Plan the version-locked release of a distribution and verify the plan
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads a distro file, the indexes of the shadow archive and what is published, and plans the release that the
    distro file describes.
  - Four gates must be passed, and all their findings are listed together. Every stack of the distro file is there in
    its version on every architecture, unless it is excluded by name. Every package is the same version on all
    architectures. No package is older than the one that is published. A solver finds that every package can be
    installed on its platform.
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
    required: true
  distro_text:
    description: Its text, if O(distro_file) is on another machine.
    type: str
  required_stacks:
    description: Stacks that the distro file must have.
    type: list
    elements: str
    default: []
  shadow:
    description: The shadow archive, what reprepro calls its base directory.
    type: path
    required: true
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
    details: It only reads. In check mode the package lists are fetched into a copy, which is removed.
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
remarks:
  description: What was ignored or left out.
  returned: success
  type: list
  elements: str
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import publication, reprepro
from ..module_utils.slipway.apt.sources import fetch_package_lists
from ..module_utils.slipway.distro.file import load_distro
from ..module_utils.slipway.distro.release import (
    Names,
    Plan,
    check_installable,
    describe_inputs,
    find_release,
    plan_release,
    read_shadow,
)
from ..module_utils.slipway.errors import refuse
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
            "distro_file": {"type": "path", "required": True},
            "distro_text": {"type": "str"},
            "required_stacks": {"type": "list", "elements": "str", "default": []},
            "shadow": {"type": "path", "required": True},
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
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    distro = load_distro(
        options["distro_file"],
        text=options.get("distro_text"),
        required=options["required_stacks"],
        needs_sources=False,
    )
    release, directory = find_release(distro), Path(options["published"])
    shadow, *or_shadow = options["shadow_version"] or [Names.shadow]
    names = Names(
        package=options["package_name"],
        variant=options["variant_name"],
        shadow=shadow,
        or_shadow=tuple(or_shadow),
        stamped=options["template"],
        marker=options["marker"],
        metapackage=options["metapackage_version"],
        maintainer=options["maintainer"],
    )
    platforms = {platform["name"]: platform["architectures"] for platform in options["platforms"]}
    excludes = {name: list(places or []) for name, places in options["excludes"].items()}
    label = publication.make_label(distro.name, release)
    answer = {"changed": False, "label": label, "distribution": distro.name, "release": release}
    published = publication.read_published(directory, label)
    if published is not None:
        inputs = describe_inputs(distro, platforms, excludes=excludes, names=names)
        publication.refuse_other_inputs(directory, label, published, inputs)
        publication.verify_release(directory, label, gnupghome=options["gnupghome"])
        return {**answer, "published": True, "platforms": [], "inputs": inputs, "remarks": distro.remarks}
    with reprepro.open_archive(options["shadow"], gnupghome=options["gnupghome"], write=write) as archive:
        shadow = read_shadow(archive.public, platforms, component=options["component"])
    current = publication.read_current_packages(directory, distro.name)
    plan = plan_release(distro, shadow, excludes=excludes, names=names, published=current)
    solve(plan, options["platforms"], Path(options["base_directory"]), write=write)
    refuse(
        "release",
        f"{distro.name} {release}",
        plan.findings,
        several="problems",
        do_next="Build what is missing, correct the distro file, or exclude a stack by its name, and run again.",
    )
    parts = [
        {
            "name": platform.name,
            "debs": [os.fspath(path) for path in platform.debs],
            "metapackages": [asdict(metapackage) for metapackage in platform.metapackages],
            "indexes": platform.indexes,
        }
        for platform in plan.platforms
    ]
    told = {"inputs": plan.inputs, "remarks": plan.remarks, "warnings": plan.warnings}
    return {**answer, "published": False, "platforms": parts, **told}


def solve(plan: Plan, platforms: Sequence[Mapping[str, Any]], directory: Path, *, write: bool) -> None:
    with make_scratch("slipway-lists-") as temporary:
        lists = {}
        for platform in platforms:
            place = directory / platform["name"]
            if not write:
                copied = temporary / platform["name"]
                if place.is_dir():
                    shutil.copytree(place, copied)
                place = copied
            lists[platform["name"]] = fetch_package_lists(platform["base"], platform["architectures"], directory=place)
        check_installable(plan, lists)


if __name__ == "__main__":
    main()
