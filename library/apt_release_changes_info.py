#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_release_changes_info
short_description: Tell what a published release of a distribution changed
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Compares a release that M(slipway.release.apt_publish) published with the one of the same distribution before it.
  - Versions are those without the name of the release, which all packages share.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  directory:
    description: The directory of the published archive.
    type: path
    required: true
  distribution:
    description: The distribution.
    type: str
    required: true
  release:
    description: The release. Empty means the newest.
    type: str
    default: ""
  component:
    description: The component of the archive.
    type: str
    default: main
"""

EXAMPLES = r"""
- name: Query what the newest release changed
  slipway.release.apt_release_changes_info:
    directory: /srv/apt/public/fixed
    distribution: cturtle
  register: changes
"""

RETURN = r"""
label:
  description: The name of the release's snapshot.
  returned: success
  type: str
  sample: cturtle-r2
release:
  description: The release.
  returned: success
  type: str
  sample: r2
previous:
  description: The release before, or null if it is the first one.
  returned: success
  type: str
  sample: r1
platforms:
  description: The architectures by platform.
  returned: success
  type: dict
  sample: {bookworm: [amd64, i386]}
added:
  description:
    - The packages that were not there before, each with C(package), C(version), C(was) and C(places), the indexes where
      it is so, which are all of them if the list is empty.
  returned: success
  type: list
  elements: dict
  sample: [{package: ros-cturtle-mapping, version: 1.0.0, was: null, places: []}]
updated:
  description: The packages that have another version.
  returned: success
  type: list
  elements: dict
  sample: [{package: ros-cturtle-navigation, version: 1.0.2, was: 1.0.1, places: [bookworm/amd64]}]
removed:
  description: The packages that are not there any more.
  returned: success
  type: list
  elements: dict
unchanged:
  description: How many packages are the same.
  returned: success
  type: int
bills:
  description: Whether bills of materials are beside its snapshot.
  returned: success
  type: bool
maintainers:
  description: The names of the maintainers of packages that were added or updated.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.changes import find_changes
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    changes = find_changes(
        Path(options["directory"]), options["distribution"], options["release"], component=options["component"]
    )
    bills = Path(options["directory"], "snapshots", changes.label, "bills", "SHA256SUMS")
    return {"changed": False, **asdict(changes), "bills": bills.is_file()}


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path", "required": True},
            "distribution": {"type": "str", "required": True},
            "release": {"type": "str", "default": ""},
            "component": {"type": "str", "default": "main"},
        },
    )


if __name__ == "__main__":
    main()
