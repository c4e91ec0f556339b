"""Differences to the release before are told by kind, and bounds are data."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.compare import compare
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.started import read_sockets
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.gates import DifferenceGate

STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
BEFORE = {
    "bin/su": (0o755, b"su"),
    "etc/motd": (0o644, b"hello"),
    "var/lib/dpkg/status": (0o644, (STATUS.format("a") + STATUS.format("b")).encode()),
}


@pytest.fixture
def judged(tmp_path: Path):
    def make(name: str, files: dict[str, tuple[int, bytes]]) -> Path:
        with tarfile.open(tmp_path / name, "w") as archive:
            for path, (mode, data) in files.items():
                member = tarfile.TarInfo(path)
                member.mode, member.size = stat.S_IMODE(mode), len(data)
                archive.addfile(member, io.BytesIO(data))
        return tmp_path / name

    def judge(now, listening=None, listening_bound=None, **bounds):
        (tmp_path / "scratch").mkdir()
        if listening_bound is not None:
            bounds["listening"] = {"added": listening_bound}
        gate = DifferenceGate(bounds=bounds)
        images = make("before", BEFORE), make("now", {path: each for path, each in now.items() if each})
        return compare(gate, images, ("tar", "tar"), "acme-1.0", tmp_path / "scratch", listening=listening)

    return judge


@pytest.mark.parametrize(
    ("change", "bounds", "says"),
    [
        ({"new": (0o644, b"")}, {"files": {"added": 0}}, "files: 1 added, at most 0 may be: new"),
        ({"etc/motd": None}, {"files": {"removed": 0}}, "files: 1 removed, at most 0 may be: etc/motd"),
        ({"etc/motd": (0o644, b"bye")}, {"files": {"changed": 0}}, "files: 1 changed, at most 0 may be: etc/motd"),
        ({"bin/new": (0o4755, b"")}, {"setuid": {"added": 0}}, "setuid: 1 added, at most 0 may be: bin/new"),
        ({"bin/su": (0o2755, b"su")}, {"setuid": {"added": 0}}, "setuid: 1 added, at most 0 may be: bin/su"),
        ({"open": (0o666, b"")}, {"world_writable": {"added": 0}}, "world writable: 1 added, at most 0 may be: open"),
        (
            {"var/lib/dpkg/status": (0o644, STATUS.format("a").encode())},
            {"packages": {"removed": 0}},
            "packages: 1 removed, at most 0 may be: b:amd64",
        ),
        (
            {"etc/init.d/telnetd": (0o755, b"")},
            {"units": {"added": 0}},
            "units: 1 added, at most 0 may be: etc/init.d/telnetd",
        ),
        ({"large": (0o644, bytes(100))}, {"size": {"grows": "20%"}}, "its files have 100 bytes more"),
        ({"large": (0o644, bytes(2000))}, {"size": {"grows": "1K"}}, "at most 1K may be"),
        ({"var/lib/dpkg/status": None}, {"size": {"shrinks": 10}}, "less"),
    ],
)
def test_what_is_beyond_a_bound_is_named(judged, change, bounds, says):
    outcome = judged({**BEFORE, **change}, **bounds)
    assert outcome.fault.startswith("compared with acme-1.0, ")
    assert says in outcome.fault


def test_what_is_within_the_bounds_passes_and_is_told(judged):
    within = {"files": {"added": 1, "removed": 0}, "setuid": {"added": 0}, "size": {"grows": "20%", "shrinks": 0}}
    outcome = judged({**BEFORE, "etc/new": (0o644, b"x")}, **within)
    assert outcome.fault == ""
    assert outcome.facts["files"] == {"added": 1, "removed": 0, "changed": 0}
    assert outcome.facts["files_names"] == ["+ etc/new"]
    assert outcome.facts["previous"] == "acme-1.0"
    assert outcome.facts["said"] == "compared with acme-1.0, files: 1 added; 1 byte more"


def test_the_same_system_again_differs_in_nothing(judged):
    assert judged(BEFORE, files={"added": 0}).facts["said"] == "compared with acme-1.0, nothing differs"


def test_new_listening_services_are_named(judged):
    outcome = judged(BEFORE, listening=(["tcp 22"], ["tcp 22", "udp 53"]))
    assert outcome.facts["listening_names"] == ["+ udp 53"]


def test_a_bound_on_listening_services_needs_both_systems(judged):
    outcome = judged(BEFORE, (["tcp 22"], ["tcp 22", "tcp 23"]), listening_bound=0)
    assert "listening: 1 added, at most 0 may be: tcp 23" in outcome.fault


def test_what_was_not_started_is_not_known_to_listen(judged):
    outcome = judged(BEFORE, (None, ["tcp 1"]), listening_bound=0)
    assert "it is not known what listens in both releases" in outcome.fault


def test_sockets_that_wait_for_others_are_read_from_the_kernels_tables():
    tcp = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n"
        "   1: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2\n"
        "   2: 0100007F:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 3\n"
    )
    assert read_sockets("tcp", tcp) == {"tcp 22", "tcp 25 (local)"}
    udp = "   0: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0 0 0 0 0 1\n"
    assert read_sockets("udp6", udp) == {"udp 53"}
    local = ("3500007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000", "0100A8C0")
    lines = "".join(f"   0: {each}:0035 00000000:0000 0A\n" for each in local)
    assert read_sockets("tcp", lines) == {"tcp 53", "tcp 53 (local)"}
    assert read_sockets("tcp", lines.rpartition("   0: ")[0]) == {"tcp 53 (local)"}
