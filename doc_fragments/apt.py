# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where Debian packages come from, and where they are kept."""

from __future__ import annotations


class ModuleDocFragment:
    """Lines of sources.list that need not name the mirror, an archive by reprepro, and one of releases."""

    ARCHIVE = r"""
options:
  directory:
    description: The archive, what reprepro calls its base directory. It has C(conf/distributions).
    type: path
    required: true
  suite:
    description: The codename of the suite.
    type: str
    required: true
  gnupghome:
    description: The GnuPG directory with the key that C(SignWith) of C(conf/distributions) names.
    type: path
  lock_timeout:
    description:
      - Seconds to wait for other users of the archive, on which one works at a time. What a killed user left is put in
        order by the next one.
    type: float
    default: 600
"""

    SOURCES = r"""
options:
  sources:
    description:
      - Where packages come from, lines as in C(sources.list). The word C(machine) in the place of an address stands for
        the mirror from which the host's own apt takes that suite.
    type: list
    elements: str
"""

    SERVED = r"""
options:
  directory:
    description: The directory that is served.
    type: path
    required: true
  component:
    description: The archive's one component.
    type: str
    default: main
"""

    PUBLICATION = r"""
options:
  distribution:
    description: The distribution.
    type: str
    required: true
  origin:
    description: The name of the archive.
    type: str
    required: true
  lock_timeout:
    description: Seconds to wait for another publication.
    type: float
    default: 600
"""
