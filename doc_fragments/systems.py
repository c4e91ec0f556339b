# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is built."""

from __future__ import annotations


class ModuleDocFragment:
    """Systems of several architectures, as a release's plan has them."""

    DOCUMENTATION = r"""
options:
  systems:
    description: The systems, as the plan of a release lists them.
    type: list
    elements: dict
    suboptions:
      name:
        description: The system's name.
        type: str
        required: true
      file:
        description: The path of its morphology or element in the definitions.
        type: str
        required: true
      architecture:
        description: Its architecture, as results and logs name it.
        type: str
        required: true
"""
