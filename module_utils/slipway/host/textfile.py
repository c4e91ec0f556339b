# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file with a certain text, written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import write_atomic


@dataclass(frozen=True)
class TextFile:
    """``text`` at ``path`` with the permissions ``mode``; the directories above it are made."""

    path: Path
    text: str
    mode: int = 0o644

    def have(self, *, dry: bool = False) -> dict[str, Any]:
        """Write the file where it is another one, and say whether it was, as modules do."""
        try:
            before = self.path.read_text(encoding="utf-8") if self.path.exists() else None
            same = before == self.text and self.path.stat().st_mode & 0o7777 == self.mode
            if not dry and not same:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path, self.text.encode(), mode=self.mode)
        except (OSError, UnicodeDecodeError) as error:
            do_next = "See who may write there, and run again."
            raise SlipwayError("write", str(self.path), str(error), do_next=do_next) from error
        header = str(self.path)
        diff = {"before": before or "", "after": self.text, "before_header": header, "after_header": header}
        return {"changed": not same, "path": header, "diff": diff}
