"""What a build host has, and what it allows, whatever it is asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary import service, station
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import Job, Repository
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.limits import Limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.station import (
    Station,
    can_run,
    read_architecture,
    read_station,
    tell_architecture,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.wire import list_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

SETTINGS = {"slots": 1, "seconds": 60, "silent_seconds": 30, "log_bytes": 1000, "free_bytes": 10, "transfer_seconds": 5}
JOB = Job("base", "1", "bookworm", "amd64", "amd64", "base_1.dsc", limits=Limits(1e9, 1e9, 1 << 40, 0))


def make_program(kind: tuple[int, int, int], flags: int = 0) -> bytes:
    order = "little" if kind[1] == 1 else "big"
    head = b"\x7fELF" + bytes([kind[0], kind[1]]) + bytes(12) + kind[2].to_bytes(2, order) + bytes(16)
    return head + flags.to_bytes(4, order) + bytes(24)


def make_chroot(path: Path, program: bytes | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in (("./etc/passwd", b"root"), ("./usr/bin/dpkg", program)):
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    path = tmp_path / "deb_build.json"
    directories = {name: str(tmp_path / name) for name in ("work", "chroots")}
    path.write_text(json.dumps({**SETTINGS, **directories, "source_bytes": 1 << 20}))
    return path


def ask(settings: Path, *messages: dict[str, Any], more: bytes = b"") -> dict[str, Any]:
    """What the program of a host answers in the end."""
    code = f"import sys; sys.path[:0] = sys.argv[2:]; from {service.__name__} import serve_caller; "
    code += "from pathlib import Path; sys.exit(serve_caller(Path(sys.argv[1])))"
    said = b"".join(json.dumps(message).encode() + b"\n" for message in messages) + more
    words = [sys.executable, "-c", code, str(settings), *sys.path]
    done = subprocess.run(words, input=said, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(("kind", "architecture"), station.ARCHITECTURES.items())
def test_the_architecture_of_a_chroot_is_that_of_its_dpkg(
    tmp_path: Path, kind: tuple[int, int, int], architecture: str
) -> None:
    assert read_architecture(make_chroot(tmp_path / "chroot.tar", make_program(kind))) == architecture


@pytest.mark.parametrize(("flags", "architecture"), [(0x5000400, "armhf"), (0x5000200, "armel")])
def test_arm_is_told_by_its_floats(flags: int, architecture: str) -> None:
    assert tell_architecture(make_program(station.ARM, flags)) == architecture


def test_this_machine_runs_its_own_dpkg() -> None:
    own = tell_architecture(Path("/usr/bin/dpkg").read_bytes())
    assert own == subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    assert can_run(own)


@pytest.mark.parametrize("program", [None, b"", b"#!/bin/sh", b"\x7fELF"])
def test_what_is_no_system_has_no_architecture(tmp_path: Path, program: bytes | None) -> None:
    assert read_architecture(make_chroot(tmp_path / "chroot.tar", program)) == ""
    (tmp_path / "other").write_bytes(b"no archive")
    assert read_architecture(tmp_path / "other") == ""


def test_a_job_gets_no_more_than_the_host_allows(settings: Path) -> None:
    host = read_station(settings)
    assert host.bound(JOB).limits == Limits(60, 30, 1000, 10)
    assert Station().bound(JOB) == JOB


def test_a_host_of_its_own_reads_no_directories_for_a_caller(settings: Path) -> None:
    job = Job(**{**vars(JOB), "repositories": (Repository("file:///etc bookworm main", ""),)})
    with pytest.raises(ValueError, match="directory of the host"):
        read_station(settings).bound(job)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chroots": "/c", "work": "/w", "other": 1}'])
def test_settings_that_are_none_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings").write_text(text)
    with pytest.raises(SlipwayError, match="Could not read the settings of the build host"):
        read_station(tmp_path / "settings")


def test_a_host_tells_what_it_has(settings: Path, tmp_path: Path) -> None:
    make_chroot(tmp_path / "chroots/bookworm-amd64.tar", make_program((2, 1, 62)))
    make_chroot(tmp_path / "chroots/bookworm-i386.tar", make_program((2, 1, 62)))
    (tmp_path / "chroots/bookworm-amd64.log").touch()
    with read_station(settings).hold_slot() as room:
        assert room
        told = ask(settings, {"ping": 1})["host"]
    assert told["chroots"] == {"bookworm-amd64": "amd64", "bookworm-i386": "amd64"}
    assert (told["slots"], told["busy"], told["wanted"]) == (1, 1, 10)
    assert ask(settings, {"ping": 1})["host"]["busy"] == 0


REFUSED = {
    "nothing": ({}, "is not as it should be"),
    "a path": ({**JOB.as_dict(), "dsc": "../../etc/passwd.dsc"}, "the dsc of a job is none"),
    "an option": ({**JOB.as_dict(), "source": "--chroot=/"}, "the source of a job is none"),
    "a number as a name": ({**JOB.as_dict(), "source": 7}, "is not as it should be"),
    "a limit that is none": ({**JOB.as_dict(), "limits": {"seconds": "long"}}, "the limits of a job is none"),
    "a limit below nothing": ({**JOB.as_dict(), "limits": {"log_bytes": -1}}, "the limits of a job is none"),
    "a list": ([], "is not as it should be"),
    "what is not known": ({**JOB.as_dict(), "run": "id"}, "a job has no run"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_job_is_refused_in_a_sentence(settings: Path, case: str) -> None:
    job, why = REFUSED[case]
    result = ask(settings, {"job": job, "files": []})["result"]
    assert result["outcome"] == "failed"
    assert why in result["reason"]


@pytest.mark.parametrize(
    ("kind", "why"),
    [((1, 1, 3), "is a system for i386, not for amd64"), (None, "no Debian system"), ((0, 0, 0), "no Debian system")],
)
def test_a_chroot_of_another_architecture_gives_the_job_back(
    settings: Path, tmp_path: Path, kind: tuple[int, int, int] | None, why: str
) -> None:
    make_chroot(tmp_path / "chroots/bookworm-amd64.tar", None if kind is None else make_program(kind))
    tree = tmp_path / "base-1"
    (tree / "debian/source").mkdir(parents=True)
    (tree / "debian/source/format").write_text("3.0 (native)\n")
    (tree / "debian/changelog").write_text(
        "base (1) bookworm; urgency=low\n\n  * Begin.\n\n -- N <n@example.org>  Sat, 01 Jan 2022 00:00:00 +0000\n"
    )
    (tree / "debian/control").write_text(
        "Source: base\nMaintainer: N <n@example.org>\n\nPackage: base\nArchitecture: any\nDescription: none\n"
    )
    subprocess.run(["dpkg-source", "--build", tree.name], cwd=tmp_path, check=True, capture_output=True)
    files = [tmp_path / "base_1.dsc", *tmp_path.glob("base_1.tar.*")]
    message = {"job": JOB.as_dict(), "files": list_files(files)}
    result = ask(settings, message, more=b"".join(path.read_bytes() for path in files))["result"]
    assert result["outcome"] == "given back"
    assert why in result["reason"]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["slots"]


def test_a_host_without_room_says_so_and_another_coordinator_cannot_exceed_it(settings: Path) -> None:
    host = read_station(settings)
    with host.hold_slot() as first, host.hold_slot(wait=0) as second:
        assert (first, second) == (True, False)
    with host.hold_slot(wait=0) as third:
        assert third


def test_a_caller_gets_nothing_else(settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "cat /etc/passwd")
    assert service.serve_caller(settings) == 1
    assert "this account builds packages" in capsys.readouterr().err


def test_a_check_names_chroots_of_another_architecture(settings: Path, tmp_path: Path, capsys: Any) -> None:
    make_chroot(tmp_path / "chroots/bookworm-i386.tar", make_program((2, 1, 62)))
    assert service.check(settings) == 1
    assert "the chroot bookworm-i386 is a system for amd64" in capsys.readouterr().err
