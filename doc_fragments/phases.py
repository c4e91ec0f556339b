# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which part of all machines gets a release when."""

from __future__ import annotations


class ModuleDocFragment:
    """Goes with modules that publish releases by phases."""

    DOCUMENTATION = r"""
options:
  phases:
    description:
      - Steps by which machines that have packages of the distribution already get a release; apt judges for each
        machine. Without any, all get it at once. Who installs a package anew gets the release in any case.
    type: list
    elements: dict
    default: []
    suboptions:
      after_hours:
        description: Hours after the publication.
        type: float
        required: true
      percentage:
        description: How many of a hundred machines.
        type: int
        required: true
  package_phases:
    description: Steps of single packages, by their names, each a list as O(phases).
    type: dict
    default: {}
"""
