#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_archive_info
short_description: Query the packages of an apt archive kept by reprepro
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the packages of one suite.
extends_documentation_fragment:
  - slipway.release.apt.archive
  - slipway.release.attributes.info_module
  - slipway.release.attributes
attributes:
  check_mode:
    details: Looks at a copy of reprepro's database.
"""

EXAMPLES = r"""
- name: Query what is in the shadow archive
  slipway.release.apt_archive_info:
    directory: /srv/apt/shadow
    suite: bookworm
  register: shadow
"""

RETURN = r"""
packages:
  description:
    - What the suite holds, as name, version, architecture, index, path below the public directory, and sha256.
    - Source packages are in the index C(source), with the path and the digest of their C(.dsc). Their C(content) is
      one digest of the version and of the other files, which a new signature leaves as it is.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict
from typing import Any

from ..module_utils.slipway.apt import reprepro
from ..module_utils.slipway.module.options import APT_ARCHIVE
from ..module_utils.slipway.module.report import run_module


def main() -> None:
    run_module(
        act,
        APT_ARCHIVE,
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    with reprepro.open_archive(
        options["directory"], gnupghome=options["gnupghome"], write=write, timeout=options["lock_timeout"]
    ) as archive:
        return {"changed": False, "packages": [asdict(package) for package in archive.list_all(options["suite"])]}


if __name__ == "__main__":
    main()
