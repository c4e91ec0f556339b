# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debs made once more: as their .buildinfo says, or stamped again, with a signed verdict on what comes of it."""
