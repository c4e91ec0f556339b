# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``dists``, the directory that readers of an archive begin with: indexes in all their forms, by hash too, and signed.

Everybody may read what is made here, and only its owner write, whatever the umask of the caller.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..deb.control import encode_control
from ..files import hash_file, write_atomic
from ..files import make_directory as make_readable
from .signed import (
    DAY,
    INRELEASE,
    RELEASE,
    SIGNATURE,
    VALID_UNTIL,
    Expected,
    Signer,
    find_faults,
    parse_entries,
    sign_releases,
)

#: Where every index lies under its digest, below the served directory.
BY_HASH = "by-hash/SHA256"
#: How an index is compressed. Better presets of xz gain some percents, and take longer than all else in a publication.
COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": lambda plain: gzip.compress(plain, 6, mtime=0),
    ".xz": lambda plain: lzma.compress(plain, preset=1),
}
#: For indexes that change with every result: a third of the time, and some percents more to fetch.
QUICK_COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    **COMPRESSIONS,
    ".xz": lambda plain: lzma.compress(plain, preset=0),
}
DIRECTORY_MODE = 0o755

#: The digests of what an index is compressed to, by its own digest and the suffix.
Compressed = MutableMapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class SuiteIndexes:
    """A suite: what its Release file says of it, and its indexes as text by their places.

    A place is ``main/binary-i386`` for packages, ``main/source`` for source packages.
    """

    fields: Mapping[str, str]
    texts: Mapping[str, str]


def name_index(place: str) -> str:
    """What the index in a place is called."""
    return "Sources" if place.rpartition("/")[2] == "source" else "Packages"


def make_directory(path: Path, *, top: Path) -> None:
    """Make a directory that everybody can read; those that are there already below ``top`` become so, too."""
    make_readable(path, mode=DIRECTORY_MODE)
    for place in (path, *path.parents):
        if top in place.parents and place.stat().st_mode & 0o7777 != DIRECTORY_MODE:
            place.chmod(DIRECTORY_MODE)


def read_compressed(dists: Path) -> Compressed:
    """What the indexes of an archive are compressed to, as its Release files say."""
    known: Compressed = {}
    for path in dists.glob("*/Release"):
        entries = parse_entries(path.read_text(encoding="utf-8"))
        for name, entry in entries.items():
            parts = {
                suffix: entries[f"{name}{suffix}"].sha256 for suffix in COMPRESSIONS if f"{name}{suffix}" in entries
            }
            if len(parts) == len(COMPRESSIONS):
                known[entry.sha256] = parts
    return known


def write_dists(
    place: Path,
    suites: Mapping[str, SuiteIndexes],
    *,
    signer: Signer,
    moment: int,
    known: Compressed | None = None,
    quick: bool = False,
    valid_days: float = 0.0,
) -> dict[str, int]:
    """Write ``dists`` below ``place``, a directory two levels below the served one; the size of every file.

    ``moment`` (seconds since the epoch) is the date in the Release files, of them, and of what no client has seen yet.
    ``known`` spares compressing what was compressed before, and learns; ``quick`` is for what changes often. Clients
    believe the suites for ``valid_days``, or for ever with 0; snapshots, which nobody refreshes, are for ever.
    """
    served = place.parents[1]
    make_directory(served / BY_HASH, top=served)
    compressed = {} if known is None else known
    sizes: dict[str, int] = {}
    texts: dict[str, str] = {}
    for suite, indexes in sorted(suites.items()):
        entries = []
        for index, text in sorted(indexes.texts.items()):
            below = f"dists/{suite}/{index}"
            make_directory(place / below, top=place)
            os.symlink(os.path.relpath(served / "by-hash", place / below), place / below / "by-hash")
            stored = _store_index(served / BY_HASH, encode_control(text), moment=moment, known=compressed, quick=quick)
            plain = name_index(index)
            for suffix, digest in stored.items():
                name = f"{plain}{suffix}"
                os.link(served / BY_HASH / digest, place / below / name)
                size = sizes[f"{below}/{name}"] = (place / below / name).stat().st_size
                entries.append(f" {digest} {size} {index}/{name}")
        days = 0.0 if is_snapshot(suite) else valid_days
        texts[suite] = _format_release(indexes.fields, entries, moment, valid_days=days)
    return sizes | _write_releases(place, texts, signer=signer, moment=moment)


def is_snapshot(suite: str) -> bool:
    """Whether a suite, or a path below ``dists``, is of a snapshot that reprepro made."""
    return "/snapshots/" in f"/{suite}/"


def link_dists(before: Path, after: Path, files: Mapping[str, int]) -> dict[str, int]:
    """Let files of the directory ``before`` be in ``after`` too; their sizes."""
    for path in files:
        make_directory((after / path).parent, top=after)
        os.link(before / path, after / path)
        by_hash = (before / path).parent / "by-hash"
        if by_hash.is_symlink() and not (after / path).with_name("by-hash").is_symlink():
            os.symlink(os.readlink(by_hash), (after / path).with_name("by-hash"))
    return dict(files)


def redate_dists(
    before: Path, after: Path, sizes: Mapping[str, int], *, signer: Signer, moment: int, valid_days: float
) -> dict[str, int]:
    """Write into ``after`` the ``dists`` of ``before`` with another date, signed anew; the size of every file.

    All else in it stays the same file, and so does each snapshot.
    """
    suites = {path.split("/")[1] for path in sizes if path.endswith(f"/{RELEASE}") and not is_snapshot(path)}
    renewed = {f"dists/{suite}/{name}" for suite in suites for name in (RELEASE, SIGNATURE, INRELEASE)}
    kept = link_dists(before, after, {path: size for path, size in sizes.items() if path not in renewed})
    texts = {
        suite: _redate((before / "dists" / suite / RELEASE).read_text("utf-8"), moment, valid_days=valid_days)
        for suite in sorted(suites)
    }
    return kept | _write_releases(after, texts, signer=signer, moment=moment)


def _write_releases(place: Path, texts: Mapping[str, str], *, signer: Signer, moment: int) -> dict[str, int]:
    """Sign the Release files of suites, and write them; the size of every file."""
    sizes = {}
    signed = sign_releases(signer, list(texts.values()), on=f"the archive {place.parents[1]}")
    for suite, files in zip(texts, signed, strict=True):
        for name, content in files.items():
            path = place / "dists" / suite / name
            make_directory(path.parent, top=place)
            write_atomic(path, content)
            os.utime(path, (moment, moment))
            sizes[f"dists/{suite}/{name}"] = len(content)
    return sizes


def find_wrong_sizes(directory: Path, sizes: Mapping[str, int]) -> list[str]:
    """What of these files is missing, or has another size."""
    findings = []
    for path, size in sorted(sizes.items()):
        try:
            found = os.stat(directory / path).st_size
        except OSError:
            findings.append(f"{path} is missing")
            continue
        if found != size:
            findings.append(f"{path} has {found} bytes instead of {size}")
    return findings


def find_wrong_dists(place: Path, sizes: Mapping[str, int], *, signer: Signer | None) -> list[str]:
    """What clients would stumble over in the ``dists`` below ``place``; ``sizes`` names its files."""
    if wrong := find_wrong_sizes(place, sizes):
        return wrong
    releases = sorted(path.rpartition("/")[0] for path in sizes if path.endswith("/InRelease"))
    findings = []
    for below in releases:
        names = [path.removeprefix(f"{below}/") for path in sizes if path.startswith(f"{below}/")]
        paths = [name.split("/") for name in names]
        indexes = [parts for parts in paths if len(parts) == 3 and parts[1].startswith("binary-")]
        expected = Expected(
            codename=below.split("/")[1],
            architectures={parts[1].removeprefix("binary-") for parts in indexes},
            components={parts[0] for parts in indexes},
            signer=signer,
            files=[name for name in names if "/" not in name],
        )
        findings += [f"{below}: {fault}" for fault in find_faults(place / below, expected)]
    return findings


def _store_index(store: Path, plain: bytes, *, moment: int, known: Compressed, quick: bool) -> dict[str, str]:
    """Store an index in all its forms; their digests by suffix."""
    digest = _store_by_hash(store, plain, moment=moment)
    parts = known.get(digest)
    if parts is None or not all(_is_stored(store, part) for part in parts.values()):
        chosen = QUICK_COMPRESSIONS if quick else COMPRESSIONS
        parts = {suffix: _store_by_hash(store, compress(plain), moment=moment) for suffix, compress in chosen.items()}
        known[digest] = parts
    return {"": digest, **parts}


def _store_by_hash(store: Path, content: bytes, *, moment: int) -> str:
    """Its date is that of the publication, which no other has: who compares dates and sizes sees that it is new."""
    digest = hashlib.sha256(content).hexdigest()
    if not _is_stored(store, digest):
        write_atomic(store / digest, content)
        os.utime(store / digest, (moment, moment))
    return digest


def _is_stored(store: Path, digest: str) -> bool:
    return (store / digest).is_file() and hash_file(store / digest) == digest


def _format_release(fields: Mapping[str, str], entries: Sequence[str], moment: int, *, valid_days: float) -> str:
    words = {**fields, **_format_dates(moment, valid_days), "Acquire-By-Hash": "yes"}
    return "\n".join([*(f"{name}: {value}" for name, value in words.items()), "SHA256:", *entries, ""])


def _format_dates(moment: int, valid_days: float) -> dict[str, str]:
    dates = {"Date": moment, **({VALID_UNTIL: moment + int(valid_days * DAY)} if valid_days else {})}
    return {name: time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(date)) for name, date in dates.items()}


def _redate(text: str, moment: int, *, valid_days: float) -> str:
    """The same Release file with other dates; all its other lines stay."""
    head, mark, rest = text.partition("\nSHA256:")
    lines = [line for line in head.split("\n") if not line.startswith(f"{VALID_UNTIL}:")]
    dates = "\n".join(f"{name}: {value}" for name, value in _format_dates(moment, valid_days).items())
    return "\n".join(dates if line.startswith("Date:") else line for line in lines) + mark + rest
