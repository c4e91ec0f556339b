# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where Debian packages come from."""

from __future__ import annotations


class ModuleDocFragment:
    """Lines of sources.list that need not name the mirror."""

    SOURCES = r"""
options:
  sources:
    description:
      - Where packages come from, lines as in C(sources.list). The word C(machine) in the place of an address stands for
        the mirror from which the host's own apt takes that suite.
    type: list
    elements: str
"""
