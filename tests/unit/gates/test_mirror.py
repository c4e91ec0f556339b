# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.mirror import report_mirror
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.preflight import Report, fetch_status

NOW = 1_800_000_000
DAY = 86400
FETCH = partial(fetch_status, of="the local Trove", schemes=("http", "https", "file"))


def asked(tmp_path: Path, status: Any, *, max_age: float = DAY) -> Report:
    """What preflight says of a Trove that publishes this status."""
    (tmp_path / "status.json").write_text(status if isinstance(status, str) else json.dumps(status))
    return report_mirror(f"file://{tmp_path}/", max_age=max_age, now=NOW, fetch=FETCH)


def repository(path: str, state: str, *, behind: int | None = 0) -> dict[str, Any]:
    return {"path": path, "state": state, "changed": None if behind is None else NOW - behind}


def test_a_mirror_that_has_everything_is_not_mentioned(tmp_path: Path) -> None:
    status = {"time": NOW - 60, "repositories": [repository("a", "mirrored", behind=9 * DAY)], "trouble": []}
    assert asked(tmp_path, status) == Report()


def test_what_is_behind_is_a_warning_until_it_is_too_old(tmp_path: Path) -> None:
    repositories = [repository("a/new", "queued", behind=600), repository("b/old", "failed", behind=3 * DAY)]
    repositories.append(repository("c/unknown", "queued", behind=None))
    found = asked(tmp_path, {"time": NOW - 60, "repositories": repositories, "trouble": ["grokmirror is failed"]})
    (finding,) = found.findings
    assert "is too far behind the public one: b/old failed, 3 days behind: look at its page" in finding
    assert "release_preflight_mirror_max_age" in finding
    assert "a/new queued, 10 minutes behind; c/unknown queued" in found.warnings[0]
    assert "grokmirror is failed" in found.warnings[1]


def test_a_status_that_nobody_writes_any_more_says_nothing(tmp_path: Path) -> None:
    found = asked(tmp_path, {"time": NOW - 2 * DAY, "repositories": []})
    assert "was written 2 days ago, and may be 24 hours old" in found.findings[0]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"time": "x", "repositories": []}', '{"time": 1, "repositories": [1]}']
)
def test_what_is_no_status_is_named(tmp_path: Path, text: str) -> None:
    (finding,) = asked(tmp_path, text).findings
    assert finding.startswith(f"Could not read the status of the local Trove at file://{tmp_path}/")


def test_many_are_counted(tmp_path: Path) -> None:
    many = [repository(f"r/{number}", "queued", behind=2 * DAY) for number in range(9)]
    assert "r/4 queued, 2 days behind and 4 more" in asked(tmp_path, {"time": NOW, "repositories": many}).findings[0]


def test_an_address_that_is_none_is_refused() -> None:
    (finding,) = report_mirror("ftp://trove", max_age=1, now=NOW, fetch=FETCH).findings
    assert "it is not an address of http or https or file" in finding
