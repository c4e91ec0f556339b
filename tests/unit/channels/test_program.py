# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role installs runs with the host's Python, and with the packages of the logic that the role names."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import yaml
from verifying import ROOT, make_project, release

ROLE = ROOT / "roles/release_watch"


def test_the_program_needs_nothing_but_what_the_role_installs(tmp_path: Path) -> None:
    made = make_project(tmp_path / "site")
    release(made, "26.47", {"minimal.img": b"minimal"})
    named = yaml.safe_load((ROLE / "vars/main.yml").read_text())["_release_watch_logic"]
    (tmp_path / "slipway").mkdir()
    for path in (ROOT / "module_utils/slipway").glob("*.py"):
        shutil.copy(path, tmp_path / "slipway")
    for name in named:
        shutil.copytree(ROOT / f"module_utils/slipway/{name}", tmp_path / f"slipway/{name}")
    shutil.copy(ROLE / "files/release_watch.py", tmp_path)
    settings, work = tmp_path / "settings.json", tmp_path / "work"
    key = made.key.read_text()
    channels = {"site": {"url": made.url, "key": key}, "other": {"url": made.url, "key": "0" * 40}}
    settings.write_text(json.dumps({"channels": channels, "work": str(work)}))
    words = ["/usr/bin/python3", "-B", str(tmp_path / "release_watch.py")]
    subprocess.run([*words, "--check", str(settings)], check=True, env={"PATH": "/usr/bin:/bin"})
    done = subprocess.run([*words, str(settings)], check=True, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE)
    states = {
        name: entry["state"] for name, entry in json.loads((work / "status.json").read_text())["channels"].items()
    }
    assert states == {"site": "ok", "other": "wrong"}
    assert b"other: key: release-key.asc: expected the key 0000" in done.stdout
    assert b"site" not in done.stdout.replace(b"other", b"")
    settings.write_text(json.dumps({"channels": {"site": {"url": made.url, "key": key[:100]}}, "work": str(work)}))
    failed = subprocess.run([*words, "--check", str(settings)], check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "Could not watch the channels: site: GnuPG finds no public key in it" in failed.stderr
    settings.write_text("{}")
    failed = subprocess.run([*words, str(settings)], check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "Could not read the settings" in failed.stderr
