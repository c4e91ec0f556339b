# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build host is asked to do, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..deb.architectures import ALL
from ..deb.names import PLATFORM, SOURCE_NAME
from ..deb.version import find_version_fault
from .limits import Limits

#: What became of a job. FAILED is the package's fault; GIVEN_BACK is the host's, and another one may do better. BUSY
#: says that the host has no room now.
DONE, FAILED, GIVEN_BACK, BUSY = "done", "failed", "given back", "busy"
#: The steps of a job, in order.
FETCH, BUILD, INSTALL, TEST = "fetch", "build", "install", "test"
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{1,30}", re.ASCII)
#: A line of sources.list without its options: those are ours.
REPOSITORY = re.compile(r"(?:https?|file)://[^\s\[\]\"'\\]+ [^\s\[\]\"'\\]+(?: [^\s\[\]\"'\\]+)+", re.ASCII)

#: A package that was installed, with its version, and a variable with its value.
INSTALLED = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?=[A-Za-z0-9.+~:-]+", re.ASCII)
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}=[^\x00-\x1f\x7f]{0,4096}")
PATH = re.compile(r"(?:/[A-Za-z0-9_+~.-]+)+", re.ASCII)
#: What fits into one word of a command line with what is around each package.
MOST_WORDS = 80000


@dataclass(frozen=True)
class Repository:
    """An archive that packages come from: ``line`` is address, suite and components, ``key`` its armored public key."""

    line: str
    key: str


@dataclass(frozen=True)
class Dependent:
    """A source in the archive whose tests are run with what is built, and the name of its .dsc among the files."""

    source: str
    version: str
    dsc: str


@dataclass(frozen=True)
class Exactly:
    """How a build was done, which is to be done in the same way once more.

    ``packages`` are those that were installed, each ``name=version``. ``path`` is the directory that it was built
    below, ``environment`` what variables were, and ``entry`` what a binary rebuild wrote into the changelog.
    """

    packages: tuple[str, ...] = ()
    path: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    entry: str = ""

    def find_faults(self) -> list[str]:
        """What of it no program may get."""
        checks = (
            ("packages", all(INSTALLED.fullmatch(one) for one in self.packages)),
            ("packages that go into one command", sum(map(len, self.packages)) < MOST_WORDS),
            ("path", not self.path or (PATH.fullmatch(self.path) and ".." not in self.path)),
            ("environment", all(VARIABLE.fullmatch(f"{name}={value}") for name, value in self.environment.items())),
            ("entry", len(self.entry) < MOST_WORDS and "\0" not in self.entry),
        )
        return [f"the {name} of the build before is none" for name, right in checks if not right]


@dataclass(frozen=True)
class Job:
    """A source package to build for an architecture, and to try.

    ``dsc`` is the name of the .dsc among the files that come with the job. ``parts`` are those of its packages that are
    built: ``any``, ``all`` or both. With ``rebuild`` it is the binary rebuild of that number, of the same source.
    ``chroot`` is the architecture of the chroot, another one than ``architecture`` where packages are cross-built.
    ``epoch`` is the date of the rebuild's entry in the changelog, in seconds since 1970.
    ``published`` says that the archive has packages of this source, so that tests can be tried with these as well.
    """

    source: str
    version: str
    platform: str
    architecture: str
    chroot: str
    dsc: str
    parts: tuple[str, ...] = ("any",)
    rebuild: int = 0
    epoch: int = 0
    maintainer: str = ""
    repositories: tuple[Repository, ...] = ()
    install: bool = True
    test: bool = True
    published: bool = False
    dependents: tuple[Dependent, ...] = ()
    profiles: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    exactly: Exactly | None = None

    @property
    def label(self) -> str:
        """What it is called where people read."""
        return f"{self.source} {self.version} for {self.platform} {self.architecture}"

    def as_dict(self) -> dict[str, Any]:
        """As a message."""
        # Hosts that were provisioned before there were builds that repeat others take all other jobs.
        return {name: value for name, value in asdict(self).items() if name != "exactly" or value is not None}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Job:
        """Read a message; ``ValueError`` with what is wrong, since its words go to programs."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"a job has no {unknown[0]}")
        try:
            repositories = tuple(Repository(str(one["line"]), str(one["key"])) for one in given.get("repositories", ()))
            limits = Limits(**given.get("limits", {}))
            dependents = tuple(Dependent(**one) for one in given.get("dependents", ()))
            lists = {name: tuple(map(str, given[name])) for name in ("parts", "profiles") if name in given}
            more: dict[str, Any] = {"repositories": repositories, "dependents": dependents, "limits": limits}
            if (before := given.get("exactly")) is not None:
                more["exactly"] = Exactly(**{**before, "packages": tuple(map(str, before.get("packages", ())))})
            made = cls(**{**given, **lists, **more})
            faults = made.find_faults()
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"a job is not as it should be: {error}") from None
        if faults:
            raise ValueError("; ".join(faults))
        return made

    def find_faults(self) -> list[str]:
        """What of it no program may get."""
        checks = (
            ("source", SOURCE_NAME.fullmatch(self.source)),
            ("version", not find_version_fault(self.version)),
            ("platform", PLATFORM.fullmatch(self.platform)),
            ("architecture", ARCHITECTURE.fullmatch(self.architecture) and self.architecture != ALL),
            ("chroot", ARCHITECTURE.fullmatch(self.chroot)),
            ("dsc", all(_is_dsc(name) for name in (self.dsc, *(one.dsc for one in self.dependents)))),
            ("dependents", all(SOURCE_NAME.fullmatch(one.source) for one in self.dependents)),
            ("parts", self.parts and set(self.parts) <= {"any", ALL}),
            ("repositories", all(REPOSITORY.fullmatch(one.line) for one in self.repositories)),
            ("profiles", all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", one) for one in self.profiles)),
            ("rebuild", isinstance(self.rebuild, int) and 0 <= self.rebuild < 1000),
            ("limits", self.limits.are_numbers()),
            ("maintainer", re.fullmatch(r"[^<>\n\0]* ?<[^<>\s]+>|", self.maintainer)),
        )
        faults = [f"the {name} of a job is none" for name, right in checks if not right]
        return faults + (self.exactly.find_faults() if self.exactly is not None else [])


def _is_dsc(name: str) -> bool:
    return name.endswith(".dsc") and "/" not in name and not name.startswith("-")


@dataclass(frozen=True)
class Result:
    """What became of a job: at which ``stage`` it ended, and why in a sentence; ``seconds`` by stage.

    ``tests`` are those of the package with what became of each. ``host`` is who did it if not who was asked.
    """

    outcome: str
    stage: str
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    host: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As a message."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Result:
        """Read a message; ``ValueError`` with what is wrong."""
        outcome, stage = given.get("outcome"), given.get("stage")
        if outcome not in (DONE, FAILED, GIVEN_BACK, BUSY) or stage not in (FETCH, BUILD, INSTALL, TEST):
            raise ValueError("a result has neither outcome nor stage")
        seconds, tests = given.get("seconds", {}), given.get("tests", {})
        if not isinstance(seconds, dict) or not isinstance(tests, dict):
            raise ValueError("a result has no mappings of seconds and tests")
        return cls(
            outcome,
            stage,
            str(given.get("reason", "")),
            {str(name): float(number) for name, number in seconds.items()},
            {str(name): str(how) for name, how in tests.items()},
        )
