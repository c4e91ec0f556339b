"""A release reaches machines by and by: apt judges, with the ids of many machines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import publication
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import Archive, read_deb
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.phases import (
    begin_phases,
    change_phases,
    check_schedule,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.modules import apt_phase
from aptclient import Client, served
from debs import make_deb
from publishing import tree

STEPS = [
    {"after_hours": 0, "percentage": 0},
    {"after_hours": 24, "percentage": 50},
    {"after_hours": 48, "percentage": 100},
]
HOUR = 3600
#: None of these is the one of 101 that apt lets through at 0 percent.
MACHINES = [hashlib.sha256(f"machine {number}".encode()).hexdigest()[:32] for number in range(20)]


class Site:
    """An archive with a clock that tests set, and an apt that has the release r1 installed."""

    def __init__(self, archive: Archive, top: Path, url: str) -> None:
        self.archive, self.top = archive, top
        self.now = 1_700_000_000
        self.client = Client(top / "client", [f"deb [signed-by={archive.directory}/key.asc] {url} bookworm main"])

    def publish(self, release: str, *, phases: Any = (), package_phases: Mapping[str, Any] | None = None) -> None:
        debs = []
        for name, needs in (
            ("a", {}),
            ("b", {"Depends": f"a (= 1-{release})"}),
            ("c", {"Depends": f"b (= 1-{release})"}),
        ):
            fields = {"Source": f"{name} (1-0)", **needs}
            debs.append(read_deb(make_deb(self.top / release, name, f"1-{release}", fields=fields)))
        indexes = {"bookworm": {"amd64": tuple(debs)}}
        given = publication.Release("d", release, indexes, phases=phases, package_phases=package_phases or {})
        publication.publish_release(self.archive, given, clock=lambda: self.now)
        self.now = publication.read_current(self.archive.directory).published

    def order(self, state: str, hours: float = 0, label: str = "d-r2") -> bool:
        self.now += int(hours * HOUR)
        return publication.publish_phases(self.archive, label, state, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds) + 1

    def install(self, release: str) -> None:
        rows = [("a", ""), ("b", f"Depends: a (= 1-{release})\n"), ("c", f"Depends: b (= 1-{release})\n")]
        text = "".join(
            f"Package: {name}\nStatus: install ok installed\nMaintainer: A <a@b.c>\nArchitecture: all\n"
            f"Version: 1-{release}\n{needs}Description: {name} for tests\n\n"
            for name, needs in rows
        )
        (self.client.root / "system/var/lib/dpkg/status").write_text(text if release else "")

    def upgrades(self, machine: str, *words: str) -> set[str]:
        words = words or ("upgrade",)
        done = self.client.run("apt-get", "-o", f"APT::Machine-ID={machine}", "-q", "--simulate", *words)
        return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("gnupg")
    return home, make_key(home, "Archive <archive@example.org>")


@pytest.fixture
def site(tmp_path: Path, keys: tuple[Path, str]) -> Iterator[Site]:
    directory = tmp_path / "fixed"
    directory.mkdir()
    (directory / "key.asc").write_bytes(export_public_key(*keys))
    with served(directory) as url:
        yield Site(Archive(directory, "Slipway", "main", *keys), tmp_path, url)


def test_apt_upgrades_no_machine_then_half_of_them_then_all_and_none_when_halted(site: Site) -> None:
    site.publish("r1")
    site.publish("r2", phases=STEPS)
    pool = tree(site.archive.directory / "pool")
    site.install("r1")
    site.client.update()
    assert [site.upgrades(machine) for machine in MACHINES[:8]] == [set()] * 8
    assert site.order("applied", 23) is False
    assert site.order("applied", 1) is True
    site.client.update()
    half = [site.upgrades(machine) for machine in MACHINES]
    assert {frozenset(each) for each in half} == {frozenset(), frozenset("abc")}
    assert 4 < sum(map(bool, half)) < 16
    assert site.order("halted", 1) is True
    assert site.order("halted", 1) is False
    assert site.order("applied", 100) is False
    site.client.update()
    chosen = [machine for machine, upgraded in zip(MACHINES, half, strict=True) if upgraded]
    assert [site.upgrades(machine) for machine in chosen[:5]] == [set()] * 5
    site.install("")
    assert site.upgrades(chosen[0], "install", "c") == set("abc")
    site.install("r1")
    assert site.order("resumed") is True
    site.client.update()
    assert [site.upgrades(machine) for machine in MACHINES[:8]] == half[:8]
    assert site.order("complete") is True
    assert site.order("complete") is False
    site.client.update()
    assert [site.upgrades(machine) for machine in MACHINES[:8]] == [set("abc")] * 8
    assert tree(site.archive.directory / "pool") == pool
    text = (site.archive.directory / "dists/bookworm/main/binary-amd64/Packages").read_text()
    assert text == (site.archive.directory / "snapshots/d-r2/dists/bookworm/main/binary-amd64/Packages").read_text()
    publication.verify_release(site.archive.directory, "d-r2", gnupghome=site.archive.gnupghome)


def test_a_package_can_have_steps_of_its_own_and_the_rest_is_for_all(site: Site) -> None:
    site.publish("r1")
    site.publish("r2", package_phases={"c": STEPS})
    text = (site.archive.directory / "dists/bookworm/main/binary-amd64/Packages").read_text()
    assert text.count("Phased-Update-Percentage: 0\n") == 1
    assert "Source: c (1-0)" in text
    site.install("r1")
    site.client.update()
    # c holds back what it is locked to.
    assert site.upgrades(MACHINES[0]) == set()
    assert site.order("applied", 48) is True
    site.client.update()
    assert site.upgrades(MACHINES[0]) == set("abc")


def test_a_release_without_steps_can_be_halted_and_resumed_and_another_takes_its_phases_away(site: Site) -> None:
    site.publish("r2")
    assert site.order("applied") is False
    assert site.order("complete") is False
    assert site.order("halted") is True
    assert (
        "Phased-Update-Percentage: 0"
        in (site.archive.directory / "dists/bookworm/main/binary-amd64/Packages").read_text()
    )
    site.publish("r3")
    assert publication.read_current(site.archive.directory).phases == {}
    with pytest.raises(SlipwayError, match="clients do not see it"):
        site.order("halted")
    with pytest.raises(SlipwayError, match="it is for all machines already"):
        site.order("resumed", label="d-r3")


def test_the_module_says_before_what_it_does_once(site: Site) -> None:
    site.publish("r2")
    options = {
        "directory": str(site.archive.directory),
        "distribution": "d",
        "state": "halted",
        "phases": [],
        "package_phases": {},
        "origin": "Slipway",
        "component": "main",
        "gnupghome": str(site.archive.gnupghome),
        "signing_key": None,
        "lock_timeout": 10,
    }
    before = tree(site.archive.directory)
    looked = apt_phase.act(options, write=False)
    assert tree(site.archive.directory) == before
    assert looked["diff"] == {"before": "d-r2 100 % complete\n", "after": "d-r2 0 % halted\n"}
    assert apt_phase.act(options, write=True) == looked
    assert apt_phase.act(options, write=True)["changed"] is False
    with pytest.raises(SlipwayError, match="Could not find the release of e in .*: only d is published there"):
        apt_phase.act({**options, "distribution": "e"}, write=False)


def test_the_time_of_a_halt_does_not_count() -> None:
    begun = begin_phases(STEPS, {}, on="d-r2", now=1000)
    assert begun is not None
    assert (begun.percentage, begun.find_next(1000)) == (0, 1000 + 24 * HOUR)
    halted = change_phases(begun, "halted", on="d-r2", now=1000 + 23 * HOUR)
    assert halted.find_next(1000) is None
    resumed = change_phases(halted, "resumed", on="d-r2", now=1000 + 100 * HOUR)
    assert (resumed.percentage, resumed.find_next(1000 + 100 * HOUR)) == (0, 1000 + 101 * HOUR)
    assert change_phases(resumed, "applied", on="d-r2", now=1000 + 101 * HOUR).percentage == 50


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ([{"after_hours": 0, "percentage": 101}], "step 1 is 101 percent, which is no whole number from 0 to 100"),
        ([{"after_hours": "x", "percentage": 1}], "step 1 is after 'x' hours, which is no number of them"),
        ([{"after_hours": 0}], "step 1 has not just after_hours and percentage"),
        ([*STEPS, STEPS[0]], "step 4 is not later than the one before, or reaches less"),
    ],
)
def test_a_schedule_that_is_none_is_refused(schedule: Any, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        check_schedule(schedule, on="d-r2")
