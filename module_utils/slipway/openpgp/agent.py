# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has the secret keys of a home: the agent that answers there, which may be another machine's."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from ..errors import SlipwayError
from ..process import run
from ..wait import wait_for

#: Nobody is asked for a passphrase. An agent that is forwarded takes no such order; it asks where it runs.
GPG_UNASKED = ("--pinentry-mode", "error")
#: What to do when the agent that has the key, on another machine, is away.
CONNECT = (
    "On the machine that has the key, forward its agent to here again, as docs/keys.md has it. Run the same command "
    "again: it goes on where it ended."
)
#: Seconds within which an agent answers; one over a connection that died does not.
AGENT_SILENCE = 10.0


def ask_agent(gnupghome: str | os.PathLike[str], commands: Sequence[str]) -> list[str] | None:
    """How the agent of a home answers commands, each by one line; None if none answers, as over a dead connection."""
    said: list[str] = []
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(AGENT_SILENCE)
        client.connect(str(find_agent_socket(Path(gnupghome))))
        with client.makefile("rwb") as lines:
            answer = lines.readline()
            for command in commands:
                if not answer.startswith((b"OK", b"ERR")):
                    return None
                lines.write(f"{command}\n".encode("ascii"))
                lines.flush()
                answer = lines.readline()
                said.append(answer.decode("utf-8", "replace").strip())
            return said if answer.startswith((b"OK", b"ERR")) else None
    return None


def find_manner(home: str | os.PathLike[str], on: str) -> Sequence[str]:
    """How gpg is to deal with passphrases: an agent that is forwarded, by its extra socket, takes no orders.

    Where the home has no secret keys, no agent is started in the place of one that is away.
    """
    said = ask_agent(home, ["GETINFO restricted"])
    if said is None and (away := explain_away(home)):
        raise SlipwayError("sign", on, away, do_next=CONNECT)
    return () if said and said[0].startswith("OK") else GPG_UNASKED


def explain_away(gnupghome: str | os.PathLike[str]) -> str:
    """What is wrong with the agent of a home that has no secret keys of its own; empty for a home that has some."""
    if any((Path(gnupghome) / "private-keys-v1.d").glob("*.key")):
        return ""
    place = find_agent_socket(Path(gnupghome))
    if ask_agent(gnupghome, []) is not None:
        return f"the agent at {place} does not have it"
    if place.is_socket():
        return f"the connection to the agent that was forwarded to {place} is broken"
    return f"no agent of another machine is forwarded to {place}"


@contextlib.contextmanager
def explain_unsigned(home: str | os.PathLike[str]) -> Iterator[None]:
    """Tell what is wrong with the agent elsewhere, where a signature by it failed."""
    try:
        yield
    except SlipwayError as error:
        away = explain_away(home)
        if not away or error.came_back == away:
            raise
        if ask_agent(home, []) is not None:
            away = "the agent of another machine did not sign; if its pinentry asks there, somebody must answer"
        came_back = f"{away}; {error.came_back}"
        raise SlipwayError(error.attempted, error.on, came_back, do_next=CONNECT, log=error.log) from None


def find_agent_socket(home: Path) -> Path:
    """Where the agent of a home listens, or would."""
    done = run(
        ["gpgconf", "--homedir", str(home), "--list-dirs"],
        attempt="find the agent's socket of",
        on=str(home),
        timeout=60,
    )
    named = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    return Path(unquote(named.get("agent-socket", str(home / "S.gpg-agent"))))


def is_answering(path: Path) -> bool:
    """Whether an agent greets whoever connects to that socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(AGENT_SILENCE)
        try:
            client.connect(str(path))
            return client.recv(2) == b"OK"
        except (OSError, ValueError):
            return False


def end_agent(home: Path, agent_socket: Path) -> None:
    """End what GnuPG started for a home, and wait until the agent's socket is gone."""
    run(["gpgconf", "--homedir", str(home), "--kill", "all"], attempt="end the agent of", on=str(home), timeout=60)
    wait_for(
        lambda: "running" if agent_socket.is_socket() else "gone",
        lambda state: state == "gone",
        attempt="end the agent of",
        on=str(home),
        timeout=60,
        interval=0.02,
    )
