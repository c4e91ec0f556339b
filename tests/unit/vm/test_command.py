"""What ``scripts/release-vm`` reads of a machine's console, and tells."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts import release_vm
from scripts.release_vm import Place, read_said

ROOT = Path(__file__).resolve().parents[3]


def test_what_the_machine_says_is_found_behind_a_prompt_and_unfinished_lines_are_not_read(tmp_path: Path):
    console = tmp_path / "console.log"
    assert read_said(console) == []
    console.write_bytes(
        b"BIOS\r\nrelease-1 login: release-vm: failed: \x1b[2Jno\r\nrelease-vm: ready\r\nrelease-vm: rea"
    )
    assert read_said(console) == ["release-vm: failed: \\x1b[2Jno", "release-vm: ready"]


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path):
    (tmp_path / "console.log").write_text("release-vm: line\n" * 10_000)
    command = f"'{ROOT}/scripts/release-vm' status --directory '{tmp_path}' | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("None runs.\n141\n", "")


#: qemu as it was seen where KVM is virtualised, and not all of it: it goes on, paused, with nothing on the console.
GIVEN_UP = """
import json, socket, sys, time
words = sys.argv[1:]
if "kvm" not in words[words.index("-accel") + 1]:
    print("release-vm: ready", flush=True)
    sys.exit(0)
print({said!r}, end="", flush=True)
sys.stderr.write("KVM internal error. Suberror: 1\\nemulation failure\\n")
listening = socket.socket(socket.AF_UNIX)
listening.bind(words[words.index("-qmp") + 1].removeprefix("unix:").partition(",")[0])
listening.listen()
while True:
    connection = listening.accept()[0]
    with connection, connection.makefile("rwb") as stream:
        stream.write(b'{{"QMP": {{}}}}\\n')
        stream.flush()
        for line in stream:
            asked = json.loads(line)["execute"] == "query-status"
            answer = {{"status": "internal-error", "running": False}} if asked else {{}}
            stream.write(json.dumps({{"return": answer}}).encode() + b"\\n")
            stream.flush()
"""


def _follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, said: str) -> tuple[int, Place]:
    program = tmp_path / "qemu"
    program.write_text(f"#!{sys.executable}{GIVEN_UP.format(said=said)}")
    program.chmod(0o755)
    monkeypatch.setattr(release_vm, "PROGRAM", str(program))
    monkeypatch.setattr(release_vm, "has_kvm", lambda: True)
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    given = argparse.Namespace(
        port=1, isolated=True, state=None, kernel=None, cpus=1, memory=64, hours=0.01, image=image, disk="2M"
    )
    place = Place(tmp_path / "run")
    place.directory.mkdir()
    return release_vm.follow(given, place, echo=False), place


def test_a_machine_that_kvm_gives_up_at_once_begins_again_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    status, place = _follow(tmp_path, monkeypatch, said="")
    assert status == 0
    assert read_said(place.console) == ["release-vm: ready"]
    told = capsys.readouterr().out.splitlines()
    assert ["under KVM" in told[0], "without KVM" in told[1], len(told)] == [True, True, 2]
    assert not place.overlay.exists()


def test_a_machine_that_kvm_gives_up_later_ends_and_is_not_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SlipwayError, match="KVM of this machine gave it up"):
        _follow(tmp_path, monkeypatch, said="release-vm: started\n")
    assert "without KVM" not in capsys.readouterr().out
