# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Source packages for platforms: of a stack's tree, of a tree with its own ``debian``, and of other source packages.

The same input gives the same bytes. A fault of one platform holds up no other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, make_scratch, move_synced, read_regular, replace_file, write_atomic
from ..openpgp.home import provide_environment
from ..openpgp.signing import clearsign_within
from ..openpgp.verifying import open_clearsigned
from ..process import run
from ..tar import add_path, make_member
from . import debianize
from .changelog import Entry, parse_newest, prepend_entry
from .control import make_printable
from .controltar import MAX_DATE
from .debianize import Stack, Style
from .dsc import (
    Dsc,
    SourceFile,
    describe_file,
    digest_content,
    digest_file,
    find_wrong_files,
    parse_dsc,
    read_dsc,
    rewrite_dsc,
)
from .forks import spread_work
from .names import PLATFORM, check_template, make_source_version, name_package
from .repack import pack_plain, repack_diff, repack_tar
from .version import parse_version, strip_epoch

KINDS = ("ros", "debian", "dsc")
FORMATS = ("1.0", "3.0 (native)", "3.0 (quilt)")
#: The date of all that has none of its own.
DATE = 1_000_000_000
#: Seconds that dpkg-source may take.
TIMEOUT = 3600.0
#: What is in the newest entry of a package that is made for a platform from another one.
REBUILT = "Rebuild for {platform}."


@dataclass(frozen=True)
class Signing:
    """Who signs: a key of a GnuPG directory."""

    gnupghome: Path
    fingerprint: str


@dataclass(frozen=True)
class SourceOrder:
    """What to make source packages of.

    ``control`` is the mapping of a control YAML; ``place`` the unpacked tree, or the directory with the .dsc and its
    files. ``package`` and ``version`` are templates, see :mod:`.names`. ``moment`` (seconds since the epoch) is the
    date; without it, that of a tree with a changelog is a second after its newest entry. ``keyring`` has the keys of
    which one must have signed a .dsc.
    """

    control: Mapping[str, Any]
    place: Path
    platforms: tuple[str, ...]
    distribution: str = ""
    package: str = "{stack}"
    version: str = "{version}-0~{platform}"
    style: Style = field(default_factory=Style)
    packages: Mapping[str, str] = field(default_factory=dict)
    moment: int | None = None
    keyring: Path | None = None

    @property
    def kind(self) -> str:
        """How the tree is packed."""
        return str(self.control.get("kind") or "ros")

    @property
    def stack(self) -> str:
        """The name for messages."""
        return str(self.control.get("stack") or self.control.get("package") or "")

    def check(self) -> None:
        """Raise :class:`SlipwayError` if it cannot be carried out for any platform."""
        check_template(self.version, "version", "platform", wanted="version")
        if self.kind == "ros":
            check_template(self.package, "distribution", "stack", wanted="stack")
        faults = [] if self.kind in KINDS else [f"the kind {self.kind!r} is none of {', '.join(KINDS)}"]
        faults += [f"its control file has no {name}" for name in self._list_needed() if not self._has_text(name)]
        if not isinstance(self.control.get("rosdeps"), Mapping):
            faults.append("its control file has no rosdeps")
        faults += [f"{name!r} is not the name of a platform" for name in self.platforms if not PLATFORM.fullmatch(name)]
        if self.moment is not None and not 0 <= self.moment <= MAX_DATE:
            faults.append(f"the date {self.moment} is not one in seconds since 1970")
        faults += self.style.find_faults()
        refuse("make source packages of", self.stack or "a stack", faults, do_next="Correct this and run again.")

    def _list_needed(self) -> tuple[str, ...]:
        return {"ros": ("stack", "version"), "dsc": ("package", "version", "dsc")}.get(
            self.kind, ("package", "version")
        )

    def _has_text(self, name: str) -> bool:
        return isinstance(self.control.get(name), str) and bool(self.control[name])


@dataclass(frozen=True)
class Made:
    """A source package for a platform as it was made: its .dsc, unsigned, and where its files are."""

    platform: str
    dsc: Dsc
    content: bytes
    files: Mapping[str, Path]
    kept: bool = False


@dataclass(frozen=True)
class Fault:
    """Why there is none for a platform."""

    platform: str
    reason: str


@dataclass(frozen=True)
class SourcePackage:
    """A source package in its place; ``files`` are all of it, the .dsc last, without a digest until it is signed."""

    platform: str
    source: str
    version: str
    dsc: str
    files: tuple[Mapping[str, Any], ...]
    changed: bool
    before: str = ""
    after: str = ""

    @property
    def content(self) -> str:
        """The digest of all of it but its .dsc."""
        return digest_content(self.version, {file["name"]: file["sha256"] for file in self.files})


@dataclass
class Outcome:
    """What became of an order."""

    made: list[SourcePackage] = field(default_factory=list)
    failed: list[Fault] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether any file was written, or would be."""
        return any(one.changed for one in self.made)


def make_sources(
    orders: Sequence[SourceOrder],
    directory: Path,
    *,
    signing: Signing | None = None,
    resign: bool = False,
    write: bool = True,
    jobs: int | None = None,
) -> list[Outcome]:
    """Make the source packages of all orders in ``directory/<platform>/``; what became of each order.

    A package with the right content stays as it is, and so does its signature. One whose version does not change keeps
    the .dsc that it came with, unless ``resign``.
    """
    for order in orders:
        order.check()
    if write:
        make_directory(directory)
    units = [(number, platform) for number, order in enumerate(orders) for platform in order.platforms]
    outcomes = [Outcome() for _order in orders]
    with make_scratch(".slipway-sources-", directory=directory if write else None) as scratch:

        def work(index: int) -> Made | Fault:
            number, platform = units[index]
            return _try_making(orders[number], platform, scratch / str(index))

        results = spread_work(
            len(units), work, workers=jobs or len(os.sched_getaffinity(0)), attempt="make the source packages"
        )
        placer = _Placer(directory, scratch, signing=signing, resign=resign, write=write)
        for (number, _platform), result in zip(units, placer.place_all(results), strict=True):
            if isinstance(result, Fault):
                outcomes[number].failed.append(result)
            else:
                outcomes[number].made.append(result)
    return outcomes


def find_tarball_fault(tarball: Path, control: Mapping[str, Any]) -> str | None:
    """Why a tarball is not the one that a control YAML describes; None if it is."""
    found = digest_file(tarball)
    size = control.get("size")
    if isinstance(size, int) and size != found.size:
        return f"it has {found.size} bytes instead of {size}"
    for name, there in (("sha256", found.sha256), ("md5sum", found.md5)):
        wanted = str(control.get(name) or "").lower()
        if wanted:
            return None if wanted == there else f"its {name} is {there} instead of {wanted}"
    return "its control file has neither sha256 nor md5sum"


def read_tarball_date(tarball: Path) -> int:
    """The date of a tarball's first member, which needs no reading of all of it."""
    try:
        with tarfile.open(tarball) as tar:
            first = tar.next()
    except (tarfile.TarError, EOFError, OSError):
        return DATE  # who unpacks it says what is wrong with it
    return int(first.mtime) if first is not None and first.mtime > 0 else DATE


def _try_making(order: SourceOrder, platform: str, work: Path) -> Made | Fault:
    """A fault for whatever is wrong with this package; what is wrong with this machine fails all."""
    if platform not in order.control["rosdeps"]:
        known = ", ".join(order.control["rosdeps"]) or "no platform"
        return Fault(platform, f"{order.stack} does not support {platform}: its rosdeps are for {known}")
    work.mkdir()
    makers = {"ros": _make_ros, "debian": _make_debian, "dsc": _make_dsc}
    try:
        return makers[order.kind](order, platform, work)
    except SlipwayError as error:
        return Fault(platform, f"{error.on}: {error.came_back}" if error.on else error.came_back)
    except (ValueError, OSError) as error:
        return Fault(platform, f"{order.stack}: {error}")


def _make_ros(order: SourceOrder, platform: str, work: Path) -> Made:
    control = order.control
    name, upstream = control["stack"], control["version"]

    def find_package(stack: str) -> str:
        return order.packages.get(stack) or name_package(order.package, distribution=order.distribution, stack=stack)

    stack = Stack(
        name,
        upstream,
        name_package(order.package, distribution=order.distribution, stack=name),
        make_source_version(order.version, version=upstream, platform=platform),
        platform,
        order.distribution,
        DATE if order.moment is None else order.moment,
        control,
        depends=[find_package(str(other)) for other in control.get("depends") or ()],
        rosdeps=[str(one) for one in control["rosdeps"][platform] or ()],
    )
    made = debianize.make_debian(stack, order.style)
    tree = work / f"{stack.package}-{upstream}"
    _copy_tree(order.place, tree, without=("debian",))
    for path, (content, mode) in made.items():
        make_directory((tree / "debian" / path).parent)
        (tree / "debian" / path).write_bytes(content)
        (tree / "debian" / path).chmod(mode)
    return _build(tree, platform, moment=stack.moment, words=["-sn"])


def _make_debian(order: SourceOrder, platform: str, work: Path) -> Made:
    form = _read_format(order.place)
    old = _read_changelog(order.place)
    newest = parse_newest(old)
    _compare_with_control(order, newest.source, newest.version)
    version = make_source_version(order.version, version=newest.version, platform=platform)
    moment = _choose_moment(order, newest, version)
    upstream = parse_version(newest.version).upstream
    tree = work / f"{newest.source}-{upstream}"
    _copy_tree(order.place, tree)
    if version != newest.version:
        entry = _make_rebuild(order, newest, platform, version=version, moment=moment)
        write_atomic(tree / "debian/changelog", prepend_entry(old, entry))
    if form == "3.0 (quilt)":
        _check_upstream(newest.version, version)
        _write_orig(tree, work / f"{newest.source}_{upstream}.orig.tar.xz", top=tree.name)
    return _build(tree, platform, moment=moment, words=["-sn"] if form == "1.0" else [])


def _make_dsc(order: SourceOrder, platform: str, work: Path) -> Made:
    path = order.place / Path(order.control["dsc"]).name
    try:
        data, dsc = read_dsc(path, keyring=order.keyring)
    except ValueError as fault:
        raise ValueError(f"{path.name}: {fault}") from None
    if wrong := [*_find_other_digests(dsc, order.control), *find_wrong_files(dsc, order.place)]:
        raise ValueError(f"{path.name}: {'; '.join(wrong)}")
    _compare_with_control(order, dsc.source, dsc.version)
    version = make_source_version(order.version, version=dsc.version, platform=platform)
    files = {file.name: order.place / file.name for file in dsc.files}
    if version == dsc.version:
        return Made(platform, dsc, data, files, kept=True)
    return _rebuild_dsc(order, dsc, platform, version=version, work=work)


def _rebuild_dsc(order: SourceOrder, dsc: Dsc, platform: str, *, version: str, work: Path) -> Made:
    """The same package with another changelog: one file of it is rewritten, the others stay as they are."""
    part = _find_debian_part(dsc)
    revision = parse_version(version).revision
    if part.native and dsc.format != "1.0" and revision is not None:
        raise ValueError(f"the version {version} has a revision, which the format {dsc.format} does not allow")
    if not part.native:
        _check_upstream(dsc.version, version)

    def change(old: bytes) -> tuple[bytes, int]:
        newest = parse_newest(old)
        if (newest.source, newest.version) != (dsc.source, dsc.version):
            raise ValueError(
                f"the newest entry of its debian/changelog is of {newest.source} {newest.version}, "
                f"not of {dsc.source} {dsc.version}"
            )
        moment = _choose_moment(order, newest, version)
        entry = _make_rebuild(order, newest, platform, version=version, moment=moment)
        return prepend_entry(old, entry), moment

    target = work / f"{dsc.source}_{strip_epoch(version)}{part.suffix}"
    if part.suffix.startswith(".diff"):
        repack_diff(order.place / part.name, target, change=change)
    else:
        repack_tar(order.place / part.name, target, native=part.native, change=change)
    rows = [describe_file(target) if file.name == part.name else file for file in dsc.files]
    made = rewrite_dsc(dsc, version=version, files=rows)
    files = {file.name: target if file.name == target.name else order.place / file.name for file in rows}
    return Made(platform, made, made.text.encode("utf-8", "surrogateescape"), files)


@dataclass(frozen=True)
class _DebianPart:
    """The file of a source package that has its changelog; ``suffix`` is what follows the version in its name."""

    name: str
    suffix: str
    native: bool


def _find_debian_part(dsc: Dsc) -> _DebianPart:
    if dsc.format not in FORMATS:
        raise ValueError(f"it is in the format '{dsc.format}', and only {', '.join(FORMATS)} can be made")
    base = f"{dsc.source}_{strip_epoch(dsc.version)}"
    names = [file.name for file in dsc.files]
    wanted = {"3.0 (quilt)": (".debian.tar",), "3.0 (native)": (".tar",), "1.0": (".diff", ".tar")}[dsc.format]
    for kind in wanted:
        found = [name for name in names if name.startswith(f"{base}{kind}.") and not name.endswith(".asc")]
        if len(found) == 1:
            return _DebianPart(found[0], found[0][len(base) :], native=kind == ".tar")
    raise ValueError(f"it names no file {base}{' or '.join(wanted)}.*, which would have its debian/changelog")


def _find_other_digests(dsc: Dsc, control: Mapping[str, Any]) -> Iterator[str]:
    """Where a .dsc names other files than the control YAML that was made of it."""
    rows = control.get("files") or ()
    known = {str(row.get("name")): str(row.get("sha256")) for row in rows if isinstance(row, Mapping)}
    for file in dsc.files:
        if known and known.get(file.name, file.sha256) != file.sha256:
            yield f"it names {file.name} with the digest {file.sha256} instead of {known[file.name]}"


def _compare_with_control(order: SourceOrder, source: str, version: str) -> None:
    wanted = (order.control["package"], order.control["version"])
    if (source, version) != wanted:
        raise ValueError(f"it is {source} {version}, and its control file is of {' '.join(wanted)}")


def _choose_moment(order: SourceOrder, newest: Entry, version: str) -> int:
    if version == newest.version:
        return newest.moment
    return newest.moment + 1 if order.moment is None else order.moment


def _make_rebuild(order: SourceOrder, newest: Entry, platform: str, *, version: str, moment: int) -> Entry:
    changes = (REBUILT.format(platform=platform),)
    maintainer = order.style.maintainer or newest.maintainer
    return Entry(newest.source, version, platform, maintainer, moment, changes=changes, urgency=newest.urgency)


def _check_upstream(old: str, new: str) -> None:
    """The upstream version is in the names of files that stay."""
    before, after = parse_version(old), parse_version(new)
    if after.revision is None or (before.epoch, before.upstream) != (after.epoch, after.upstream):
        raise ValueError(f"the version {new} would change the upstream version of {old}, whose tarball is reused")


def _read_format(tree: Path) -> str:
    """The format of a tree with its own ``debian``; what leads out of the tree is refused."""
    for name in ("debian", "debian/source", "debian/patches", ".pc"):
        if (tree / name).is_symlink():
            raise ValueError(f"its {name} is a link")
    if not (tree / "debian").is_dir():
        raise ValueError("its tree has no directory debian")
    for name in ("changelog", "control", "rules", "source/format", "source/options", "source/local-options"):
        path = tree / "debian" / name
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError(f"its debian/{name} is not a plain file")
    path = tree / "debian/source/format"
    form = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else "1.0"
    if form not in FORMATS:
        raise ValueError(f"it is in the format '{form}', and only {', '.join(FORMATS)} can be made")
    return form


def _read_changelog(tree: Path) -> bytes:
    try:
        return read_regular(tree / "debian/changelog")
    except FileNotFoundError:
        raise ValueError("its tree has no debian/changelog") from None


def _copy_tree(source: Path, target: Path, *, without: Sequence[str] = ()) -> None:
    """Copy a tree. A link in place of a copy would not do: tar notices when another package's is made or removed."""

    def leave_out(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if name in without] if Path(directory) == source else []

    shutil.copytree(source, target, symlinks=True, ignore=leave_out)


def _write_orig(tree: Path, target: Path, *, top: str) -> None:
    """Write the upstream tarball of a tree: all but ``debian``, in the order of names, with one date and owner.

    Its bytes depend on nothing else, so that the next revision of the same upstream version has the same tarball.
    """
    with tempfile.TemporaryFile(dir=target.parent) as plain:
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(make_member(top, mtime=DATE, mode=0o755, kind=tarfile.DIRTYPE))
            for path in sorted(_walk(tree), key=lambda each: os.fsencode(each.relative_to(tree))):
                add_path(tar, path, f"{top}/{path.relative_to(tree)}", mtime=DATE)
        pack_plain(cast(IO[bytes], plain), target)


def _walk(tree: Path) -> Iterator[Path]:
    for where, directories, names in os.walk(tree):
        if Path(where) == tree:
            directories[:] = [name for name in directories if name != "debian"]
        yield from (Path(where, name) for name in (*directories, *names))


def _build(tree: Path, platform: str, *, moment: int, words: Sequence[str]) -> Made:
    """Build the source package of a tree beside it.

    What the tree's own ``debian/source/options`` say counts; none of them starts a program in these formats.
    """
    place = tree.parent
    run(
        ["dpkg-source", "--threads-max=1", "-q", *words, "-b", tree.name],
        attempt="build the source package of",
        on=tree.name,
        cwd=place,
        env={"SOURCE_DATE_EPOCH": str(moment), "HOME": os.fspath(place), "DEB_VENDOR": "Debian"},
        timeout=TIMEOUT,
    )
    paths = list(place.glob("*.dsc"))
    data = read_regular(paths[0])
    dsc = parse_dsc(data)
    shutil.rmtree(tree)
    return Made(platform, dsc, data, {file.name: place / file.name for file in dsc.files})


class _Placer:
    """Puts what was made where it belongs, the .dsc last, and leaves what is right there."""

    def __init__(self, directory: Path, made: Path, *, signing: Signing | None, resign: bool, write: bool) -> None:
        self.directory = directory
        #: Where files are that were made here, and may be moved; others are somebody's, wherever they are.
        self.made = made
        self.signing = signing
        self.resign = resign
        self.write = write
        #: What was signed, by what it is: a package that is the same for several platforms is signed once.
        self.signed: dict[bytes, bytes] = {}

    def place_all(self, results: Sequence[Made | Fault]) -> list[SourcePackage | Fault]:
        """Place all packages; faults stay what they are."""
        if self.signing is None or not self.write:
            return [one if isinstance(one, Fault) else self.place(one, {}) for one in results]
        with provide_environment(self.signing.gnupghome) as environment:
            return [one if isinstance(one, Fault) else self.place(one, environment) for one in results]

    def place(self, made: Made, environment: Mapping[str, str]) -> SourcePackage:
        """Place one package."""
        target = self.directory / made.platform
        if self.write:
            make_directory(target)
        rows = []
        changed = False
        for file in made.dsc.files:
            changed |= self._place_file(file, made.files[file.name], target / file.name)
            rows.append(_describe(target / file.name, file.size, file.sha256))
        path = target / made.dsc.file_name
        before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        content = self._find_right_dsc(made, path)
        if content is None:
            changed = True
            content = self._sign(made, environment)
            if content is not None and self.write:
                write_atomic(path, content)
        digest = None if content is None else hashlib.sha256(content).hexdigest()
        rows.append(_describe(path, None if content is None else len(content), digest))
        after = make_printable(made.dsc.text) if content is None else content.decode("utf-8", "replace")
        name, version = made.dsc.source, made.dsc.version
        return SourcePackage(made.platform, name, version, str(path), tuple(rows), changed, before=before, after=after)

    def _place_file(self, file: SourceFile, source: Path, target: Path) -> bool:
        if _is_there(target, file):
            return False
        if not self.write:
            return True
        if self.made in source.parents:
            move_synced(source, target)
            return True
        with replace_file(target) as sink, open(source, "rb") as stream:
            shutil.copyfileobj(stream, sink)
        if not _is_there(target, file):
            target.unlink()
            do_next = "Nobody may write there meanwhile; run again."
            raise SlipwayError("copy", str(source), "it changed while it was copied", do_next=do_next)
        return True

    def _is_signed_here(self, made: Made) -> bool:
        return self.signing is not None and (not made.kept or self.resign)

    def _find_right_dsc(self, made: Made, path: Path) -> bytes | None:
        """The .dsc that is there, if it is the right one with the right signature."""
        if path.is_symlink() or not path.is_file():
            return None
        there = path.read_bytes()
        if not self._is_signed_here(made) or self.signing is None:
            return there if there == made.content else None
        opened = open_clearsigned(there, gnupghome=self.signing.gnupghome)
        if opened is None or opened[0].fingerprint != self.signing.fingerprint:
            return None
        text = made.dsc.text.encode("utf-8", "surrogateescape")
        if opened[1].rstrip() != text.rstrip():
            return None
        self.signed.setdefault(text, there)
        return there

    def _sign(self, made: Made, environment: Mapping[str, str]) -> bytes | None:
        if not self._is_signed_here(made) or self.signing is None:
            return made.content
        if not self.write:
            return None
        text = made.dsc.text.encode("utf-8", "surrogateescape")
        if text not in self.signed:
            name = made.dsc.file_name
            self.signed[text] = clearsign_within(environment, self.signing.fingerprint, text, on=name)
        return self.signed[text]


def _is_there(path: Path, file: SourceFile) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return plain and path.stat().st_size == file.size and hash_file(path) == file.sha256


def _describe(path: Path, size: int | None, sha256: str | None) -> dict[str, Any]:
    return {"name": path.name, "path": str(path), "size": size, "sha256": sha256}
