from __future__ import annotations

import os
import sys
import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run


def test_output_and_status_come_back():
    done = run(["sh", "-c", "echo out; echo err >&2"], attempt="try")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


def test_arguments_are_never_read_by_a_shell():
    assert run(["printf", "%s", "$HOME; `id`"], attempt="try").stdout == "$HOME; `id`"


def test_a_failure_names_the_program_its_status_and_its_last_words():
    with pytest.raises(SlipwayError) as caught:
        run(["sh", "-c", "echo first; echo 'no such thing' >&2; exit 3"], attempt="do it on", on="host")
    assert str(caught.value).startswith("Could not do it on host: sh ended with status 3: no such thing.")


def test_a_missing_program_is_named():
    with pytest.raises(SlipwayError, match="no-such-program was not found"):
        run(["no-such-program"], attempt="try")


def test_a_missing_working_directory_is_named(tmp_path):
    with pytest.raises(SlipwayError, match="the directory .*/gone was not found"):
        run(["true"], attempt="try", cwd=tmp_path / "gone")


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path):
    marker = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(SlipwayError, match=r"was ended after 1 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {marker}; wait"], attempt="try", timeout=1)
    assert time.monotonic() - began < 30
    child = int(marker.read_text())
    state = ""
    for _ in range(50):
        try:
            with open(f"/proc/{child}/stat") as stream:
                state = stream.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            state = "gone"
        if state in ("gone", "Z"):
            break
        time.sleep(0.1)
    assert state in ("gone", "Z")


def test_what_outlives_a_program_and_holds_its_output_is_ended_in_time():
    began = time.monotonic()
    done = run(["sh", "-c", "sleep 60 & echo said"], attempt="try", timeout=1)
    assert done.stdout == "said\n"
    assert time.monotonic() - began < 30


def test_lines_are_passed_on_while_the_program_runs_and_all_go_to_the_log(tmp_path):
    log = tmp_path / "log"
    lines = []
    run(["sh", "-c", "echo one; echo two >&2"], attempt="try", log=log, on_line=lines.append)
    assert lines == ["one", "two"]
    assert log.read_text() == "one\ntwo\n"


def test_what_a_terminal_would_show_anew_is_a_line_as_well():
    lines = []
    said = "import time; print('1%\\r2%\\r3%\\r', end='', flush=True); time.sleep(0.2); print('\\r\\nend', end='')"
    run([sys.executable, "-c", said], attempt="try", on_line=lines.append)
    assert [line for line in lines if line] == ["1%", "2%", "3%", "end"]


def test_a_failure_names_its_log(tmp_path):
    with pytest.raises(SlipwayError, match=f"The log is {tmp_path}/log"):
        run(["false"], attempt="try", log=tmp_path / "log")


def test_a_long_output_is_kept_whole_in_the_log_and_bounded_in_memory(tmp_path):
    log = tmp_path / "log"
    done = run(
        [sys.executable, "-c", "print('x' * 99 + '\\n', end='') or [print('y' * 99) for _ in range(30000)]"],
        attempt="try",
        log=log,
    )
    assert log.stat().st_size == 100 * 30001
    assert len(done.stdout) <= 1 << 20


def test_the_standard_input_is_fed():
    assert run(["cat"], attempt="try", stdin=b"fed").stdout == "fed"
    assert run(["cat"], attempt="try").stdout == ""


def test_a_program_that_does_not_read_its_input_is_no_failure(tmp_path):
    run(["true"], attempt="try", stdin=b"x" * 1_000_000, log=tmp_path / "log")


def test_the_locale_is_fixed_and_the_environment_extended():
    done = run(["sh", "-c", "echo $LC_ALL $MORE"], attempt="try", env={"MORE": "more"})
    assert done.stdout == "C.UTF-8 more\n"
    assert os.environ.get("MORE") is None
