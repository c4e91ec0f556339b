# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Upstream source out of Debian source packages, as git repositories."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..apt.sources import resolve_mirrors
from ..deb.version import compare_versions
from ..errors import SlipwayError
from ..files import hash_file, make_scratch
from ..git.remote import Person
from ..git.tree import FILE, LINK, PROGRAM, Entry, commit_tree, read_refs
from ..locks import hold_flock
from ..process import run
from ..progress import Progress

ORIG = re.compile(r"(?P<source>[a-z0-9][a-z0-9+.-]*)_(?P<version>[^_/]+?)\.(?:orig\.)?tar\.(?:gz|xz|bz2|lzma)\Z")
IMPORTER = ("Slipway import", "import@slipway.invalid")
BRANCH = "refs/heads/master"
TIMEOUT = 900.0


@dataclass(frozen=True)
class SourceRequest:
    """A source package and the repository that its upstream source becomes; ``version`` is upstream's."""

    package: str
    path: str
    version: str | None = None


@dataclass(frozen=True)
class ImportedSource:
    """What a repository holds, and whether it was imported now."""

    package: str
    path: str
    version: str
    commit: str
    made: bool


@dataclass(frozen=True)
class Archive:
    """Where source packages come from: lines as in sources.list, and where to keep what was fetched."""

    sources: tuple[str, ...]
    cache: Path


def ensure_imports(
    wanted: Sequence[SourceRequest],
    toplevel: Path,
    *,
    archive: Archive,
    progress: Progress,
    refresh: bool = False,
    write: bool = True,
) -> list[ImportedSource | None]:
    """Ensure a repository ``<path>.git`` below ``toplevel`` for each wanted source package.

    What was imported once stays, unless another version is asked for or ``refresh`` asks the archive for a newer one.
    ``None`` stands for one that is not there and was not to be written.
    """
    found = [None if refresh else _find_imported(one, toplevel) for one in wanted]
    absent = [one for one, held in zip(wanted, found, strict=True) if held is None]
    if not absent or not write:
        return list(found)
    progress.total = len(absent)
    with hold_flock(archive.cache / ".lock", attempt="import sources into", on=str(toplevel), timeout=TIMEOUT):
        for left in archive.cache.glob(".apt-*"):
            shutil.rmtree(left)
        tarballs = fetch_tarballs(absent, archive, refresh=refresh, progress=progress)
        made = {}
        for one in absent:
            made[one.path] = _import_source(one, tarballs[one.package], toplevel)
            progress.step(f"{one.path}: {made[one.path].version} from {tarballs[one.package].name}")
    return [held or made[one.path] for one, held in zip(wanted, found, strict=True)]


def fetch_tarballs(
    wanted: Sequence[SourceRequest], archive: Archive, *, refresh: bool, progress: Progress
) -> dict[str, Path]:
    """The upstream tarball of each package: from the cache, or else from the archive."""
    archive.cache.mkdir(parents=True, exist_ok=True)
    found = {one.package: _find_cached(one, archive.cache) for one in wanted}
    needed = [one for one in wanted if refresh or found[one.package] is None]
    if needed:
        progress.report(f"fetching {', '.join(one.package for one in needed)}")
        names = _download_tarballs([one.package for one in needed], archive)
        found |= {one.package: _choose_tarball(one, names, archive.cache) for one in needed}
    return {package: path for package, path in found.items() if path is not None}


def read_tarball(tarball: Path) -> tuple[dict[bytes, Entry], int]:
    """The files of an upstream tarball, without a directory that all share, and the time of its newest one."""
    with tarfile.open(tarball) as tar:
        members = [info for info in tar if _is_wanted(tarball, info)]
        newest = max((int(info.mtime) for info in members), default=0)
        strip = _count_shared(members)
        files = {}
        for info in members:
            path = os.fsencode("/".join(_split_path(info.name)[strip:]))
            if info.issym():
                files[path] = Entry(LINK, os.fsencode(info.linkname))
            elif info.isreg() or info.islnk():
                content = tar.extractfile(info)
                if content is None:
                    raise AssertionError("content is always set here")
                mode = PROGRAM if info.mode & 0o100 else FILE
                files[path] = Entry(mode, content.read())
    if not files:
        raise _tarball_error(tarball, "it holds no files")
    return files, max(newest, 0)


def parse_tarball_name(name: str) -> tuple[str, str]:
    """Source package and upstream version of a tarball's name."""
    match = ORIG.match(name)
    if match is None:
        raise SlipwayError("read the name", name, "it is not a source tarball of Debian", do_next="Remove it.")
    return match["source"], match["version"]


def make_tag(version: str) -> str:
    """The tag of an upstream version: what git does not take in names is written as DEP 14 says."""
    return re.sub(r"\.(?=\.|$|lock$)", ".#", version.replace(":", "%").replace("~", "_"))


def _find_imported(one: SourceRequest, toplevel: Path) -> ImportedSource | None:
    refs = read_refs(_locate_repository(one, toplevel))
    tags = {name.removeprefix("refs/tags/"): commit for name, commit in refs.items() if name.startswith("refs/tags/")}
    if one.version is not None:
        commit = tags.get(make_tag(one.version))
        return None if commit is None else ImportedSource(one.package, one.path, one.version, commit, made=False)
    head = refs.get(BRANCH)
    versions = [tag for tag, commit in tags.items() if commit == head]
    return None if head is None else ImportedSource(one.package, one.path, (versions or [""])[0], head, made=False)


def _import_source(one: SourceRequest, tarball: Path, toplevel: Path) -> ImportedSource:
    repository = _locate_repository(one, toplevel)
    version = parse_tarball_name(tarball.name)[1]
    tag = f"refs/tags/{make_tag(version)}"
    refs = read_refs(repository)
    if tag in refs:
        return ImportedSource(one.package, one.path, version, refs[tag], made=False)
    files, newest = read_tarball(tarball)
    # Each version is a history of its own: the same tarball is the same commit, whatever was imported before.
    ours = refs.get(BRANCH) in {None, *(commit for name, commit in refs.items() if name.startswith("refs/tags/"))}
    commit = commit_tree(
        repository,
        files,
        refs=[BRANCH, tag] if ours else [tag],
        message=f"Import {tarball.name}\n\nsha256: {hash_file(tarball)}\n",
        person=Person(*IMPORTER, newest),
    )
    return ImportedSource(one.package, one.path, version, commit, made=True)


def _locate_repository(one: SourceRequest, toplevel: Path) -> Path:
    return toplevel / f"{one.path}.git"


def _find_cached(one: SourceRequest, cache: Path) -> Path | None:
    best: Path | None = None
    for path in cache.glob("*.tar.*"):
        match = ORIG.match(path.name)
        if match is None or match["source"] != one.package or one.version not in (None, match["version"]):
            continue
        if best is None or compare_versions(match["version"], parse_tarball_name(best.name)[1]) > 0:
            best = path
    return best


def _choose_tarball(one: SourceRequest, names: Mapping[str, str], cache: Path) -> Path:
    name = names[one.package]
    version = parse_tarball_name(name)[1]
    if one.version not in (None, version):
        raise SlipwayError(
            f"import {one.package} {one.version} from",
            "the Debian archive",
            f"it has version {version}",
            do_next=f"Ask for version {version}, or put {one.package}_{one.version}.orig.tar.gz into {cache}.",
        )
    return cache / name


def _download_tarballs(packages: Sequence[str], archive: Archive) -> dict[str, str]:
    """Fetch upstream tarballs into the cache; the names of their files by package."""
    with make_scratch(".apt-", directory=archive.cache) as work:
        name = str(work)
        options = _prepare_apt(work, archive.sources)
        _run_apt([*options, "update"], "read the list of sources from", name)
        names = {}
        for package in packages:
            uris = _run_apt([*options, "source", "--tar-only", "--print-uris", package], f"find {package} in", name)
            found = [word for word in uris.split() if (match := ORIG.match(word)) and match["source"] == package]
            if not found:
                raise SlipwayError(
                    f"find {package} in",
                    "the Debian archive",
                    "there is no upstream tarball of it",
                    do_next="Give the name of a source package, and look at the sources that were asked.",
                )
            names[package] = found[0]
        _run_apt([*options, "source", "--tar-only", "--download-only", *packages], "fetch sources from", name)
        for file in names.values():
            (work / file).replace(archive.cache / file)
    return names


def _prepare_apt(directory: Path, sources: Sequence[str]) -> list[str]:
    """Options that make apt use ``sources`` and ``directory`` in place of the machine's own lists."""
    (directory / "sources.list").write_text("".join(f"{line}\n" for line in resolve_mirrors(sources)), encoding="utf-8")
    for below in ("lists/partial", "cache/archives/partial"):
        (directory / below).mkdir(parents=True)
    values = {
        "Dir::Etc::SourceList": directory / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": directory / "lists",
        "Dir::Cache": directory / "cache",
        "APT::Sandbox::User": "",
        "APT::Update::Error-Mode": "any",
    }
    return [f"-o{name}={value}" for name, value in values.items()]


def _run_apt(words: Sequence[str], attempt: str, directory: str) -> str:
    return run(
        ["apt-get", "--quiet", *words],
        attempt=attempt,
        on="the Debian archive",
        cwd=directory,
        timeout=TIMEOUT,
        do_next="Check the network and the sources that were asked, and run again.",
    ).stdout


def _split_path(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _is_wanted(tarball: Path, info: tarfile.TarInfo) -> bool:
    """Whether a member becomes a file; one that leads elsewhere fails."""
    parts = _split_path(info.name)
    if info.name.startswith("/") or ".." in parts:
        raise _tarball_error(tarball, f"{info.name!r} leads out of it")
    return bool(parts) and ".git" not in parts and (info.isreg() or info.issym() or info.islnk())


def _count_shared(members: Sequence[tarfile.TarInfo]) -> int:
    """1 if all members are below one directory, else 0."""
    tops = {parts[0] for parts in (_split_path(info.name) for info in members)}
    return int(len(tops) == 1 and all(len(_split_path(info.name)) > 1 for info in members))


def _tarball_error(tarball: Path, why: str) -> SlipwayError:
    return SlipwayError("import", str(tarball), why, do_next="Remove it and run again to fetch it again.")
