# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where packages differ, as diffoscope says it."""

from __future__ import annotations


class ModuleDocFragment:
    """What diffoscope may take, and may say."""

    DOCUMENTATION = r"""
options:
  diffoscope_timeout:
    description: Seconds that diffoscope may look at a package.
    type: float
    default: 300
  diffoscope_memory:
    description: Bytes of memory that it may have.
    type: int
    default: 2147483648
  diffoscope_bytes:
    description: Bytes that it may say.
    type: int
    default: 1048576
"""
