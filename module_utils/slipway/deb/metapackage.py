# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages that hold nothing and install others, in exactly the versions of one release."""

from __future__ import annotations

import gzip
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import SlipwayError
from . import file

#: The date of everything inside, so that the same words give the same bytes.
DATE = 1_000_000_000


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
            "Section": "metapackages",
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
