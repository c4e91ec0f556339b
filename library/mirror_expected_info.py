#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_expected_info
short_description: Query what mirrors of a public directory are to serve
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the server that is mirrored, and reads what is current there.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  public:
    description: The public directory.
    type: path
    required: true
  label:
    description: The release. Without it, the current one.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Query what mirrors are to serve
  slipway.release.mirror_expected_info:
    public: /srv/download/public
  register: expected
"""

RETURN = r"""
label:
  description: The release; empty if there is none.
  returned: success
  type: str
files:
  description: The files of the release, each with C(name), C(size) and C(sha256).
  returned: success
  type: list
  elements: dict
latest:
  description: The text of C(latest.json); empty if the site has none.
  returned: success
  type: str
listing:
  description: The text of C(mirrors.json); empty if there is none.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.mirror.expected import read_expected
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    del write  # it only looks
    return {"changed": False, **read_expected(Path(options["public"]), options["label"])}


def main() -> None:
    run_module(act, {"public": {"type": "path", "required": True}, "label": {"type": "str", "default": ""}})


if __name__ == "__main__":
    main()
