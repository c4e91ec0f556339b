"""Look once for new signed tags, and start the release of one: see the role debs_watch."""

from __future__ import annotations

import sys
from functools import partial

from slipway.rounds import run_program
from slipway.watch.service import watch_once
from slipway.watch.settings import check_keys, read_settings

if __name__ == "__main__":
    # That a tag is refused or a release fails is printed, and is not a failure of this program.
    sys.exit(run_program(__doc__, read=read_settings, check=check_keys, go=partial(watch_once, tell=print)))
