# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach other machines."""

from __future__ import annotations


class ModuleDocFragment:
    """By ssh, and by https."""

    SSH = r"""
options:
  ssh_options:
    description: More options for ssh, each as V(Key=value), such as V(IdentityFile=/etc/slipway/upload).
    type: list
    elements: str
    default: []
"""

    HTTPS = r"""
options:
  ca_path:
    description: A file of certificates to trust instead of the system's.
    type: path
"""
