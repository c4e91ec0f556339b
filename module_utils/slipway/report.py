# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a module tells Ansible what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .errors import SlipwayError


def report(module: AnsibleModule, act: Callable[[], dict[str, Any]]) -> None:
    """Run ``act`` and exit with what it returns; a :class:`SlipwayError` becomes a clear failure."""
    try:
        result = act()
    except SlipwayError as error:
        module.fail_json(msg=str(error), findings=error.findings, log=error.log)
    module.exit_json(**result)
