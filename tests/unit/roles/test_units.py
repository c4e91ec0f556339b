"""Whatever provisioning starts may be started as often as somebody provisions: systemd's limit does not stop it."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("service", "timer", "socket", "path")
UNITS = sorted(path for kind in KINDS for path in (ROOT / "roles").glob(f"*/templates/*.{kind}.j2"))
LIMIT = "StartLimitIntervalSec"


def read(path: Path) -> configparser.ConfigParser:
    """A unit whose expressions are left as they are, without the lines that a whole expression makes."""
    unit = configparser.ConfigParser(delimiters="=", strict=False, interpolation=None, allow_no_value=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text(encoding="utf-8"))
    return unit


def test_there_are_units_of_every_kind_that_the_roles_start() -> None:
    assert {path.name.split(".")[-2] for path in UNITS} >= {"service", "timer", "socket"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_may_be_started_as_often_as_it_is_asked_for_and_says_why(path: Path) -> None:
    unit, text = read(path), path.read_text(encoding="utf-8")
    kind = path.name.split(".")[-2]
    restarts = kind == "service" and unit["Service"].get("Restart", "no") != "no"
    where = f"{path.relative_to(ROOT)}: [Unit] needs {LIMIT}"
    assert LIMIT in unit["Unit"], f"{where}; without it the sixth start in ten seconds fails"
    assert re.search(rf"^# .+\n{LIMIT}=", text, re.MULTILINE), f"{where} with a comment above it that gives the reason"
    if not restarts:
        assert unit["Unit"][LIMIT] == "0", f"{where}=0: it has no loop of restarts that a limit would end"
