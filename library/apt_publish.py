#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_publish
short_description: Publish a release of a distribution in an apt archive atomically
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes the packages of a release what clients of the archive see, for all its platforms and architectures at once.
    A client sees the old release or the new one, also in the middle of C(apt-get update), and also if the publication
    is killed.
  - The release stays installable for ever from C(snapshots/<distribution>-<release>), when later ones have taken its
    place.
  - Several distributions share an archive. What is published of one does not touch the others.
  - Nothing that is public ever changes. A release that was published stays as it is, and a file name keeps its content.
extends_documentation_fragment:
  - slipway.release.apt.served
  - slipway.release.apt.publication
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.phases
  - slipway.release.attributes
options:
  release:
    description: Its release.
    type: str
    required: true
  indexes:
    description:
      - What to publish, by platform, architecture and package, as M(slipway.release.stamp_plan) returns it. Each
        package has its C(version) and the digest of its C(demands).
    type: dict
    required: true
  debs:
    description:
      - The files, as M(slipway.release.deb_stamp) and M(slipway.release.deb_metapackage) return them. Those that
        O(indexes) does not name are not published. In check mode they need not exist.
    type: list
    elements: dict
    required: true
  inputs:
    description: What the release was made from, kept with it and compared when it comes again.
    type: dict
    default: {}
  provenance:
    description: Where the release was taken from, as M(slipway.release.stamp_plan) tells it. It is kept with it.
    type: dict
    default: {}
attributes:
  diff_mode:
    details: Shows the list of packages that clients see, before and after.
"""

EXAMPLES = r"""
- name: Publish the release
  slipway.release.apt_publish:
    directory: /srv/apt/public/fixed
    distribution: "{{ plan.distribution }}"
    release: "{{ plan.release }}"
    indexes: "{{ {plan.platforms[0].name: plan.platforms[0].indexes} }}"
    debs: "{{ stamped.debs }}"
    inputs: "{{ plan.inputs }}"
    origin: Example
    gnupghome: /srv/apt/gnupg
"""

RETURN = r"""
added:
  description: Packages that clients did not see before, with suite, architecture, package and version.
  returned: success
  type: list
  elements: dict
updated:
  description: Packages with another version, with RV(ignore:was).
  returned: success
  type: list
  elements: dict
removed:
  description: Packages that clients see no more, with RV(ignore:was).
  returned: success
  type: list
  elements: dict
snapshot:
  description: Where the release stays, below the served directory.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import publication
from ..module_utils.slipway.apt.index import Archive, assemble_release
from ..module_utils.slipway.module.options import APT_PUBLICATION, APT_SERVED, OPENPGP_REQUIRED, PHASES
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key


def main() -> None:
    run_module(
        act,
        {
            **APT_SERVED,
            **APT_PUBLICATION,
            **OPENPGP_REQUIRED,
            "release": {"type": "str", "required": True},
            "indexes": {"type": "dict", "required": True},
            "debs": {"type": "list", "elements": "dict", "required": True},
            "inputs": {"type": "dict", "default": {}},
            "provenance": {"type": "dict", "default": {}},
            **PHASES,
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory, distribution = Path(options["directory"]), options["distribution"]
    label = publication.make_label(distribution, options["release"])
    before = publication.read_current_packages(directory, distribution)
    after = {
        f"{suite}/{architecture}": packages
        for suite, architectures in options["indexes"].items()
        for architecture, packages in architectures.items()
    }
    if write:
        key = find_signing_key(options["gnupghome"], options["signing_key"])
        archive = Archive(
            directory, options["origin"], options["component"], Path(options["gnupghome"]), key.fingerprint
        )
        indexes = assemble_release(options["indexes"], options["debs"])
        kept = {name: options[name] for name in ("inputs", "provenance", "phases", "package_phases")}
        release = publication.Release(distribution, options["release"], indexes, **kept)
        changed = publication.publish_release(archive, release, timeout=options["lock_timeout"])
    else:
        changed = publication.read_published(directory, label) is None
    changes = publication.compare_packages(before, after if changed else before)
    return {"changed": changed, "snapshot": f"snapshots/{label}", **changes}


if __name__ == "__main__":
    main()
