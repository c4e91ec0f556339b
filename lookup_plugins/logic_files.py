# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source files of the collection's own logic, for roles that install programs which stand on it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: logic_files
author: The Slipway developers (@slipway)
version_added: "0.1.0"
short_description: Source files of packages of the collection's logic
description:
  - Returns the files of C(module_utils/slipway) itself and of the packages in it that are named, for a role that
    installs a program which imports them as C(slipway).
  - They are what M(slipway.release.text_files) takes.
options:
  _terms:
    description: Names of packages below C(module_utils/slipway), such as V(git).
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Install the program's packages
  slipway.release.text_files:
    directory: /usr/local/lib/slipway/mason
    files: "{{ query('slipway.release.logic_files', 'git', 'mason') }}"
"""

RETURN = r"""
_raw:
  description: Each file's C(path), which begins with C(slipway/), and its C(content).
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils import slipway


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core has no types
    """Reads the files from where the collection is."""

    def run(self, terms: list[str], *_variables: Any, **_options: Any) -> list[dict[str, str]]:
        """Each file's path and content."""
        top = Path(slipway.__path__[0])
        unknown = [name for name in terms if not (top / name / "__init__.py").is_file()]
        if unknown:
            raise AnsibleError(f"module_utils/slipway has no package {', '.join(unknown)}: correct the names.")
        found = [*top.glob("*.py"), *(file for name in terms for file in (top / name).rglob("*.py"))]
        return [
            {"path": f"slipway/{path.relative_to(top)}", "content": path.read_text("utf-8")} for path in sorted(found)
        ]
