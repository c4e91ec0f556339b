# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that something else made: the names that they are published under, and what their own names say of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..release.names import FILE_NAME, MAX_FILE_NAME, Names, begins_with_label, make_file_name

#: Each architecture by its usual name, with those that Debian, systemd and others give it.
ARCHITECTURES = {
    "x86_64": ("amd64", "x86-64", "x86_64", "x64"),
    "i386": ("i386", "i486", "i586", "i686", "x86_32", "x86-32"),
    "aarch64": ("aarch64", "arm64"),
    "armhf": ("armhf", "armv7", "armv7l", "armv7hl", "armv7lhf"),
    "armel": ("armel",),
    "riscv64": ("riscv64",),
    "ppc64le": ("ppc64le", "ppc64el", "ppc64-le"),
    "s390x": ("s390x",),
    "loongarch64": ("loongarch64", "loong64"),
    "mips64el": ("mips64el", "mips64le", "mips64-le"),
}
_SAME = {spelling: name for name, spellings in ARCHITECTURES.items() for spelling in spellings}
_ARCHITECTURE = re.compile(
    rf"(?<![A-Za-z0-9])(?:{'|'.join(sorted(map(re.escape, _SAME), key=len, reverse=True))})(?![A-Za-z0-9])"
)
#: The type of a file by the last part of its name.
TYPES = {
    "iso": "iso",
    **dict.fromkeys(("raw", "img", "wic"), "rawdisk"),
    **{name: name for name in ("qcow2", "vmdk", "vhd", "vhdx", "vdi", "ova", "tar", "squashfs", "erofs", "efi")},
    "vmlinuz": "kernel",
    **dict.fromkeys(("initrd", "initramfs"), "initramfs"),
}
COMPRESSED = ("gz", "xz", "zst", "bz2", "lz4")
#: Parts of a name that say nothing of the system.
_SUFFIX = re.compile(rf"\.(?P<last>{'|'.join([*TYPES, *COMPRESSED, 'tgz', 'txz', 'hybrid', 'zip'])})\Z", re.IGNORECASE)
#: A partition of a disk image beside the whole one, as mkosi and systemd-repart name it.
_PARTITION = re.compile(r"\.(?:esp|xbootldr|verity|swap|(?:root|usr|home|srv|var|tmp)(?:-[\w-]+)?)\.raw(?:\.\w+)?\Z")
_VERSION = r"[0-9]+(?:\.[0-9]+)+(?:[.-]?(?:alpha|beta|rc)[0-9]*)?"
#: A kernel or its initramfs as Debian names them, with the version behind.
_BOOT = (("vmlinuz", "kernel"), ("initrd", "initramfs"), ("initramfs", "initramfs"))


@dataclass(frozen=True)
class Facts:
    """What is known of a file beside its bytes; empty is not known."""

    system: str = ""
    architecture: str = ""
    type: str = ""


def name_public_file(location: str, names: Names) -> str:
    """The name that a file is published under: its own, behind the label unless project and version begin it."""
    begins = (f"{names.project}{separator}{names.version}" for separator in "-_")
    if any(begins_with_label(location, begin) for begin in begins):
        return location
    return make_file_name(names.label, location)


def find_other_version(location: str, names: Names) -> str | None:
    """The version of the project that begins a file's name, if it is not this one."""
    found = re.match(rf"{re.escape(names.project)}[-_](?P<version>{_VERSION})(?![0-9A-Za-z])", location)
    return found["version"] if found and found["version"] != names.version else None


def find_location_fault(location: str, name: str) -> str | None:
    """Why a file cannot be published under ``name``; None if it can."""
    if FILE_NAME.match(location) and len(name) <= MAX_FILE_NAME:
        return None
    return (
        "is not usable as the name of a release file: it must begin with a letter or a digit, hold only letters, "
        f"digits and . _ + ~ - and have at most {MAX_FILE_NAME} characters with the label before it"
    )


def find_facts(path: str, names: Names) -> Facts:
    """What the path of a file says of its system, architecture and type."""
    location = path.replace("/", "-")
    found = _ARCHITECTURE.search(location)
    return Facts(_find_system(location, names), _SAME[found[0]] if found else "", _find_type(path))


def _find_type(path: str) -> str:
    name = path.rpartition("/")[2]
    if _PARTITION.search(name):
        return "partition"
    for begin, kind in _BOOT:
        if name.startswith(begin):
            return kind
    while (suffix := _SUFFIX.search(name)) is not None:
        last = suffix["last"].lower()
        if last in TYPES or last in ("tgz", "txz"):
            return TYPES.get(last, "tar")
        name = name[: suffix.start()]
    return ""


def _find_system(location: str, names: Names) -> str:
    """What is left of a name without suffixes, version and architecture; else the project's name."""
    rest = _PARTITION.sub("", location)
    while (suffix := _SUFFIX.search(rest)) is not None:
        rest = rest[: suffix.start()]
    # Not of another version in which this one is.
    for part in (
        rf"(?<![0-9.])[-_.~+]?{re.escape(names.version)}(?!\.?[0-9A-Za-z])",
        rf"[-_.~+]?{_ARCHITECTURE.pattern}",
    ):
        rest = re.sub(part, "", rest, count=1)
    return rest.strip("-_.~+") or names.project
