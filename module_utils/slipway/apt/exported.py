# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What reprepro exported, published by generations: reprepro itself changes the files that clients read one by one.

reprepro works in a directory that nobody else reads. From there packages are linked into the pool that is served, under
reprepro's names; a name that still holds another file, which clients may be told of, is not used again while it does.
Indexes and packages that are in no suite any more stay for a time, for those who have just read of them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import hash_file, name_temporary, sync_directory, sync_file, write_atomic
from ..release.records import format_json
from .dists import (
    BY_HASH,
    SuiteIndexes,
    find_wrong_dists,
    link_dists,
    make_directory,
    name_index,
    read_compressed,
    write_dists,
)
from .generations import (
    CURRENT_LINK,
    GENERATIONS,
    choose_date,
    make_temporary,
    put_in_place,
    read_account,
    read_json,
    remove_leftovers,
    switch_to,
)
from .signed import Signer

#: What a generation says of itself.
ACCOUNT = "suites.json"
#: Seconds that an index stays after its generation, and a package after its last index. Readers that work for longer
#: than that between reading of a file and fetching it begin anew.
INDEX_GRACE, PACKAGE_GRACE = 3600.0, 86400.0
#: Seconds between looks through all of the pool, which take long.
SWEEP_INTERVAL = 3600.0
#: Of a suite's Release file by reprepro, what readers are told too.
FIELDS = ("Origin", "Label", "Suite", "Version", "Codename", "Architectures", "Components", "Description")

#: Where indexes are, below the directory of their suite.
INDEXES = ("*/binary-*/Packages", "*/source/Sources")

_FIELD = re.compile(rf"^({'|'.join(FIELDS)}): *(.*)$", re.MULTILINE)
_FILENAME = re.compile(r"^Filename: (.+)$", re.MULTILINE)
_SIZE = re.compile(r"^Size: ([0-9]+)$", re.MULTILINE)
_SHA256 = re.compile(r"^SHA256: ([0-9a-f]{64})$", re.MULTILINE)
_DIRECTORY = re.compile(r"^Directory: (.+)$", re.MULTILINE)
_CHECKSUMS = re.compile(r"^Checksums-Sha256:[ \t]*\n((?: [0-9a-f]{64} [0-9]+ \S+(?:\n|\Z))+)", re.MULTILINE)


@dataclass(frozen=True)
class PublishedSuites:
    """What clients see: the sizes of the files below ``dists``, and for each suite a digest of what it was made of.

    ``swept`` is when what is in no index any more was looked for, ``valid_days`` for how long clients believe a suite.
    """

    generation: int = 0
    published: int = 0
    swept: int = 0
    files: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    valid_days: float = 0.0


def read_suites(served: Path) -> PublishedSuites:
    """The generation that clients see."""
    return PublishedSuites(**(read_account(served, ACCOUNT) or {}))


def find_generation(served: Path, number: int = 0) -> tuple[PublishedSuites, Path]:
    """A generation of what clients read, the current one without a ``number``, and its directory.

    It is never changed, and the packages that it names stay in the pool for a time; the one before the current is kept.
    """
    now = read_suites(served)
    path = served / GENERATIONS / str(number or now.generation)
    if not (path / ACCOUNT).is_file():
        kept = sorted((each.parent.name for each in path.parent.glob(f"*/{ACCOUNT}")), key=int)
        raise SlipwayError(
            "read",
            f"generation {number} of {served}" if number else str(served),
            f"there is only {' and '.join(kept)}" if kept else "nothing is published there",
            do_next="Take one that is kept, or the current one." if kept else "Export the archive and run again.",
        )
    return (PublishedSuites(**read_json(served, path / ACCOUNT)) if number else now), path


def is_publication_due(export: Path, served: Path, suite: str, *, signer: Signer) -> bool:
    """Whether clients see of a suite something else than what reprepro exported, or something that they cannot use."""
    now = read_suites(served)
    wanted = {name: digest_source(indexes) for name, indexes in read_export(export).items() if _is_of(name, suite)}
    files = _files_of(now, {name for name in now.sources if _is_of(name, suite)})
    place = served / GENERATIONS / str(now.generation)
    return (
        wanted != {name: digest for name, digest in now.sources.items() if _is_of(name, suite)}
        or bool(find_wrong_dists(place, files, signer=signer))
        or not all(
            _is_served(served, name, text) for name, text in _read_indexes(place) if _is_of(_suite_of(name), suite)
        )
    )


def publish_export(
    export: Path,
    served: Path,
    *,
    signer: Signer,
    anew: Collection[str] = (),
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Publish all that reprepro exported, as one; suites that are as they were keep their files, but those ``anew``."""
    make_directory(served, top=served)
    remove_leftovers(served)
    now, suites = read_suites(served), read_export(export)
    sources = {suite: digest_source(indexes) for suite, indexes in suites.items()}
    again = {name for name in suites for suite in anew if _is_of(name, suite)}
    kept = {suite for suite in suites if now.sources.get(suite) == sources[suite]} - again
    before = served / GENERATIONS / str(now.generation)
    known = set() if anew else _read_paragraphs(before)
    changed = {
        suite: _fill_pool(export, served, indexes, known) for suite, indexes in suites.items() if suite not in kept
    }
    moment = choose_date(served, now.published, clock=clock, sleep=sleep)
    sweep = moment - now.swept > SWEEP_INTERVAL
    following = PublishedSuites(
        now.generation + 1, moment, moment if sweep else now.swept, sources=sources, valid_days=now.valid_days
    )
    target = served / GENERATIONS / str(following.generation)
    temporary = make_temporary(target)
    files = {
        **link_dists(before, temporary, _files_of(now, kept)),
        **_write_suites(served, temporary, changed, signer=signer, moment=moment, valid_days=now.valid_days),
    }
    write_atomic(temporary / ACCOUNT, format_json(asdict(replace(following, files=files))))
    put_in_place(temporary, target)
    sync_directory(target.parent)
    _give_way(served / CURRENT_LINK)
    switch_to(served, following.generation)
    remove_leftovers(served)
    _remove_old_indexes(served, moment=clock())
    if sweep:
        _sweep_pool(served, target, moment=clock())


def _write_suites(
    served: Path,
    place: Path,
    suites: Mapping[str, SuiteIndexes],
    *,
    signer: Signer,
    moment: int,
    valid_days: float,
) -> dict[str, int]:
    """Write suites, and look at them as clients will, before they can; the size of every file."""
    known = read_compressed(served / CURRENT_LINK)
    files = write_dists(place, suites, signer=signer, moment=moment, known=known, quick=True, valid_days=valid_days)
    refuse(
        "publish in",
        str(served),
        find_wrong_dists(place, files, signer=signer),
        do_next="Clients see what they saw before. Check the disk and the key, and run again.",
    )
    return files


def read_export(export: Path) -> dict[str, SuiteIndexes]:
    """What reprepro exported, by suite; its snapshots are suites too (``bookworm/snapshots/r1``)."""
    found = {}
    for pattern in ("*/Release", "*/snapshots/*/Release"):
        for release in sorted((export / "dists").glob(pattern)):
            texts = {
                os.path.relpath(path.parent, release.parent): path.read_bytes().decode("utf-8", "surrogateescape")
                for pattern in INDEXES
                for path in sorted(release.parent.glob(pattern))
            }
            fields = dict(_FIELD.findall(release.read_text(encoding="utf-8")))
            found[os.path.relpath(release.parent, export / "dists")] = SuiteIndexes(fields, texts)
    return found


def digest_source(indexes: SuiteIndexes) -> str:
    """A digest of all that a suite is made of."""
    words = [*(f"{name}: {value}\n" for name, value in sorted(indexes.fields.items()))]
    words += [f"{index}\n{text}\0" for index, text in sorted(indexes.texts.items())]
    return sha256("".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _files_of(now: PublishedSuites, suites: Collection[str]) -> dict[str, int]:
    return {path: size for path, size in now.files.items() if _suite_of(path) in suites}


def _suite_of(path: str) -> str:
    """The suite of a file below ``dists``: ``bookworm`` of ``dists/bookworm/main/binary-i386/Packages``."""
    words = path.split("/")
    return "/".join(words[1:4] if words[2:3] == ["snapshots"] else words[1:2])


def _is_of(name: str, suite: str) -> bool:
    """Whether a suite is that one, or a snapshot of it."""
    return name == suite or name.startswith(f"{suite}/snapshots/")


def adopt_served(export: Path, served: Path) -> None:
    """An archive that reprepro kept where it is served: let ``export`` have reprepro's files too."""
    if export.is_dir() or not _is_reprepros(served / CURRENT_LINK):
        return
    begun = name_temporary(export)
    for path in sorted(path for part in ("pool", CURRENT_LINK) for path in (served / part).rglob("*")):
        target = begun / path.relative_to(served)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.link(path, target)
    begun.rename(export)


def _is_reprepros(dists: Path) -> bool:
    return dists.is_dir() and not dists.is_symlink()


def _give_way(dists: Path) -> None:
    """A link cannot take the place of a directory: the one that reprepro made goes at the last moment."""
    if _is_reprepros(dists):
        dists.rename(name_temporary(dists))


def _fill_pool(export: Path, served: Path, indexes: SuiteIndexes, known: Collection[str]) -> SuiteIndexes:
    """Let the suite's packages be in the pool; its indexes name them where they are there.

    Readers have the paragraphs ``known`` already, so what these name is there: an archive has many, and few are new.
    """
    placed: dict[str, str] = {}

    def place(paragraph: str, index: str) -> str:
        if paragraph in known:
            return paragraph
        if name_index(index) == "Sources":
            return _place_source(export, served, paragraph)
        name, digest = _FILENAME.search(paragraph), _SHA256.search(paragraph)
        if name is None or digest is None:
            return paragraph
        path, sha256 = name.group(1), digest.group(1)
        if sha256 not in placed or placed[sha256].rpartition("/")[2] != path.rpartition("/")[2]:
            placed[sha256] = _place_package(export, served, path, sha256=sha256)
        return paragraph if placed[sha256] == path else _FILENAME.sub(f"Filename: {placed[sha256]}", paragraph, count=1)

    texts = {
        index: "\n\n".join(place(paragraph, index) for paragraph in text.split("\n\n"))
        for index, text in indexes.texts.items()
    }
    return SuiteIndexes(indexes.fields, texts)


def _place_package(export: Path, served: Path, path: str, *, sha256: str) -> str:
    """Where a package is served: under reprepro's name for it, or below its digest if that name holds another file."""
    directory, _slash, name = path.rpartition("/")
    other = f"{directory}/{sha256[:16]}/{name}"
    for candidate in (other, path):
        if (served / candidate).exists() and _is_package(served / candidate, export / path, sha256=sha256):
            return candidate
    candidate = other if (served / path).exists() else path
    _link_file(export / path, served / candidate, top=served)
    return candidate


def _place_source(export: Path, served: Path, paragraph: str) -> str:
    """Let the files of a source package be in the pool: under reprepro's names, or all of them in a directory below.

    Two source packages may have files in common; one name never stands for two files.
    """
    directory, files = _DIRECTORY.search(paragraph), _list_source_files(paragraph)
    if directory is None or not files:
        return paragraph
    usual = directory.group(1)
    digest = sha256("".join(sorted(each for _name, _size, each in files)).encode()).hexdigest()
    place = f"{usual}/{digest[:16]}"
    if not any(_is_taken(served / usual / name, export / usual / name, each) for name, _size, each in files):
        place = usual
    for name, _size, each in files:
        target = served / place / name
        if not target.exists() or not _is_package(target, export / usual / name, sha256=each):
            _link_file(export / usual / name, target, top=served)
    return paragraph if place == usual else _DIRECTORY.sub(f"Directory: {place}", paragraph, count=1)


def _is_taken(there: Path, wanted: Path, sha256: str) -> bool:
    return there.exists() and not _is_package(there, wanted, sha256=sha256)


def _list_source_files(paragraph: str) -> list[tuple[str, int, str]]:
    """Name, size and digest of each file of a source package."""
    found = _CHECKSUMS.search(paragraph)
    rows = [line.split() for line in found.group(1).splitlines()] if found else []
    return [(name, int(size), digest) for digest, size, name in rows]


def _link_file(source: Path, target: Path, *, top: Path) -> None:
    make_directory(target.parent, top=top)
    if source.stat().st_mode & 0o7777 != 0o644:
        source.chmod(0o644)
    sync_file(source)
    try:
        target.unlink(missing_ok=True)
        os.link(source, target)
    except OSError as error:
        raise SlipwayError(
            "publish",
            str(source),
            f"it cannot be linked into {top}: {error.strerror}",
            do_next="Put both directories on one file system, where all is the same user's, and run again.",
        ) from error
    sync_directory(target.parent)


def _is_package(there: Path, wanted: Path, *, sha256: str) -> bool:
    return there.samefile(wanted) or hash_file(there) == sha256


def _remove_old_indexes(served: Path, *, moment: float) -> None:
    """Its last link but the one by hash went when its status changed."""
    for path in (served / BY_HASH).iterdir():
        found = path.stat()
        if found.st_nlink == 1 and moment - found.st_ctime > INDEX_GRACE:
            path.unlink()


def _sweep_pool(served: Path, generation: Path, *, moment: float) -> None:
    """Remove what is in no index any more, if its time is over: reprepro's link to it went when its status changed."""
    named = {path for name, text in _read_indexes(generation) for path, _size in _list_files(name, text)}
    for directory, _names, files in os.walk(served / "pool", topdown=False):
        for path in (Path(directory, name) for name in files):
            gone = str(path.relative_to(served)) not in named
            if gone and moment - path.stat().st_ctime > PACKAGE_GRACE:
                path.unlink()
        if not os.listdir(directory):
            os.rmdir(directory)


def _read_indexes(generation: Path) -> Iterator[tuple[str, str]]:
    """The indexes of a generation as text, each with its path."""
    top = generation / "dists"
    for index in sorted([*top.rglob("binary-*/Packages"), *top.rglob("source/Sources")]):
        yield str(index.relative_to(generation)), index.read_bytes().decode("utf-8", "surrogateescape")


def _read_paragraphs(generation: Path) -> set[str]:
    """The paragraphs of all indexes of a generation."""
    return {paragraph for _path, text in _read_indexes(generation) for paragraph in text.split("\n\n")}


def _list_files(index: str, text: str) -> Iterator[tuple[str, int]]:
    """The files that an index names, each with its size."""
    if index.endswith("/Packages"):
        sizes = (int(size) for size in _SIZE.findall(text))
        yield from zip(_FILENAME.findall(text), sizes, strict=True)
        return
    for paragraph in text.split("\n\n"):
        directory = _DIRECTORY.search(paragraph)
        for name, size, _digest in _list_source_files(paragraph) if directory else ():
            yield f"{directory.group(1) if directory else ''}/{name}", size


def _is_served(served: Path, index: str, text: str) -> bool:
    """Whether the files that an index names are there with their sizes."""
    sizes = {served / path: size for path, size in _list_files(index, text)}
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
