# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules behave in check mode, in diff mode, and when they run again."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes; a module adds details where it has more to tell."""

    DOCUMENTATION = r"""
attributes:
  action_group:
    description: With C(group/<name>) in C(module_defaults), options are set for all modules of a group.
    support: full
    membership:
      - slipway.release.all
  check_mode:
    description: With C(--check) it tells what would change, and changes nothing.
    support: full
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    support: full
  idempotent:
    description: Run again, it leaves what is as it should be, and is unchanged.
    support: full
"""

    # For modules whose changes have no text.
    NO_DIFF = r"""
attributes:
  action_group:
    description: With C(group/<name>) in C(module_defaults), options are set for all modules of a group.
    support: full
    membership:
      - slipway.release.all
  check_mode:
    description: With C(--check) it tells what would change, and changes nothing.
    support: full
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    details: There is no text that changes.
    support: none
  idempotent:
    description: Run again, it leaves what is as it should be, and is unchanged.
    support: full
"""

    # For modules that only look.
    INFO_MODULE = r"""
attributes:
  action_group:
    description: With C(group/<name>) in C(module_defaults), options are set for all modules of a group.
    support: full
    membership:
      - slipway.release.all
  check_mode:
    description: With C(--check) it tells what would change, and changes nothing.
    details: It changes nothing, and does the same.
    support: full
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    details: It changes nothing.
    support: N/A
  idempotent:
    description: Run again, it leaves what is as it should be, and is unchanged.
    details: It changes nothing.
    support: full
"""
