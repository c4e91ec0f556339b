# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GnuPG's homes, with an agent for as long as they are used."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_scratch
from ..locks import hold_flock
from ..process import Completed, run, summarise_output
from .agent import end_agent, find_agent_socket, is_answering
from .command import gpg_command

#: A UNIX socket's path has at most 107 bytes, of which gpg-agent leaves one free; its longest socket name is this.
SOCKET_PATH_BYTES = 106
LONGEST_SOCKET_NAME = "S.gpg-agent.browser"


@contextlib.contextmanager
def provide_environment(gnupghome: str | os.PathLike[str]) -> Iterator[dict[str, str]]:
    """The variables under which another program, such as git, signs with the keys in ``gnupghome``."""
    with open_home(gnupghome) as home:
        yield {"GNUPGHOME": str(home.path)}


@dataclass(frozen=True)
class Home:
    """A GnuPG home under a path that is short enough for the sockets of its agent."""

    path: Path
    agent_runs: bool

    def run_gpg(
        self, words: Sequence[str], *, attempt: str, on: str, do_next: str | None = None, stdin: bytes | None = None
    ) -> Completed:
        """Run gpg with an agent that ends when gpg does, unless one was there already."""
        with make_scratch("slipway-agent-") as scratch:
            log = scratch / "log"
            agent = ["gpg-agent", "--homedir", str(self.path), "--quiet", "--log-file", str(log), "--daemon"]
            try:
                return run(
                    [*([] if self.agent_runs else agent), *gpg_command(self.path), *words],
                    attempt=attempt,
                    on=on,
                    do_next=do_next or "Look at the message above and run the same command again.",
                    stdin=stdin,
                    timeout=120,
                )
            except SlipwayError as error:
                said = summarise_output(log.read_text(errors="replace")) if log.exists() else ""
                if said:
                    error = SlipwayError(
                        error.attempted, error.on, f"{error.came_back}; {said}", do_next=error.do_next, log=error.log
                    )
                raise error from None


@contextlib.contextmanager
def open_home(gnupghome: str | os.PathLike[str]) -> Iterator[Home]:
    """Lock a home; an agent that was started meanwhile is ended afterwards."""
    home = Path(gnupghome).resolve()
    with hold_flock(home, attempt="use the keys in", on=str(home), timeout=120), _shorten_path(home) as short:
        agent_socket = find_agent_socket(short)
        runs = is_answering(agent_socket)
        dead = not runs and agent_socket.is_socket()  # of a connection that broke, or of an agent that was killed
        try:
            yield Home(short, runs)
        finally:
            if not runs and not (dead and not is_answering(agent_socket)):
                end_agent(short, agent_socket)


@contextlib.contextmanager
def _shorten_path(home: Path) -> Iterator[Path]:
    """``home``, or a temporary link to it where the paths of the agent's sockets would be too long."""
    if len(os.fsencode(find_agent_socket(home).with_name(LONGEST_SOCKET_NAME))) <= SOCKET_PATH_BYTES:
        yield home
    else:
        places = [place for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if os.access(place, os.W_OK)]  # noqa: S108  # a private directory is made there
        place = min(places, key=lambda path: len(os.fsencode(path)))
        with make_scratch("slipway-gpg-", directory=place) as directory:
            link = directory / "h"
            link.symlink_to(home)
            try:
                yield link
            finally:
                link.unlink()
