# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take over tarballs that were released by other means: read as hostile, and given control YAML.

All of them are unpacked before one is judged, since each may need what is in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import SlipwayError, refuse
from ..files import make_directory, make_scratch, replace_file
from ..progress import Progress
from .controlfile import name_control_files, name_release, read_control_file
from .fetch import Reader, check_place, join_place
from .gate import Known, check_names
from .manifest import STACK_NAME
from .package import (
    Released,
    Request,
    Surroundings,
    copy_file,
    describe_source,
    describe_tarball,
    hash_if_there,
    release_stack,
    write_control,
)
from .repository import TARBALLS
from .source import AUTO, read_source
from .tarball import unpack_tarball
from .tree import LIMITS, Limits

_NAME = re.compile(r"(?P<stack>[a-z0-9][a-z0-9_+.-]*?)-(?P<version>[0-9][A-Za-z0-9.+~-]*)\Z")


@dataclass(frozen=True)
class Tarball:
    """A tarball to take over, and the places where it may be, of which the first counts."""

    stack: str
    version: str
    places: Sequence[str]

    @property
    def label(self) -> str:
        """What its release is called."""
        return name_release(self.stack, self.version)


@dataclass
class Imported:
    """What became of a tarball; ``made`` is None in check mode, where nothing is fetched."""

    tarball: Tarball
    made: Released | None = None
    reused: bool = False
    repacked: str = ""

    def as_dict(self) -> dict[str, object]:
        """The form in results of modules."""
        return {
            "stack": self.tarball.stack,
            "version": self.tarball.version,
            "label": self.tarball.label,
            "reused": self.reused,
            "repacked": self.repacked or None,
            "files": [file.as_dict() for file in self.made.files] if self.made else self.foresee_files(),
            "control": self.made.control if self.made else None,
            "remarks": self.made.remarks if self.made else [],
        }

    def foresee_files(self) -> list[dict[str, object]]:
        """The files that there will be, of which nothing but the names is known."""
        names = (f"{self.tarball.label}.tar.bz2", name_control_files(self.tarball.stack, self.tarball.version)[0])
        return [{"name": name, "size": None, "sha256": None} for name in names]


def list_tarballs(sources: Iterable[str], stacks: Mapping[str, str], *, repository: str | None) -> list[Tarball]:
    """What is wanted: addresses or paths of tarballs, and versions of stacks in a release repository."""
    found = [_parse_place(check_place(place)) for place in sources]
    for stack, version in sorted(stacks.items()):
        check_names(stack, version)
        label = name_release(stack, version)
        base = check_place(repository or "")
        places = [join_place(base, stack, label, f"{label}{ending}") for ending in TARBALLS]
        found.append(Tarball(stack, version, places))
    labels = [one.label for one in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    refuse(
        "import",
        "the tarballs",
        [f"{label} is asked for twice" for label in twice],
        do_next="Ask for each once.",
    )
    return found


def _parse_place(place: str) -> Tarball:
    name = (place if place.startswith("/") else unquote(urlsplit(place).path)).rpartition("/")[2]
    ending = next((ending for ending in TARBALLS if name.endswith(ending)), None)
    match = _NAME.match(name[: -len(ending)]) if ending else None
    if match is None or not STACK_NAME.match(match["stack"]):
        raise SlipwayError(
            "import",
            place,
            f"its name is not <stack>-<version> and {' or '.join(TARBALLS)}",
            do_next="Give tarballs of releases.",
        )
    check_names(match["stack"], match["version"])
    return Tarball(match["stack"], match["version"], [place])


@dataclass(frozen=True)
class Importer:
    """How tarballs are taken over, and where to."""

    directory: Path
    around: Surroundings
    reader: Reader
    epoch: int
    limits: Limits = LIMITS
    progress: Progress = field(default_factory=lambda: Progress(None))

    def import_all(self, wanted: Sequence[Tarball], *, write: bool) -> list[Imported]:
        """Take over every tarball; those that are refused are named in one failure, and the others are made."""
        done = {one.label: self.find_made(one) for one in wanted}
        self.progress.total = len(wanted)
        if not write:
            return [done[one.label] or Imported(one) for one in wanted]
        make_directory(self.directory)
        faults: list[str] = []
        with make_scratch(".importing-", directory=self.directory) as scratch:
            absent = [one for one in wanted if done[one.label] is None]
            trees = {one.label: tree for one in absent if (tree := self.take_tree(one, scratch, faults)) is not None}
            around = replace(self.around, known=self.learn(done.values(), absent, trees))
            for one in absent:
                if one.label in trees:
                    done[one.label] = self.make(one, trees[one.label], around, faults=faults)
        refuse(
            "import",
            wanted[0].label if len(wanted) == 1 else "the tarballs",
            faults,
            several="faults",
            do_next="The others are imported. Correct what is wrong, or leave these out, and run again.",
        )
        return [found for one in wanted if (found := done[one.label]) is not None]

    def find_made(self, one: Tarball) -> Imported | None:
        """What an earlier run made, if it is sound."""
        place = self.directory / one.label
        path = place / name_control_files(one.stack, one.version)[0]
        if not path.is_file():
            return None
        try:
            control = dict(read_control_file(path.read_bytes(), on=str(path)).mapping)
        except SlipwayError:
            return None
        tarball, sidecar = hash_if_there(place / str(control.get("tarball"))), hash_if_there(path)
        if tarball is None or sidecar is None or tarball.sha256 != control.get("sha256"):
            return None
        made = Released(control["kind"], [tarball, sidecar], control, [], [])
        return Imported(one, made, reused=True)

    def take_tree(self, one: Tarball, scratch: Path, faults: list[str]) -> Path | None:
        """Fetch and unpack a tarball; the top of its tree, beside which it lies itself."""
        place = scratch / one.label
        make_directory(place)
        try:
            self.fetch(one, place / "tarball")
            tree = unpack_tarball(place / "tarball", place / "tree", limits=self.limits)
        except SlipwayError as error:
            faults.append(f"{one.label}: {error.came_back}")
            return None
        self.progress.step(f"{one.label} is unpacked")
        return tree

    def fetch(self, one: Tarball, target: Path) -> None:
        """Fetch a tarball from the first place that has it."""
        for place in one.places:
            with replace_file(target) as stream:
                if self.reader.receive(place, stream.write, size=self.limits.size) is not None:
                    return
        raise SlipwayError("import", one.label, f"there is no {' and no '.join(one.places)}", do_next="Check it.")

    def learn(
        self, done: Iterable[Imported | None], absent: Sequence[Tarball], trees: Mapping[str, Path]
    ) -> dict[str, Known]:
        """What is known of other stacks, by those too that are taken over now."""
        known = dict(self.around.known)
        for each in done:
            if each is not None and each.made is not None:
                control = each.made.control
                known[control["stack"]] = Known(control["packages"], control["depends"])
        for one in absent:
            if one.label in trees:
                try:
                    source = read_source(trees[one.label], AUTO, stack=one.stack)
                except SlipwayError:
                    continue  # it is told when it is made
                known[one.stack] = Known([package.name for package in source.packages], source.about.depends)
        return known

    def make(self, one: Tarball, tree: Path, around: Surroundings, *, faults: list[str]) -> Imported | None:
        """Write the files of a release, with the tarball as it is if that has the name and the shape of ours."""
        request = Request(one.stack, one.version, AUTO, self.epoch)
        tarball = tree.parents[1] / "tarball"
        try:
            why = _find_reason(one, tree, tarball)
            if why:
                made = release_stack(
                    tree, request, around=around, directory=self.directory, write=True, limits=self.limits
                )
            else:
                made = self.keep(one, request, tree, around=around)
        except SlipwayError as error:
            faults += [f"{one.label}: {finding}" for finding in error.findings or [error.came_back]]
            return None
        return Imported(one, made, repacked=why)

    def keep(self, one: Tarball, request: Request, tree: Path, *, around: Surroundings) -> Released:
        """Take over the bytes of a tarball."""
        source = read_source(tree, request.kind, stack=one.stack, distribution=around.distribution)
        control, remarks = describe_source(source, request, around)
        place = self.directory / one.label
        make_directory(place)
        file, is_new = copy_file(tree.parents[1] / "tarball", place / f"{one.label}.tar.bz2", write=True)
        control |= describe_tarball(file)
        changed = [file.name] if is_new else []
        return write_control(Released(source.kind, [file], control, changed, remarks), place, write=True)


def _find_reason(one: Tarball, tree: Path, tarball: Path) -> str:
    """Why a tarball has to be packed again; empty if its bytes can stay."""
    with open(tarball, "rb") as stream:
        magic = stream.read(3)
    if magic != b"BZh":
        return "it was not compressed by bzip2"
    if tree.name != one.label:
        return f"its top directory was {tree.name}"
    return ""
