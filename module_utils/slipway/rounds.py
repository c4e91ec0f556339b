# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that a timer starts, and that go one round by what the provisioning wrote."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .errors import SlipwayError

Settings = TypeVar("Settings")


def run_program(
    about: str | None,
    *,
    read: Callable[[Path], Settings],
    check: Callable[[Settings], object],
    go: Callable[[Settings], object],
) -> int:
    """Do what the command line says; the exit status. What a round finds is no failure, that there is none is one."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    parser.add_argument("--check", action="store_true", help="only look whether it can be used")
    wanted = parser.parse_args()
    try:
        settings = read(wanted.settings)
        (check if wanted.check else go)(settings)
    except (SlipwayError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
