# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules find a build on a distbuild network."""

from __future__ import annotations


class ModuleDocFragment:
    """A build that was submitted earlier."""

    DOCUMENTATION = r"""
requirements:
  - PyYAML
options:
  handle:
    description: The handle that M(slipway.release.distbuild_submit) returned.
    type: dict
  timeout:
    description: Seconds to wait for each answer, and for the end of a build that is cancelled.
    type: float
    default: 30
"""
