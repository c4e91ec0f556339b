# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""With which key modules sign."""

from __future__ import annotations


class ModuleDocFragment:
    """The directory of the keys, and which of them signs."""

    DOCUMENTATION = r"""
attributes:
  action_group:
    membership:
      - slipway.release.all
      - slipway.release.openpgp
options:
  gnupghome:
    description: The GnuPG directory with the key that signs.
    type: path
  signing_key:
    description: The fingerprint of that key. Not needed if the directory has only one that can sign.
    type: str
"""

    # Named before the block above, which it completes: for modules that sign in any case.
    REQUIRED = r"""
options:
  gnupghome:
    required: true
"""
