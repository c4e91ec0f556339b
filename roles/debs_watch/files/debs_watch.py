"""Look once for new signed tags, and start the release of one: see the role debs_watch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.watch.service import watch_once
from slipway.watch.settings import check_keys, read_settings


def main() -> int:
    """Print what happens; that a tag is refused or a release fails is not a failure of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    parser.add_argument("--check", action="store_true", help="only look whether it can be used")
    wanted = parser.parse_args()
    try:
        settings = read_settings(wanted.settings)
        if wanted.check:
            check_keys(settings)
        else:
            watch_once(settings, tell=print)
    except (SlipwayError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
