# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the notes of a withdrawn release say first: that it is not to be used any more, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..escape import escape_markdown
from ..git.files import BranchUpdate, edit_file
from ..git.remote import Person

#: A title and the notice below it, if there are.
BEGIN = re.compile(r"\A(?P<title>#(?!#)[^\n]*(?:\n+|\Z))?(?P<notice>\*\*Withdrawn on [0-9-]{10}\*\*[^\n]*(?:\n+|\Z))?")


def tell_withdrawn(text: str, facts: Mapping[str, Any]) -> str:
    """Notes in Markdown with a notice below their title, or without one if there are no ``facts``.

    ``facts`` are those of a tombstone: ``withdrawn by reason``. All else stays as it is.
    """
    found = BEGIN.match(text)
    title, end = (found["title"] or "", found.end()) if found else ("", 0)
    if not facts:
        return title + text[end:]
    day, by, reason = (str(facts[name]) for name in ("withdrawn", "by", "reason"))
    why = escape_markdown(reason).removesuffix(".")
    notice = f"**Withdrawn on {day[:10]}** by {escape_markdown(by)}: {why}. Please do not use this release any more."
    return "\n\n".join(part.rstrip("\n") for part in (title, notice) if part) + f"\n\n{text[end:]}"


def mark_withdrawn(
    url: str, branch: str, path: str, *, facts: Mapping[str, Any], message: str, person: Person, write: bool = True
) -> BranchUpdate:
    """Commit the notice to the notes at the head of ``branch`` of ``url``; notes that are gone need none."""
    return edit_file(
        url,
        branch,
        path,
        edit=lambda text: tell_withdrawn(text, facts),
        message=message,
        person=person,
        absent=True,
        write=write,
    )
