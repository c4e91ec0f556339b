# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may stand in the headers of a mail, and forges none."""

from __future__ import annotations

import re
from email.utils import parseaddr

from ..escape import escape_terminal

ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\\x00-\x1f\x7f]+@[A-Za-z0-9.-]+\Z")


def is_address(text: str) -> bool:
    """Whether it is one mail address, alone or as ``Name <address>``."""
    name, address = parseaddr(text)
    known = text in {address, f"{name} <{address}>", f'"{name}" <{address}>'}
    return known and bool(ADDRESS.match(address)) and is_plain_line(text)


def is_plain_line(text: str) -> bool:
    """Whether it is one line in which nothing acts."""
    return escape_terminal(text) == text and not {"\n", "\t"} & {*text}
