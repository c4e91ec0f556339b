# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the module makes of its options, where debusine builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusinetasks import BOOTSTRAP
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import do_job
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.modules.deb_builds import make_hosts, open_line
from debusineserver import DATA, TOKEN, Replay, serve

SILENT = Progress(None)


def give(tmp_path: Path, server_url: str, **more: Any) -> dict[str, Any]:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    timing = {"queue_timeout": 60.0, "away_timeout": 60.0, "environments": {}}
    server = {
        "url": server_url,
        "scope": "debusine",
        "workspace": "slipway",
        "token_file": str(token),
        "environments": {},
    }
    directories = {"public": str(tmp_path), "directory": str(tmp_path / "builds"), "component": "main"}
    platforms = [
        {"name": "bookworm", "architectures": ["i386", "amd64"]},
        {"name": "trixie", "architectures": ["amd64"]},
    ]
    return {
        **{"url": "http://apt.example.org/shadow", "hosts_file": None, "hosts": None, "platforms": platforms},
        **{"debusine": {**server, **timing, "slots": 7}, **directories, **more},
    }


def test_debusine_is_one_host_for_all_architectures(tmp_path: Path) -> None:
    hosts = make_hosts(give(tmp_path, "http://localhost:1"), SILENT)()
    assert hosts is not None
    assert [(host.name, host.slots, dict(host.chroots)) for host in hosts] == [
        ("debusine", 7, {"amd64": "amd64", "i386": "i386"})
    ]


def test_looks_whether_debusine_can_be_used_before_anything_is_built(tmp_path: Path) -> None:
    replayed = Replay(DATA / "failure.json")
    with serve(replayed.answer) as url, open_line(give(tmp_path, url), SILENT) as line:
        assert line != do_job
        assert [one.path for one in replayed.asked] == ["/api/1.0/whoami/", "/api/1.0/workspace/slipway/inheritance/"]


def test_an_environment_may_be_of_this_machines_mirror(tmp_path: Path) -> None:
    options = give(tmp_path, "")
    options["debusine"]["environments"] = {"bookworm": "deb machine bookworm main", "trixie": 12}
    with serve(Replay(DATA / "failure.json").answer) as url:
        options["debusine"]["url"] = url
        with open_line(options, SILENT) as line:
            environments = line.__self__.terms.environments  # type: ignore[attr-defined]
    assert environments["trixie"] == "12"
    assert BOOTSTRAP.fullmatch(environments["bookworm"])


def test_workers_need_an_address_of_the_archive(tmp_path: Path) -> None:
    options = give(tmp_path, "http://localhost:1", url=None)
    with (
        pytest.raises(SlipwayError, match=r"Could not build with http://localhost:1: its workers do not read this"),
        open_line(options, SILENT),
    ):
        pass


def test_without_debusine_build_hosts_build(tmp_path: Path) -> None:
    with open_line(give(tmp_path, "", debusine=None), SILENT) as line:
        assert line == do_job
