# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian base systems as tar archives: made once by mmdebstrap, reproducible to the byte."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import write_atomic
from ..locks import hold_flock
from ..process import run
from ..progress import Progress
from ..release import compression
from ..release.records import format_json
from ..tar import make_member, write_permissions
from .modules import BUILTIN, MODULE, choose_modules, read_module

#: Counts up when the same recipe gives other bytes than before.
FORMAT = 1
#: What the tree itself says of owners and modes that a content store does not keep.
PERMISSIONS = "usr/share/image/permissions"
#: Never in a base: device nodes' directory, what the making left, and what each machine has of its own.
LEFT_OUT = (
    "dev/*",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "run/*",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/log/*",
)
#: The release's own way to a merged /usr without the package that pulls in all of Perl.
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
NO_USRMERGE = "Package: usrmerge\nPin: release *\nPin-Priority: -1\n"
#: Directories that are links into /usr.
MERGED = re.compile(r"^((?:s?bin|lib(?:32|64|x32)?)/)")
MODULES = re.compile(r"(?:usr/)?lib/modules/")
LEVEL = 6
TIMEOUT = 3600.0
LOCK_TIMEOUT = 7200.0


@dataclass(frozen=True)
class Recipe:
    """What a base is made of.

    ``method`` is ``install`` (a configured system of Debian's essential packages and ``packages``), ``extract``
    (``packages`` and what they need, unpacked and not configured: nothing of them runs) or ``parts`` (of these only
    the files that ``keep`` names). ``architectures`` are Debian's, the first one is the base's own. ``exclude`` and
    ``keep`` are dpkg's path patterns, ``links`` symbolic links to add. With ``modules`` only these of a kernel's
    modules are kept, and what they need.
    """

    name: str
    suite: str
    sources: tuple[str, ...]
    architectures: tuple[str, ...]
    method: str
    packages: tuple[str, ...]
    epoch: int
    exclude: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def key(self) -> str:
        """A digest of everything that goes in."""
        content = json.dumps([FORMAT, self.describe()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Everything that goes in; what came later only if it is used, so that older bases stay what they are."""
        return {name: value for name, value in asdict(self).items() if value or name != "modules"}


@dataclass(frozen=True)
class Base:
    """A base that is there: its file below the directory, and whether it was made now."""

    name: str
    file: str
    sha256: str
    size: int
    made: bool


def ensure_bases(
    recipes: Sequence[Recipe], directory: Path, *, jobs: int, progress: Progress, write: bool = True
) -> list[Base | None]:
    """Ensure every base in ``directory``; ``None`` stands for a missing one that is not to be written.

    A base is the file ``<name>-<12 of its sha256>.tar.gz`` and a note ``<name>.json`` that says from which recipe
    it came. One whose note says another recipe is made again, beside the old one: files are never changed.
    """
    found = [_find_existing(directory, recipe) for recipe in recipes]
    absent = [recipe for recipe, base in zip(recipes, found, strict=True) if base is None]
    if not absent or not write:
        return list(found)
    progress.total = len(absent)
    directory.mkdir(parents=True, exist_ok=True)
    with hold_flock(directory / ".lock", attempt="make base systems in", on=str(directory), timeout=LOCK_TIMEOUT):
        for leftover in directory.glob(".making-*"):
            shutil.rmtree(leftover)
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            # Those that run maintainer scripts take longest: they begin first.
            order = sorted(absent, key=lambda recipe: recipe.method != "install")
            tries = [pool.submit(_ensure_base, recipe, directory, progress=progress) for recipe in order]
        failures = [error for error in (one.exception() for one in tries) if error is not None]
    if failures:
        raise failures[0]
    made = {base.name: base for base in (one.result() for one in tries)}
    return [base or made[recipe.name] for recipe, base in zip(recipes, found, strict=True)]


def _find_existing(directory: Path, recipe: Recipe) -> Base | None:
    try:
        note: dict[str, Any] = json.loads((directory / f"{recipe.name}.json").read_text(encoding="utf-8"))
        there = (directory / note["file"]).stat().st_size == note["size"]
    except (OSError, ValueError, KeyError):
        return None
    if not there or note.get("key") != recipe.key():
        return None
    return Base(recipe.name, note["file"], note["sha256"], note["size"], made=False)


def _ensure_base(recipe: Recipe, directory: Path, *, progress: Progress) -> Base:
    made_meanwhile = _find_existing(directory, recipe)
    if made_meanwhile is not None:
        progress.step(f"{recipe.name}: is there now")
        return made_meanwhile
    base = _make_base(recipe, directory, progress=progress)
    progress.step(f"{recipe.name}: {base.file}, {base.size / 1e6:.0f} MB")
    return base


def _make_base(recipe: Recipe, directory: Path, *, progress: Progress) -> Base:
    with tempfile.TemporaryDirectory(prefix=".making-", dir=directory) as name:
        work = Path(name)
        # mmdebstrap leaves root's rights for its own user namespace, which must be able to get in.
        work.chmod(0o755)
        _run_mmdebstrap(recipe, work / "raw.tar", log=directory / f"{recipe.name}.log", progress=progress)
        progress.report(f"{recipe.name}: writing the archive")
        parts = recipe.keep if recipe.method == "parts" else ()
        write_canonical(
            *(work / "raw.tar", work / "base.tar"),
            epoch=recipe.epoch,
            links=recipe.links,
            parts=parts,
            modules=recipe.modules,
        )
        (work / "raw.tar").unlink()
        packed = compression.compress_file(
            work / "base.tar", work / "base.tar.gz", level=LEVEL, threads=compression.MIN_THREADS, accept=lambda _: None
        )
        file = f"{recipe.name}-{packed.sha256[:12]}.tar.gz"
        (work / "base.tar.gz").replace(directory / file)
    note = {"name": recipe.name, "key": recipe.key(), "file": file, "sha256": packed.sha256, "size": packed.size}
    write_atomic(directory / f"{recipe.name}.json", format_json(note | {"recipe": recipe.describe()}))
    return Base(recipe.name, file, packed.sha256, packed.size, made=True)


def _run_mmdebstrap(recipe: Recipe, target: Path, *, log: Path, progress: Progress) -> None:
    log.unlink(missing_ok=True)
    errors: list[str] = []
    attempt, do_next = "make the base system", "If a mirror was unreachable, run again."

    def on_line(line: str) -> None:
        message = line.removeprefix("I: ")
        if line.startswith("E: "):
            errors.append(line.removeprefix("E: "))
        elif message != line and message.startswith(("downloading", "extracting", "installing", "creating")):
            progress.report(f"{recipe.name}: {message}")

    env = {"SOURCE_DATE_EPOCH": str(recipe.epoch), **_read_proxies()}
    run_logged = partial(run, attempt=attempt, on=recipe.name, do_next=do_next, env=env, timeout=TIMEOUT, log=log)
    try:
        run_logged(format_command(recipe, target), on_line=on_line, stdin=format_sources(recipe.sources))
    except SlipwayError as error:
        # Its first error is the reason, those after it only say that there was one.
        came_back = errors[0] if errors else error.came_back
        raise SlipwayError(attempt, recipe.name, came_back, do_next=do_next, log=str(log)) from error


def format_command(recipe: Recipe, target: Path) -> list[str]:
    """The mmdebstrap command that writes the raw base to ``target``."""
    paths = [f"path-exclude={pattern}" for pattern in (("/*",) if recipe.method == "parts" else recipe.exclude)]
    paths += [f"path-include={pattern}" for pattern in recipe.keep]
    hooks = []
    if recipe.method == "install":
        preferences = "etc/apt/preferences.d/no-usrmerge"
        hooks = [
            f'--setup-hook=mkdir -p "$1/etc/apt/preferences.d" && printf {NO_USRMERGE!r} > "$1/{preferences}"',
            f'--customize-hook=rm "$1/{preferences}"',
        ]
    return [
        "mmdebstrap",
        f"--variant={'essential' if recipe.method == 'install' else 'extract'}",
        f"--architectures={','.join(recipe.architectures)}",
        *([f"--include={','.join(recipe.packages)}"] if recipe.packages else []),
        *(f"--dpkgopt={path}" for path in paths),
        f"--hook-dir={MERGED_USR}",
        *hooks,
        "--format=tar",
        recipe.suite,
        str(target),
        "-",
    ]


def format_sources(sources: Sequence[str]) -> bytes:
    """What mmdebstrap reads, since everybody sees the words of a command, and an address may hold a password."""
    return "".join(f"{line}\n" for line in sources).encode()


def write_canonical(
    source: Path,
    target: Path,
    *,
    epoch: int,
    links: Mapping[str, str],
    parts: Sequence[str] = (),
    modules: Sequence[str] = (),
) -> None:
    """Write the tree in the tar file ``source`` to ``target`` so that equal trees are equal bytes.

    Names are sorted and plain, times at most ``epoch``; hard links become files of their own, as in any content store;
    what no base has is left out; ``links`` (path -> target) and the list of permissions are added. With ``parts``,
    which are patterns, only the files that they match are written, and no list; with ``modules`` only these.
    """
    with tarfile.open(source, "r:") as old, tarfile.open(target, "x:", format=tarfile.PAX_FORMAT) as new:
        members = {}
        for info in old:
            name = info.name.removeprefix("./").strip("/")
            left_out = any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)
            if name not in ("", ".") and not left_out and not info.isdev():
                members[name] = info
        if parts:
            members = _select_parts(members, parts)
        contents = _select_modules(old, members, modules, where=target.name) if modules else {}
        for name in sorted(members.keys() | contents.keys()):
            if name in contents:
                stream = io.BytesIO(contents[name])
                new.addfile(make_member(name, size=len(contents[name]), mode=0o644, mtime=epoch), stream)
                continue
            info = members[name]
            content = old.extractfile(info) if info.isreg() or info.islnk() else None
            size = old.getmember(info.linkname).size if info.islnk() else info.size
            new.addfile(_make_member(info, name, size=size, epoch=epoch), content)
        for name, aim in sorted(links.items()):
            if name not in members:
                new.addfile(make_member(name, kind=tarfile.SYMTYPE, mode=0o777, mtime=epoch, linkname=aim))
        if not parts:
            _add_permissions(new, members, epoch=epoch)


def _select_parts(members: Mapping[str, tarfile.TarInfo], parts: Sequence[str]) -> dict[str, tarfile.TarInfo]:
    """The files that ``parts`` match, where a merged /usr has them; directories come with what is in them."""
    patterns = [MERGED.sub(r"usr/\1", pattern.lstrip("/")) for pattern in parts]
    files = {
        name: info
        for name, info in members.items()
        if not info.isdir() and any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    unmatched = [
        part for part, pattern in zip(parts, patterns, strict=True) if not any(fnmatchcase(n, pattern) for n in files)
    ]
    refuse(
        "take the parts of a base out of its packages",
        "",
        [f"no file is like {part}" for part in unmatched],
        do_next="Correct the base's list keep, or its packages.",
    )
    parents = {str(parent) for name in files for parent in PurePosixPath(name).parents if parent.name}
    return {name: info for name, info in members.items() if name in parents} | files


def _select_modules(
    tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], wanted: Sequence[str], *, where: str
) -> dict[str, bytes]:
    """Take all modules out of ``members``; return the files of those that are wanted."""

    def read(name: str) -> bytes:
        content = tar.extractfile(members[name])
        return b"" if content is None else content.read()

    found = {}
    for path in [name for name, info in members.items() if info.isreg()]:
        module = read_module(path, read(path)) if MODULE.match(path) else None
        if module is not None:
            found[module[0]] = module[1]
            del members[path]
    builtin = {name: read(name).decode("utf-8", "replace") for name in members if name.endswith(f"/{BUILTIN}")}
    contents = choose_modules(found, wanted, builtin=builtin, where=where)
    files = [*contents, *(name for name, info in members.items() if not info.isdir())]
    used = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    empty = [name for name, info in members.items() if info.isdir() and MODULES.match(name) and name not in used]
    for name in empty:
        del members[name]
    return contents


def _add_permissions(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], *, epoch: int) -> None:
    parts = PERMISSIONS.split("/")
    for count in range(1, len(parts)):
        parent = "/".join(parts[:count])
        if parent not in members:
            tar.addfile(make_member(parent, kind=tarfile.DIRTYPE, mode=0o755, mtime=epoch))
    text = write_permissions(members).encode()
    tar.addfile(make_member(PERMISSIONS, size=len(text), mode=0o644, mtime=epoch), io.BytesIO(text))


def _make_member(info: tarfile.TarInfo, name: str, *, size: int, epoch: int) -> tarfile.TarInfo:
    return make_member(
        name,
        kind=tarfile.REGTYPE if info.islnk() else info.type,
        size=size,
        mode=info.mode,
        mtime=min(int(info.mtime), epoch),
        owner=(info.uid, info.gid),
        linkname="" if info.islnk() else info.linkname,
        device=(info.devmajor, info.devminor),
    )


def _read_proxies() -> dict[str, str]:
    """The machine's apt proxies as environment variables: these do not stay in the base."""
    answer = run(
        ["apt-config", "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy"],
        attempt="read the apt configuration of",
        on="this machine",
    ).stdout
    words = (line.partition("=") for line in answer.splitlines())
    found = {name: value.strip("'\"") for name, _unused, value in words}
    return {name: value for name, value in found.items() if value and value != "DIRECT"}


def check_recipes(recipes: Sequence[Recipe]) -> None:
    """Raise with every fault of the recipes."""
    faults = [f"{one.name}: it has no architecture" for one in recipes if not one.architectures]
    extracted = [one for one in recipes if one.method != "install"]
    faults += [f"{one.name}: the method {one.method} needs packages" for one in extracted if not one.packages]
    parts = [one for one in recipes if one.method == "parts"]
    faults += [f"{one.name}: the method parts needs keep" for one in parts if not one.keep]
    faults += [f"{one.name}: the method parts has no exclude" for one in parts if one.exclude]
    names = [one.name for one in recipes]
    faults += [f"{name}: it is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [f"{name}: a name is one path component" for name in names if "/" in name or name.startswith(".")]
    refuse("make", "base systems", faults, summary="some recipes are not valid", do_next="Correct the list.")
