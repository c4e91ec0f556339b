"""All that is done with jobs, against what a real Hudson was recorded to answer."""

from __future__ import annotations

from typing import Any

import pytest
from jobwalk import BASE, COPY, PASSWORD, TOKEN, Walk
from peers.hudson_replay import HudsonReplay

BUILDERS = "/project/builders/hudson.tasks.Shell/command"
#: What each step of the walk changes, as paths.
DONE = {
    "check of what is absent": ["/"],
    "base made": ["/"],
    "copy made": ["/"],
    "base again": [],
    "copy again": [],
    "base written by the server": [],
    "copy written by the server": [],
    "base changed, in check mode": ["/project/description", BUILDERS],
    "base changed": ["/project/description", BUILDERS],
    "copy of the changed base": [BUILDERS],
    "base changed, written by the server": [],
    "copy changed, written by the server": [],
    "mended": [],
    "other token": ["/project/authToken"],
    "token again": ["/project/authToken"],
    "removed, in check mode": ["/"],
    "removed": ["/"],
    "removed again": [],
}
REFUSED = {
    "wrong password": "log in as slipway at URL: it refuses this to slipway (403). Correct the password",
    "base absent": f"copy the job {BASE} of URL: there is no such job. Assert it before {COPY}",
    "base changed, left alone": f"it differs from what is asserted in /project/description, {BUILDERS}. Change it back",
    "wrong token": f"start the job {COPY} on URL: it refuses this to whoever does not log in (403). Give a user",
    "no such parameter": "it has no parameter PLATFROM. It has EMPTY, PLATFORM: correct the names",
    "disabled": f"start the job {COPY} on URL: it is disabled. Enable it",
    "no such job": "start the job nowhere on URL: it answers that there is no such thing (404). Check the name",
    "other kind": f"change the job {BASE} of URL: it is a project, and a matrix-project is asserted. Remove it",
    "unknown kind": "create the job odd on URL: it answers 500 Server Error: javax.servlet.ServletException: "
    "com.thoughtworks.xstream.mapper.CannotResolveClassException: nonsense. See the server's log",
}


@pytest.fixture(scope="module")
def replayed() -> tuple[HudsonReplay, dict[str, Any]]:
    with HudsonReplay() as peer:
        return peer, Walk(peer.url).run()


def test_the_server_is_asked_what_the_real_one_was_asked(replayed: tuple[HudsonReplay, dict[str, Any]]) -> None:
    peer, _ = replayed
    assert peer.faults == []
    assert peer.left == []


@pytest.mark.parametrize("step", DONE)
def test_a_job_is_changed_where_it_differs_and_only_there(
    replayed: tuple[HudsonReplay, dict[str, Any]], step: str
) -> None:
    seen = replayed[1][step]
    assert (seen["changed"], seen["differences"]) == (bool(DONE[step]), DONE[step])
    assert bool(seen["diff"]) is seen["changed"]


@pytest.mark.parametrize("step", REFUSED)
def test_what_the_server_refuses_is_told_in_a_sentence(
    replayed: tuple[HudsonReplay, dict[str, Any]], step: str
) -> None:
    assert REFUSED[step] in replayed[1][step]
    assert "\n" not in replayed[1][step]


@pytest.mark.parametrize("step", ["drifted, in check mode", "drifted"])
def test_the_difference_is_shown_with_what_was_changed_on_the_server(
    replayed: tuple[HudsonReplay, dict[str, Any]], step: str
) -> None:
    (diff,) = replayed[1][step]["diff"]
    lines = [set(diff[side].splitlines()) for side in ("before", "after")]
    assert [{each.strip() for each in lines[0] - lines[1]}, {each.strip() for each in lines[1] - lines[0]}] == [
        {"<defaultValue>karmic</defaultValue>"},
        {"<defaultValue>lucid</defaultValue>"},
    ]


def test_a_trigger_is_sent_without_a_token_in_its_address(replayed: tuple[HudsonReplay, dict[str, Any]]) -> None:
    peer, seen = replayed
    assert seen["trigger in check mode"] == {"changed": True}
    assert seen["trigger"] == {"changed": True, "address": f"{peer.url}/job/{COPY}/"}
    started = [path for method, path in peer.requests if "build" in path.split("?")[0].split("/")[-1].lower()]
    assert started == [f"/job/{COPY}/buildWithParameters"] * 3
    assert all(TOKEN not in path for _, path in peer.requests)


def test_no_secret_is_in_what_is_told(replayed: tuple[HudsonReplay, dict[str, Any]]) -> None:
    _, seen = replayed
    told = repr(seen)
    assert "(hidden, another one)" in repr(seen["other token"]["diff"])
    for secret in (PASSWORD, TOKEN, "0ther"):
        assert secret not in told
