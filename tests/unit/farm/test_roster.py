"""Build hosts: asked before anything is built, drained and added while it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.filter import deb_build_hosts as inventory
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import line, roster
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.roster import (
    HostsFile,
    ask_hosts,
    change_drained,
    mark_drained,
    read_drained,
    read_host,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host

ROOT = Path(__file__).resolve().parents[3]
TOLD = {"chroots": {"bookworm-amd64": "amd64"}, "runs": {"amd64": True}, "free": 10, "wanted": 10, "lacks": []}


def test_who_is_drained_stays_so_until_told_otherwise() -> None:
    assert change_drained(["a", "b"], ["b", "gone"], drain=["a"], resume=[]) == ["a", "b"]
    assert change_drained(["a", "b"], ["b"], drain=[], resume=["b"]) == []
    rows = [{"name": "a"}, {"name": "b", "drained": True}, {"name": "c"}]
    assert [row["drained"] for row in mark_drained(rows, ["a"])] == [True, True, False]


@pytest.mark.parametrize(
    ("drain", "resume", "why"), [(["x"], [], "no host x"), ([], ["x"], "no host x"), (["a"], ["a"], "a cannot be")]
)
def test_what_cannot_be_drained_is_told(drain: list[str], resume: list[str], why: str) -> None:
    with pytest.raises(SlipwayError, match=why):
        change_drained(["a"], [], drain=drain, resume=resume)


def test_a_file_that_is_edited_badly_while_builds_run_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    path, said = tmp_path / "hosts.json", []
    file = HostsFile(path, said.append)
    with pytest.raises(SlipwayError, match=r"read the build hosts .*hosts\.json"):
        file()
    path.write_text('[{"name": "a", "chroots": {"amd64": "amd64"}}]')
    assert file() == [Host("a", {"amd64": "amd64"})]
    assert file() is None
    for broken in ("[{", "7", '["a"]', '[{"name": "a", "chroots": [1]}]', '[{"name": "a"}]'):
        path.write_text(broken)
        said.clear()
        assert (file(), file()) == (None, None), broken
        assert len(said) == 1, broken
        assert f"{path} cannot be read, so that the hosts stay as they were" in said[0]
    path.write_text('[{"name": "b", "chroots": {"amd64": "amd64"}}]')
    assert file() == [Host("b", {"amd64": "amd64"})]


def test_a_file_that_cannot_be_read_is_told_and_none_is_none(tmp_path: Path) -> None:
    assert read_drained(tmp_path / "drained.json") == []
    (tmp_path / "drained.json").write_text("{")
    with pytest.raises(SlipwayError, match="drained"):
        read_drained(tmp_path / "drained.json")


def test_the_inventory_has_the_defaults_of_the_role() -> None:
    defaults = yaml.safe_load((ROOT / "roles/deb_build_host/defaults/main.yml").read_text())
    (row,) = inventory.deb_build_hosts(["build-1"], {"build-1": {}})
    assert row["destination"] == f"{defaults['deb_build_host_user']}@build-1"
    assert (row["slots"], row["chroots"]) == (defaults["deb_build_host_slots"], defaults["deb_build_host_builds"])
    assert row["drained"] is defaults["deb_build_host_drained"] is False
    known = {"ansible_host": "192.0.2.1", "ansible_port": 2222, "deb_build_host_user": "b", "deb_build_host_slots": 4}
    host = read_host(inventory.deb_build_hosts(["build-1"], {"build-1": known})[0])
    assert (host.destination, host.slots, host.options[-1]) == ("b@192.0.2.1", 4, "Port=2222")


@pytest.mark.parametrize(
    ("told", "fault", "lost"),
    [
        ({}, "", ""),
        ({"chroots": {}}, "it has no chroot bookworm-amd64", ""),
        ({"chroots": {"bookworm-amd64": "i386"}}, "its chroot bookworm-amd64 is a system for i386", ""),
        ({"runs": {"amd64": False}}, "it runs no programs for amd64", ""),
        ({"lacks": ["sbuild"]}, "it has no sbuild", ""),
        ({"free": 9}, "", "9 bytes are free on its disk, and 10 must be"),
    ],
)
def test_what_a_host_lacks_is_known_before_it_builds(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, object], fault: str, lost: str
) -> None:
    monkeypatch.setattr(roster, "ask_host", lambda _host, **_limit: {**TOLD, **told})
    (answer,) = ask_hosts([Host("a", {"amd64": "amd64"})], ["bookworm"], timeout=1)
    assert (list(answer.faults), answer.lost) == ([fault] if fault else [], lost)


@pytest.mark.parametrize(
    ("said", "is_fault"), [("Permission denied (publickey).", True), ("connect: No route to host", False)]
)
def test_a_host_that_lets_nobody_in_is_at_fault_and_one_that_is_away_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, is_fault: bool
) -> None:
    script = f"import sys; sys.stdin.read(); print({said!r}, file=sys.stderr); sys.exit(255)"
    monkeypatch.setattr(line, "make_command", lambda _host: ["python3", "-c", script])
    (answer,) = ask_hosts([Host("a", {"amd64": "amd64"}, "u@a")], [], timeout=20)
    assert (bool(answer.faults), bool(answer.lost)) == (is_fault, not is_fault)
    assert said in (answer.lost or answer.faults[0])


def test_this_machine_answers_as_well() -> None:
    (answer,) = ask_hosts([Host("here", {})], [], timeout=60)
    assert answer.told["slots"] == 0
    assert not answer.lost
