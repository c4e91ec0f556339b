#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_bills
short_description: Publish the bills of materials of a release of debs
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes a bill of materials in SPDX and in CycloneDX of each platform and architecture of a release that
    M(slipway.release.apt_publish) published, from its index of packages, by debsbom.
  - They are in C(bills) beside the snapshot's C(dists), with C(SHA256SUMS), which the archive's key signs. The
    directory appears whole, and what is in it is verified from then on, and never made again.
requirements:
  - debsbom, cyclonedx-python-lib, buildstream-sbom and spdx-tools, for the O(python) that makes them
extends_documentation_fragment:
  - slipway.release.apt.served
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  label:
    description: The release, such as V(cturtle-r1).
    type: str
    required: true
  stacks:
    description:
      - Where sources are from, by the names of source packages, each with C(kind) (git, hg, bzr or svn),
        C(repository), C(tag) and C(commit); what is not known is empty.
    type: dict
    default: {}
  python:
    description:
      - The Python that has the tools. Without it, that of the environment that C(bst) is in, or else the module's own.
    type: path
attributes:
  check_mode:
    details: Verifies bills that are there, and says which would be made.
"""

EXAMPLES = r"""
- name: Publish the bills of materials of cturtle-r1
  slipway.release.deb_bills:
    directory: /srv/apt/public/fixed
    label: cturtle-r1
    gnupghome: /srv/apt/gnupg
"""

RETURN = r"""
files:
  description: The SHA-256 of each bill by its name, below C(snapshots/<label>/bills). In check mode it is empty.
  returned: success
  type: dict
  sample: {bookworm-amd64.spdx.json: 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.index import locate_index
from ..module_utils.slipway.apt.publication import read_published
from ..module_utils.slipway.bill.archive import DebRelease, publish_bills
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.escape import redacted
from ..module_utils.slipway.module.options import APT_SERVED, OPENPGP_REQUIRED
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory, label = Path(options["directory"]), options["label"]
    kept = read_published(directory, label)
    if kept is None:
        if not write:
            return {"changed": True, "files": {}}
        do_next = "Publish it first."
        raise SlipwayError("make the bills of materials of", label, f"{directory} has no such release", do_next=do_next)
    snapshot = directory / "snapshots" / label
    places = {name: name.partition("/") for name in kept["packages"]}
    released = DebRelease(
        label=label,
        release=kept["release"],
        moment=kept["published"],
        indexes={
            name: snapshot / locate_index(suite, options["component"], architecture) / "Packages"
            for name, (suite, _slash, architecture) in places.items()
        },
        stacks={
            str(name): {key: redacted(str(said.get(key) or "")) for key in ("kind", "repository", "tag", "commit")}
            for name, said in options["stacks"].items()
        },
    )
    files, made = publish_bills(
        snapshot / "bills",
        released,
        gnupghome=Path(options["gnupghome"]),
        signing_key=options["signing_key"],
        python=options["python"] or "",
        write=write,
    )
    return {"changed": made, "files": files}


def main() -> None:
    run_module(
        act,
        {
            **APT_SERVED,
            **OPENPGP_REQUIRED,
            "label": {"type": "str", "required": True},
            "stacks": {"type": "dict", "default": {}},
            "python": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
