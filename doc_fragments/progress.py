# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long modules show what they do."""

from __future__ import annotations


class ModuleDocFragment:
    """Goes with the action plugin of long modules."""

    DOCUMENTATION = r"""
options:
  progress:
    description: A file that gets a line for each step. The terminal shows these lines while the module runs.
    type: path
"""
