"""A unit runs with what is on disk, also when an earlier run wrote it and ended before it restarted the unit."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host import unit
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.unit import Unit, ensure_current

# Knows units by files with what the real one shows of them, and notes what it is asked for, and when a unit starts.
FAKE = """#!/bin/sh
echo "$*" >>{top}/calls
case $1 in
show) for unit; do :; done; cat {top}/shown/"$unit" 2>/dev/null || cat {top}/shown/absent ;;
daemon-reload) sed -i s/NeedDaemonReload=yes/NeedDaemonReload=no/ {top}/shown/* ;;
enable) sed -i s/UnitFileState=disabled/UnitFileState=enabled/ {top}/shown/"$2" ;;
start|restart)
    now=$(date -u '+%a %F %H:%M:%S.%6N UTC')
    sed -i "s/ActiveState=.*/ActiveState=active/; s/^\\(InactiveExitTimestamp=\\).*/\\1$now/" {top}/shown/"$2" ;;
reload) [ ! -e {top}/broken ] || {{ echo "Job failed" >&2; exit 1; }} ;;
esac
"""
ABSENT = (
    "Type=\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\nInactiveExitTimestamp=\n"
)


class Host:
    """A host with a stand-in for systemctl."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.config = top / "thing.conf"
        self.config.write_text("old")
        for name in ("shown", "bin", "units", "conf.d"):
            (top / name).mkdir()
        (top / "conf.d/old").touch()
        (top / "shown/absent").write_text(ABSENT)
        program = top / "bin/systemctl"
        program.write_text(FAKE.format(top=top))
        program.chmod(0o755)

    def show(self, name: str = "thing.service", **changes: str) -> Path:
        """A unit that began to run a moment ago, with all that there is now; returns its own file."""
        file = self.top / "units" / name
        file.write_text("[Unit]\n")
        wait_a_tick()
        now = datetime.fromtimestamp(time.time(), UTC).strftime(unit.TIMES)
        shown = {
            "Type": "simple", "LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled",
            "NeedDaemonReload": "no", "FragmentPath": str(file), "InactiveExitTimestamp": now, **changes,
        }  # fmt: skip
        (self.top / "shown" / name).write_text("".join(f"{key}={value}\n" for key, value in shown.items()))
        wait_a_tick()
        return file

    def calls(self) -> list[str]:
        """What was asked of systemctl that changes something, since the last time."""
        said = self.top / "calls"
        found = [line for line in said.read_text().splitlines() if not line.startswith("show ")]
        said.unlink()
        return found


def wait_a_tick() -> None:
    """Files have the time of the kernel's last tick."""
    time.sleep(0.02)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(unit, "NOTES", tmp_path / "notes")
    monkeypatch.setattr(unit, "UNITS", tmp_path / "units")
    return made


@pytest.mark.parametrize("what", ["thing.conf", "units/thing.service", "conf.d/deeper/site", "conf.d/old"])
def test_a_run_that_was_killed_before_the_restart_is_made_good_once(host: Host, what: str) -> None:
    host.show()
    wanted = Unit("thing.service", (host.config, host.top / "conf.d", host.top / "not-there"))
    assert ensure_current(wanted) == []
    assert host.calls() == []
    path = host.top / what
    path.parent.mkdir(exist_ok=True)
    path.unlink() if path.name == "old" else path.write_text("new")
    named = host.top / "conf.d" if "conf.d" in what else path
    assert ensure_current(wanted) == [f"{named} is newer than what it runs with"]
    assert host.calls() == ["restart thing.service"]
    assert ensure_current(wanted) == []
    assert host.calls() == []


def test_check_mode_says_it_and_does_nothing(host: Host) -> None:
    own = host.show()
    wanted = Unit("thing.service", (host.config, host.top / "conf.d"))
    for path in (host.top / "conf.d/new", own, host.config):
        named = path if path.exists() else path.parent
        found = ensure_current(wanted, written=[path, host.top / "other"], write=False)
        assert found == [f"{named} is newer than what it runs with"]
    host.config.write_text("new")
    assert ensure_current(wanted, write=False) == [f"{host.config} is newer than what it runs with"]
    assert ensure_current(Unit("absent.service"), write=False) == [
        "absent.service is new to systemd",
        "it does not run",
    ]
    assert host.calls() == []


def test_a_reload_is_remembered_although_systemd_forgets_it(host: Host) -> None:
    host.show()
    host.config.write_text("new")
    wanted = Unit("thing.service", (host.config,), reload=True)
    assert ensure_current(wanted) == [f"{host.config} is newer than what it runs with"]
    assert host.calls() == ["reload thing.service"]
    assert ensure_current(wanted) == []
    wait_a_tick()
    host.config.write_text("newer")
    (host.top / "broken").touch()
    with pytest.raises(SlipwayError, match="Could not reload thing.service: .*journalctl -u thing.service"):
        ensure_current(wanted)
    (host.top / "broken").unlink()
    host.calls()
    assert ensure_current(wanted) != []
    assert host.calls() == ["reload thing.service"]


def test_units_that_systemd_does_not_know_as_they_are_are_read_again(host: Host) -> None:
    host.show("thing.timer", Type="", UnitFileState="disabled", ActiveState="inactive", InactiveExitTimestamp="")
    other = host.show("thing.service", Type="oneshot", NeedDaemonReload="yes")
    reasons = ensure_current(Unit("thing.timer", (other,)))
    assert reasons == ["thing.service is new to systemd", "it does not start with the host", "it does not run"]
    assert host.calls() == ["daemon-reload", "enable thing.timer", "start thing.timer"]
    assert ensure_current(Unit("thing.timer", (other,))) == []


def test_what_runs_once_runs_when_it_never_did_and_when_it_would_do_something_else(host: Host) -> None:
    host.show(Type="oneshot", ActiveState="inactive", UnitFileState="static", InactiveExitTimestamp="")
    wanted = Unit("thing.service", (host.config,))
    assert ensure_current(wanted) == ["it has not run yet"]
    assert host.calls() == ["restart thing.service"]
    assert ensure_current(wanted) == []
    wait_a_tick()
    host.config.write_text("new")
    assert ensure_current(wanted) == [f"{host.config} is newer than what it runs with"]
