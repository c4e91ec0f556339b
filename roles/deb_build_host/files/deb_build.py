"""Build a Debian package for whoever calls by ssh, within what this host allows: see the role deb_build_host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Nothing of the caller's counts: neither its search path nor its words, as this is a forced command and a login shell.
sys.path.insert(0, "/usr/local/lib/slipway/deb_build")
os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

from slipway.binary.service import check, serve_caller

SETTINGS = Path("/etc/slipway/deb_build.json")

if __name__ == "__main__":
    sys.exit(check(SETTINGS) if sys.argv[1:] == ["--check"] else serve_caller(SETTINGS))
