# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of each build in a directory of its own: its log, what became of it, and what took its packages away."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import make_directory, write_atomic
from ..release.records import format_json
from .schedule import Unit

#: The file that says what became of a unit.
RESULT = "result.json"
#: The file beside it that says what took its packages away.
GONE = "gone.json"


@dataclass
class Built:
    """What became of a unit; ``state`` is ``ok``, ``failed`` or ``running``."""

    unit: Unit
    stack: str | None
    state: str
    stage: str = ""
    reason: str = ""
    host: str = ""
    log: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    at: int = 0
    reproduced: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        kept = ("stack", "state", "stage", "reason", "host", "log", "why", "at", "reproduced")
        mine = {name: getattr(self, name) for name in kept}
        named = {name: getattr(self.unit, name) for name in ("platform", "architecture", "source", "version")}
        return {**named, **mine, "seconds": dict(self.seconds), "tests": dict(self.tests)}


def locate_unit(directory: Path, unit: Unit) -> Path:
    """Where all is that is kept of a unit."""
    name = f"{unit.source}_{unit.version.replace(':', '%3a')}{'.again' if unit.again else ''}"
    return directory / f"{unit.platform}-{unit.architecture}" / name


def read_gone(place: Path) -> dict[str, str]:
    """What took the packages of a unit away, and the version of one of them; empty if nothing did."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((place / GONE).read_text(encoding="utf-8"))
        if isinstance(found, dict) and {"by", "version"} <= found.keys():
            return {name: str(found[name]) for name in ("by", "version")}
    return {}


def read_unit(place: Path) -> Unit | None:
    """Of which unit a directory says that it was built, if it does."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads((place / RESULT).read_text(encoding="utf-8"))
        if found["state"] == "ok":
            return Unit(found["platform"], found["architecture"], found["source"], found["version"])
    return None


def read_results(directory: Path, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last result of each entry of a plan that has one. One that cannot be read is none."""
    found = []
    for entry in plan.get("entries", ()):
        unit = Unit(entry["platform"], entry["architecture"], entry["source"], entry["version"])
        with contextlib.suppress(OSError, ValueError):
            result = json.loads((locate_unit(directory, unit) / RESULT).read_text(encoding="utf-8"))
            if isinstance(result, dict):
                found.append(result)
    return found


def empty_place(place: Path) -> None:
    """Remove all that is kept of a unit but what took it away: a run that is killed now has to be told of that."""
    for path in place.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != GONE:
            path.unlink()


def write_result(place: Path, built: Built) -> None:
    """Write down what became of a unit."""
    write_atomic(place / RESULT, format_json(built.as_dict()))


def write_gone(place: Path, by: str, version: str) -> None:
    """Write down what took the packages of a unit away, and the version of one of them."""
    make_directory(place)
    write_atomic(place / GONE, format_json({"by": by, "version": version}))


def forget_result(place: Path) -> None:
    """The unit is to be built again."""
    (place / RESULT).unlink()
