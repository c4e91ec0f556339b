# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules are told of the plan of a release."""

from __future__ import annotations


class ModuleDocFragment:
    """Where a release is kept and what it is made of; its systems, and its deployments that become files."""

    KEPT = r"""
options:
  state_directory:
    description: The directory below which each release has its own, V(releases/<version>).
    type: path
    required: true
  coordinator:
    description: The inventory host that keeps the release, which is the one that this runs on.
    type: str
    required: true
"""

    DEFINED = r"""
options:
  cluster:
    description: The cluster file in the definitions. A name without V(/) gets the suffix V(.morph) unless it has one.
    type: str
    default: clusters/release.morph
  policy:
    description:
      - What the site wants of its releases, such as its products. A system is of exactly one product; those that no
        product names are of the one that is called as the project.
    type: raw
    default: {}
  timeout:
    description: Seconds to wait for an answer.
    type: float
    default: 60
"""

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
