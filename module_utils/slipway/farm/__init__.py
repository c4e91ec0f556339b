# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds of a distribution on many hosts: which where and when, what became of them, and into the archive with them."""
