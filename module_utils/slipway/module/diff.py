# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``--diff`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Diff = dict[str, str]


def diff_added(lines: Iterable[str]) -> Diff:
    """Show lines where there was nothing, such as the names of files that are made."""
    return {"before": "", "after": "".join(f"{line}\n" for line in lines)}


def diff_texts(texts: Mapping[str, tuple[str, str]]) -> list[Diff]:
    """Show each text before and after, by its name."""
    return [
        {"before_header": name, "after_header": name, "before": before, "after": after}
        for name, (before, after) in sorted(texts.items())
    ]
