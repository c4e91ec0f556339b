# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules that make the files of a release are told."""

from __future__ import annotations


class ModuleDocFragment:
    """Whatever makes the files."""

    DOCUMENTATION = r"""
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
