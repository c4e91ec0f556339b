# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All of Debian is locked as one set, and a solver finds what it found before: nothing has become uninstallable."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import fetch_package_lists
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import lock
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control, decode_control
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.relations import read_groups, read_relations
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule, satisfies

from .conftest import DEBIAN

#: What a solver and a comparison look at; the rest of 50 MB is for people.
FIELDS = (
    *("Package", "Version", "Architecture", "Multi-Arch", "Essential", "Priority"),
    *("Pre-Depends", "Depends", "Recommends", "Provides", "Conflicts", "Breaks"),
)
RULE = Rule("r1", "bookworm")


@pytest.fixture(scope="module")
def packages(cache: Path) -> list[Control]:
    """Every package of Debian 12 for amd64, as apt fetches the list now; without it these tests fail."""
    (path,) = fetch_package_lists([DEBIAN], ["amd64"], directory=cache / "tests/index")["amd64"]
    found = []
    for paragraph in decode_control(path.read_bytes()).strip("\n").split("\n\n"):
        whole = Control(f"{paragraph}\n")
        values = {name: value for name in FIELDS if (value := whole.get(name))}
        found.append(Control("".join(f"{name}: {value}\n" for name, value in values.items())))
    return found


@pytest.fixture(scope="module")
def locked(packages: list[Control]) -> list[Control]:
    """The same after they were locked as one set."""
    members = [lock.describe_member(control, RULE) for control in packages]
    release = lock.ReleaseSet(members)
    return [
        Control(lock.stamp_control(Control(str(control)), member, release=release, rule=RULE, fields={}).text)
        for control, member in zip(packages, members, strict=True)
    ]


def find_broken(packages: list[Control], path: Path) -> set[str]:
    """The packages that the solver finds no way to install."""
    path.write_text("\n".join(map(str, packages)), errors="surrogateescape")
    words = ["dose-debcheck", "--failures", "--deb-native-arch=amd64", f"--fg={path}"]
    report = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    counted = re.search(r"^total-packages: (\d+)\n^broken-packages: (\d+)$", report, re.MULTILINE)
    assert counted, report[-500:]
    broken = re.findall(r"^ +package: (\S+)$", report, re.MULTILINE)
    assert (int(counted[1]), int(counted[2])) == (len(packages), len(broken))
    return set(broken)


def test_as_many_packages_are_broken_after_as_before(
    packages: list[Control], locked: list[Control], tmp_path: Path
) -> None:
    assert len(packages) > 60_000
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(find_broken, (packages, locked), (tmp_path / "before", tmp_path / "after"))
    assert after == before


def test_no_demand_means_fewer_packages_or_others_than_before(packages: list[Control], locked: list[Control]) -> None:
    before, after = list_choices(packages), list_choices(locked)
    assert sum(map(len, before)) > 100_000
    changed = [control.get("Package") for control, old, new in zip(packages, before, after, strict=True) if old != new]
    assert changed == []


def list_choices(packages: list[Control]) -> list[set[tuple[str, frozenset[int]]]]:
    """For each package and field, what its relations mean: the numbers of the packages that each is true of."""
    names: dict[str, list[tuple[int, str | None]]] = defaultdict(list)
    for number, control in enumerate(packages):
        names[control.get("Package") or ""].append((number, control.get("Version")))
        for provided in read_relations(control, "Provides"):
            names[provided.name].append((number, provided.version))

    @cache
    def find_choice(name: str, operator: str, version: str | None) -> frozenset[int]:
        return frozenset(
            number
            for number, own in names.get(name, ())
            if version is None or (own is not None and satisfies(own, operator, version))
        )

    return [
        {
            (field, frozenset().union(*(find_choice(one.name, one.operator or "=", one.version) for one in group)))
            for field in ("Pre-Depends", "Depends", "Recommends", "Conflicts", "Breaks")
            for group in read_groups(control, field)
        }
        for control in packages
    ]
