"""Who may release says a version, and nothing by which another thing could be run."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm import releasing
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


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states of the service, one for each time that it is asked; it writes a line when it is started."""
    states: list[str] = []
    for name in ("REQUEST", "LOG", "BEGINS"):
        monkeypatch.setattr(releasing, name, tmp_path / name)
    (tmp_path / "LOG").write_bytes(b"before\n")

    def run(words: list[str], **_about: object) -> object:
        class Done:
            stdout = f"ExecMainStatus=2\nActiveState={states.pop(0)}\n" if words[1] == "show" else ""

        if words[1] == "start":
            with (tmp_path / "LOG").open("ab") as log:
                log.write(b"released\n")
        return Done()

    monkeypatch.setattr(releasing, "run", run)
    monkeypatch.setattr(releasing, "POLL", 0)
    return states


def test_a_release_is_followed_to_its_end_from_where_it_began(service: list[str]):
    service += ["inactive", "active", "active", "failed", "inactive"]
    seen: list[bytes] = []
    assert releasing.follow(seen.append, begins=releasing.start(Request("26.47", person="alice"))) == 2
    assert seen == [b"released\n"]
    assert releasing.follow(seen.append, begins=releasing.find_last()) == 2
    assert seen == [b"released\n"] * 2


def test_a_second_release_is_refused_with_the_name_of_who_is_releasing(service: list[str]):
    service += ["inactive", "active"]
    releasing.start(Request("26.47", person="alice"))
    with pytest.raises(
        SlipwayError, match=r"alice is releasing 26\.47 at this moment. Wait for its end: release --watch"
    ):
        releasing.start(Request("26.48", person="dave"))


def test_of_two_who_release_at_the_same_moment_one_is_refused(service: list[str], monkeypatch: pytest.MonkeyPatch):
    service += ["inactive", "active"]
    asked, query = threading.Barrier(2), releasing._query
    refused: list[str] = []

    def query_slowly() -> dict[str, str]:
        with contextlib.suppress(threading.BrokenBarrierError):
            asked.wait(0.2)  # without a lock both would have asked by now
        return query()

    def release(person: str) -> None:
        try:
            releasing.start(Request("26.47", person=person))
        except SlipwayError as error:
            refused.append(str(error))

    monkeypatch.setattr(releasing, "_query", query_slowly)
    threads = [threading.Thread(target=release, args=(name,)) for name in ("alice", "dave")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(refused) == 1
    served = json.loads(releasing.REQUEST.read_text())["person"]
    assert f"{served} is releasing 26.47" in refused[0]


@pytest.mark.usefixtures("service")
def test_there_is_nothing_to_watch_before_the_first_release():
    with pytest.raises(SlipwayError, match="none has begun since this machine was started"):
        releasing.find_last()
