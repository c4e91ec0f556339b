# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds systems with Morph: where it runs, or by a controller of a distbuild network.

Morph ends with 0 also when a controller cancels a build, and when it never answers, so what was built is what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from ..buildstream.command import Build
from ..buildstream.log import Event
from ..buildstream.session import BuildError, Fault
from ..errors import SlipwayError, count_of
from ..process import run

#: What a controller has built, in Morph's words.
BUILT = re.compile(r"^\S+ \S+ (?:Artifact: |Controller did not give us any artifact URLs)", re.MULTILINE)
#: Complaints about what other machines do, which may pass.
AWAY = re.compile(
    r"Failed to update cached version of repo|Cannot find remote git repository|Unable to clone from"
    r"|Failed to (?:resolve ref|cat file|list tree)\b.*remote|Connection (?:refused|reset|timed out)"
    r"|Could not resolve host|Temporary failure in name resolution|Lost connection|No route to host"
)
ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
MOST_CHARACTERS = 300
#: Whether repository and commit are options or words, as they were until July 2016, when the commands had other names.
FORMS = ("options", "words")


@dataclass(frozen=True)
class Morph:
    """How Morph is called. ``controllers`` are ``HOST`` or ``HOST:PORT`` by architecture; the rest is built here."""

    command: tuple[str, ...] = ("morph",)
    config: str = ""
    repository: str = ""
    controllers: Mapping[str, str] = field(default_factory=dict)
    form: str = "options"

    def format_command(self, architecture: str, system: str, *, commit: str) -> list[str]:
        """The command that builds one system."""
        controller = self.controllers.get(architecture)
        words = [*self.command, *([f"--config={self.config}"] if self.config else [])]
        if controller:
            host, _colon, port = controller.partition(":")
            words.append(f"--controller-initiator-address={host}")
            words += [f"--controller-initiator-port={port}"] if port else []
        verb = "distbuild" if controller else "build"
        if self.form == "words":
            return [*words, f"{verb}-morphology", self.repository, commit, system]
        return [*words, verb, f"--repo={self.repository}", f"--ref={commit}", system]


def build_with_morph(
    morph: Morph,
    builds: Sequence[Build],
    *,
    directory: Path,
    commit: str,
    log_directory: Path,
    timeout: float,
    on_event: Callable[[str, Event], None],
) -> None:
    """Build the systems of all architectures at the same time, those of one after the other.

    ``timeout`` is for the systems of one architecture. All are tried; those that are not built are in
    :class:`BuildError`.
    """

    def build_architecture(build: Build) -> dict[tuple[str, str], list[Fault]]:
        lost = {}
        log, end = log_directory / f"build-{build.architecture}.log", monotonic() + timeout
        for system in build.elements:
            fault = _build_system(morph, build.architecture, system, directory, commit, log=log, end=end)
            if fault is None:
                on_event(build.architecture, Event(system, "build", "done", ""))
            else:
                lost[build.architecture, system] = [fault]
        return lost

    with ThreadPoolExecutor(max_workers=max(1, len(builds))) as pool:
        results = list(pool.map(build_architecture, builds))
    lost = {key: faults for part in results for key, faults in part.items()}
    if lost:
        number = sum(len(build.elements) for build in builds)
        error = BuildError(
            "build",
            count_of(number, "system"),
            f"{len(lost)} failed",
            do_next="Look at their logs.",
            findings=[f"{system}: {faults[0].sentence}" for (_arch, system), faults in lost.items()],
        )
        error.lost = lost
        raise error


def _build_system(
    morph: Morph, architecture: str, system: str, directory: Path, commit: str, *, log: Path, end: float
) -> Fault | None:
    """Why a system is not built, if it is not."""
    left = end - monotonic()
    if left <= 0:
        return Fault("build", f"{system} was not begun, because the time was up", log)
    command = morph.format_command(architecture, system, commit=commit)
    try:
        done = run(
            command,
            attempt="build",
            on=system,
            cwd=directory,
            timeout=left,
            log=log,
            ok_codes=range(-64, 256),
            do_next="Look at the log.",
        )
    except SlipwayError as error:  # it did not start, or its time was up
        return Fault("build" if "was ended after" in error.came_back else "fetch", error.came_back, log)
    if done.returncode == 0 and (architecture not in morph.controllers or BUILT.search(done.stdout)):
        return None
    said = ERROR.findall(done.stdout)
    if done.returncode == 0:
        sentence = f"the controller {morph.controllers[architecture]} ended the build of {system} without a result"
        return Fault("fetch", sentence, log)  # somebody cancelled it, or it does not answer
    how = f"status {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
    reason = said[-1][:MOST_CHARACTERS] if said else f"morph ended with {how}"
    return Fault("fetch" if AWAY.search("\n".join(said)) else "build", f"{system}: {reason}", log)
