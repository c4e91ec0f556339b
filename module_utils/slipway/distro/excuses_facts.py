# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of the stacks of a distribution when it is told why they are not released, and what can be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..deb.names import fill_version
from ..deb.version import Rule, strip_rebuild
from .release import Names

#: Stands for the release in a stamped version, to find what is around it.
_RELEASE = "0release0"


@dataclass(frozen=True, order=True)
class Place:
    """An architecture of a platform."""

    platform: str
    architecture: str

    @property
    def name(self) -> str:
        """``bookworm-amd64``."""
        return f"{self.platform}-{self.architecture}"


@dataclass(frozen=True)
class Wanted:
    """A stack of the distro file, not to be released without ``version``; ``package`` stands for it in indexes.

    ``shadow`` is the template of its version in the shadow archive, if it has one of its own.
    """

    version: str | None
    package: str
    shadow: str = ""


@dataclass(frozen=True)
class Exclude:
    """Where a stack may be missing, until the end of a day (``2026-01-31``), or for ever if that is empty."""

    places: frozenset[Place]
    reason: str
    until: str


@dataclass(frozen=True)
class Build:
    """The last build of a stack in a place: ``failed``, ``ok`` or ``running``.

    ``at`` is the time of its end for people, ``moment`` the same in seconds since the epoch. ``link`` is where readers
    of the page find its log. ``seconds`` are those of each of its steps, ``stage`` is the last one.
    """

    state: str
    log: str
    at: str
    moment: float = 0.0
    link: str = ""
    version: str = ""
    stage: str = ""
    reason: str = ""
    host: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    #: Of packages that another build of the same source made of other bytes, what is said of that.
    differ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceFault:
    """Why there is no source package: ``failed``, ``refused`` or ``unsupported``, and the reason."""

    state: str
    reason: str


@dataclass(frozen=True)
class Refusal:
    """Why the plan cannot build a stack; ``is_foreign`` if it needs something that no stack of the distribution has."""

    why: str
    is_foreign: bool


@dataclass(frozen=True)
class Commands:
    """The commands that help, with ``{distribution}`` and ``{stack}``: to build, and with ``{version}`` to release."""

    build: str
    release: str


#: Versions by package, in each place.
Versions = Mapping[Place, Mapping[str, str]]


@dataclass(frozen=True)
class Facts:
    """All that is known of a distribution; what is kept by stack has the stack's name first.

    ``fixed`` is None where nobody looked. ``needs`` are the stacks that a stack depends on, ``run_needs`` those of them
    that only its installed packages need, which may need it in turn. ``planned`` is the wave in which the next run
    builds it, ``refusals`` why the plan cannot.
    """

    distribution: str
    stacks: Mapping[str, Wanted]
    places: Sequence[Place]
    names: Names
    commands: Commands
    today: str
    shadow: Versions
    fixed: Versions | None = None
    excludes: Mapping[str, Sequence[Exclude]] = field(default_factory=dict)
    holds: Mapping[str, str] = field(default_factory=dict)
    builds: Mapping[tuple[str, Place], Build] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], SourceFault] = field(default_factory=dict)
    uninstallable: Mapping[tuple[str, Place], Sequence[str]] = field(default_factory=dict)
    needs: Mapping[str, Collection[str]] = field(default_factory=dict)
    run_needs: Mapping[str, Collection[str]] = field(default_factory=dict)
    planned: Mapping[tuple[str, Place], int] = field(default_factory=dict)
    refusals: Mapping[tuple[str, Place], Refusal] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    def find_wanted(self, stack: str, platform: str) -> str | None:
        """The version that the shadow archive is to have."""
        version, template = self.stacks[stack].version, self.stacks[stack].shadow or self.names.shadow
        return None if version is None else fill_version(template, version=version, platform=platform)

    def find_there(self, stack: str, place: Place) -> str:
        """The version in the shadow archive, or nothing."""
        return self.shadow.get(place, {}).get(self.stacks[stack].package, "")

    def find_fixed(self, stack: str, place: Place) -> str:
        """The version in the fixed archive, or nothing."""
        return (self.fixed or {}).get(place, {}).get(self.stacks[stack].package, "")

    def is_current(self, stack: str, place: Place) -> bool:
        """Whether the shadow archive has what the distro file asks for."""
        there = self.find_there(stack, place)
        return bool(there) and strip_rebuild(there) == self.find_wanted(stack, place.platform)

    def is_released(self, stack: str, place: Place) -> bool:
        """Whether the fixed archive has what the distro file asks for, in whichever release."""
        fixed, wanted = strip_rebuild(self.find_fixed(stack, place)), self.find_wanted(stack, place.platform)
        if not fixed or wanted is None:
            return False
        try:
            stamped = Rule(_RELEASE, place.platform, self.names.stamped).apply(wanted)
        except ValueError:
            return fixed == wanted
        before, mark, after = stamped.partition(_RELEASE)
        if not mark:
            return fixed == stamped
        return len(fixed) > len(before + after) and fixed.startswith(before) and fixed.endswith(after)

    def has_other(self, stack: str, place: Place) -> bool:
        """Whether an archive has the stack in any version."""
        return bool(self.find_there(stack, place) or self.find_fixed(stack, place))

    def find_exclude(self, stack: str, place: Place, *, ended: bool) -> Exclude | None:
        """The exclude that holds there today, or that ended and has no successor; of several, the longest."""
        here = [each for each in self.excludes.get(stack, ()) if place in each.places]
        last = max(here, key=lambda each: each.until or "9999-12-31", default=None)
        is_over = last is not None and bool(last.until) and last.until < self.today
        return last if is_over is ended else None


@dataclass(frozen=True)
class Cause:
    """Why a stack is blocked in one place; what is equal in several places is told once.

    ``needs`` are the stacks that it waits for, ``roots`` those to begin with, each with its code. ``there`` is the
    version that the archive has, ``state`` tells kinds of a code apart.
    """

    code: str
    blocking: bool = True
    category: str | None = "primary"
    reason: str = ""
    until: str = ""
    there: str = ""
    state: str = ""
    at: str = ""
    wave: int | None = None
    needs: tuple[tuple[str, str], ...] = ()
    roots: tuple[tuple[str, str], ...] = ()
    more_roots: int = 0
