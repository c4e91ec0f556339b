# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room and rights in a directory, here or behind ssh: what a transfer needs, and why it may have failed."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import SlipwayError
from .process import run

#: The request that the guard of an upload account answers; an account with a shell runs SCRIPT in its place.
REQUEST = "slipway-room"
#: The nearest directory that exists, and the files that are there, by what every system has.
SCRIPT = r"""
LC_ALL=C; export LC_ALL; p=$1
until [ -e "$p" ]; do p=$(dirname -- "$p"); done
printf 'place %s\naccount %s\n' "$p" "$(id -un)"
ls -ld -- "$p" | awk '{print "rights " $1 " " $3 " " $4}'
if [ -w "$p" ] && [ -x "$p" ]; then echo writable; fi
case ",$(findmnt -n -o OPTIONS -T "$p" 2>/dev/null)," in *,ro,*) echo readonly ;; esac
df -Pk -- "$p" | awk 'NR == 2 && $2 > 0 {printf "free %.0f\n", $4 * 1024}'
df -Pi -- "$p" 2>/dev/null | awk 'NR == 2 && $2 > 0 {print "inodes " $4}'
ls -lnA -- "$1" 2>/dev/null | awk '/^-/ {print "file " $5 " " $9}'
[ -n "$2" ] && ls -lnA -- "$1/$2" 2>/dev/null | awk '/^-/ {print "part " $5 " " $9}'
exit 0
"""
NO_COMMAND = 127
TIMEOUT = 60.0
#: What a file system needs beside the bytes themselves: where less is left, a failed transfer filled it.
OVERHEAD = 1 << 20
DO_NEXT = "Nothing was sent. Make room there, or give the account its rights to the directory, and run again."


@dataclass(frozen=True)
class Room:
    """What the other side says: ``place`` is the nearest directory that exists; None is what it does not tell.

    ``files`` are there under their names, ``parts`` are the beginnings of files, each with its bytes.
    """

    place: str
    account: str = "this account"
    rights: str = ""
    writable: bool = False
    readonly: bool = False
    free: int | None = None
    inodes: int | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)

    def find_missing(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The bytes that are still to come of each file that is not there."""
        return {name: max(0, size - self.parts.get(name, 0)) for name, size in sizes.items() if name not in self.files}

    def find_faults(self, missing: Mapping[str, int], *, overhead: int = 0) -> list[str]:
        """Why files of these sizes cannot be written there: a sentence for each cause."""
        needed, found = sum(missing.values()), []
        if self.free is not None and self.free < needed + overhead:
            found.append(
                f"No space left on the disk of {self.place}: {self.free} bytes are free, and {needed} are needed"
            )
        if self.inodes is not None and self.inodes < len(missing):
            found.append(
                f"No space left for the names of files on the disk of {self.place}: "
                f"{self.inodes} inodes are free, and {len(missing)} are needed"
            )
        if missing and self.readonly:
            found.append(f"Read-only file system: {self.place} cannot be written to")
        elif missing and not self.writable:
            found.append(f"Permission denied: {self.account} may not write to {self.place} ({self.rights})")
        return found


@dataclass(frozen=True)
class Place:
    """A directory that files are sent to, and the words of ssh that lead to its host; ``partial`` holds beginnings."""

    directory: str
    ssh: Sequence[str] = ()
    partial: str = ""

    def query_room(self, *, attempt: str, on: str, timeout: float = TIMEOUT) -> Room | None:
        """The room there; None if the other side does not tell. An unreachable host is a failure."""
        script = ["sh", "-c", SCRIPT, "sh", self.directory, self.partial]
        status = NO_COMMAND
        if self.ssh:
            status, answer = _run_query([*self.ssh, shlex.join([REQUEST, self.directory])], attempt, on, timeout)
            script = [*self.ssh, shlex.join(script)]
        if status == NO_COMMAND:
            status, answer = _run_query(script, attempt, on, timeout)
        return _parse_room(answer) if status == 0 else None


@contextlib.contextmanager
def require_room(
    sizes: Mapping[str, int], place: Place, *, attempt: str, on: str, timeout: float = TIMEOUT
) -> Iterator[None]:
    """Send files of these ``sizes`` inside the block, if there is room; a failure also reports what is there then.

    The side that meets a full disk first is often not the one whose words arrive.
    """
    room = place.query_room(attempt=attempt, on=on, timeout=min(timeout, TIMEOUT))
    if room is not None and (faults := room.find_faults(room.find_missing(sizes))):
        raise SlipwayError(attempt, on, "; ".join(faults), do_next=DO_NEXT)
    try:
        yield
    except SlipwayError as error:
        raise _explain_error(error, place, sizes) from error


def _explain_error(error: SlipwayError, place: Place, sizes: Mapping[str, int]) -> SlipwayError:
    """``error``, and before it what is found there now."""
    try:
        room = place.query_room(attempt=error.attempted, on=error.on)
    except SlipwayError as silence:
        found = f"it cannot be asked why ({silence.came_back})"
    else:
        if room is None:
            return error
        missing = room.find_missing(sizes)
        faults = room.find_faults(missing, overhead=OVERHEAD + sum(missing.values()) // 20 if missing else 0)
        found = "; ".join(faults) or (
            f"{room.place} has room and can be written to; {len(sizes) - len(missing)} of {len(sizes)} files are there"
        )
    came_back = f"{found}. {error.came_back}"
    return SlipwayError(
        error.attempted, error.on, came_back, do_next=error.do_next, log=error.log, findings=error.findings
    )


def _run_query(argv: Sequence[str], attempt: str, on: str, timeout: float) -> tuple[int, str]:
    """Status and answer; 255 is ssh's own, which did not get there."""
    done = run(
        argv,
        attempt=attempt,
        on=on,
        timeout=timeout,
        ok_codes=range(255),
        do_next="Fix this machine's access without a prompt (ssh, known_hosts, keys), and run again.",
    )
    return done.returncode, done.stdout


def _parse_room(answer: str) -> Room | None:
    facts: dict[str, str] = {}
    files: dict[str, dict[str, int]] = {"file": {}, "part": {}}
    for line in answer.splitlines():
        word, _space, rest = line.partition(" ")
        if word in files:
            size, _space, name = rest.partition(" ")
            files[word][name] = int(size) if size.isdigit() else 0
        else:
            facts[word] = rest
    if "place" not in facts:
        return None
    numbers = {name: int(facts[name]) for name in ("free", "inodes") if facts.get(name, "").isdigit()}
    return Room(
        place=facts["place"],
        account=facts.get("account", "this account"),
        rights=facts.get("rights", ""),
        writable="writable" in facts,
        readonly="readonly" in facts,
        free=numbers.get("free"),
        inodes=numbers.get("inodes"),
        files=files["file"],
        parts=files["part"],
    )
