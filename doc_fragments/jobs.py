# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach a site's Hudson or Jenkins."""

from __future__ import annotations


class ModuleDocFragment:
    """The server, and who asks."""

    DOCUMENTATION = r"""
requirements:
  - python-jenkins 1.4 or newer (Debian's python3-jenkins)
options:
  url:
    description: The address of the server's front page, as seen from where the module runs.
    type: str
    required: true
  user:
    description: Who asks. Empty means that nobody logs in.
    type: str
    default: ""
  password:
    description: The user's password, or its API token. Required with O(user).
    type: str
  timeout:
    description: Seconds after which an exchange with the server is given up.
    type: float
    default: 60
"""
