#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_metapackage
short_description: Create metapackages that depend on exact versions
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes debs that hold nothing, and depend on other packages in exactly the given versions.
  - The same options give the same bytes.
  - A package in O(directory) that is no metapackage and bears the name of one is never replaced.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  directory:
    description: Directory for the debs, C(<package>_<version>_<architecture>.deb). It is made if it is absent.
    type: path
    required: true
  packages:
    description: The packages to make.
    type: list
    elements: dict
    required: true
    suboptions:
      package:
        description: Its name.
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
      architecture:
        description: Its architecture.
        type: str
        default: all
      maintainer:
        description: Name and mail address.
        type: str
        required: true
      summary:
        description: What it is, in one line.
        type: str
        required: true
      depends:
        description:
          - The packages, each a list of name and version. Names and versions of packages that do as well may follow.
        type: list
        elements: list
        required: true
      fields:
        description: Further fields of the control file.
        type: dict
        default: {}
attributes:
  diff_mode:
    details: Shows the control file of every package that is made.
"""

EXAMPLES = r"""
- name: Create the variants' metapackages
  slipway.release.deb_metapackage:
    directory: /srv/slipway/stamped/r468
    packages:
      - package: ros-cturtle-base
        version: 1.0.0-r468~lucid
        architecture: i386
        maintainer: Release team <release@example.org>
        summary: the stacks of the variant base of cturtle, release r468
        depends:
          - [ros-cturtle-ros, 1.2.0-r468~lucid]
"""

RETURN = r"""
debs:
  description:
    - One entry for each package, with package, architecture, stamped (its version), path, size, md5, sha1 and sha256.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.deb.file import Hasher
from ..module_utils.slipway.deb.metapackage import Metapackage, refuse_collisions
from ..module_utils.slipway.deb.version import strip_epoch
from ..module_utils.slipway.files import write_atomic
from ..module_utils.slipway.module.report import run_module

PACKAGE = {
    "package": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "architecture": {"type": "str", "default": "all"},
    "maintainer": {"type": "str", "required": True},
    "summary": {"type": "str", "required": True},
    "depends": {"type": "list", "elements": "list", "required": True},
    "fields": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "dict", "required": True, "options": PACKAGE},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory = Path(options["directory"])
    debs, diffs = [], []
    metapackages = [Metapackage(**words) for words in options["packages"]]
    refuse_collisions(metapackages, directory)
    for metapackage in metapackages:
        content = metapackage.build_deb()
        number = strip_epoch(metapackage.version)
        path = directory / f"{metapackage.package}_{number}_{metapackage.architecture}.deb"
        if not path.exists() or path.read_bytes() != content:
            diffs.append({"before": "", "after": metapackage.control, "after_header": str(path)})
            if write:
                directory.mkdir(parents=True, exist_ok=True)
                write_atomic(path, content)
        hasher = Hasher()
        hasher.update(content)
        debs.append(
            {
                "package": metapackage.package,
                "architecture": metapackage.architecture,
                "stamped": metapackage.version,
                "path": str(path),
                **asdict(hasher.digests()),
            }
        )
    return {"changed": bool(diffs), "debs": debs, "diff": diffs}


if __name__ == "__main__":
    main()
