# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan blocks, beside what the solver dose-builddebcheck finds broken, in random worlds."""

from __future__ import annotations

import lzma
import random
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import package, plan, platform, source, write_index

BROKEN = re.compile(r"^  package: (\S+)$", re.MULTILINE)


class Dice:
    """Makes worlds of packages that need each other, some of which nobody has."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311
        self.allowed = ("p0", "p1", "p2")
        self.names = [f"p{number}" for number in range(12)]

    def make_packages(self) -> list[dict[str, str]]:
        # Virtual names have no package of their own: a real one would count by its highest version alone.
        found = [package("build-essential")]
        for name in self.names[:9]:
            fields = {"Multi_Arch": self.dice.choice(["no", "foreign", "same"])}
            if name in self.allowed:
                fields["Multi_Arch"] = "allowed"
            fields["Architecture"] = "amd64" if fields["Multi_Arch"] == "same" else self.dice.choice(["amd64", "all"])
            if self.dice.random() < 0.3:
                fields["Provides"] = self.dice.choice(["virtual", "virtual (= 2)", "virtual (= 1), other"])
            depends = ", ".join(self.make_group(qualified=False) for _ in range(self.dice.choice([0, 0, 1, 1, 2])))
            found.append(package(name, self.dice.choice(["1", "2-1", "2-1+b1", "1:0"]), depends, **fields))
        return found

    def make_group(self, *, qualified: bool) -> str:
        return " | ".join(self.make_relation(qualified=qualified) for _ in range(self.dice.choice([1, 1, 1, 2, 3])))

    def make_relation(self, *, qualified: bool) -> str:
        relation = self.dice.choice([*self.names, "virtual", "other"])
        if qualified:
            # Of others apt and dpkg do not take :any, but dose does, and in any version.
            relation += self.dice.choice([":any" if relation in self.allowed else "", ":native", "", "", ""])
        if self.dice.random() < 0.4 and not relation.endswith(":any"):
            sign, version = self.dice.choice(["<<", "<=", "=", ">=", ">>"]), self.dice.choice(["1", "2", "2-1", "1:0"])
            relation += f" ({sign} {version})"
        if qualified:
            relation += self.dice.choice([" [i386]", " [linux-any]", " [!amd64]", "", "", "", "", ""])
            relation += self.dice.choice([" <!nocheck>", " <stage1>", "", "", "", ""])
        return relation

    def make_sources(self) -> list[dict[str, str]]:
        return [
            source(
                f"s{number}",
                needs=", ".join(self.make_group(qualified=True) for _ in range(self.dice.choice([1, 2, 3]))),
            )
            for number in range(12)
        ]


def find_broken(packages: list[dict[str, str]], sources: list[dict[str, str]], directory: Path) -> set[str]:
    """The sources that dose finds no way to build."""
    (directory / "Packages").write_bytes(write_index(packages))
    (directory / "Sources").write_bytes(write_index([{"Maintainer": "x", **entry} for entry in sources]))
    words = ["dose-builddebcheck", "--deb-native-arch=amd64", "--failures", "Packages", "Sources"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
    assert "source-packages: " in done.stdout, done.stderr
    return set(BROKEN.findall(done.stdout))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_plan_blocks_what_a_solver_finds_broken(seed: int, tmp_path_factory: object) -> None:
    directory = tmp_path_factory.mktemp("dose")  # type: ignore[attr-defined]
    dice = Dice(seed)
    packages, sources = dice.make_packages(), dice.make_sources()
    blocked = {one["source"] for one in plan(platform(sources, [], packages))["blocked"]}
    assert blocked == find_broken(packages, sources, directory)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_what_a_plan_blocks_for_conflicts_cannot_be_built(seed: int, tmp_path_factory: object) -> None:
    directory = tmp_path_factory.mktemp("dose")  # type: ignore[attr-defined]
    dice = Dice(seed)
    packages, sources = dice.make_packages(), dice.make_sources()
    for entry in sources:
        entry["Build_Conflicts"] = dice.make_relation(qualified=False)
    blocked = {one["source"] for one in plan(platform(sources, [], packages))["blocked"]}
    assert blocked <= find_broken(packages, sources, directory)


ROS = Path(__file__).parents[2] / "data/ros/melodic"


def read_fields(file: str) -> dict[str, dict[str, str]]:
    stanzas = lzma.decompress((ROS / file).read_bytes()).decode().split("\n\n")
    found = [dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line) for stanza in stanzas]
    return {fields["Package"]: fields for fields in found}


@pytest.mark.parametrize("core", ["ros-melodic-roscpp", "ros-melodic-tf2", "ros-melodic-moveit-core"])
def test_what_depends_on_a_core_directly_or_not_is_what_a_solver_finds(core: str, tmp_path: Path) -> None:
    sources, packages, base = (read_fields(f"{name}.xz") for name in ("Sources", "Packages", "base"))
    # dose knows dependents of one kind only: here each package depends on what it is built with, too.
    both = [
        {**fields, "Depends": ", ".join(filter(None, [fields.get("Depends"), sources[name]["Build-Depends"]]))}
        for name, fields in packages.items()
    ]
    (tmp_path / "Packages").write_bytes(write_index([*both, *base.values()]))
    words = ["dose-ceve", "--deb-native-arch=amd64", "-T", "deb", "-r", core, f"deb://{tmp_path}/Packages"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    expected = {line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("Package: ")}
    sources[core] = {**sources[core], "Version": "99"}
    made = plan(platform(list(sources.values()), list(packages.values()), list(base.values())))
    assert {entry["source"] for entry in made["entries"] if entry["state"] == "build"} == expected
    assert len(expected) > 100
