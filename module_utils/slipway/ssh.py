# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A way through ssh to what only its host may use."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import SlipwayError
from .files import make_scratch
from .process import SSH_OPTIONS, make_environment, summarise_output
from .wait import wait_for

#: A tunnel is no part of a shared connection, which others close.
TUNNEL_OPTIONS = (*SSH_OPTIONS, "ExitOnForwardFailure=yes", "ControlPath=none")
STOP_WAIT = 5.0


@contextlib.contextmanager
def open_tunnel(destination: str, target: str, *, options: Sequence[str] = (), timeout: float = 30.0) -> Iterator[str]:
    """The path of a socket file that leads to ``target`` (``host:port`` as seen from ``destination``).

    ``destination`` is what ssh takes, such as ``user@host`` or ``ssh://host:2222``; ``options`` are further
    ``-o`` options. The file is in a directory that only this user can enter.
    """
    attempt, on = f"reach {target} through ssh on", destination
    if destination.startswith("-") or any(character.isspace() for character in destination):
        raise SlipwayError(attempt, on, "it is not a destination for ssh", do_next="Give user@host.")
    with make_scratch("slipway-tunnel-") as directory:
        path, log = Path(directory, "socket"), Path(directory, "log")
        words = [word for option in (*TUNNEL_OPTIONS, *options) for word in ("-o", option)]
        with log.open("wb") as errors:
            try:
                process = subprocess.Popen(
                    ["ssh", "-N", "-T", *words, "-L", f"{path}:{target}", "--", destination],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=make_environment(),
                    start_new_session=True,
                )
            except OSError as error:
                raise SlipwayError(attempt, on, f"ssh did not start: {error}", do_next="Install ssh.") from error

        def state() -> str:
            if process.poll() is not None:
                complaint = summarise_output(log.read_text(encoding="utf-8", errors="replace"))
                raise SlipwayError(
                    attempt,
                    on,
                    f"ssh ended with status {process.returncode}: {complaint}",
                    do_next=f"Make `ssh {destination}` work from here without a prompt, and run again.",
                )
            return "open" if path.exists() else "connecting"

        try:
            wait_for(
                state,
                lambda found: found == "open",
                attempt=attempt,
                on=on,
                timeout=timeout,
                interval=0.05,
                do_next=f"Check whether `ssh {destination}` works from here.",
            )
            yield str(path)
        finally:
            _stop_process(process)


def _stop_process(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
