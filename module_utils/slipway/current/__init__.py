# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is current, signed and dated: what servers have of it, what is on record of it, and what it is to be."""
