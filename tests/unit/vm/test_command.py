"""What ``scripts/release-vm`` reads of a machine's console, and tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts.release_vm import read_said

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
