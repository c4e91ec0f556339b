# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of a build host: a job comes in on its standard input, and what became of it goes out."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

from ..errors import SlipwayError, refuse
from .rooms import keep, remove_leftovers
from .station import read_station
from .worker import serve

#: What the account of a build host does for whoever may ask it.
COMMAND = "slipway-deb-build"


def serve_here() -> int:
    """Do a job for a run on this machine; the exit status."""
    return keep(lambda: serve(sys.stdin.buffer, sys.stdout.buffer))


def serve_caller(settings: Path) -> int:
    """Do a job for whoever called over the network, within what the host allows; the exit status."""
    try:
        asked = os.environ.get("SSH_ORIGINAL_COMMAND", COMMAND)
        if asked != COMMAND:
            raise SlipwayError("do", repr(asked), "this account builds packages", do_next=f"Ask for {COMMAND}.")
        station = read_station(settings)
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return keep(lambda: serve(sys.stdin.buffer, sys.stdout.buffer, station=station), work=station.work)


def check(settings: Path) -> int:
    """Remove what killed jobs left, and print what the host has; the exit status says whether it can be used."""
    try:
        station = read_station(settings)
        remove_leftovers(station.work)
        told = station.describe()
        sys.stdout.write(json.dumps(told, indent=2, sort_keys=True) + "\n")
        refuse(
            "build packages on",
            platform.node(),
            [f"there is no {name}" for name in told["lacks"]]
            + [
                f"the chroot {name} is a system for {found or 'nothing that is known'}"
                for name, found in told["chroots"].items()
                if not name.endswith(f"-{found}")
            ],
            do_next=f"Remove such chroots from {station.chroots}, and provision this host again.",
        )
    except (SlipwayError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
