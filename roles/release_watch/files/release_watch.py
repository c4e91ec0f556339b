"""Look once at every channel and mirror: see the role release_watch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slipway.channels.settings import check_settings, read_settings
from slipway.channels.watch import watch_once
from slipway.errors import SlipwayError


def main() -> int:
    """Print what is new; that a channel is wrong is not a failure of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    parser.add_argument("--check", action="store_true", help="only look whether it can be used")
    wanted = parser.parse_args()
    try:
        settings = read_settings(wanted.settings)
        if wanted.check:
            check_settings(settings)
        else:
            watch_once(settings, tell=print)
    except (SlipwayError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
