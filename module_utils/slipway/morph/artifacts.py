# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the build artifacts that a public Trove's cache lacks there, from the local Trove's cache."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from ..errors import SlipwayError, count_of, refuse
from ..files import hash_file, replace_file
from ..process import SSH_OPTIONS, run
from ..progress import Progress
from ..room import Place, require_room
from .cache import MorphCache, check_names, is_optional

#: What rsync takes for a place on another host.
ON_A_HOST = re.compile(r"(?P<host>(?:[^@/:]+@)?(?:\[[^]/]+\]|[^/:]+)):(?P<daemon>:|//)?(?P<directory>.*)", re.DOTALL)
#: The digests of all that was fetched, since the cache servers know of none; beside the directory of these files.
SUMS_SUFFIX = ".sha256"
#: Seconds that a transfer may stand still.
STALLED = 120


@dataclass(frozen=True)
class Transfer:
    """Where the artifacts go by rsync: ``destination`` is a directory, or one on a host (``user@host:directory``)."""

    destination: str
    rsync_options: Sequence[str] = ()
    ssh_options: Sequence[str] = ()
    timeout: float = 14400.0

    @property
    def ssh(self) -> list[str]:
        """The words of ssh before the host."""
        return ["ssh", *(f"-o{option}" for option in (*SSH_OPTIONS, *self.ssh_options))]

    @property
    def place(self) -> Place | None:
        """The directory, if its host can be queried about it: an rsync daemon cannot."""
        there = ON_A_HOST.match(self.destination)
        if there is not None:
            # As another user than the one who is let in, rsync has other rights.
            asked = not there["daemon"] and not any(option.startswith("--rsync-path") for option in self.rsync_options)
            host = there["host"].replace("[", "").replace("]", "")
            return Place(there["directory"] or ".", [*self.ssh, "--", host]) if asked else None
        return Place(self.destination)


@dataclass
class Outcome:
    """``missing`` was not whole in the public cache, ``published`` is there now, ``absent`` is optional and nowhere.

    ``digests`` are those of what was published, by name.
    """

    total: int
    missing: list[str]
    published: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    bytes: int = 0
    digests: dict[str, str] = field(default_factory=dict)


def publish_artifacts(
    names: Sequence[str],
    *,
    local: MorphCache,
    public: MorphCache,
    transfer: Transfer,
    directory: Path,
    jobs: int = 4,
    timeout: float = 3600.0,
    progress: Progress | None = None,
    write: bool = True,
) -> Outcome:
    """Publish all of ``names`` to the public cache.

    What it lacks is fetched from the local cache to ``directory``, ``jobs`` at a time, ``timeout`` seconds each,
    sent by one rsync, and read back: each has the digest that it had when it was fetched, which is kept in
    ``<directory>.sha256``. Whole files of an earlier run are used again. Metadata and build logs of sources may be
    absent; anything else that cannot be fetched whole is a failure that names all of it.
    """
    reporter = progress or Progress(None)
    check_names(names, attempt="publish artifacts to", on=public.url)
    outcome = Outcome(len({*names}), _find_missing(names, local=local, public=public))
    reporter.report(f"{len(outcome.missing)} of {outcome.total} artifacts are missing or not whole in {public.url}")
    wanted = _select_available(outcome.missing, local)
    outcome.absent = sorted({*outcome.missing} - {*wanted})
    if not wanted or not write:
        return outcome
    sums = _Sums(directory)
    sizes = _fetch_all(wanted, local=local, sums=sums, jobs=jobs, timeout=timeout, progress=reporter)
    outcome.absent = sorted({*outcome.missing} - {*sizes})
    if not sizes:
        return outcome
    reporter.report(f"sending {count_of(len(sizes), 'file')}, {sum(sizes.values())} bytes, to {transfer.destination}")
    _send_files(sizes, directory=directory, transfer=transfer)
    _check_published(sizes, public=public, transfer=transfer)
    outcome.digests = {name: sums.digests[name] for name in sorted(sizes)}
    _read_back(outcome.digests, public=public, jobs=jobs, timeout=timeout, progress=reporter)
    outcome.published, outcome.bytes = sorted(sizes), sum(sizes.values())
    for name in outcome.published:
        (directory / name).unlink(missing_ok=True)
    reporter.report(f"{public.url} has all of them now")
    return outcome


def _find_missing(names: Sequence[str], *, local: MorphCache, public: MorphCache) -> list[str]:
    """What the public cache does not have, or has shorter than the local one: empty, or cut off."""
    there = public.fetch_sizes(names)
    here = local.fetch_sizes(name for name, size in there.items() if size is not None)
    longer = [
        f"{name} has {there[name]} bytes there and {size} in {local.url}"
        for name, size in here.items()
        if size and (there[name] or 0) > size
    ]
    refuse(
        f"confirm {len(longer)} of {count_of(len(there), 'artifact')} in",
        public.url,
        longer,
        summary="they are longer than in the local cache",
        do_next="Nothing was sent. Find out which is right, and remove the other from its cache; run again.",
    )
    return sorted(name for name, size in there.items() if not size or size < (here[name] or 0))


def _select_available(names: Sequence[str], local: MorphCache) -> list[str]:
    """What the local cache has; it may lack only what is optional."""
    there = local.find_present(names)
    lacking = [name for name in names if not there[name] and not is_optional(name)]
    refuse(
        f"fetch {len(lacking)} of {count_of(len(names), 'artifact')} from",
        local.url,
        lacking,
        summary="it does not have them",
        do_next="Nothing was sent. Build the systems again and run again.",
    )
    return [name for name in names if there[name]]


def _fetch_all(
    names: Sequence[str], *, local: MorphCache, sums: _Sums, jobs: int, timeout: float, progress: Progress
) -> dict[str, int]:
    """The lengths of the files that are in ``sums``'s directory now; what is optional and absent is left out."""
    sums.directory.mkdir(parents=True, exist_ok=True)
    progress.total = len(names)
    failures: list[str] = []

    def fetch(name: str) -> int | None:
        try:
            size = _fetch(name, local=local, sums=sums, timeout=timeout)
        except (SlipwayError, OSError) as error:
            failures.append(str(error))
            return None
        if size:
            progress.step(f"{name}: {size} bytes")
        elif is_optional(name):
            progress.step(f"{name} is not in {local.url}; it is optional")
        else:
            failures.append(f"{name} is {'empty' if size == 0 else 'absent'}")
        return size

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        sizes = dict(zip(names, pool.map(fetch, names), strict=True))
    refuse(
        f"fetch {len(failures)} of {count_of(len(names), 'artifact')} from",
        local.url,
        sorted(failures),
        summary="they are missing or incomplete",
        do_next="Nothing was sent. Build the systems again, or repair the cache, and run again.",
    )
    return {name: size for name, size in sizes.items() if size}


class _EmptyError(Exception):
    """There is no content to keep."""


class _Sums:
    """The file of digests, to which each is added when its file is there; the last one of a name counts."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.path = directory, directory.parent / f"{directory.name}{SUMS_SUFFIX}"
        path = self.path
        lines = path.read_text().splitlines() if path.is_file() else []
        self.digests = {name: digest for digest, _space, name in (line.partition("  ") for line in lines) if name}
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        digest = hash_file(self.directory / name)
        with self._lock, self.path.open("a") as stream:
            stream.write(f"{digest}  {name}\n")
            self.digests[name] = digest


class _Digest:
    """What is written to it is hashed, and not kept; a download that is begun again begins it again."""

    def __init__(self) -> None:
        self.seek(0)

    def seek(self, _position: int) -> None:
        self.hash = hashlib.sha256()

    def truncate(self) -> None:
        """There is nothing to cut off."""

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)


def _read_back(
    digests: Mapping[str, str], *, public: MorphCache, jobs: int, timeout: float, progress: Progress
) -> None:
    """Read what was published as others do; other bytes than those that were fetched are a failure."""
    progress.report(f"reading {count_of(len(digests), 'artifact')} back from {public.url}")

    def find_fault(name: str) -> str | None:
        digest = _Digest()
        public.fetch(name, cast(IO[bytes], digest), timeout=timeout)
        found = digest.hash.hexdigest()
        return None if found == digests[name] else f"{name} has sha256 {found} there, and {digests[name]} here"

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        faults = [fault for fault in pool.map(find_fault, digests) if fault]
    refuse(
        f"confirm {len(faults)} of {count_of(len(digests), 'artifact')} in",
        public.url,
        faults,
        summary="they arrived with other bytes",
        do_next="Look at the disk there, remove these artifacts from its cache, and run again.",
    )


def _fetch(name: str, *, local: MorphCache, sums: _Sums, timeout: float) -> int | None:
    """Fetch one artifact to the directory; its length, 0 if it is empty, ``None`` if it is absent."""
    path = sums.directory / name
    if path.is_file() and (size := path.stat().st_size) and size == local.size(name):
        if name not in sums.digests:
            sums.add(name)
        if hash_file(path) == sums.digests[name]:
            return size
    length = None
    try:
        with replace_file(path) as stream:
            length = local.fetch(name, stream, timeout=timeout)
            if not length:
                raise _EmptyError
    except _EmptyError:
        path.unlink(missing_ok=True)
        return length
    sums.add(name)
    return length


def _send_files(sizes: Mapping[str, int], *, directory: Path, transfer: Transfer) -> None:
    """One rsync; each file appears under its name when it is whole."""
    attempt, on, place = f"send {count_of(len(sizes), 'artifact')} to", transfer.destination, transfer.place
    with contextlib.nullcontext() if place is None else require_room(sizes, place, attempt=attempt, on=on):
        run(
            [
                *("rsync", "--times", "--perms", "--chmod=F0644", "--protect-args", "--from0", "--files-from=-"),
                *(f"--timeout={STALLED}", f"--rsh={shlex.join(transfer.ssh)}", *transfer.rsync_options),
                *("--", f"{directory}/", f"{transfer.destination.rstrip('/')}/"),
            ],
            attempt=attempt,
            on=on,
            stdin="\0".join(sorted(sizes)).encode() + b"\0",
            timeout=transfer.timeout,
            do_next="Make sure of your access to it and of its space, and run again: what was fetched is used again.",
        )


def _check_published(sizes: Mapping[str, int], *, public: MorphCache, transfer: Transfer) -> None:
    there = public.fetch_sizes(sizes)
    wrong = [
        name if there[name] is None else f"{name}: {there[name]} of {size} bytes"
        for name, size in sizes.items()
        if there[name] != size
    ]
    refuse(
        f"publish {len(wrong)} of {count_of(len(sizes), 'artifact')} to",
        public.url,
        sorted(wrong),
        summary=f"they were sent to {transfer.destination} and are still missing there, or not whole",
        do_next="Check that this is the directory of that cache server, and that it may read the files.",
    )
