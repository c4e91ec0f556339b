# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages that hold nothing and install others, in exactly the versions of one release."""

from __future__ import annotations

import gzip
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, count_of, refuse
from . import file
from .control import read_control_file

#: The date of everything inside, so that the same words give the same bytes.
DATE = 1_000_000_000
SECTION = "metapackages"


@dataclass(frozen=True)
class Metapackage:
    """``depends`` are package and version, and those of packages that do as well; ``fields`` are set as given."""

    package: str
    version: str
    architecture: str
    maintainer: str
    summary: str
    depends: Sequence[Sequence[str]]
    fields: Mapping[str, str]

    @property
    def control(self) -> str:
        """Its control file."""
        lines = {
            "Package": self.package,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": self.maintainer,
            "Depends": ", ".join(map(_format_demand, self.depends)),
            "Section": SECTION,
            "Priority": "optional",
            **self.fields,
            "Description": self.summary,
        }
        text = "".join(f"{name}: {value}\n" for name, value in lines.items())
        return text + textwrap.indent("\n".join(textwrap.wrap(_LONG, 76)), " ") + "\n"

    def build_deb(self) -> bytes:
        """The package as a file."""
        documents = f"usr/share/doc/{self.package}"
        files = {
            f"{documents}/changelog.Debian.gz": gzip.compress(self._format_changelog().encode(), 9, mtime=0),
            f"{documents}/copyright": _COPYRIGHT.encode(),
        }
        return file.build_deb(self.control, files, mtime=DATE)

    def _format_changelog(self) -> str:
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(DATE))
        return (
            f"{self.package} ({self.version}) stable; urgency=low\n\n  * Lock the packages of this release.\n\n"
            f" -- {self.maintainer}  {date}\n"
        )


def refuse_collisions(metapackages: Sequence[Metapackage], directory: Path) -> None:
    """Refuse metapackages of one name, and those that would take the name of a package in ``directory``."""
    findings = []
    first: dict[tuple[str, str, str], Metapackage] = {}
    for each in metapackages:
        key = (each.package, each.version, each.architecture)
        if first.setdefault(key, each).control != each.control:
            findings.append(f"{' '.join(key)} is there twice, with different fields")
    for name in sorted({each.package for each in metapackages}):
        for path in sorted(directory.glob(f"{name}_*.deb")):
            if read_control_file(file.inspect_deb(path).control).get("Section") != SECTION:
                findings.append(f"{path} is a package of the name {name}")
    do_next = "Nothing was changed; rename one of them and run again."
    refuse("create", count_of(len(metapackages), "metapackage"), findings, do_next=do_next)


def _format_demand(words: Sequence[str]) -> str:
    if not words or len(words) % 2:
        raise SlipwayError(
            "build", "a metapackage", f"{list(words)} is not package and version", do_next="Correct its depends."
        )
    return " | ".join(f"{name} (= {version})" for name, version in zip(words[::2], words[1::2], strict=True))


_LONG = (
    "This package holds nothing. It installs the packages of one release of the distribution, in exactly the versions "
    "that were built and tested together."
)
_COPYRIGHT = "This package holds no work of its own: nothing in it is subject to copyright.\n"
