# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which build is started where: decisions alone, by what is ready, which hosts there are, and what came of builds.

A build that a host gave back, or took down with it, goes to another one, but not without end. A host that was lost
rests before it is tried again, longer each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: How often a build may come back without a result.
TRIES = 3
#: Seconds that a host rests after it was lost, doubled each time up to the second number.
REST, LONGEST_REST = 15.0, 900.0


@dataclass(frozen=True, order=True)
class Unit:
    """What is built at once: a source for an architecture of a platform."""

    platform: str
    architecture: str
    source: str
    version: str
    #: Whether it was built before, and is built once more to compare what comes of it.
    again: bool = False

    @property
    def label(self) -> str:
        """What it is called where people read."""
        more = ", built again" if self.again else ""
        return f"{self.source} {self.version} for {self.platform} {self.architecture}{more}"


@dataclass(frozen=True)
class Host:
    """A build host.

    ``chroots`` says in which architecture's chroot it builds for which architecture; ``slots`` is how many builds it
    does at once. One that is ``drained`` gets no new ones. ``destination`` is what ssh takes, empty for this machine.
    """

    name: str
    chroots: Mapping[str, str]
    destination: str = ""
    options: tuple[str, ...] = ()
    slots: int = 1
    drained: bool = False


@dataclass(frozen=True)
class Start:
    """A build that is to be started now."""

    unit: Unit
    host: Host


@dataclass
class _Rest:
    until: float = 0.0
    length: float = 0.0


@dataclass
class Schedule:
    """What runs where. The caller tells what happens, and asks what to start; times are seconds of one clock."""

    hosts: dict[str, Host] = field(default_factory=dict)
    running: dict[Unit, str] = field(default_factory=dict)
    came_back: dict[Unit, list[tuple[str, str]]] = field(default_factory=dict)
    #: The host that does a unit only if no other can.
    avoided: dict[Unit, str] = field(default_factory=dict)
    _rests: dict[str, _Rest] = field(default_factory=dict)

    def set_hosts(self, hosts: Iterable[Host]) -> None:
        """The hosts that there are from now on. What runs on one that is not there any more goes on."""
        self.hosts = {host.name: host for host in hosts}

    def choose(self, ready: Sequence[Unit], now: float) -> list[Start]:
        """What of ``ready``, the most urgent first, can be started: as evenly on the hosts as it goes."""
        busy = {name: list(self.running.values()).count(name) for name in self.hosts}
        starts = []
        for unit in ready:
            if unit in self.running or self.has_failed(unit):
                continue
            avoided = {name for name, _why in self.came_back.get(unit, ())} | {self.avoided.get(unit, "")}
            usable = [host for host in self._list_usable(unit.architecture, now) if busy[host.name] < host.slots]
            if not usable:
                continue
            host = min(usable, key=lambda host: (host.name in avoided, busy[host.name] / host.slots, host.name))
            busy[host.name] += 1
            self.running[unit] = host.name
            starts.append(Start(unit, host))
        return starts

    def _list_usable(self, architecture: str, now: float) -> list[Host]:
        hosts = (host for host in self.hosts.values() if architecture in host.chroots and not host.drained)
        return [host for host in hosts if self._rests.get(host.name, _Rest()).until <= now]

    def finish(self, unit: Unit) -> None:
        """A build has a result, so its host is all right."""
        host = self.running.pop(unit, "")
        self._rests.pop(host, None)
        self.came_back.pop(unit, None)

    def give_back(self, unit: Unit, why: str, now: float, *, lost: bool) -> None:
        """A build came back without a result; ``lost`` says that its host may be gone."""
        host = self.running.pop(unit, "")
        self.came_back.setdefault(unit, []).append((host, why))
        if lost:
            rest = self._rests.setdefault(host, _Rest())
            if rest.until <= now:
                rest.length = min(max(REST, 2 * rest.length), LONGEST_REST)
                rest.until = now + rest.length

    def put_off(self, unit: Unit, now: float) -> None:
        """A host has no room for a build, since others use it too: that is nobody's fault, and it is asked again."""
        host = self.running.pop(unit, "")
        self._rests.setdefault(host, _Rest()).until = now + REST

    def has_failed(self, unit: Unit) -> bool:
        """Whether a build came back too often."""
        return len(self.came_back.get(unit, ())) >= TRIES

    def explain(self, unit: Unit) -> str:
        """Why it came back too often."""
        tries = self.came_back[unit]
        where = ", ".join(dict.fromkeys(host for host, _why in tries))
        return f"{len(tries)} attempts on {where} came to nothing, the last because {tries[-1][1]}"

    def find_rest(self, name: str) -> float:
        """Until when a host rests."""
        return self._rests.get(name, _Rest()).until

    def find_wait(self, ready: Sequence[Unit], now: float) -> float | None:
        """Seconds until a host that rests may take one of ``ready``; None if nothing will change by itself."""
        waiting = {unit.architecture for unit in ready if unit not in self.running and not self.has_failed(unit)}
        ends = [
            rest.until - now
            for name, rest in self._rests.items()
            if rest.until > now and name in self.hosts and not waiting.isdisjoint(self.hosts[name].chroots)
        ]
        return min(ends, default=None)

    def list_homeless(self, ready: Iterable[Unit]) -> list[Unit]:
        """What no host builds for, drained ones too."""
        served = {architecture for host in self.hosts.values() for architecture in host.chroots}
        return [unit for unit in ready if unit.architecture not in served]
