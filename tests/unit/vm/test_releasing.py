"""Who may release says a version, and nothing by which another thing could be run."""

from __future__ import annotations

import json

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.releasing import Request, read_arguments


def test_a_version_becomes_the_command_that_a_release_is():
    request = read_arguments(["26.47"], person="alice")
    assert request == Request("26.47", person="alice")
    variables = '{"version": "26.47", "release_approval_releaser": ["alice"]}'
    assert request.make_words() == ["ansible-playbook", "release.yml", "-e", variables]
    assert request.format_command() == "release 26.47"


def test_stages_products_and_check_mode_can_be_said():
    request = read_arguments(["26.47", "--check", "--tags", "publish,tag", "--products", "genivi"], person="")
    assert request is not None
    words = request.make_words()
    assert json.loads(words[3]) == {"version": "26.47", "products": "genivi"}
    assert words[4:] == ["--tags", "publish,tag", "--check", "--diff"]
    assert request.format_command() == "release 26.47 --check --tags publish,tag --products genivi"


def test_a_release_can_be_watched_only():
    assert read_arguments(["--watch"], person="alice") is None


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "no version is given"),
        (["-1"], "version is '-1'"),
        (["26.47 -e x=y"], "version is '26.47 -e x=y'"),
        (["{{ lookup('pipe', 'id') }}"], "version is"),
        (["26.47", "--tags", "all -e x"], "--tags is 'all -e x'"),
        (["26.47", "--products", "../x"], "--products is '../x'"),
    ],
)
def test_what_is_no_version_or_list_of_names_is_refused(words: list[str], fault: str):
    with pytest.raises(SlipwayError) as caught:
        read_arguments(words, person="alice")
    assert fault in str(caught.value)


def test_variables_cannot_be_given(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        read_arguments(["26.47", "-e", "release_build_bst=/tmp/mine"], person="alice")
    assert "unrecognized arguments" in capsys.readouterr().err
