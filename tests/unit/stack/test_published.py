# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Released stacks become public as releases of files do: whole, once, and whatever kills it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.fetch import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.package import (
    Request,
    Surroundings,
    release_stack,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.repository import read_releases
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.rosdeps import Platform
from ansible_collections.slipway.release.plugins.modules.artifact_publish import act
from publishing import run_module, tree
from stacktrees import write_stack, write_tree

LABEL = "common_msgs-1.0.3"
KILLED = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from ansible_collections.slipway.release.plugins.modules.artifact_publish import act
print("ready", flush=True)
act(json.loads(sys.argv[2]), write=True)
"""


def prepare(top: Path) -> dict[str, Any]:
    """A released stack that arrived; the arguments with which it is published."""
    tree_ = write_stack(top / "s")
    write_tree(tree_, {"data": random.Random(1).randbytes(3_000_000)})  # noqa: S311  # no secret
    around = Surroundings(stacks=["common_msgs"], platforms=[Platform("bookworm")])
    made = release_stack(tree_, Request("common_msgs", "1.0.3"), around=around, directory=top / "incoming", write=True)
    return {
        "private": str(top / "incoming"),
        "public": str(top / "stacks/common_msgs"),
        "label": LABEL,
        "reinstate": False,
        "files": [{key: value for key, value in file.as_dict().items() if key != "path"} for file in made.files],
        "flat_links": False,
    }


def assert_published(top: Path) -> None:
    (found,) = read_releases(str(top / "stacks"), {"common_msgs": "1.0.3"}, reader=Reader(20, 10))
    assert (found.present, found.faults) == (True, [])
    assert sorted(tree(top / "stacks")) == sorted(
        ["common_msgs", *(f"common_msgs/{LABEL}{name}" for name in ("", f"/{LABEL}.tar.bz2", f"/{LABEL}.yaml"))]
    )
    assert list((top / "incoming").iterdir()) == []
    place = top / "stacks/common_msgs" / LABEL
    assert [path.stat().st_mode & 0o7777 for path in (place, *place.iterdir())] == [0o755, 0o644, 0o644]


def test_a_released_stack_is_published_and_read_back_and_again_nothing_is_done(tmp_path: Path) -> None:
    arguments = prepare(tmp_path)
    assert run_module("artifact_publish", arguments)["unpublished"] == [f"{LABEL}.tar.bz2", f"{LABEL}.yaml"]
    assert_published(tmp_path)
    assert not run_module("artifact_publish", arguments)["changed"]


def test_other_bytes_of_a_published_version_are_refused_with_both_digests(tmp_path: Path) -> None:
    arguments = prepare(tmp_path)
    run_module("artifact_publish", arguments)
    other = [{**file, "sha256": "0" * 64} for file in arguments["files"]]
    failed = run_module("artifact_publish", {**arguments, "files": other})
    assert "it differs from the release" in failed["msg"]
    assert all(word in failed["msg"] for word in ("0" * 64, arguments["files"][0]["sha256"]))
    assert_published(tmp_path)


@pytest.mark.parametrize("copied", [False, True])
def test_killed_at_random_moments_a_rerun_completes_and_nothing_is_there_twice(tmp_path: Path, copied: bool) -> None:
    dice = random.Random(copied)  # noqa: S311  # no secret
    killed = 0
    arguments = {**prepare(tmp_path / "made"), "progress": None}
    for number in range(10):
        top = tmp_path / str(number)
        shutil.copytree(tmp_path / "made/incoming", top / "incoming")
        arguments |= {"private": str(top / "incoming"), "public": str(top / "stacks/common_msgs")}
        if copied:
            (top / "incoming" / LABEL).chmod(0o775)
        words = [sys.executable, "-c", KILLED, json.dumps(sys.path), json.dumps(arguments)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            running.stdout.readline()
            time.sleep(dice.uniform(0, 0.03))
            running.kill()
            killed += running.wait() == -signal.SIGKILL
        if (top / "stacks/common_msgs" / LABEL).exists():
            assert len(os.listdir(top / "stacks/common_msgs" / LABEL)) == 2
        act(arguments, write=True)
        assert_published(top)
    assert killed
