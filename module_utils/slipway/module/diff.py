# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``--diff`` shows."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping

Diff = dict[str, str]


def diff_added(lines: Iterable[str]) -> Diff:
    """Show lines where there was nothing, such as the names of files that are made."""
    return {"before": "", "after": "".join(f"{line}\n" for line in lines)}


def diff_texts(texts: Mapping[str, tuple[str, str]]) -> list[Diff]:
    """Show each text before and after, by its name."""
    return [
        {"before_header": name, "after_header": name, "before": show_signed(before), "after": show_signed(after)}
        for name, (before, after) in sorted(texts.items())
    ]


def show_signed(text: str) -> str:
    """What DSSE envelopes hold, which are sent as a line of base64 each; anything else as it is."""
    return "".join(map(_show_line, text.splitlines(keepends=True))) if '"payloadType"' in text else text


def _show_line(line: str) -> str:
    try:
        envelope = json.loads(line)
        payload = json.loads(base64.b64decode(envelope["payload"], validate=True))
        signed = [(each["keyid"], hashlib.sha256(each["sig"].encode()).hexdigest()) for each in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return line
    shown = json.dumps(payload, indent=2, ensure_ascii=False)
    return f"{shown}\n" + "".join(f"signed by {key} (signature {digest[:12]})\n" for key, digest in signed)
