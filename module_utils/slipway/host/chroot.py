# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chroots in which sbuild builds Debian packages, as archives in the home of whoever builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..apt.sources import resolve_mirrors
from ..files import move_synced, name_temporary
from ..process import run
from .base import format_sources


def make_chroot(path: Path, suite: str, architecture: str, *, sources: Sequence[str], timeout: float) -> None:
    """Write the archive ``path`` with a minimal system that can build, without root; it appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mmdebstrap tells from the name how to compress.
    making = name_temporary(path).with_suffix("".join(path.suffixes))
    log = path.parent / f"{suite}-{architecture}.log"
    log.unlink(missing_ok=True)
    try:
        run(
            [
                *("mmdebstrap", "--mode=unshare", "--variant=buildd", f"--architectures={architecture}"),
                # What is unpacked from it is thrown away, so that nothing in it must survive a crash.
                "--dpkgopt=force-unsafe-io",
                "--include=fakeroot",  # sbuild would install it for each build
                *(suite, str(making), "-"),
            ],
            attempt="make the chroot",
            on=str(path),
            do_next="Check that the mirror answers and that this user has ids in /etc/subuid, and run again.",
            stdin=format_sources(resolve_mirrors(sources)),
            timeout=timeout,
            log=log,
        )
        move_synced(making, path)
    finally:
        making.unlink(missing_ok=True)
