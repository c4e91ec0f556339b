# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a release."""

from __future__ import annotations


class ModuleDocFragment:
    """What is uploaded, published and verified."""

    DOCUMENTATION = r"""
options:
  files:
    description:
      - All files of the release, each a dictionary of C(name), C(size) in bytes and C(sha256).
      - In check mode C(size) and C(sha256) may be null, for files that are not made yet.
    type: list
    elements: dict
    required: true
"""
