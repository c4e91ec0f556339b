# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""autopkgtest: how it is called, and what its results mean. That packages can be installed is a test like others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..files import make_directory, write_atomic
from .job import Job

#: Its exit statuses: all passed or were skipped; some failed; the package or its tests are wrong; the testbed is.
PASSED, FAILED, TESTBED = (0, 2, 8), (4, 6, 12, 14), (16, 20)
INSTALL_TEST = "install"
#: A line of its summary: the name of a test and what became of it.
_SUMMARY = re.compile(r"^(\S+) +(PASS|FAIL|SKIP|FLAKY)\b *(.*)$", re.MULTILINE)
CONTROL = """\
Source: slipway-install
Section: misc
Priority: optional
Maintainer: {maintainer}
Standards-Version: 4.6.2

Package: slipway-install
Architecture: all
Description: is never built
"""
CHANGELOG = """\
slipway-install (1) unstable; urgency=medium

  * Install what was built.

 -- {maintainer}  Sat, 01 Jan 2022 00:00:00 +0000
"""
MAINTAINER = "Nobody <nobody@localhost>"


def make_install_test(directory: Path, packages: Sequence[str]) -> Path:
    """A source tree whose only test is that these packages can be installed together."""
    tree = directory / "slipway-install-1"
    make_directory(tree / "debian/tests")
    texts = {
        "control": CONTROL,
        "changelog": CHANGELOG,
        "tests/control": f"Test-Command: true\nFeatures: test-name={INSTALL_TEST}\nDepends: {', '.join(packages)}\n",
    }
    for name, text in texts.items():
        write_atomic(tree / "debian" / name, text.format(maintainer=MAINTAINER).encode())
    return tree


def make_command(
    job: Job, chroot: Path, tested: Path, debs: Sequence[Path], *, keys: Sequence[Path], scratch: Path, summary: Path
) -> list[str]:
    """The words of the command that tests a .dsc or a tree with these packages in a clean chroot."""
    words = ["autopkgtest", "--no-auto-control", f"--summary={summary}", f"--output-dir={summary.parent / 'output'}"]
    for repository, key in zip(job.repositories, keys, strict=True):
        inside = f"/etc/apt/{key.name}"
        words += [f"--copy={key}:{inside}", f"--add-apt-source=deb [signed-by={inside}] {repository.line}"]
    words += ["--setup-commands=apt-get --quiet update", "--no-built-binaries", *map(str, debs), str(tested)]
    words += ["--", "unshare", f"--arch={job.architecture}", f"--release={job.platform}"]
    return [*words, f"--tarball={chroot}", f"--prefix={scratch}/testbed."]


def read_summary(path: Path) -> dict[str, str]:
    """What became of each test; empty if there is no summary."""
    if not path.is_file() or path.is_symlink():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    return {name: " ".join([how, *more.split()]) for name, how, more in _SUMMARY.findall(text)}
