#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make indexes of an apt archive of a ROS distribution: names, versions and relations as ROS's build farm has them.

``python benchmarks/deb_plan/ros_index.py CACHE ROSDEP... --platform bionic --python 2 --out tests/data/ros/melodic``

``CACHE`` is a rosdistro cache (what a distribution released, with every package.xml), ``ROSDEP`` are rosdep's files
(base.yaml, python.yaml), which say what a key is on Ubuntu. Written are ``Sources.xz``, ``Packages.xz`` and
``base.xz``, which has a made stanza for every package of Ubuntu that is named. As in bloom's debian/control a package
is built with what it needs to build, of build tools and to test, and depends on what it needs to run and exports.
"""

from __future__ import annotations

import argparse
import lzma
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BUILD = ("build_depend", "buildtool_depend", "test_depend", "depend")
RUN = ("run_depend", "exec_depend", "build_export_depend", "buildtool_export_depend", "depend")
BOUNDS = {"version_lt": "<<", "version_lte": "<=", "version_eq": "=", "version_gte": ">=", "version_gt": ">>"}
#: Packages that ros-workspace itself is made with; all others of ROS 2 get it (bloom adds it).
BEFORE_WORKSPACE = ("ament_cmake_core", "ament_package", "ros_workspace")
_TOKEN = re.compile(r"\(|\)|==|!=|>=|<=|>|<|[^\s()=!<>]+")


@dataclass
class Distribution:
    """What is released; ``keys`` are rosdep's, ``unknown`` those that none of them has for the platform."""

    name: str
    platform: str
    versions: dict[str, str]
    manifests: dict[str, str]
    keys: Mapping[str, Any]
    variables: Mapping[str, str]
    unknown: dict[str, int] = field(default_factory=dict)

    def name_package(self, package: str) -> str:
        return f"ros-{self.name}-{package.replace('_', '-')}"


def read_distribution(cache: Path, rosdep: list[Path], *, platform: str, python: str) -> Distribution:
    loaded = yaml.load(cache.read_bytes(), Loader=yaml.CSafeLoader)
    versions = {}
    (release,) = loaded["distribution_file"] if isinstance(loaded["distribution_file"], list) else [loaded]
    for name, repository in release["repositories"].items():
        found = repository.get("release") or {}
        if found.get("version"):
            versions.update(dict.fromkeys(found.get("packages") or [name], str(found["version"])))
    keys: dict[str, Any] = {}
    for path in rosdep:
        keys.update(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    is_second = any("ros_workspace" in name for name in versions)
    variables = {
        "ROS_VERSION": "2" if is_second else "1",
        "ROS_PYTHON_VERSION": python,
        "ROS_DISTRO": loaded["name"],
    }
    return Distribution(loaded["name"], platform, versions, loaded["release_package_xmls"], keys, variables)


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Whether a condition of a package.xml (REP 149) holds."""
    tokens = [variables.get(word[1:], "") if word.startswith("$") else word for word in _TOKEN.findall(condition)]

    def take_any() -> bool:
        value = take_all()
        while tokens and tokens[0] == "or":
            tokens.pop(0)
            value = take_all() or value
        return value

    def take_all() -> bool:
        value = take_one()
        while tokens and tokens[0] == "and":
            tokens.pop(0)
            value = take_one() and value
        return value

    def take_one() -> bool:
        left = tokens.pop(0)
        if left == "(":
            value = take_any()
            tokens.pop(0)
            return value
        operator, right = tokens.pop(0), tokens.pop(0)
        left, right = left.strip("'\""), right.strip("'\"")
        return {
            "==": left == right,
            "!=": left != right,
            ">=": left >= right,
            "<=": left <= right,
            ">": left > right,
            "<": left < right,
        }[operator]

    return take_any()


def list_relations(distribution: Distribution, manifest: ElementTree.Element, tags: tuple[str, ...]) -> list[str]:
    found: dict[str, None] = {}
    for tag in tags:
        for element in manifest.findall(tag):
            key = (element.text or "").strip()
            if not holds(element.get("condition") or "1 == 1", distribution.variables):
                continue
            bounds = [f" ({sign} {element.get(name)})" for name, sign in BOUNDS.items() if element.get(name)] or [""]
            for package in resolve_key(distribution, key):
                own = package.startswith(f"ros-{distribution.name}-")
                for bound in bounds if own else [""]:
                    found[f"{package}{bound}"] = None
    return sorted(found)


def resolve_key(distribution: Distribution, key: str) -> list[str]:
    """The packages of a key: of the distribution, else what rosdep says for Ubuntu."""
    if key in distribution.versions:
        return [distribution.name_package(key)]
    rule = (distribution.keys.get(key) or {}).get("ubuntu")
    for _depth in range(3):
        if isinstance(rule, dict):
            rule = rule.get(distribution.platform, rule.get("*", rule.get("apt", rule.get("packages"))))
    packages = rule.split() if isinstance(rule, str) else rule
    if not isinstance(packages, list):
        distribution.unknown[key] = distribution.unknown.get(key, 0) + 1
        return []
    return [package for package in packages if re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package)]


def list_stanzas(distribution: Distribution) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Name, version, what it is built with and what it depends on, of every package with a manifest."""
    for package in sorted(distribution.versions):
        text = distribution.manifests.get(package)
        if not text:
            continue
        manifest = ElementTree.fromstring(text.strip())  # noqa: S314  # the data that a maintainer fetched
        build, run = (list_relations(distribution, manifest, tags) for tags in (BUILD, RUN))
        if distribution.variables["ROS_VERSION"] == "2" and package not in BEFORE_WORKSPACE:
            workspace = distribution.name_package("ros_workspace")
            build, run = ([*relations, workspace] for relations in (build, run))
        version = f"{distribution.versions[package]}{distribution.platform}"
        yield distribution.name_package(package), version, ["debhelper (>= 9)", *build], run


def write_indexes(distribution: Distribution, out: Path) -> None:
    sources, packages, named = [], [], {"build-essential", "debhelper"}
    for name, version, build, run in list_stanzas(distribution):
        sources.append(
            f"Package: {name}\nBinary: {name}\nVersion: {version}\nBuild-Depends: {', '.join(build)}\n"
            f"Architecture: any\nPackage-List:\n {name} deb misc optional arch=any\n"
        )
        depends = f"Depends: {', '.join(run)}\n" if run else ""
        packages.append(f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n{depends}")
        named.update(relation.split(" ")[0] for relation in (*build, *run))
    own = {stanza.split("\n", 1)[0].partition(": ")[2] for stanza in packages}
    base = [f"Package: {name}\nVersion: 10\nArchitecture: amd64\n" for name in sorted(named - own)]
    out.mkdir(parents=True, exist_ok=True)
    for name, stanzas in (("Sources", sources), ("Packages", packages), ("base", base)):
        data = "\n".join(stanzas).encode()
        (out / f"{name}.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    print(f"{distribution.name}: {len(sources)} sources, {len(base)} packages of the platform", file=sys.stderr)
    print(f"without a package on {distribution.platform}: {len(distribution.unknown)} keys", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("rosdep", type=Path, nargs="+")
    parser.add_argument("--platform", required=True, help="codename of Ubuntu's release")
    parser.add_argument("--python", default="3", help="Python's major version there")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_indexes(
        read_distribution(options.cache, options.rosdep, platform=options.platform, python=options.python), options.out
    )


if __name__ == "__main__":
    main()
