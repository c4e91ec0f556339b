# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is signed is as the schemas in the documentation describe it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

DOCS = Path(__file__).resolve().parents[1] / "docs"


def validate_payload(name: str, said: Mapping[str, Any]) -> None:
    """A payload is as ``docs/<name>.schema.json`` says, and has no members but those."""
    schema = json.loads((DOCS / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(said)
    assert said.keys() == schema["properties"].keys()
