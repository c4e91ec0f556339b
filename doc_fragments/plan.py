# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules are told of the plan of a release."""

from __future__ import annotations


class ModuleDocFragment:
    """The systems that are built, and the deployments that become files."""

    SYSTEMS = r"""
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

    DEPLOYMENTS = r"""
options:
  deployments:
    description: The deployments of the release's plan, with their subsystems.
    type: list
    elements: dict
    required: true
  directory:
    description: Where the files are made.
    type: path
    required: true
  label:
    description: The release's label.
    type: str
    required: true
  previous:
    description:
      - The RV(files) that an earlier run returned. They are verified and not made again.
      - A file that is there and not named here is made again, because its making was not finished.
    type: list
    elements: dict
    default: []
"""
