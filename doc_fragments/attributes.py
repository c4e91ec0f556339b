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
  idempotent:
    description: Run again, it leaves what is as it should be, and is unchanged.
    support: full
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    support: full
"""

    # Named before the block above, whose diff_mode it replaces: for modules whose changes have no text,
    NO_DIFF = r"""
attributes:
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    support: none
    details: There is no text that changes.
"""

    # and for modules that only look.
    INFO_MODULE = r"""
attributes:
  diff_mode:
    description: With C(--diff) it shows what changes, before and after.
    support: N/A
    details: It changes nothing, also without --check.
"""
