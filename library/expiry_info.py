#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: expiry_info
short_description: Query what of that which is published ends when
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads public addresses from outside, as anybody can. Tells when certificates end, keys in C(release-key.asc) that
    sign, what C(latest.json), C(keys.json), C(mirrors.json) and the views say, and C(Valid-Until) of archives of debs.
  - Whether what is signed is right is not judged here. M(slipway.release.release_verification_info) does that.
extends_documentation_fragment:
  - slipway.release.connection.https
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  channels:
    description: The public addresses (file, http or https) of public directories.
    type: list
    elements: str
    default: []
  archives:
    description: Addresses of suites of archives, the directories with C(InRelease).
    type: list
    elements: str
    default: []
  warn_days:
    description: How many days before its end something is to be told.
    type: int
    default: 14
  timeout:
    description: Seconds for each file.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Query what ends when
  slipway.release.expiry_info:
    channels: [https://download.example.org]
    archives: [https://packages.example.org/fixed/dists/lucid]
  register: ends
"""

RETURN = r"""
ends:
  description: Each thing with C(where), C(what), C(ends), C(days) that are left, C(state) (V(good), V(soon), V(over) or
    V(unreadable)), and C(told), all of it as a sentence. What ends first comes first.
  returned: success
  type: list
  elements: dict
soon:
  description: What is to be told of those that end soon.
  returned: success
  type: list
  elements: str
over:
  description: What is to be told of those that are over, or cannot be read.
  returned: success
  type: list
  elements: str
"""

import time
from typing import Any

from ..module_utils.slipway.module.options import CONNECTION_HTTPS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trust.expiry import OVER, SOON, UNREADABLE, list_ends_published


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    now = time.time()
    ends = list_ends_published(
        options["channels"],
        options["archives"],
        now=now,
        warn_days=options["warn_days"],
        timeout=options["timeout"],
        ca_path=options["ca_path"],
    )
    return {
        "changed": False,
        "ends": [end.as_dict(now) for end in ends],
        "soon": [end.explain(now) for end in ends if end.state == SOON],
        "over": [end.explain(now) for end in ends if end.state in (OVER, UNREADABLE)],
    }


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            "channels": {"type": "list", "elements": "str", "default": []},
            "archives": {"type": "list", "elements": "str", "default": []},
            "warn_days": {"type": "int", "default": 14},
            "timeout": {"type": "int", "default": 60},
        },
    )


if __name__ == "__main__":
    main()
