# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a run of builds works: the indexes that plans are made of, the sources, and the archive, on this machine."""

from __future__ import annotations

import contextlib
import functools
import gc
import http.server
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..apt.index import Deb, inspect_debs
from ..apt.reprepro import open_archive
from ..apt.results import BuildResult, take_results
from ..deb.architectures import ALL
from ..deb.control import Control
from ..deb.version import strip_rebuild
from ..distro.plan import make_plan
from ..distro.planindexes import Known, Request, Seen, read_platforms
from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, read_regular, write_atomic
from .builds import Planned, Product
from .schedule import Unit

_FIELD = re.compile(r"^(Package|Version|Directory|SHA256): (.+)$", re.MULTILINE)
_DIGEST = re.compile(r"^SHA256: ([0-9a-f]{64})$", re.MULTILINE)
_FILE = re.compile(r"^ ([0-9a-f]{64}) [0-9]+ (\S+)$", re.MULTILINE)


@contextlib.contextmanager
def _pause_collection() -> Iterator[None]:
    """Do without the search for cyclic garbage: what is made of large indexes has none, and is many objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass
class SitePlanner:
    """Plans by the options of the module ``deb_plan_info``; what was read of indexes is not read again."""

    options: Mapping[str, Any]
    known: Known = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)

    @_pause_collection()
    def __call__(self, without: Collection[Unit], satisfied: Collection[str] = (), /) -> Planned:
        """The plan of what the archive has now."""
        excludes = {name: list(places) for name, places in self.options["excludes"].items()}
        request = Request.from_options(self.options)
        names = {request.find_source(stack): stack for stack in request.stacks or ()}
        for unit in without:
            place = f"{unit.platform}-{unit.architecture}"
            name = names.get(unit.source, unit.source)
            if name not in excludes:
                excludes[name] = [place]
            elif excludes[name]:
                excludes[name].append(place)
        wishes = {
            wish: [name for name in self.options[wish] if request.find_source(name) not in satisfied]
            for wish in ("force", "rebuild")
        }
        request = Request.from_options({**self.options, **wishes, "excludes": excludes})
        platforms = read_platforms(request, self.known, self.seen)
        return Planned(
            make_plan(platforms, request.make_wishes()),
            {platform.name: platform.shadow for platform in platforms},
            {platform.name: platform.all_architecture for platform in platforms},
            {
                platform.name: {one.name: one.version for one in platform.sources.values() if one.has_tests}
                for platform in platforms
            },
        )


@dataclass
class LocalShelf:
    """The source packages of an archive that is a directory on this machine."""

    public: Path
    component: str

    def fetch(self, unit: Unit, /) -> list[Path]:
        """The files of a source package, the .dsc first."""
        index = self.public / "dists" / unit.platform / self.component / "source" / "Sources"
        text, name = _read_index(index), re.escape(unit.source)
        for match in re.finditer(rf"^Package: {name}\n(?:.+\n)*", text, re.MULTILINE):
            paragraph = match[0]
            said = dict(_FIELD.findall(paragraph))
            if said.get("Version") == unit.version:
                part = paragraph.partition("\nChecksums-Sha256:")[2]
                files = {name: digest for digest, name in _FILE.findall(part)}
                return self._find_files(self.public / said.get("Directory", ""), files, unit)
        raise SlipwayError(
            "find the source package",
            unit.label,
            f"{index} does not have it any more",
            do_next="Run the same command again: it plans anew.",
        )

    def _find_files(self, directory: Path, files: Mapping[str, str], unit: Unit) -> list[Path]:
        wrong = [
            name
            for name, digest in files.items()
            if not (directory / name).is_file() or hash_file(directory / name) != digest
        ]
        refuse(
            "use the source package",
            unit.label,
            [f"{directory / name} is not the file that the index names" for name in wrong],
            do_next="Find out who changed it, and make the source package again.",
        )
        return [directory / name for name in sorted(files, key=lambda name: (not name.endswith(".dsc"), name))]


@dataclass
class LocalStore:
    """An archive kept by reprepro on this machine; ``public`` is what clients read of it."""

    base: Path
    public: Path
    gnupghome: Path
    component: str
    timeout: float = 600.0

    def recover(self) -> None:
        """Let readers see what a killed run has done."""
        with open_archive(self.base, gnupghome=self.gnupghome, timeout=self.timeout):
            pass

    def adopt(self, product: Product, /) -> bool:
        """Whether readers have all packages of a build; what is recorded of it is published then."""
        platform, architecture = product.unit.platform, product.unit.architecture
        there = set(self._list_served(platform, [architecture]))
        if not {hash_file(deb) for deb in product.debs} <= there:
            return False
        self._publish_buildinfo(platform, product)
        return True

    @_pause_collection()
    def include(self, platform: str, products: Sequence[Product], /) -> Mapping[str, str]:
        """Include what was built, in one generation, and read it back."""
        results, refused = [], {}
        for product in products:
            found = list(inspect_debs(list(product.debs)))
            faults = [one for one in found if isinstance(one, SlipwayError)]
            if faults:
                refused[product.unit.label] = faults[0].came_back
                continue
            debs = tuple(one for one in found if isinstance(one, Deb))
            if strange := list(_find_strangers(product.unit, debs)):
                refused[product.unit.label] = strange[0]
                continue
            results.append(BuildResult(product.unit.label, debs, product.removed))
        with open_archive(self.base, gnupghome=self.gnupghome, timeout=self.timeout) as archive:
            taken = take_results(archive, platform, results, component=self.component, timeout=self.timeout)
        refused |= taken.refused
        there = set(self._list_served(platform, {one.index for one in taken.outcome.after}))
        missing = [
            f"{deb.name} {deb.version} of {result.label} is not in the indexes that clients read"
            for result in results
            if result.label not in refused
            for deb in result.debs
            if deb.sha256 not in there
        ]
        refuse("confirm what was included in", str(self.public), missing, do_next="Look at the archive, and run again.")
        for product in products:
            if product.unit.label not in refused:
                self._publish_buildinfo(platform, product)
        return refused

    def _publish_buildinfo(self, platform: str, product: Product) -> None:
        """Put what was recorded of a build beside the archive, for whoever wants to build the same."""
        for path in product.buildinfo:
            directory = self.public / "buildinfo" / platform / product.unit.source
            make_directory(directory)
            if not (directory / path.name).exists():
                write_atomic(directory / path.name, read_regular(path))

    def _list_served(self, platform: str, architectures: Collection[str]) -> Iterator[str]:
        for architecture in architectures:
            directory = self.public / "dists" / platform / self.component / f"binary-{architecture}"
            yield from _DIGEST.findall(_read_index(directory / "Packages"))


def _find_strangers(unit: Unit, debs: Sequence[Deb]) -> Iterator[str]:
    """What a host sent that no build of this source makes."""
    if not debs:
        yield "the host sent no package"
    for deb in debs:
        said = Control(deb.control).get("Source") or deb.name
        version = said.partition("(")[2].rstrip(") ") or strip_rebuild(deb.version)
        if (deb.source, version) != (unit.source, unit.version):
            yield f"{deb.path.name} is of {deb.source} {version}"
        if deb.architecture not in (ALL, unit.architecture):
            yield f"{deb.path.name} is for {deb.architecture}"


def read_versions(public: Path, component: str, platform: str, architecture: str) -> dict[str, str]:
    """The versions of the packages that clients read, by their names."""
    index = public / "dists" / platform / component / f"binary-{architecture}" / "Packages"
    rows = [dict(_FIELD.findall(paragraph)) for paragraph in _read_index(index).split("\n\n")]
    return {row["Package"]: row.get("Version", "") for row in rows if "Package" in row}


def _read_index(index: Path) -> str:
    try:
        return index.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        do_next = "Check the archive, and run the same command again."
        raise SlipwayError("read the index", str(index), error.strerror or str(error), do_next=do_next) from error


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # its name there
        """Nobody reads it."""


@contextlib.contextmanager
def serve_directory(directory: Path) -> Iterator[str]:
    """The address of a server on the loopback interface, for the time of the block."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
