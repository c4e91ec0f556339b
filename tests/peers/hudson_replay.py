# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Hudson that says again what a real one was recorded to say, as long as it is asked the same in the same order."""

from __future__ import annotations

import json
from typing import Any

from jobwalk import RECORDING, describe_login

from .webserver import Exchange, Peer


class HudsonReplay(Peer):
    """Answers from the recording; what it is asked that was not recorded is in ``faults``."""

    def __init__(self) -> None:
        self.left: list[dict[str, Any]] = json.loads(RECORDING.read_text(encoding="utf-8"))["exchanges"]
        self.faults: list[Any] = []

    def handle(self, asked: Exchange) -> None:
        headers = asked.handler.headers
        now = {
            "method": asked.method,
            "path": asked.handler.path,
            "login": describe_login(headers.get("Authorization")),
            "crumb": headers.get(".crumb"),
            "type": headers.get("Content-Type"),
            "body": asked.body.decode("utf-8"),
        }
        one = self.left.pop(0) if self.left else {"asked": None}
        if now != one["asked"]:
            self.faults.append((now, one["asked"]))
            asked.answer(599)
            return
        answer = one["answered"]
        handler, body = asked.handler, answer["body"].replace("{url}", self.url).encode("utf-8")
        handler.send_response_only(answer["status"], answer["reason"])
        for name, value in {**answer["headers"], "Content-Length": str(len(body))}.items():
            handler.send_header(name, value.replace("{url}", self.url))
        handler.end_headers()
        handler.wfile.write(body)
