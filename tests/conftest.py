"""What every test has, alone or among all: Ansible and Python that do not do again what they did for another test."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway/tests"
PAYLOADS, COMPILED = "SLIPWAY_TEST_PAYLOADS", "SLIPWAY_COMPILED_ONCE"

# The tests themselves are compiled once, too, but not in the tree: roles and collections are copied as they are.
sys.pycache_prefix, sys.dont_write_bytecode = str(CACHE / "compiled"), False

# A test that says nothing of time must not fail for the machine's: tests run two to a core.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    """Have Ansible pack modules, and Python compile what is in them, once; workers inherit what is set here."""
    if PAYLOADS in os.environ:
        return
    top = Path(tempfile.mkdtemp(prefix="slipway-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(top, ignore_errors=True))
    for name in (PAYLOADS, COMPILED):
        os.environ[name] = str(top / name)
        (top / name).mkdir()
    paths = [str(ROOT / "tests/compiled_once"), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ["ANSIBLE_CALLBACK_PLUGINS"] = str(ROOT / "tests/ansible_plugins")
    os.environ["ANSIBLE_CALLBACKS_ENABLED"] = "payloads_once"
    # What tests read of runs is what Ansible says of each task. Those of what a user sees ask for it.
    os.environ["ANSIBLE_STDOUT_CALLBACK"] = "ansible.builtin.default"
    # `make` names this tree's settings. A test that runs where a user's own are says so itself, by where it runs.
    os.environ.pop("ANSIBLE_CONFIG", None)


class LongAndShort(LoadScopeScheduling):
    """A worker always has the next tests waiting: behind tests that take minutes, only such that take moments.

    Without this, long tests wait behind long tests while other workers have nothing to do.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        busy = any(
            is_long(test) for unit in self.assigned_work.get(node, {}).values() for test in unit if not unit[test]
        )
        if busy:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


def is_long(test: str) -> bool:
    """Whether a test is one of those that drive Ansible and hosts."""
    return "integration/" in test


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    """Use it where tests of a module stay together."""
    return LongAndShort(config, log) if config.getvalue("dist") == "loadscope" else None
