"""A module that runs within the process of its task answers as its program does."""

from __future__ import annotations

import datetime
import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.module.inprocess import (
    is_secretive,
    run_in_process,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.module.report import Parts, read_parts, run_module
from publishing import run_module as run_program

ROOT = Path(__file__).resolve().parents[3]
MODULES = "ansible_collections.slipway.release.plugins.modules"
OPTIONS = {"name": {"type": "str", "required": True}, "size": {"type": "int", "default": 3}}


def run_here(name, arguments, *, write=True):
    return run_in_process(read_parts(importlib.import_module(f"{MODULES}.{name}").main), arguments, write=write)


def act(options, *, write):
    return {"changed": write, **options}


def tell(**result):
    return lambda _options, **_: dict(result)


def answered(act, arguments=None, *, options=OPTIONS, write=True, **more):
    parts = Parts(act, options, {"required_together": [["name", "size"]]}, **more)
    return run_in_process(parts, {"name": "x"} if arguments is None else arguments, write=write)


def test_it_answers_as_the_program_does(tmp_path):
    there = tmp_path / "there"
    there.write_text("old\n")
    arguments = {"files": [{"path": str(there), "content": "new ä\n"}, {"path": str(tmp_path / "made"), "content": ""}]}
    for write in (False, True, True):
        state = {path: path.read_text() for path in tmp_path.iterdir()}
        here = run_here("text_files", arguments, write=write)
        for path in tmp_path.iterdir():
            path.unlink()
        for path, text in state.items():
            path.write_text(text)
        assert here == run_program("text_files", arguments, check=not write)


def test_a_failure_is_told_as_the_program_tells_it(tmp_path):
    (tmp_path / "directory").mkdir()
    arguments = {"files": [{"path": str(tmp_path / "directory"), "content": "x"}]}
    here, program = run_here("text_files", arguments), run_program("text_files", arguments)
    assert here["failed"]
    assert {name: program.get(name) for name in here} == here


def test_options_are_read_as_a_program_reads_them():
    told = answered(act, {"name": 5, "size": "7"})
    assert told == {"changed": True, "name": "5", "size": 7, "invocation": {"module_args": {"name": "5", "size": 7}}}
    assert answered(act, write=False)["changed"] is False
    assert answered(act, {"name": datetime.date(2026, 1, 2)})["name"] == "2026-01-02"


@pytest.mark.parametrize("arguments", [{}, {"name": "x", "other": 1}, {"name": "x", "size": "much"}])
def test_wrong_arguments_are_left_to_the_program(arguments):
    assert answered(act, arguments) is None


def test_what_json_does_not_have_is_left_to_the_program():
    assert answered(act, {"name": object()}) is None


def test_secrets_are_left_to_the_program():
    options = {**OPTIONS, "to": {"type": "dict", "options": {"token": {"type": "str", "no_log": True}}}}
    assert is_secretive(options)
    assert answered(act, options=options) is None


def test_what_needs_a_process_of_its_own_gets_one():
    assert answered(act, own_process=True) is None


def test_what_ends_with_those_who_read_it_needs_one():
    modules = (importlib.import_module(f"{MODULES}.{path.stem}") for path in sorted((ROOT / "library").glob("*.py")))
    parts = {each.__name__.rpartition(".")[2]: read_parts(each.main) for each in modules if hasattr(each, "run_module")}
    assert {name for name, each in parts.items() if each.own_process} == {
        "deb_builds",
        "deb_reproduce",
        "distbuild_submit",
    }
    assert len(parts) > 60


def test_what_looks_for_our_own_code_finds_it_where_ansible_loads_it_from(tmp_path):
    """Ansible has a loader of its own for collections, which is none of Python's."""
    script = """
        import sys
        from pathlib import Path
        from ansible.plugins.loader import init_plugin_loader
        init_plugin_loader([sys.argv[1]])
        from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream import ask, follow, servers
        from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import line, schedule
        for module in (ask, follow):
            program = servers.write_program(module.__name__, Path(sys.argv[2]))
            assert program.read_bytes() == Path(module.__file__).read_bytes(), module
        told = line.ask_host(schedule.Host("here", slots=1, chroots={}), timeout=60)
        assert "free" in told, told
    """
    words = ["-c", textwrap.dedent(script), str(ROOT / "collections"), str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_errors_and_warnings_are_told(monkeypatch):
    def fail(options, *, write):
        raise SlipwayError("look at", "x", "it is gone", do_next="Bring it back.", findings=["one"], log="/x.log")

    told = answered(fail)
    assert (told["failed"], told["findings"], told["log"]) == (True, ["one"], "/x.log")
    assert told["msg"].startswith("Could not look at x: it is gone.")
    told = answered(lambda _options, **_: os.listdir("/nonexistent/x"))
    assert (told["failed"], told["msg"][:30]) == (True, "Could not use /nonexistent/x: ")
    told = answered(tell(changed=False, warnings=["old \x1b[31m", "http://a:b@h"]))
    assert told["warnings"] == ["old \\x1b[31m", "http://h"]


def test_what_is_made_does_not_have_the_callers_umask(tmp_path):
    def make(options, *, write):
        (tmp_path / "made").mkdir()
        return {"changed": True}

    before = os.umask(0o077)
    try:
        answered(make)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


def test_a_name_that_is_no_text_reaches_ansible_as_one():
    told = answered(tell(changed=False, name=os.fsdecode(b"a\xff")))
    assert told["name"] == "a\ufffd"


def test_values_that_json_does_not_have_are_told_as_the_program_tells_them():
    told = answered(tell(changed=False, days=[datetime.date(2026, 1, 2)], names={"a"}, pair=(1, 2)))
    assert (told["days"], told["names"], told["pair"]) == (["2026-01-02"], ["a"], [1, 2])


def test_a_module_that_is_read_does_nothing():
    def main():
        run_module(act, OPTIONS, required_together=[["name", "size"]])

    parts = read_parts(main)
    assert (parts.options, dict(parts.conditions), parts.own_process) == (
        OPTIONS,
        {"required_together": [["name", "size"]]},
        False,
    )
