"""Read the definitions once, and build their head if that is due: see the role mason."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.mason.service import build_head, find_exit_status, read_settings


def main() -> int:
    """Print what was built; a commit that fails is not a failure of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    said = "end as the scripts of Baserock's masons did: 0 built, 33 nothing changed, 42 no network, 1 failed"
    parser.add_argument("--exit-status", action="store_true", help=said)
    arguments = parser.parse_args()
    try:
        settings = read_settings(arguments.settings)
        entry = build_head(settings)
    except SlipwayError as error:
        print(error, file=sys.stderr)
        return 1
    if entry is not None:
        print(f"{entry['commit']} {entry['state']}")
    return find_exit_status(settings, entry) if arguments.exit_status else 0


if __name__ == "__main__":
    sys.exit(main())
