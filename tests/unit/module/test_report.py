"""Modules tell what happened, in sentences."""

from __future__ import annotations

import errno
import json
import os
import subprocess

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.module.report import (
    explain_refusal,
    report,
    run_module,
)


def told(capsys, act):
    with patch_module_args({}):
        module = AnsibleModule({})
        with pytest.raises(SystemExit):
            report(module, act)
    return json.loads(capsys.readouterr().out)


def test_what_was_done_is_the_result(capsys):
    assert told(capsys, lambda: {"changed": True, "made": ["a"]})["made"] == ["a"]


def test_a_module_acts_on_its_options_and_shows_its_warnings(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, warning: shown.append(warning))

    def act(options, *, write):
        return {"changed": write, "name": options["name"], "warnings": ["it is old"]}

    answers = {}
    for check in (False, True):
        with patch_module_args({"name": "x", "_ansible_check_mode": check}), pytest.raises(SystemExit):
            run_module(act, {"name": {"type": "str"}, "size": {"type": "int"}}, required_one_of=[["name", "size"]])
        answers[check] = json.loads(capsys.readouterr().out)
    assert {check: answer["changed"] for check, answer in answers.items()} == {False: True, True: False}
    assert (answers[False]["name"], shown) == ("x", ["it is old", "it is old"])
    assert "warnings" not in answers[False]


def test_programs_that_a_module_starts_do_not_get_the_callers_umask(capsys):
    before = os.umask(0o077)
    try:
        words = ["sh", "-c", "umask"]
        assert told(capsys, lambda: {"umask": subprocess.check_output(words, text=True)})["umask"] == "0022\n"
    finally:
        os.umask(before)


def test_what_others_wrote_does_nothing_to_a_terminal(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, warning: shown.append(warning))
    with patch_module_args({}), pytest.raises(SystemExit):
        run_module(lambda _options, **_: {"warnings": ["a\x1b[2J\u202eb http://token@h"]}, {})
    assert shown == ["a\\x1b[2J\\u202eb http://h"]
    capsys.readouterr()

    def act():
        raise SlipwayError("read \x1b[8m", "x", "\x1b]0;title\x07", do_next="\rDo.", findings=["\x1b[2J"])

    answer = told(capsys, act)
    assert not {"\x1b", "\r", "\x07"} & {*answer["msg"], *answer["findings"][0]}


def test_a_failure_keeps_its_findings_and_its_log(capsys):
    def act():
        raise SlipwayError("read", "x", "it is empty", do_next="Fill it.", log="/var/log/x", findings=["line 1"])

    answer = told(capsys, act)
    assert answer["failed"]
    assert answer["msg"] == "Could not read x: it is empty. Fill it.\n  - line 1 The log is /var/log/x."
    assert (answer["findings"], answer["log"]) == (["line 1"], "/var/log/x")


def test_what_the_system_refuses_is_a_sentence(capsys, tmp_path):
    answer = told(capsys, lambda: {"text": tmp_path.read_text()})
    assert answer["msg"] == (
        f"Could not use {tmp_path}: Is a directory. Check what is there, and run the same command again."
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/srv/slipway/logs"),
            "Could not use /srv/slipway/logs: Permission denied. Give root what is there (ls -l shows whose it is), "
            "or run as the account that owns it.",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/srv/slipway/x"),
            "Could not use /srv/slipway/x: No space left on device. Make room there, and run the same command again.",
        ),
        (OSError("odd"), "Could not use a file: odd. Check what is there, and run the same command again."),
    ],
)
def test_the_sentence_says_what_to_do(error, sentence, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(explain_refusal(error)) == sentence
