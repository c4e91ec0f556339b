# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An upload is tried on every download server before a release begins, and nothing of it stays."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd, sshd

from integration.conftest import ROOT
from integration.test_publishing import KNOWN, Ran, Site, play

PLAY = [
    {"name": "Know the plan", "hosts": "coordinator", "gather_facts": False, "tasks": [{"known": {}}]},
    {
        "name": "Run preflight",
        "hosts": "coordinator:download_servers",
        "gather_facts": False,
        "vars_files": [str(ROOT / "playbooks/vars/stage.yml")],
        "any_errors_fatal": True,
        "max_fail_percentage": 0,
        "roles": ["slipway.release.release_preflight"],
    },
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("ssh") / "sshd") as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def preflight(site: Site, server: Sshd, *words: str, **variables: Any) -> Ran:
    """Run the stage with a download server that Ansible reaches by ssh."""
    top = site.top
    plan, _ = site.deploy("26.47")
    remote = {"branch_commit": site.commit, "tag_commit": site.commit, "previous_tag": None}
    facts = {"release_plan": {**plan, "remote": remote, "epoch": 1700000000}, "release_records": {"tag": {}}}
    (top / "facts.json").write_text(json.dumps(facts))
    (top / "library").mkdir(exist_ok=True)
    (top / "library/known.py").write_text(KNOWN.format(path=str(top / "facts.json")))
    (top / "play.yml").write_text(json.dumps(PLAY))
    options = " ".join(f"-o {option}" for option in server.options)
    there = {
        "ansible_host": server.host,
        "ansible_port": server.port,
        "ansible_user": server.user,
        "ansible_python_interpreter": sys.executable,
        "ansible_ssh_common_args": options,
        "release_publish_private_dir": str(top / "server/private"),
        "release_publish_public_dir": str(top / "server/public"),
        "release_publish_upload": {"ssh_options": server.options},
        **variables,
    }
    inventory = {
        "all": {
            "vars": {
                "release_preflight_programs": [],
                "release_preflight_build_programs": [],
                "release_preflight_min_free_gib": 0,
            },
            "children": {
                "coordinator": {
                    "hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
                },
                "download_servers": {"hosts": {"server": there}},
            },
        }
    }
    (top / "hosts.json").write_text(json.dumps(inventory))
    return play(top / "play.yml", "-i", top / "hosts.json", *words)


def test_a_server_that_takes_uploads_is_left_as_it_was(site: Site, tmp_path: Path, server: Sshd) -> None:
    private = tmp_path / "server/private"
    (private / "preflight-baserock-26.47").mkdir(parents=True)
    (private / "preflight-baserock-26.47/preflight").write_text("of a run that was killed")
    said = preflight(site, server, "--check")
    assert said.status == 0, said.text
    assert "an upload to server" in said.text
    assert [path.name for path in private.iterdir()] == ["preflight-baserock-26.47"]
    ran = preflight(site, server)
    assert ran.status == 0, ran.text
    assert "Upload to" in ran.text
    assert list(private.iterdir()) == []
    assert (tmp_path / "state/releases/26.47/records/preflight.json").exists()


def test_a_server_that_takes_no_uploads_ends_the_release_at_once(site: Site, tmp_path: Path, server: Sshd) -> None:
    (tmp_path / "server/private").mkdir(parents=True)
    (tmp_path / "server/public").write_text("in the way")
    ran = preflight(site, server, release_publish_upload={"ssh_options": server.options, "user": "nobody-of-this-name"})
    assert ran.status != 0
    said = " ".join(ran.text.split())
    assert "Could not begin baserock-26.47: 2 of the checks failed. Nothing was changed." in said
    assert "server: Could not upload to" in said
    assert "Permission denied" in said
    assert "is not a directory, so nothing can be published to" in said
    assert list((tmp_path / "server/private").iterdir()) == []
    assert not (tmp_path / "state/releases/26.47/records").exists()
