# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts that binary packages are built on, and what a build may take there."""

from __future__ import annotations


class ModuleDocFragment:
    """How each is reached, what it builds, and within which limits."""

    DOCUMENTATION = r"""
options:
  hosts:
    description: The build hosts.
    type: list
    elements: dict
    suboptions:
      name:
        description: What it is called.
        type: str
        required: true
      destination:
        description: What ssh takes, such as C(user@host). Empty for this machine.
        type: str
        default: ""
      options:
        description: Options of ssh, such as C(Port=2222).
        type: list
        elements: str
        default: []
      slots:
        description: How many builds it does at once. V(0) is one for each processor, for this machine alone.
        type: int
        default: 1
      chroots:
        description:
          - For which architectures it builds, and in which architecture's chroot. V(armhf=amd64) is cross-building,
            V(armhf=armhf) with the emulation of the host.
        type: dict
        required: true
      drained:
        description: Whether it gets no new builds.
        type: bool
        default: false
"""

    LIMITS = r"""
options:
  build_timeout:
    description: Seconds that a build may take, and each of the steps after it.
    type: float
    default: 14400
  silence_timeout:
    description: Seconds for which a build may say nothing.
    type: float
    default: 3600
  log_bytes:
    description: How large the log of a build may become.
    type: int
    default: 67108864
  free_bytes:
    description: How much must stay free on the disk of the build host.
    type: int
    default: 1073741824
"""
