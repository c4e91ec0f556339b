# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules are told of those who state and attest something of releases."""

from __future__ import annotations


class ModuleDocFragment:
    """Who builds; and who attests releases, with which keys, and where."""

    SIGNERS = r"""
options:
  signers:
    description:
      - Who attests. The key of an entry is the name of the signer, and of the directory in the repository.
      - An entry has C(fingerprint), that of the primary key, and either C(key), the absolute path of the public key, or
        C(key_text), the key in ASCII armour.
    type: raw
    required: true
  repository:
    description: The address of the git repository of the attestations. Empty if there are no signers.
    type: str
    required: true
  branch:
    description: Its branch.
    type: str
    default: main
  timeout:
    description: Seconds after which git is ended.
    type: float
    default: 120
"""

    BUILDER = r"""
options:
  builder:
    description: Who builds, as a URI.
    type: str
    required: true
"""
