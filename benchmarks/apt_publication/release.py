#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A distribution of small packages, and its releases, by what the modules of playbooks/stamp.yml do.

``release.py DIRECTORY RELEASE`` makes one release in an archive that :func:`prepare` has made.
"""

from __future__ import annotations

import gzip
import random
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt import reprepro
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.index import read_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import DEFAULT_TEMPLATE, Rule
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.modules import (
    apt_publish,
    deb_metapackage,
    deb_stamp,
    stamp_plan,
)
from debs import make_deb

DISTRIBUTION = "meadow"
PLATFORM = "bookworm"
ARCHITECTURES = ["amd64", "i386"]
ALL = f"ros-{DISTRIBUTION}-all"


def prepare(directory: Path, *, stacks: int, size: int = 4000) -> None:
    """Fill a shadow archive with ``stacks`` packages, each of which needs another one, and make a key."""
    names = [f"stack{number}" for number in range(stacks)]
    debs = []
    for number, name in enumerate(names):
        needs = ["libc6", *([f"ros-{DISTRIBUTION}-{names[(number - 1) // 2]}"] if number else [])]
        for architecture in ARCHITECTURES:
            content = random.Random(f"{name} {architecture}").randbytes(size)  # noqa: S311  # no secret
            debs.append(
                make_deb(
                    directory / "debs",
                    f"ros-{DISTRIBUTION}-{name}",
                    f"1.0-0~{PLATFORM}",
                    architecture,
                    fields={"Depends": ", ".join(needs)},
                    files={f"opt/ros/{DISTRIBUTION}/{name}": content},
                )
            )
    conf = directory / "shadow/conf"
    conf.mkdir(parents=True)
    conf.joinpath("options").write_text("outdir +b/../public/shadow\n")
    conf.joinpath("distributions").write_text(
        f"Codename: {PLATFORM}\nArchitectures: {' '.join(ARCHITECTURES)}\nComponents: main\n"
        "DebIndices: Packages Release . .gz\n"
    )
    with reprepro.open_archive(directory / "shadow") as archive:
        archive.include(PLATFORM, read_debs(debs))
    for architecture in ARCHITECTURES:
        base = directory / f"base/dists/{PLATFORM}/main/binary-{architecture}"
        base.mkdir(parents=True)
        text = f"Package: libc6\nVersion: 2.36\nArchitecture: {architecture}\nFilename: none\nSize: 0\n"
        base.joinpath("Packages.gz").write_bytes(gzip.compress(text.encode()))
    key = make_key(directory / "gnupg", "Archive <archive@example.org>")
    (directory / "public/key.asc").write_bytes(export_public_key(directory / "gnupg", key))
    (directory / "stacks").write_text("".join(f"  {name}: {{version: 1.0}}\n" for name in names))


def settings(directory: Path, release: str) -> dict[str, Any]:
    """The options of stamp_plan."""
    distro_file = directory / f"{release}.rosdistro"
    stacks = (directory / "stacks").read_text()
    distro_file.write_text(f"release: {DISTRIBUTION}\nversion: {release}\nstacks:\n{stacks}")
    source = f"deb [trusted=yes] copy:{directory}/base {PLATFORM} main"
    return {
        "distro_file": str(distro_file),
        "required_stacks": [],
        "generation": 0,
        "shadow": str(directory / "shadow"),
        "gnupghome": None,
        "published": str(directory / "public/fixed"),
        "component": "main",
        "platforms": [{"name": PLATFORM, "architectures": ARCHITECTURES, "base": [source]}],
        "base_directory": str(directory / "lists"),
        "excludes": {},
        "package_name": "ros-{distribution}-{stack}",
        "variant_name": "ros-{distribution}-{variant}",
        "shadow_version": ["{version}-0~{platform}"],
        "template": DEFAULT_TEMPLATE,
        "marker": "WG-rosdistro",
        "metapackage_version": "1.0.0",
        "maintainer": "A Maintainer <maintainer@example.org>",
    }


def stamped(directory: Path, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The plan's packages, stamped."""
    (platform,) = plan["platforms"]
    order = stamp.Order(Rule(plan["release"], platform["name"]), {"WG-rosdistro": plan["distribution"]})
    stage = directory / "stage" / plan["label"]
    results = stamp.stamp_debs(platform["debs"], stage, order=order)
    metapackages = deb_metapackage.act({"directory": str(stage), "packages": platform["metapackages"]}, write=True)
    return [*map(deb_stamp.describe_deb, results), *metapackages["debs"]]


def release(directory: Path, name: str) -> bool:
    """Make one release; whether it was not there before."""
    plan = stamp_plan.act(settings(directory, name), write=True)
    if plan["published"]:
        return False
    options = {
        "directory": str(directory / "public/fixed"),
        "distribution": plan["distribution"],
        "release": name,
        "indexes": {platform["name"]: platform["indexes"] for platform in plan["platforms"]},
        "debs": stamped(directory, plan),
        "inputs": plan["inputs"],
        "provenance": plan["provenance"],
        "phases": [],
        "package_phases": {},
        "origin": "Slipway",
        "component": "main",
        "gnupghome": str(directory / "gnupg"),
        "signing_key": None,
        "lock_timeout": 60,
    }
    return bool(apt_publish.act(options, write=True)["changed"])


if __name__ == "__main__":
    release(Path(sys.argv[1]), sys.argv[2])
