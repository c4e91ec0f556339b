"""Look once at every channel and mirror: see the role release_watch."""

from __future__ import annotations

import sys
from functools import partial

from slipway.channels.settings import check_settings, read_settings
from slipway.channels.watch import watch_once
from slipway.rounds import run_program

if __name__ == "__main__":
    # That a channel is wrong is printed, and is not a failure of this program.
    sys.exit(run_program(__doc__, read=read_settings, check=check_settings, go=partial(watch_once, tell=print)))
