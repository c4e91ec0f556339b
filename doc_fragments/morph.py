# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules learn the names of artifacts in the cache of Morph, and find a build on its network."""

from __future__ import annotations


class ModuleDocFragment:
    """A command that lists the artifacts, and a build that was submitted earlier."""

    LIST_COMMAND = r"""
options:
  list_command:
    description:
      - A command that writes the names of artifacts, one a line, such as C(morph list-artifacts).
      - In its words C({repo}) and C({ref}) are replaced. The word C({systems}) is replaced by all systems, the word
        C({system}) by one, and then the command is run for each. Without any of the two they are added at the end.
      - Since July 2016 C(morph list-artifacts) takes the options C(--repo) and C(--ref), before that two words.
        Whichever is given, it is asked with the options, and with the words only if it does not know those.
    type: list
    elements: str
  chdir:
    description: The directory in which O(list_command) is run.
    type: path
"""

    BUILD = r"""
requirements:
  - PyYAML
options:
  handle:
    description: The handle that M(slipway.release.distbuild_submit) returned.
    type: dict
  timeout:
    description: Seconds to wait for each answer, and for the end of a build that is cancelled.
    type: float
    default: 30
"""
