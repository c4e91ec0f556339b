# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules call BuildStream."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of the program, and with the section systems, of what it is to work on."""

    DOCUMENTATION = r"""
attributes:
  action_group:
    membership:
      - slipway.release.all
      - slipway.release.buildstream
requirements:
  - BuildStream 2.8
  - ruamel.yaml
options:
  config:
    description:
      - BuildStream's user configuration, which also names its cache. By default the one of the user.
      - Leave its C(message-format) and C(element-format) at their defaults. Progress is read from them.
    type: path
  bst:
    description: The program C(bst), as a name or a path. Its first line names the Python that has BuildStream.
    type: str
    default: bst
"""

    SYSTEMS = r"""
options:
  project:
    description: The directory of the BuildStream project.
    type: path
    required: true
  systems:
    required: true
  project_options:
    description: The options of the project for each architecture, by its name.
    type: dict
    default: {}
  log_directory:
    description: Where the log of each architecture, and of each failed element, is kept.
    type: path
    required: true
"""
