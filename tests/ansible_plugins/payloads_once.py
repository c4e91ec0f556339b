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
import marshal
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible
import jinja2
from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.utils.collection_loader import _collection_finder

DOCUMENTATION = """
name: payloads_once
type: aggregate
short_description: Pack each module once
description: Shares Ansible's cache of packed modules between runs.
"""
DIRECTORY, COMPILED = "SLIPWAY_TEST_PAYLOADS", "SLIPWAY_COMPILED_ONCE"


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
            compile_templates_once(Path(os.environ[DIRECTORY]))
            compile_collections_once(os.environ[COMPILED])
            constants.DEFAULT_INTERNAL_POLL_INTERVAL = 0.01  # as this project's ansible.cfg, which not every test has

    def v2_playbook_on_play_start(self, _play: Any) -> None:
        """Prepare for its tasks, where the collection is."""
        with contextlib.suppress(ImportError):
            from ansible_collections.slipway.release.plugins.callback.stages import prepare_forks

            prepare_forks()


def compile_collections_once(directory: str) -> None:
    """Have Ansible compile a file of a collection once for all runs: it does so in each process of a task."""
    from sitecustomize import compiled  # the one of the tests, which keeps what is imported out of a zip

    loader = _collection_finder._AnsibleCollectionPkgLoaderBase
    original = loader.get_code

    def get_code(self: Any, name: str) -> Any:
        source = self.get_source(name)
        if self._compiled_code or not source:
            return original(self, name)
        text = source.encode() if isinstance(source, str) else source
        self._compiled_code = compiled(
            directory, self.get_filename(name), text, lambda _path, _source: original(self, name)
        )
        return self._compiled_code

    loader.get_code = get_code


def keep(path: Path, content: bytes) -> None:
    """Write a file at one moment, if there is room."""
    temporary = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_bytes(content)
        temporary.replace(path)


def compile_templates_once(directory: Path) -> None:
    """Have Jinja compile each template once for all runs: a task's process forgets, when it ends, what it compiled.

    Ansible switches Jinja's optimizer off, so the code depends on nothing but the text and the settings.
    """
    try:
        from ansible._internal._templating import _jinja_bits
    except ImportError:
        return  # this Ansible has them elsewhere, and is as slow as it is
    original = jinja2.Environment.compile

    def hash_template(environment: jinja2.Environment, source: str) -> str:
        context = _jinja_bits._TemplateCompileContext.current(optional=True)
        settings = [getattr(environment, name) for name in _jinja_bits._TEMPLATE_OVERRIDE_FIELD_NAMES]
        told = (sys.version, jinja2.__version__, ansible.__version__, type(environment).__qualname__, settings)
        return hashlib.sha256(repr((told, context and context.escape_backslashes, str(source))).encode()).hexdigest()

    def compile_or_read(self: jinja2.Environment, source: Any, *arguments: Any, **more: Any) -> Any:
        if not isinstance(source, str) or any(arguments) or any(more.values()) or self.optimized:
            return original(self, source, *arguments, **more)
        kept = directory / f"template-{hash_template(self, source)}"
        try:
            return marshal.loads(kept.read_bytes())  # noqa: S302  # which only this user could write
        except (OSError, ValueError, EOFError, TypeError):
            code = original(self, source, *arguments, **more)
        keep(kept, marshal.dumps(code))
        return code

    jinja2.Environment.compile = compile_or_read  # type: ignore[method-assign]


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
