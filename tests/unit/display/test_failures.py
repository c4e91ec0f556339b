"""The reason of a failure, and what may be shown of a command."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.display.failures import hide_values, read_failure


def test_our_modules_say_all_in_their_message() -> None:
    result = {"msg": "Could not do it.", "findings": ["x"], "log": "/logs/a.log", "changed": False}
    assert read_failure(result, ours=True, where="main.yml:3") == ("Could not do it.", "/logs/a.log")


def test_what_a_program_said_belongs_to_the_reason() -> None:
    result = {"msg": "non-zero return code", "cmd": ["make", "it"], "rc": 2, "stderr": "first\nno rule", "stdout": ""}
    reason = read_failure(result, ours=False, where="main.yml:3").reason
    assert reason.splitlines() == [
        "non-zero return code",
        "command: make it (status 2)",
        "first",
        "no rule",
        "The task is in main.yml:3",
    ]


def test_what_was_written_for_the_task_needs_no_more() -> None:
    assertion = {"msg": "Bring it back.", "assertion": "x | length == 0", "evaluated_to": False, "changed": False}
    assert read_failure(assertion, ours=False, where="main.yml:3").reason == "Bring it back."
    assert read_failure({**assertion, "msg": "Assertion failed"}, ours=False).reason.endswith(
        "x | length == 0 is not true"
    )
    assert (
        read_failure({"msg": "Fail for it.", "changed": False}, ours=False, where="main.yml:3").reason == "Fail for it."
    )


def test_a_fact_of_a_host_that_was_left_out_names_the_group_to_include() -> None:
    said = "Task failed: object of type 'HostVarsVars' has no attribute 'coordinator_ssh_public_key'"
    told = read_failure({"msg": said}, ours=True).reason.splitlines()[1]
    assert told.startswith(
        "coordinator_ssh_public_key is known when coordinator takes part: name it too, as in --limit"
    )


def test_an_item_is_named_and_a_secret_is_not() -> None:
    assert read_failure({"censored": "hidden"}, ours=True, item="b.gz").reason == "b.gz: hidden"


def test_values_of_variables_that_may_be_secret_are_not_shown() -> None:
    words = [
        "ansible-playbook",
        "release.yml",
        "-e",
        "version=26.47",
        "-e",
        "token=abc",
        "--extra-vars=password=x",
        "-e",
        "@f",
    ]
    assert hide_values(words) == [
        *("ansible-playbook", "release.yml", "-e", "version=26.47", "-e", "...", "--extra-vars=...", "-e", "@f")
    ]
    assert hide_values(["-e", '{"version": "26.47"}', "-e", '{"version": "1", "x": "y"}'])[1::2] == [
        '{"version": "26.47"}',
        "...",
    ]
