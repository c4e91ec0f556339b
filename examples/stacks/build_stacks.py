#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the stacks beside a distro file as debs for several architectures, with dpkg-buildpackage, without being root.

A stack sees those it depends on unpacked in a directory of their own; nothing is installed on this machine. What was
built from the same sources is not built again. The paths of all debs are printed, one a line.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

DATE = "Mon, 01 Nov 2010 12:00:00 +0000"
MAINTAINER = "The Slipway developers <slipway@example.org>"


@dataclass(frozen=True)
class Stack:
    """A source directory, and what its stack.xml and the distro file say of it."""

    name: str
    version: str
    brief: str
    text: str
    depends: tuple[str, ...]
    compiled: bool
    source: Path


def main() -> None:
    """Build what the distro file names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("distro_file", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="directory for everything that is made")
    parser.add_argument("--platform", required=True, help="codename in the versions, such as bookworm")
    parser.add_argument("--architectures", nargs="+", required=True)
    options = parser.parse_args()
    os.umask(0o022)  # what is installed is for everybody
    distro = yaml.load(options.distro_file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # text only
    stacks = [
        read_stack(options.distro_file.parent / name, entry["version"])
        for name, entry in distro["stacks"].items()
        if name != "_rules"
    ]
    work = options.work.resolve()
    builder = Builder(distro["release"], options.platform, work, in_order(stacks))
    with ThreadPoolExecutor(max_workers=len(options.architectures)) as pool:
        built = pool.map(builder.build_all, options.architectures)
    print("\n".join(sorted({str(path) for paths in built for path in paths})))


def read_stack(source: Path, version: str) -> Stack:
    """Read stack.xml; its version must be the distro file's."""
    root = ET.parse(source / "stack.xml").getroot()  # noqa: S314  # a file of our own
    if root.get("version") != version:
        sys.exit(f"{source}/stack.xml has version {root.get('version')}, the distro file has {version}")
    description = root.find("description")
    if description is None:
        sys.exit(f"{source}/stack.xml has no description")
    cmake = (source / "CMakeLists.txt").read_text()
    return Stack(
        source.name,
        version,
        description.get("brief", source.name),
        " ".join((description.text or "").split()),
        tuple(element.get("stack", "") for element in root.findall("depend")),
        compiled=f"project({source.name} C)" in cmake,
        source=source,
    )


def in_order(stacks: list[Stack]) -> list[Stack]:
    """Each stack after those it depends on."""
    ordered: list[Stack] = []
    while len(ordered) < len(stacks):
        done = {stack.name for stack in ordered}
        ready = [stack for stack in stacks if stack.name not in done and done.issuperset(stack.depends)]
        if not ready:
            sys.exit("the stacks depend on each other in a circle, or on one that is not there")
        ordered += ready
    return ordered


class Builder:
    """Builds in order, one directory an architecture."""

    def __init__(self, distribution: str, platform: str, work: Path, stacks: list[Stack]) -> None:
        self.distribution, self.platform, self.work, self.stacks = distribution, platform, work, stacks
        self.prefix = f"opt/ros/{distribution}"
        self.native = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()

    def build_all(self, architecture: str) -> list[Path]:
        """Every stack's deb for an architecture; those for all come from the native one only."""
        place = self.work / self.platform / architecture
        root = place / "root"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        debs = []
        digests: dict[str, str] = {}
        for stack in self.stacks:
            if not stack.compiled and architecture != self.native:
                continue
            digests[stack.name] = digest(stack, [digests[name] for name in stack.depends])
            deb = self.build(stack, place / f"{stack.name}-{digests[stack.name][:12]}", root, architecture)
            subprocess.run(["dpkg-deb", "--extract", deb, root], check=True)
            debs.append(deb)
        return debs

    def build(self, stack: Stack, place: Path, root: Path, architecture: str) -> Path:
        """One stack's deb, which is moved to its place as a whole."""
        name = f"{self.package(stack.name)}_{stack.version}-0~{self.platform}"
        deb = place / f"{name}_{architecture if stack.compiled else 'all'}.deb"
        if deb.exists():
            return deb
        shutil.rmtree(place, ignore_errors=True)
        source = place / stack.name
        shutil.copytree(stack.source, source)
        self.write_debian(stack, source / "debian")
        made = place / deb.name
        log = place / "build.log"
        with open(log, "wb") as stream:
            done = subprocess.run(
                ["dpkg-buildpackage", "-b", "-us", "-uc", "-d", f"--host-arch={architecture}"],
                cwd=source,
                env={
                    **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
                    "ROS_PREFIX": str(root / self.prefix),
                    "DEB_BUILD_OPTIONS": "noautodbgsym" + ("" if architecture == self.native else " nocheck"),
                    "LC_ALL": "C.UTF-8",
                },
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0 or not made.exists():
            deb.unlink(missing_ok=True)
            sys.exit(f"{stack.name} could not be built for {architecture}; the log is {log}")
        shutil.rmtree(source)
        return deb

    def package(self, stack: str) -> str:
        """The name of a stack's package."""
        return f"ros-{self.distribution}-{stack.replace('_', '-')}"

    def write_debian(self, stack: Stack, debian: Path) -> None:
        """What dpkg-buildpackage wants to know."""
        package = self.package(stack.name)
        depends = ", ".join(["${shlibs:Depends}", "${misc:Depends}", *map(self.package, stack.depends)])
        files = {
            "changelog": f"{package} ({stack.version}-0~{self.platform}) {self.platform}; urgency=low\n\n"
            f"  * Build {stack.name} {stack.version} of {self.distribution}.\n\n -- {MAINTAINER}  {DATE}\n",
            "control": f"Source: {package}\nSection: misc\nPriority: optional\nMaintainer: {MAINTAINER}\n"
            f"Build-Depends: debhelper-compat (= 13), cmake\nStandards-Version: 4.6.2\n\nPackage: {package}\n"
            f"Architecture: {'any' if stack.compiled else 'all'}\nDepends: {depends}\n"
            f"XB-WG-rosdistro: {self.distribution}\nDescription: {stack.brief}\n {stack.text}\n",
            "copyright": "Copyright: The Slipway developers\nLicense: GPL-3.0-or-later,"
            " see /usr/share/common-licenses/GPL-3\n",
            "rules": "#!/usr/bin/make -f\ninclude /usr/share/dpkg/architecture.mk\n%:\n\tdh $@ --buildsystem=cmake\n"
            f"override_dh_auto_configure:\n\tdh_auto_configure -- -DCMAKE_INSTALL_PREFIX=/{self.prefix}"
            " -DROS_PREFIX=$(ROS_PREFIX)\n"
            "override_dh_shlibdeps:\n\tdh_shlibdeps -l$(ROS_PREFIX)/lib:/usr/$(DEB_HOST_GNU_TYPE)/lib"
            " -- --ignore-missing-info\n",
            "shlibs.local": "ld-linux 2 libc6\nlibc 6 libc6 (>= 2.36)\nlibm 6 libc6 (>= 2.36)\n",
            "source/format": "3.0 (native)\n",
        }
        for name, text in files.items():
            (debian / name).parent.mkdir(parents=True, exist_ok=True)
            (debian / name).write_text(text)
        (debian / "rules").chmod(0o755)


def digest(stack: Stack, below: list[str]) -> str:
    """Of a stack's files, of this program, and of the stacks that it is built with."""
    found = hashlib.sha256("".join(below).encode())
    for path in [Path(__file__), *sorted(stack.source.rglob("*"))]:
        if path.is_file():
            found.update(f"{path.name}\0".encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
