# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian versions: their syntax, their order, and the rule that gives a set of packages one release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import SlipwayError

#: The rule of the ROS archives: 1.1.1-0~lucid of the release r468 becomes 1.1.1-r468~lucid.
DEFAULT_TEMPLATE = "{version}-{release}~{platform}"
#: The names that a template may use.
TEMPLATE_NAMES = ("version", "source_version", "epoch", "upstream", "revision", "release", "platform")

_MAX_EPOCH = 2**31 - 1
_UPSTREAM = re.compile(r"[0-9][A-Za-z0-9.+:~-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9.+~]+", re.ASCII)
_PART = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_BIN_NMU = re.compile(r"\+b[0-9]+$", re.ASCII)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z0-9.+~]+", re.ASCII)


@dataclass(frozen=True)
class Version:
    """A version in its parts; ``revision`` is ``None`` for a native one."""

    epoch: int
    upstream: str
    revision: str | None

    def __str__(self) -> str:
        return self.prefix + self.upstream + ("" if self.revision is None else f"-{self.revision}")

    @property
    def prefix(self) -> str:
        """The epoch with its colon; nothing where the version needs none."""
        return f"{self.epoch}:" if self.epoch or ":" in self.upstream else ""


def find_version_fault(text: str) -> str | None:
    """Why dpkg would refuse ``text`` as a version, or ``None``; the words complete "the version '...' ..."."""
    epoch, upstream, revision = _split_version(text)
    if not (epoch.isascii() and epoch.isdigit()):
        return "has an epoch that is not a number"
    if len(epoch) > 100 or int(epoch) > _MAX_EPOCH:
        return "has an epoch that is too big"
    if not upstream:
        return "is empty"
    if revision == "":
        return "has an empty revision"
    if not _UPSTREAM.fullmatch(upstream):
        begins = upstream[0] in "0123456789"
        return "has a character that is not allowed" if begins else "does not begin with a digit"
    if revision is not None and not _REVISION.fullmatch(revision):
        return "has a character in its revision that is not allowed"
    return None


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version:
    """Split a version that dpkg accepts; another raises ``ValueError`` with the fault."""
    fault = find_version_fault(text)
    if fault:
        raise ValueError(f"the version '{text}' {fault}")
    epoch, upstream, revision = _split_version(text)
    return Version(int(epoch), upstream, revision)


def _split_version(text: str) -> tuple[str, str, str | None]:
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, hyphen, revision = rest.rpartition("-")
    return epoch, upstream if hyphen else rest, revision if hyphen else None


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1: how dpkg orders two versions."""
    mine, other = version_key(left), version_key(right)
    return (mine > other) - (mine < other)


@lru_cache(maxsize=65536)
def version_key(text: str) -> tuple[Any, ...]:
    """A value that sorts as dpkg sorts the version."""
    version = parse_version(text)
    return (version.epoch, _make_order(version.upstream), _make_order(version.revision or "0"))


def _make_order(text: str) -> tuple[Any, ...]:
    parts: list[Any] = []
    for word, digits in _PART.findall(text):
        number = digits.lstrip("0")
        # 0 closes the word, so that a tilde (-1) sorts before its end and everything else after it.
        parts.append((*map(_order_character, word), 0))
        parts.append((len(number), number))
    return tuple(parts)


def _order_character(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def satisfies(version: str, operator: str, bound: str) -> bool:
    """Whether ``version`` satisfies ``operator`` (of control files, old forms too) and ``bound``."""
    order = compare_versions(version, bound)
    return {
        "<<": order < 0,
        "<=": order <= 0,
        "<": order <= 0,
        "=": order == 0,
        ">": order >= 0,
        ">=": order >= 0,
        ">>": order > 0,
    }[operator]


def strip_epoch(version: str) -> str:
    """A version as the names of files have it, in which no colon may be."""
    epoch, colon, rest = version.partition(":")
    return rest if colon else epoch


def strip_rebuild(version: str) -> str:
    """The version of the source: without the ``+b<n>`` of a binary rebuild."""
    return _BIN_NMU.sub("", version)


def next_rebuild(version: str, source_version: str) -> str:
    """The version of the next binary rebuild of a source, where a package has ``version`` now."""
    return f"{source_version}+b{number_rebuild(version) + 1}"


def number_rebuild(version: str) -> int:
    """The number of a binary rebuild, 0 for what is none."""
    match = _BIN_NMU.search(version)
    return int(match[0][2:]) if match else 0


@dataclass(frozen=True)
class Rule:
    """How versions are made: ``release`` of the distribution, ``platform``, and the ``template``.

    A template names ``{version}`` (whole, without the revision ``0``, ``0<platform>`` or ``0~<platform>``
    that marks a package as not stamped yet), ``{source_version}`` (the same without ``+b<n>`` of a binary
    rebuild), ``{epoch}`` (with its colon, or nothing), ``{upstream}``, ``{revision}`` (``0`` for a native
    version), ``{release}`` and ``{platform}``.
    """

    release: str
    platform: str = ""
    template: str = DEFAULT_TEMPLATE

    def check(self) -> None:
        """Raise :class:`SlipwayError` if no version can be made with this rule."""
        names = set(_PLACEHOLDER.findall(self.template))
        for what, word in (("release", self.release), ("platform", self.platform)):
            if word and not _WORD.fullmatch(word):
                raise SlipwayError(
                    "use",
                    f"the {what} '{word}'",
                    "it has characters that a revision must not have",
                    do_next="Use letters, digits and . + ~ only.",
                )
            if what in names and not word:
                raise SlipwayError(
                    "use",
                    f"the version template '{self.template}'",
                    f"it needs a {what}, and there is none",
                    do_next=f"Give the {what}.",
                )
        unknown = sorted(names - set(TEMPLATE_NAMES))
        stray = _PLACEHOLDER.sub("", self.template)
        if unknown or "{" in stray or "}" in stray or not names & {"version", "source_version", "upstream"}:
            fault = f"it names {', '.join(unknown)}" if unknown else "it does not name a version, or has a stray brace"
            raise SlipwayError(
                "use",
                f"the version template '{self.template}'",
                fault,
                do_next=f"Use {', '.join('{' + name + '}' for name in TEMPLATE_NAMES)}.",
            )

    def apply(self, version: str) -> str:
        """The stamped form of ``version``; ``ValueError`` if either is not a version for dpkg."""
        parts = parse_version(version)
        whole = self._strip_mark(parts)
        values = {
            "version": whole,
            "source_version": strip_rebuild(whole),
            "epoch": parts.prefix,
            "upstream": parts.upstream,
            "revision": parts.revision or "0",
            "release": self.release,
            "platform": self.platform,
        }
        stamped = _PLACEHOLDER.sub(lambda match: values[match[1]], self.template)
        fault = find_version_fault(stamped)
        if fault:
            raise ValueError(f"the version '{version}' would become '{stamped}', which {fault}")
        return stamped

    def _strip_mark(self, parts: Version) -> str:
        if parts.revision is None:
            return str(parts)
        rebuild = _BIN_NMU.search(parts.revision)
        base = parts.revision[: rebuild.start()] if rebuild else parts.revision
        if base != "0" and not (self.platform and base in {f"0{self.platform}", f"0~{self.platform}"}):
            return str(parts)
        return str(Version(parts.epoch, parts.upstream + (rebuild[0] if rebuild else ""), None))
