#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the source repositories of the example, as a team has them: git, Subversion, Mercurial and Breezy.

The distro files get one too, in git. What is there already stays as it is, so that releases can be made from it. New
repositories are printed, one a line.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

WHO = "The Slipway developers <slipway@example.org>"
DATE = "2010-11-01 12:00:00 +0000"
#: Where the distro files say that the sources are, and which the machine's own directory replaces.
PLACE = "https://example.org/sources"


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "distro_files", type=Path, nargs="+", help="a stack's source is in the directory of its name beside it"
    )
    parser.add_argument("--into", type=Path, required=True, help="directory of the repositories")
    options = parser.parse_args()
    os.umask(0o022)
    into = options.into.resolve()
    for distro_file in options.distro_files:
        distro = yaml.load(distro_file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # text only
        for name in distro["stacks"]:
            if name != "_rules":
                make_source(distro, name, source=distro_file.parent / name, into=into)
    make_once(into / "git/rosdistro.git", lambda place: make_rosdistro(place, options.distro_files, into.as_uri()))


def make_source(distro: Mapping[str, Any], name: str, *, source: Path, into: Path) -> None:
    """A stack's repository, of the kind that its rule names."""
    rule = distro["stacks"][name].get("_rules") or distro["stacks"]["_rules"]
    rules = rule if isinstance(rule, dict) else distro["_rules"][rule]
    kind = next(iter(rules))
    makers: dict[str, Callable[[Path], None]] = {
        "git": lambda place: make_git(place, source),
        "svn": lambda place: make_svn(place, source),
        "hg": lambda place: make_hg(place, source),
        "bzr": lambda place: make_bzr(place, source),
        "dsc": lambda place: make_dsc(place, source),
    }
    make_once(into / kind / (f"{name}.git" if kind == "git" else name), makers[kind])


def make_once(place: Path, make: Callable[[Path], None]) -> None:
    """Make a repository beside its place, and move it there as a whole."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".making-") as aside:
        make(Path(aside) / place.name)
        (Path(aside) / place.name).rename(place)
    print(place)


def make_git(place: Path, source: Path) -> None:
    """A bare repository with one commit."""
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(source, work, dirs_exist_ok=True)
        call("git", "init", "--quiet", "--template=", "--initial-branch=master", work)
        call("git", "-C", work, "add", "--all")
        call("git", "-C", work, "commit", "--quiet", "--message=Begin")
        call("git", "clone", "--quiet", "--bare", "--template=", work, place)


def make_svn(place: Path, source: Path) -> None:
    """A repository with trunk and tags."""
    call("svnadmin", "create", place)
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(source, Path(work) / "trunk")
        (Path(work) / "tags").mkdir()
        call("svn", "import", "--quiet", "--message=Begin", work, place.as_uri())


def make_hg(place: Path, source: Path) -> None:
    """A repository with one commit."""
    shutil.copytree(source, place)
    call("hg", "init", place)
    call("hg", "-R", place, "commit", "--quiet", "--addremove", "--message=Begin", f"--date={DATE}", f"--user={WHO}")


def make_bzr(place: Path, source: Path) -> None:
    """A branch with one commit."""
    shutil.copytree(source, place)
    call("brz", "init", "--quiet", place)
    call("brz", "add", "--quiet", place)
    call("brz", "commit", "--quiet", "--message=Begin", f"--commit-time={DATE}", place)


def make_dsc(place: Path, source: Path) -> None:
    """A source package and its files, as somebody else publishes them."""
    place.mkdir()
    tree = place / "tree"
    shutil.copytree(source, tree)
    call("dpkg-source", "--build", "tree", cwd=place)
    shutil.rmtree(tree)


def make_rosdistro(place: Path, distro_files: list[Path], url: str) -> None:
    """The distro files, which name the repositories of this machine."""
    with tempfile.TemporaryDirectory() as work:
        for distro_file in distro_files:
            (Path(work) / distro_file.name).write_text(distro_file.read_text().replace(PLACE, url))
        make_git(place, Path(work))


def call(*words: str | Path, cwd: Path | None = None) -> None:
    """Run a program, which does not look at the person's settings."""
    home = tempfile.gettempdir()
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in zip(
            ("NAME", "EMAIL", "DATE"), ("The Slipway developers", "slipway@example.org", DATE), strict=True
        )
    }
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "HGRCPATH": "",
        "BRZ_EMAIL": WHO,
        "BRZ_LOG": os.devnull,
    }
    kept = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": "1288612800",
    }
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**kept, **settings, **who},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{words[0]} ended with {done.returncode}: {done.stdout}")


if __name__ == "__main__":
    main()
