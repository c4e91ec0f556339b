# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows on the terminal what is being pushed."""

from __future__ import annotations

from ..plugin_utils.live import LiveActionModule as ActionModule

__all__ = ["ActionModule"]
