# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a distro file is."""

from __future__ import annotations


class ModuleDocFragment:
    """A file in a git repository, or on the host."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - URL or path of the git repository that keeps the distro file. Without it the file is on the host itself. Of one
        that is kept in Subversion, give the path in a working copy; nothing is committed there.
    type: str
  branch:
    description: The branch of O(repository).
    type: str
    default: master
  path:
    description: The path of the distro file, in O(repository) or on the host.
    type: path
    required: true
"""
