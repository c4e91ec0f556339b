# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role debs_source says in check mode of stacks that are not in the release repository yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLATFORMS = [{"name": name, "architectures": ["amd64"]} for name in ("bookworm", "trixie", "forky")]


@pytest.mark.parametrize(("platform", "planned"), [("", ["bookworm", "trixie"]), ("trixie", ["trixie"]), ("forky", [])])
def test_what_would_be_made_is_what_was_asked_for_and_is_not_excluded(
    tmp_path: Path, platform: str, planned: list[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    names = ("foo", "bar")
    release = {
        "distribution": "cturtle",
        "directory": str(tmp_path / "state"),
        "gnupghome": "",
        "platforms": PLATFORMS,
        "excludes": {"foo": ["forky-amd64"]},
        "stacks": [{"name": name, "version": "1.0", "label": f"{name}-1.0"} for name in names],
    }
    variables = {
        "debs_release": release,
        "debs_source_repository": (tmp_path / "stacks").as_uri(),
        "debs_source_platform": platform,
        "debs_create_found": {"foo": {"new": True}},
    }
    found = {"ansible.builtin.debug": {"msg": "FOUND {{ debs_source_found | to_json }} END"}}
    roles = ["slipway.release.debs_source"]
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "roles": roles, "tasks": [found]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("--check", "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(" ".join(done.stdout.partition("FOUND ")[2].partition(" END")[0].split()))
    assert {name: (one["planned"], one["excluded"]) for name, one in said.items()} == {"foo": (planned, ["forky"])}
