# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of architectures, and the wildcards that stand for several of them (``linux-any``), as dpkg matches them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

ANY, ALL, SOURCE = "any", "all", "source"

#: Short names whose processor is another word than the name itself.
_SHORT = {
    "arm64ilp32": ("ilp32", "arm64"),
    "armhf": ("eabihf", "arm"),
    "armel": ("eabi", "arm"),
    "mipsn32r6el": ("abin32", "mips64r6el"),
    "mipsn32r6": ("abin32", "mips64r6"),
    "mipsn32el": ("abin32", "mips64el"),
    "mipsn32": ("abin32", "mips64"),
    "mips64r6el": ("abi64", "mips64r6el"),
    "mips64r6": ("abi64", "mips64r6"),
    "mips64el": ("abi64", "mips64el"),
    "mips64": ("abi64", "mips64"),
    "powerpcspe": ("spe", "powerpc"),
    "x32": ("x32", "amd64"),
}
#: The C library and the kernel that stand before a name's processor, where it is not GNU's on Linux.
_SYSTEMS = {
    "uclibc-linux": ("uclibc", "linux"),
    "musl-linux": ("musl", "linux"),
    "kfreebsd": ("gnu", "kfreebsd"),
    "knetbsd": ("gnu", "knetbsd"),
    "kopensolaris": ("gnu", "kopensolaris"),
    "hurd": ("gnu", "hurd"),
    "dragonflybsd": ("bsd", "dragonflybsd"),
    "freebsd": ("bsd", "freebsd"),
    "openbsd": ("bsd", "openbsd"),
    "netbsd": ("bsd", "netbsd"),
    "darwin": ("bsd", "darwin"),
    "aix": ("sysv", "aix"),
    "solaris": ("sysv", "solaris"),
    "uclinux": ("uclibc", "uclinux"),
    "mint": ("tos", "mint"),
}
#: Where such a name with a short word for arm's calling convention exists.
_ARM = {
    "uclibc-linux": ("armel",),
    "musl-linux": ("armhf",),
    "kfreebsd": ("armhf",),
    "uclinux": ("armel",),
}


class Tuple(NamedTuple):
    """An architecture in its parts; ``any`` in a wildcard's place matches every word."""

    abi: str
    libc: str
    kernel: str
    processor: str

    def accepts(self, other: Tuple) -> bool:
        """Whether ``other`` is one of those that this stands for."""
        return all(mine in (ANY, its) for mine, its in zip(self, other, strict=True))


@lru_cache(maxsize=4096)
def match_architecture(architecture: str, wildcard: str) -> bool:
    """Whether a real ``architecture`` is the ``wildcard``, or one of those it stands for; never ``all``."""
    if architecture == wildcard:
        return True
    if ALL in (architecture, wildcard):
        return False
    if wildcard == ANY:
        return True
    parts = wildcard.split("-")
    if ANY not in parts or len(parts) > 4:
        return False
    # A wildcard names its last parts: linux-any is any-any-linux-any, and musl-linux-any is any-musl-linux-any.
    whole = Tuple(*([ANY] * (4 - len(parts)) + parts))
    return whole.accepts(_split_architecture(architecture))


def _split_architecture(architecture: str) -> Tuple:
    system, _dash, name = architecture.rpartition("-")
    if not system:
        abi, processor = _SHORT.get(name, ("base", name))
        return Tuple(abi, "gnu", "linux", processor)
    libc, kernel = _SYSTEMS.get(system, ("", system))
    abi, processor = _SHORT[name] if name in _ARM.get(system, ()) else ("base", name)
    return Tuple(abi, libc, kernel, processor)


def is_built_for(architecture: str, declared: str) -> bool:
    """Whether a list such as ``linux-any kfreebsd-amd64`` (the field Architecture) has ``architecture``."""
    return any(match_architecture(architecture, word) for word in declared.split())
