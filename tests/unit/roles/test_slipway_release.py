"""Who may start releases says a command and versions, and nothing that anybody could take for an option."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

ROLE = Path(__file__).resolve().parents[3] / "roles/coordinator"
_spec = importlib.util.spec_from_file_location("slipway_release", ROLE / "files/slipway_release.py")
assert _spec is not None
assert _spec.loader is not None
program = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(program)
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
SETTINGS = {"ansible": "/opt/bin/ansible-playbook", "commands": DEFAULTS["coordinator_releasers_commands"]}


def make(*words: str) -> list[str]:
    made: list[str] = program.make_command(SETTINGS, words, person="ben")
    return made


def test_a_command_and_its_versions_are_a_playbook_and_its_variables() -> None:
    *words, variables, check, diff = make("followup", "26.47", "26.48", "--check")
    assert (words, check, diff) == (
        ["/opt/bin/ansible-playbook", "slipway.release.followup", "--extra-vars"], "--check", "--diff"
    )  # fmt: skip
    assert json.loads(variables) == {"version": "26.47", "next": "26.48", "release_approval_releaser": ["ben"]}
    assert json.loads(make("release", "26.47")[-1]) == {"version": "26.47", "release_approval_releaser": ["ben"]}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--check",),
        ("release",),
        ("provision", "26.47"),
        ("release", "26.47", "26.48"),
        ("release", "-e@/etc/shadow"),
        ("release", "--tags=publish"),
        ("release", "26.47", "--diff"),
        ("release", "{{ lookup('pipe', 'id') }}"),
        ("release", ""),
        ("release", "26.47\n"),
    ],
)
def test_whatever_else_is_said_is_answered_with_how_it_is_said(words: tuple[str, ...]) -> None:
    with pytest.raises(program.UsageError, match="slipway-release release VERSION"):
        make(*words)


@given(st.lists(st.text(max_size=12), max_size=4))
def test_no_words_become_an_option_or_a_template(words: list[str]) -> None:
    try:
        made = make("release", *words)
    except program.UsageError:
        return
    assert made[:3] == ["/opt/bin/ansible-playbook", "slipway.release.release", "--extra-vars"]
    assert made[4:] in ([], ["--check", "--diff"])
    assert json.loads(made[3]) == {"version": json.loads(made[3])["version"], "release_approval_releaser": ["ben"]}
    assert program.VALUE.match(json.loads(made[3])["version"])
