# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes definitions from the controller to the machine where they are published."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.git.archive import pack_tree
from ..module_utils.slipway.git.tree import read_tree
from .in_process import InProcess


class ActionModule(InProcess):
    """Run the module; before, with ``remote_src: false``, send the files of its ``source`` there as one archive."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Replace ``source`` by the archive's place there; the module reads either."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if boolean(arguments.get("remote_src", True)):
            result.update(self._execute_module(task_vars=task_vars))
            return result
        try:
            arguments["source"] = self._send(Path(str(arguments["source"])).expanduser())
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _send(self, directory: Path) -> str:
        if not (directory / "project.conf").is_file():
            raise AnsibleActionFail(f"Could not publish the definitions in {directory}: there is no project.conf here.")
        self._make_tmp_path()
        target = str(self._connection._shell.join_path(self._connection._shell.tmpdir, "definitions.tar.gz"))
        try:
            packed = pack_tree(read_tree(directory))
        except SlipwayError as error:
            raise AnsibleActionFail(str(error)) from error
        with tempfile.NamedTemporaryFile(prefix="slipway-definitions-") as file:
            file.write(packed)
            file.flush()
            self._transfer_file(file.name, target)
        self._fixup_perms2([str(self._connection._shell.tmpdir), target])
        return target
