# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Phased updates: which part of the machines that have a package is offered the new version, and when more are.

An index says of a package ``Phased-Update-Percentage``, and each apt judges for its machine. It counts from 0 to 100,
by the name and version of the package's source and the machine's id. Two packages of different sources would so reach
different machines; locked to each other they would reach only those that both choose, few of a large release.
So the packages of a phased release have one source in the index, the release itself. The packages, and the index of
the release's snapshot, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..deb.control import Control
from ..errors import SlipwayError, refuse

FIELD = "Phased-Update-Percentage"
COMPLETE, NONE = 100, 0
SCHEDULED, HALTED, COMPLETED = "scheduled", "halted", "complete"
#: What can be asked for, and the state that it leads to.
ORDERS = {"applied": None, "halted": HALTED, "resumed": SCHEDULED, "complete": COMPLETED}
HOUR = 3600

#: Steps as users give them: ``{after_hours: 24, percentage: 50}``.
Schedule = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Phases:
    """How far a release is: its ``schedule`` and those of single ``packages``, since ``started`` (seconds since 1970).

    The time while it was halted, since ``halted``, does not count.
    """

    schedule: Schedule = ()
    packages: Mapping[str, Schedule] = field(default_factory=dict)
    state: str = SCHEDULED
    started: int = 0
    halted: int = 0
    percentage: int = COMPLETE
    package_percentages: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """As the account of a generation keeps it."""
        return asdict(self)

    def find_percentage(self, package: str) -> int:
        """What the index says of a package now."""
        return self.package_percentages.get(package, self.percentage)

    def find_next(self, now: float) -> int | None:
        """When the next step is due, in seconds since 1970."""
        if self.state != SCHEDULED:
            return None
        steps = [step for schedule in (self.schedule, *self.packages.values()) for step in schedule]
        times = [self.started + int(step["after_hours"] * HOUR) for step in steps]
        return min((time for time in times if time > now), default=None)


def check_schedule(schedule: Schedule, *, on: str) -> None:
    """Refuse a schedule that is not one: hours and percentages, neither of which ever falls."""
    faults = []
    before = (-1.0, -1)
    for number, step in enumerate(schedule, 1):
        hours, percentage = step.get("after_hours"), step.get("percentage")
        if set(step) != {"after_hours", "percentage"}:
            faults.append(f"step {number} has not just after_hours and percentage")
        elif isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 <= hours < 100_000:
            faults.append(f"step {number} is after {hours!r} hours, which is no number of them")
        elif isinstance(percentage, bool) or not isinstance(percentage, int) or not NONE <= percentage <= COMPLETE:
            faults.append(f"step {number} is {percentage!r} percent, which is no whole number from 0 to 100")
        elif hours <= before[0] or percentage < before[1]:
            faults.append(f"step {number} is not later than the one before, or reaches less")
        else:
            before = (hours, percentage)
    refuse("phase", on, faults, do_next="Correct the schedule and run again.")


def begin_phases(schedule: Schedule, packages: Mapping[str, Schedule], *, on: str, now: int) -> Phases | None:
    """What a new release begins with; None if it is for all at once."""
    if not schedule and not packages:
        return None
    check_schedule(schedule, on=on)
    for package, steps in packages.items():
        check_schedule(steps, on=f"{package} of {on}")
    steps = [dict(step) for step in schedule]
    own = {package: [dict(step) for step in each] for package, each in packages.items()}
    return _advance(Phases(steps, own, started=now), now)


def change_phases(phases: Phases, order: str, *, on: str, now: int) -> Phases:
    """What becomes of a release by an order: what is due is applied, or it is halted, resumed or completed."""
    if order == "applied" or ORDERS[order] == phases.state:
        return _advance(phases, now)
    if order == "halted":
        return _advance(replace(phases, state=HALTED, halted=now), now)
    if order == "complete":
        return _advance(replace(phases, state=COMPLETED, halted=0), now)
    if phases.state != HALTED:
        came_back = "it is for all machines already"
        raise SlipwayError("resume", on, came_back, do_next="There is nothing to resume: halt it first.")
    return _advance(replace(phases, state=SCHEDULED, started=phases.started + now - phases.halted, halted=0), now)


def reschedule(phases: Phases, schedule: Schedule, packages: Mapping[str, Schedule], *, on: str) -> Phases:
    """The same with the schedules that are given now, as long as it has not reached all."""
    wanted = begin_phases(schedule, packages, on=on, now=phases.started)
    if wanted is None or phases.state == COMPLETED:
        return phases
    return replace(phases, schedule=wanted.schedule, packages=wanted.packages)


def describe_phases(label: str, phases: Phases | None) -> str:
    """For a difference, how many of a hundred machines get a release."""
    told = phases or Phases(state=COMPLETED)
    rows = {label: told.percentage, **{f"{label} {name}": each for name, each in told.package_percentages.items()}}
    return "".join(f"{name} {percentage} % {told.state}\n" for name, percentage in rows.items())


def phase_index(text: str, phases: Phases | None, *, source: str, release: str) -> str:
    """An index as clients of a phased release read it, see above; ``source`` and ``release`` name its one source."""
    if phases is None:
        return text
    return "".join(_phase_paragraph(part, phases, source, release) for part in text.split("\n\n") if part.strip("\n"))


def _phase_paragraph(text: str, phases: Phases, source: str, release: str) -> str:
    control = Control(f"{text.strip(chr(10))}\n")
    package = control.get("Package") or ""
    percentage = phases.find_percentage(package)
    if percentage < COMPLETE:
        # At 0 each stays by itself: apt lets 1 machine of 101 through, and it is rare that several choose the same.
        if percentage > NONE and package not in phases.package_percentages:
            control.set("Source", f"{source} ({release})")
        control.set(FIELD, str(percentage))
    return f"{str(control).strip(chr(10))}\n\n"


def _advance(phases: Phases, now: int) -> Phases:
    """The percentages of this moment."""
    own = {name: _find_due(schedule, phases, now) for name, schedule in phases.packages.items()}
    # Packages that have a schedule of their own need none of the release.
    return replace(phases, percentage=_find_due(phases.schedule, phases, now), package_percentages=own)


def _find_due(schedule: Schedule, phases: Phases, now: int) -> int:
    if phases.state == HALTED:
        return NONE
    if phases.state == COMPLETED or not schedule:
        return COMPLETE
    due = [step["percentage"] for step in schedule if phases.started + step["after_hours"] * HOUR <= now]
    return int(due[-1]) if due else NONE
