# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The indexes of an apt archive: which debs they hold, and what they say of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..deb.control import Control, decode_control, identify_package
from ..deb.file import Hasher, inspect_deb, refuse_faulty_debs, unusable_deb
from ..deb.forks import spread_work
from ..deb.names import locate_pool
from ..deb.version import strip_epoch
from ..errors import SlipwayError, refuse
from ..files import CHUNK
from .solver import digest_demands

DIGESTS = ("size", "md5", "sha1", "sha256")
#: How many files a process reads before it answers.
FILES_AT_ONCE = 100


@dataclass(frozen=True)
class Archive:
    """A served directory, what its InRelease files call it, and who signs them."""

    directory: Path
    origin: str
    component: str
    gnupghome: Path
    key: str


@dataclass(frozen=True)
class Deb:
    """A file as an index describes it; ``control`` is its control file."""

    path: Path
    name: str
    version: str
    architecture: str
    source: str
    control: str
    size: int
    md5: str
    sha1: str
    sha256: str

    def pool_path(self, component: str) -> str:
        """Where it is fetched: ``pool/main/r/ros-cturtle-ros/ros-cturtle-ros_1.0-r1~lucid_i386.deb``."""
        return f"{locate_pool(component, self.source)}/{self.name}_{strip_epoch(self.version)}_{self.architecture}.deb"

    def stanza(self, component: str) -> str:
        """Its paragraph of ``Packages``, without the empty line."""
        control = Control(self.control)
        for name, value in (
            ("Filename", self.pool_path(component)),
            ("Size", str(self.size)),
            ("MD5sum", self.md5),
            ("SHA1", self.sha1),
            ("SHA256", self.sha256),
        ):
            control.set(name, value)
        return str(control).strip("\n") + "\n"


def read_deb(path: Path, digests: Mapping[str, Any] | None = None) -> Deb:
    """Read a file; known ``digests`` (see :data:`DIGESTS`) spare reading all of it, if its size is theirs."""
    control = decode_control(inspect_deb(path, drop_signatures=True).control)
    try:
        fields = Control(control)
        name, version, architecture = identify_package(fields)
    except ValueError as error:
        raise unusable_deb(path, str(error)) from None
    known = digests is not None and digests["size"] == path.stat().st_size
    found = digests if digests is not None and known else _compute_digests(path)
    source = (fields.get("Source") or name).split()[0]
    return Deb(path, name, version, architecture, source, control, **{key: found[key] for key in DIGESTS})


def read_debs(
    files: Iterable[str | os.PathLike[str]], known: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Deb]:
    """:func:`read_deb` for many; ``known`` has digests by path. All that are not debs are listed."""
    found = inspect_debs(files, known)
    refuse_faulty_debs([one for one in found if isinstance(one, SlipwayError)], total=len(found))
    return [one for one in found if isinstance(one, Deb)]


def inspect_debs(
    files: Iterable[str | os.PathLike[str]], known: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Deb | SlipwayError]:
    """:func:`read_deb` for many, on all cores; in the place of a file that is not a deb, its fault."""
    paths = [os.fspath(file) for file in files]
    parts = [paths[start : start + FILES_AT_ONCE] for start in range(0, len(paths), FILES_AT_ONCE)]

    def attempt(path: str) -> Deb | SlipwayError:
        try:
            return read_deb(Path(path), (known or {}).get(path))
        except SlipwayError as error:
            return error

    def work(number: int) -> list[Deb | SlipwayError]:
        return [attempt(path) for path in parts[number]]

    parts_read = spread_work(len(parts), work, workers=len(os.sched_getaffinity(0)), attempt="read the packages")
    return [one for part in parts_read for one in part]


def assemble_release(
    wanted: Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]], files: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, tuple[Deb, ...]]]:
    """Find the file of every package that ``wanted`` has by suite and architecture, and read it.

    A row of ``wanted`` is ``{version, demands}`` with the digest of :func:`aptsolver.demands`; a file is
    ``{package, stamped, architecture, path, size, md5, sha1, sha256}``. What is not there, or is not what was planned,
    is a finding; all are listed.
    """
    there = {(file["package"], file["stamped"], file["architecture"]): file for file in files}
    findings: list[str] = []
    chosen: list[tuple[str, str, str, Mapping[str, Any], Mapping[str, str]]] = []
    for suite, architectures in wanted.items():
        for architecture, packages in architectures.items():
            for name, row in packages.items():
                keys = ((name, row["version"], index) for index in (architecture, "all"))
                file = next((there[key] for key in keys if key in there), None)
                if file is None:
                    findings.append(f"{suite}/{architecture}: no file is {name} {row['version']}")
                else:
                    chosen.append((suite, architecture, name, file, row))
    unique = {file["path"]: file for _suite, _architecture, _name, file, _row in chosen}
    debs = dict(zip(unique, read_debs(unique, unique), strict=True))
    found: dict[str, dict[str, list[Deb]]] = {}
    for suite, architecture, name, file, row in chosen:
        deb = debs[file["path"]]
        if digest_demands(Control(deb.control)) != row["demands"]:
            findings.append(f"{suite}/{architecture}: {name} is not what was planned ({deb.path})")
        found.setdefault(suite, {}).setdefault(architecture, []).append(deb)
    refuse(
        "assemble",
        "the release",
        findings,
        several="files are not what was planned",
        do_next="Somebody changed the shadow archive meanwhile: run again.",
    )
    return {suite: {name: tuple(each) for name, each in rows.items()} for suite, rows in found.items()}


def format_index(debs: Iterable[Deb], *, component: str) -> str:
    """The text of ``Packages``, sorted by name."""
    return "".join(f"{deb.stanza(component)}\n" for deb in sorted(debs, key=lambda deb: deb.name))


def locate_index(suite: str, component: str, architecture: str) -> str:
    """Where an index lies: ``dists/lucid/main/binary-i386``."""
    return f"dists/{suite}/{component}/binary-{architecture}"


def _compute_digests(path: Path) -> dict[str, Any]:
    hasher = Hasher()
    with open(path, "rb", buffering=0) as stream:
        while piece := stream.read(CHUNK):
            hasher.update(piece)
    found = hasher.digests()
    return {"size": found.size, "md5": found.md5, "sha1": found.sha1, "sha256": found.sha256}
