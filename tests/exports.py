"""Copies of the working tree as it is about to be committed, for tests that change it or use it elsewhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def export(directory: Path) -> Path:
    """The working tree's files, in a repository of their own with one commit."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    present = sorted({name for name in names if name and os.path.lexists(ROOT / name)})
    directory.mkdir(parents=True)
    identity = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false"]
    for command in (
        ["cp", "-a", "--parents", *present, directory],
        ["git", "init", "--quiet", directory],
        ["git", "-C", directory, "add", "--all"],
        ["git", "-C", directory, *identity, "commit", "--quiet", "--message", "The working tree"],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    return directory


def build_collection(directory: Path) -> Path:
    """The tarball of the collection, as `make dist` builds it, below ``directory``."""
    tree = export(directory / "collection")
    for link in sorted((tree / "plugins").iterdir()):
        real = link.resolve()
        link.unlink()
        real.rename(link)
    words = ["ansible-galaxy", "collection", "build", "--output-path", str(directory), str(tree)]
    subprocess.run(words, check=True, capture_output=True)
    return next(directory.glob("slipway-release-*.tar.gz"))
