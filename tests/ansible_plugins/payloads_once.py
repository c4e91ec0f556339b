# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes Ansible quicker in tests: it packs each module with what it imports once, not once in every playbook.

That is a third of a release that has nothing to do. Ansible keeps what it packed by the module's name in its temporary
directory; here that place is a link to one for all runs, by the digest of all that could be packed. And runs
without the callback of users get what that one prepares for tasks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible
from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: payloads_once
type: aggregate
short_description: Pack each module once
description: Shares Ansible's cache of packed modules between runs.
"""
DIRECTORY = "SLIPWAY_TEST_PAYLOADS"


class CallbackModule(CallbackBase):
    """Links the cache before the first task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "payloads_once"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Link it."""
        where = Path(os.environ[DIRECTORY], digest(Path(playbook._basedir)))
        where.mkdir(parents=True, exist_ok=True)
        link = Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache")
        if not link.is_symlink():  # else of the playbook before, of the same command
            link.symlink_to(where)

    def v2_playbook_on_play_start(self, _play: Any) -> None:
        """Prepare for its tasks, where the collection is."""
        with contextlib.suppress(ImportError):
            from ansible_collections.slipway.release.plugins.callback.stages import prepare_forks

            prepare_forks()


def digest(playbook: Path) -> str:
    """Of every file that a module of this playbook may consist of, besides those of Ansible's own package."""
    found = hashlib.sha256(f"{ansible.__file__} {ansible.__version__}".encode())
    for path in sources(playbook):
        found.update(f"{path} {path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()


def sources(playbook: Path) -> Iterator[Path]:
    """Python files in the places where Ansible looks for modules and their parts."""
    for top in constants.COLLECTIONS_PATHS:
        for collection in sorted(Path(top, "ansible_collections").glob("*/*")):
            for kind in ("modules", "module_utils"):
                yield from python_below(collection / "plugins" / kind)
    for top in (*constants.DEFAULT_MODULE_PATH, *constants.DEFAULT_MODULE_UTILS_PATH):
        yield from python_below(Path(top))
    for kind in ("library", "module_utils"):
        yield from python_below(playbook / kind)


def python_below(directory: Path) -> list[Path]:
    """The files in a fixed order."""
    return sorted(directory.glob("**/*.py")) if directory.is_dir() else []
