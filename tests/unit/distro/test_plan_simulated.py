# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of random worlds are carried out on a model of an archive, and every build finds what it needs there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import package, plan, platform, source


@dataclass
class Site:
    """Sources that each make one package of their name; ``archive`` has the version of each package that is there."""

    versions: dict[str, str]
    needs: dict[str, list[str]]
    depends: dict[str, list[str]]
    base: set[str]
    archive: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, seed: int, *, acyclic: bool) -> Site:
        dice = random.Random(seed)  # noqa: S311
        names = [f"s{number:02}" for number in range(14)]
        base = {"tool", "libc"}

        def choose(number: int) -> list[str]:
            others = [*(names[:number] if acyclic else names), "tool", "libc"]
            found = dice.sample(others, min(dice.choice([0, 1, 1, 2, 3]), len(others)))
            return [*found, "nobody-has-this"] if dice.random() < 0.04 else found

        versions = {name: dice.choice(["1", "1", "2"]) for name in names}
        needs, depends = ({name: choose(number) for number, name in enumerate(names)} for _ in range(2))
        site = cls(versions, needs, depends, base)
        site.archive = {name: "1" for name in names if dice.random() < 0.85}
        # What cannot be installed is not in an archive that builds have passed.
        while broken := [name for name in site.archive if not site.can_install([name])]:
            for name in broken:
                del site.archive[name]
        for name in names:
            if name not in site.archive:
                # Nothing tells what it will depend on; in packages made of stacks it is of what they are built with.
                depends[name] = [other for other in needs[name] if dice.random() < 0.7]
        return site

    def can_install(self, names: list[str]) -> bool:
        """Whether packages and all that they depend on are in the archive or the platform."""
        ahead, seen = list(names), set(names)
        while ahead:
            name = ahead.pop()
            if name in self.base:
                continue
            if name not in self.archive:
                return False
            ahead += [other for other in self.depends[name] if other not in seen]
            seen.update(self.depends[name])
        return True

    def plan(self, policy: str, **wishes: Any) -> dict[str, Any]:
        sources = [source(name, version, ", ".join(self.needs[name])) for name, version in self.versions.items()]
        shadow = [package(name, version, ", ".join(self.depends[name])) for name, version in self.archive.items()]
        return plan(platform(sources, shadow, [package(name) for name in sorted(self.base)]), policy=policy, **wishes)

    def carry_out(self, made: dict[str, Any]) -> None:
        """Do the builds in their order; each must find what it needs, as far as what it depends on is known."""
        for entry in (entry for entry in made["entries"] if entry["state"] == "build"):
            name = entry["source"]
            assert self.can_install(self.needs[name]), f"{name} lacks one of {self.needs[name]}"
            for other in entry["invalidates"]:
                self.archive.pop(other, None)
            self.archive[name] = entry["version"]


def carry_out_plan(seed: int, policy: str, *, acyclic: bool) -> tuple[Site, set[str]]:
    """Make and carry out a plan; what is not blocked must be there in the end. The site, and what is blocked."""
    site = Site.make(seed, acyclic=acyclic)
    before = dict(site.archive)
    made = site.plan(policy)
    site.carry_out(made)
    blocked = {one["source"] for one in made["blocked"]}
    for name, version in site.versions.items():
        if name not in blocked:
            assert site.archive.get(name) == version
        elif name in site.archive:
            assert site.archive[name] == before[name]
    return site, blocked


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), policy=st.sampled_from(["transitive", "build", "direct", "none"]))
def test_every_build_of_a_plan_finds_what_it_needs(seed: int, policy: str) -> None:
    site, blocked = carry_out_plan(seed, policy, acyclic=True)
    again = site.plan(policy)
    assert {entry["source"] for entry in again["entries"] if entry["state"] == "build"} <= blocked


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), policy=st.sampled_from(["transitive", "build", "direct", "none"]))
def test_plans_with_cycles_can_be_carried_out_too(seed: int, policy: str) -> None:
    carry_out_plan(seed, policy, acyclic=False)


@pytest.mark.parametrize("policy", ["transitive", "build", "direct", "abi", "none"])
def test_nothing_is_invalidated_where_nothing_is_built(policy: str) -> None:
    site = Site.make(3, acyclic=True)
    site.versions = dict.fromkeys(site.versions, "1")
    site.archive = dict(site.versions)
    made = site.plan(policy)
    assert made["counts"]["build"] == 0
    assert not any(entry["invalidates"] for entry in made["entries"])
