"""A BuildStream project with a stand-in for bst."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import (
    Project,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose bst plays back what is in the directory ``plays`` for the architecture it is called with."""
    home = tmp_path / "mini"
    plays = home / "plays"
    plays.mkdir(parents=True)
    (home / "project.conf").write_text('# ours\nname: "mini" # short\nmin-version: 2.0\n')
    script = home / "bst"
    script.write_text(
        f"""#!/bin/sh
echo "$*" >> {home}/calls
verb=build architecture=none
for word in "$@"; do
    case $word in
        show|artifact) verb=$word ;;
        x86_64|x86_32|armv7lhf) architecture=$word ;;
    esac
done
play={plays}/$verb-$architecture
cat "$play" || exit 9
status=$(cat "$play.status" 2>/dev/null || echo 0)
test ! -e "$play.next" || {{ mv "$play.next" "$play"; echo 0 > "$play.status"; }}
exit "$status"
"""
    )
    script.chmod(0o755)
    failing = tmp_path / "bstlogs" / "mini" / "bad" / "da4571f6-build.20261121-032257.log"
    failing.parent.mkdir(parents=True)
    failing.write_text("ls: /nonexistent: No such file or directory\n")
    return Project(home, None, str(script))
