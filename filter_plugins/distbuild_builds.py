# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the systems of a release: the builds that its networks are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.systems import distbuild_builds

DOCUMENTATION = r"""
name: distbuild_builds
short_description: List the builds that distbuild networks are to be asked for
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Gives each system to the controller of its architecture, in the form that C(distbuild_submit) takes.
options:
  _input:
    description: The systems, with C(name), C(file) and C(architecture).
    type: list
    elements: dict
    required: true
  controllers:
    description: The controller of each architecture, as C(host) or C(host:port).
    type: dict
    required: true
  logs:
    description: The directory for the logs; each system gets one of its own in it.
    type: str
    required: true
  recorded:
    description: What was built earlier from the same, as the filter C(recorded_builds) tells it.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show who builds what
  ansible.builtin.debug:
    msg: "{{ release_plan.systems | slipway.release.distbuild_builds({'x86_64': 'controller'}, logs='/tmp/logs') }}"
"""

RETURN = r"""
_value:
  description: For each system C(controller), C(port), C(morphology), C(log_directory) and C(artifacts).
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"distbuild_builds": distbuild_builds}
