# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who commits, and when."""

from __future__ import annotations


class ModuleDocFragment:
    """The author of commits and tags."""

    AUTHOR = r"""
options:
  name:
    description: The author's name.
    type: str
    default: Slipway
  email:
    description: The author's mail address.
    type: str
    default: slipway@localhost
  epoch:
    description: When it was written, in seconds since 1970.
    type: int
    default: 0
"""
