# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds a release in the definitions: their format, changes that are held back, the next cycle's drafts."""
