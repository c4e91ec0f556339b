#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: distbuild_cancel
short_description: Cancel a build on a Morph distbuild network
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Cancels a build that was submitted earlier, if it still runs, and makes sure that the controller let go of it.
  - A controller's ids begin again when it restarts. The build is cancelled only if the controller's list of builds
    names the same repository, ref, morphology and initiator under that id; otherwise the module fails and names both.
extends_documentation_fragment:
  - slipway.release.morph.build
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  handle:
    required: true
"""

EXAMPLES = r"""
- name: Cancel a detached build
  slipway.release.distbuild_cancel:
    handle: "{{ submitted.handle }}"
"""

RETURN = r"""
handle:
  description: The build.
  returned: success
  type: dict
"""

from typing import Any

from ..module_utils.slipway.distbuild.control import cancel_build
from ..module_utils.slipway.distbuild.protocol import Handle
from ..module_utils.slipway.module.options import MORPH_BUILD
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    handle = Handle.from_dict(options["handle"])
    changed = cancel_build(handle, timeout=options["timeout"], write=write)
    return {"changed": changed, "handle": handle.as_dict()}


def main() -> None:
    run_module(
        act,
        {
            **MORPH_BUILD,
            "handle": {"type": "dict", "required": True},
        },
    )


if __name__ == "__main__":
    main()
