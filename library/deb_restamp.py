#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_restamp
short_description: Stamp a published release of debs once more, and compare it bit for bit
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Stamps the debs of the shadow archive from which a release was made, makes its metapackages from the words in the
    published ones, and compares the SHA-256 of each with the index of the release. The release stays as it is.
  - The verdict for each platform is signed and added to C(reproduced/<platform>/<label>.jsonl) of O(published).
extends_documentation_fragment:
  - slipway.release.diffoscope
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  published:
    description: The archive of releases.
    type: path
    required: true
  shadow:
    description: What clients read of the shadow archive.
    type: path
    required: true
  distribution:
    description: The distribution.
    type: str
    required: true
  release:
    description: The name of its release.
    type: str
    required: true
  component:
    description: The component of both archives.
    type: str
    default: main
  platforms:
    description: The platforms, each with C(name) and C(architectures).
    type: list
    elements: dict
    required: true
  template:
    description: How its versions were made.
    type: str
    default: "{version}-{release}~{platform}"
  marker:
    description: The field that names the distribution in each package, if one does.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stamp the release r1 of cturtle once more
  slipway.release.deb_restamp:
    published: /srv/apt/public/fixed
    shadow: /srv/apt/public/shadow
    distribution: cturtle
    release: r1
    platforms: [{name: bookworm, architectures: [amd64, i386]}]
    gnupghome: /srv/apt/gnupg
  become: true
  become_user: apt-archive
"""

RETURN = r"""
verdicts:
  description:
    - One for each platform, with C(verdict), C(reason), C(debs) with the digests of each and C(where) it differs, and
      C(text), a sentence.
  returned: success
  type: list
  elements: dict
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.deb.version import DEFAULT_TEMPLATE
from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.module.options import DIFFOSCOPE, OPENPGP_REQUIRED
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.rebuild.difference import Bounds
from ..module_utils.slipway.rebuild.restamp import Release, restamp
from ..module_utils.slipway.rebuild.verdict import locate_stamp_verdicts, publish_verdict


def main() -> None:
    run_module(
        act,
        {
            **DIFFOSCOPE,
            **OPENPGP_REQUIRED,
            "published": {"type": "path", "required": True},
            "shadow": {"type": "path", "required": True},
            "distribution": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "component": {"type": "str", "default": "main"},
            "platforms": {"type": "list", "elements": "dict", "required": True},
            "template": {"type": "str", "default": DEFAULT_TEMPLATE},
            "marker": {"type": "str", "default": ""},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    distribution, published = options["distribution"], Path(options["published"])
    do_next = "Give each its name and architectures."
    require_fields(options["platforms"], ["name"], attempted="stamp again for", on=distribution, do_next=do_next)
    fingerprint = find_signing_key(options["gnupghome"], options["signing_key"]).fingerprint
    fields = {options["marker"]: distribution} if options["marker"] else {}
    release = Release(distribution, options["release"], options["template"], fields)
    verdicts = []
    for platform in options["platforms"]:
        verdict = restamp(
            release,
            platform["name"],
            list(platform.get("architectures", ())),
            published=published,
            shadow=Path(options["shadow"]),
            component=options["component"],
            bounds=Bounds(options["diffoscope_timeout"], options["diffoscope_memory"], options["diffoscope_bytes"]),
        )
        verdicts.append({**verdict.as_dict(), "text": verdict.tell()})
        if write:
            path = locate_stamp_verdicts(published, platform["name"], release.label)
            home = options["gnupghome"]
            publish_verdict(path, verdict, gnupghome=home, fingerprint=fingerprint, moment=time.time())
    return {"changed": bool(verdicts), "verdicts": verdicts}


if __name__ == "__main__":
    main()
