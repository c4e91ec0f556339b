#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: python_venv
short_description: Ensure Python packages in fixed versions in a virtual environment
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes a virtual environment and installs packages into it with pip.
  - pip runs only when a package is missing or other versions are wanted than before.
requirements:
  - Debian's package python3-venv
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  path:
    description: The directory of the environment.
    type: path
    required: true
  packages:
    description: The packages, as pip knows them.
    type: list
    elements: str
    required: true
  constraints:
    description: The versions, as the text of a constraints file.
    type: str
    default: ""
  python:
    description: The Python that the environment is made with.
    type: path
    default: /usr/bin/python3
  pip_args:
    description:
      - More arguments for pip, such as V(--no-index) and V(--find-links=/srv/wheels) on a host without internet.
      - Everybody on the host can read them while pip runs. Credentials belong into pip's configuration.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that pip may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Install BuildStream
  slipway.release.python_venv:
    path: /opt/slipway/buildstream
    packages: [buildstream]
    constraints: |
      BuildStream==2.8.1
"""

RETURN = r"""
missing:
  description: What was missing before.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.host.venv import Environment, find_missing, install_packages
from ..module_utils.slipway.module.report import run_module


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    wanted = Environment(
        Path(params["path"]),
        tuple(params["packages"]),
        params["constraints"],
        params["python"],
        tuple(params["pip_args"]),
    )
    missing = find_missing(wanted)
    if missing and write:
        install_packages(wanted, timeout=params["timeout"])
    return {"changed": bool(missing), "missing": missing}


def main() -> None:
    run_module(
        act,
        {
            "path": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "constraints": {"type": "str", "default": ""},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "pip_args": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 1800},
        },
    )


if __name__ == "__main__":
    main()
