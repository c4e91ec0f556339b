# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter that tells values which aliases make endless from those that people write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleError

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.values import MOST_VALUES, is_bounded
from jinja2 import TemplateError

DOCUMENTATION = r"""
name: is_bounded
short_description: Tell whether a variable holds no more values than people write
version_added: "0.3.0"
author: The Slipway developers (@slipway)
description:
  - Counts the values in a mapping or a list, and all below, up to a limit. What an alias of YAML stands for counts
    each time.
  - Since ansible-core 2.19 values are only made when they are read, so that a few lines which stand for billions of
    values are told at once. What cannot be rendered counts as bounded.
options:
  _input:
    description: The variable.
    type: raw
    required: true
  most:
    description: How many values it may hold.
    type: int
    default: 100000
"""

EXAMPLES = r"""
- name: Assert that the policy can be read
  ansible.builtin.assert:
    that: release_policy | slipway.release.is_bounded
"""

RETURN = r"""
_value:
  description: Whether it holds no more.
  type: bool
"""


def count_values(value: Any, most: int = MOST_VALUES) -> bool:
    """The same of a variable of Ansible's; what cannot be rendered yet is told where it is needed."""
    try:
        return is_bounded(value, most)
    except (AnsibleError, TemplateError):
        return True


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"is_bounded": count_values}
