# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stacks as they are released."""

from __future__ import annotations


class ModuleDocFragment:
    """What a stack is judged by, and how files are read from elsewhere."""

    SURROUNDINGS = r"""
options:
  distribution:
    description: The name of the distribution, by which conditions in manifests are judged.
    type: str
    default: ""
  stacks:
    description: The names of all stacks of the distro file. A dependency on another stack is refused.
    type: list
    elements: str
    required: true
  known:
    description:
      - What is known of the other stacks, by name, each a mapping of the lists C(packages) and C(depends), as
        RV(slipway.release.stack_releases_info#module:known) has it, or only the list of its packages.
    type: dict
    default: {}
  platforms:
    description:
      - The platforms that the stack may be for, each its codename such as V(bookworm), or a mapping of C(name),
        C(version) and C(distribution), such as V(debian), by which rosdeps can be given too.
    type: list
    elements: raw
    required: true
  rosdep:
    description:
      - What the keys of manifests stand for, each a text such as C(libfoo-dev bar (>= 1)), a list of such, or a mapping
        from platforms, their versions or distributions, or C(*) for all others, to one of these or null for nothing.
      - The file C(rosdep.yaml) at the top of a stack overlays it, key by key.
    type: dict
    default: {}
  implicit:
    description: The Debian packages that every stack needs on every platform.
    type: list
    elements: str
    default: [build-essential, cmake]
  epoch:
    description: The time of every file in a tarball that is made, in seconds since 1970. Another makes other bytes.
    type: int
    default: 946684800
  directory:
    description: The directory below which the files are made, in C(<stack>-<version>/).
    type: path
    required: true
"""

    READER = r"""
options:
  timeout:
    description: Seconds within which one file is fetched.
    type: float
    default: 3600
  idle_timeout:
    description: Seconds of silence after which a server is given up.
    type: float
    default: 60
  max_bytes:
    description: How many bytes a file may have, and what is in a tarball.
    type: int
    default: 4294967296
  ca_path:
    description: A file of certificates to trust instead of the system's.
    type: path
"""
