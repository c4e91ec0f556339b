"""The end of a run: what is the case, where things are, and what to do next."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.outcome import (
    Failure,
    Outcome,
    Run,
    find_next_version,
    find_places,
    format_summary,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.text import measure

STATE = "/srv/slipway"
PLAN = {
    "label": "baserock-26.47",
    "version": "26.47",
    "directories": {"records": f"{STATE}/releases/26.47/records", "logs": f"{STATE}/releases/26.47/logs"},
    "skipped": [{"architecture": "armv7lhf", "deployments": [], "reason": ""}],
}
COMMAND = "make release VERSION=26.47"


def record(**outputs: Any) -> dict[str, Any]:
    return {"started": "2026-11-23T10:00:00Z", "ended": "2026-11-23T10:01:00Z", "outputs": outputs}


PUBLISHED = {
    "preflight": record(),
    "build-x": record(),
    "publication": record(
        directory="baserock-26.47",
        files=[{"name": "a.gz", "size": 45_000_000}, {"name": "b.gz", "size": 5_000_000}],
        sidecars=[{"name": "SHA256SUMS", "size": 100}],
    ),
}
ANNOUNCED = {
    **PUBLISHED,
    "tag": record(tag="baserock-26.47", commit="0123456789abcdef"),
    "notes": record(path="releases/baserock-26.47.mdwn"),
    "announcement": record(recipients=["announce@localhost"], refused=["b@example.org"]),
}


def make(records: dict[str, Any], **last: Any) -> Outcome:
    outcome = Outcome()
    facts = {"release_plan": PLAN, "release_records": {}}
    outcome.take("release_plan_info", {"ansible_facts": facts, "last": last}, host="one")
    outcome.take("release_record", {"ansible_facts": {"release_records": records}}, host="one")
    return outcome


def finish(outcome: Outcome) -> Outcome:
    served = [f"file://{STATE}/download%20here/baserock-26.47/{name}" for name in ("a.gz", "SHA256SUMS")]
    outcome.take("artifact_verify", {"verified": served}, host="one")
    moves = [
        {"name": f"baserock-current-{name}", "before": f"baserock-26.46/{name}", "after": f"baserock-26.47/{name}"}
        for name in "abcd"
    ]
    outcome.take("current_links", {"moves": moves}, host="one")
    wiki = {"invocation": {"module_args": {"repository": f"{STATE}/wiki.git"}}}
    outcome.take("git_files", wiki, host="one")
    mail = {"changed": True, "invocation": {"module_args": {"maildir": f"{STATE}/mail", "host": None}}}
    outcome.take("announcement_mail", mail, host="one")
    return outcome


def show(outcome: Outcome, run: Run, width: int = 100) -> list[str]:
    return format_summary(outcome, run, width)[1:]


def test_a_release_says_what_is_where_and_what_to_do_next() -> None:
    stages = [("plan", 0.4), ("build", 130.0), ("publish", 5.2)]
    run = Run("release.yml", COMMAND, seconds=140, stages=stages, changed=12, warnings=["the key expires"])
    assert show(finish(make(ANNOUNCED)), run) == [
        "baserock-26.47 is released.",
        "  public  /srv/slipway/download here/baserock-26.47/ (3 files, 50.0 MB)",
        "  links   baserock-current-a and 3 more moved from baserock-26.46 to baserock-26.47",
        "  tag     baserock-26.47 at 0123456789ab",
        "  notes   releases/baserock-26.47.mdwn in /srv/slipway/wiki.git",
        "  mail    to announce@localhost by /srv/slipway/mail",
        "          refused by b@example.org",
        "  without armv7lhf: no build host",
        "  time    2:20: build 2:10, publish 0:05",
        "  changed 12 tasks",
        "  records /srv/slipway/releases/26.47/records",
        "  warning the key expires",
        "  verify  cd '/srv/slipway/download here/baserock-26.47/' && sha256sum -c SHA256SUMS",
        "  next    make release VERSION=26.48",
    ]


def test_files_that_something_else_made_have_neither_tag_nor_wiki_and_the_key_is_no_place_of_theirs() -> None:
    records = {**ANNOUNCED, "notes": record(page="baserock-26.47.html")}
    del records["tag"]
    outcome = finish(make(records))
    beside = [f"file://{STATE}/download%20here/release-key.asc"]
    served = [f"file://{STATE}/download%20here/baserock-26.47/a.gz"]
    outcome.take("artifact_verify", {"verified": [*beside, *served]}, host="one")
    lines = show(outcome, Run("files.yml", COMMAND, seconds=140))
    assert lines[1] == "  public  /srv/slipway/download here/baserock-26.47/ (3 files, 50.0 MB)"
    assert lines[3] == "  notes   on baserock-26.47.html"


@pytest.mark.parametrize("width", [40, 79, 199])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    run = Run("release.yml", COMMAND, seconds=140, warnings=["a long warning " * 10])
    assert all(measure(line) <= width for line in show(finish(make(ANNOUNCED)), run, width))


def test_a_command_in_a_log_is_whole() -> None:
    run = Run("release.yml", COMMAND, seconds=140)
    lines = format_summary(finish(make(ANNOUNCED)), run, 40, whole_words=True)
    assert "  verify  cd '/srv/slipway/download here/baserock-26.47/' && sha256sum -c SHA256SUMS" in lines


def test_a_failure_is_named_with_its_log_and_the_command_that_goes_on_and_its_reason_is_not_said_again() -> None:
    failure = Failure(("one", "two"), "build", "Build", "Could not build lua.", f"{STATE}/other.log")
    run = Run("release.yml", COMMAND, seconds=3, failures=[failure])
    assert show(make({"preflight": record()}), run) == [
        "baserock-26.47 is not released: build failed on one, two.",
        "  time    0:03",
        "  changed nothing",
        "  log     /srv/slipway/other.log",
        "  logs    /srv/slipway/releases/26.47/logs",
        "  go on   fix that, and give the same command again: make release VERSION=26.47",
    ]


def test_what_failed_after_it_was_public_is_said_to_be_so() -> None:
    run = Run("release.yml", COMMAND, failures=[Failure(("one",), "notes", "Publish", "No.")])
    assert show(make(PUBLISHED), run)[0] == "baserock-26.47 is public, but not done: notes failed on one."


def test_one_stage_alone_says_what_is_done() -> None:
    run = Run("release.yml", COMMAND)
    assert show(make(PUBLISHED), run)[0] == (
        "baserock-26.47 is public, and not yet announced: preflight, build, publish done."
    )
    assert show(make({"preflight": record()}), run)[0] == "baserock-26.47 is not yet public: preflight done."
    assert "next" not in "".join(show(make(PUBLISHED), run))


def test_a_release_that_is_made_again_is_not_said_to_be_released_or_not() -> None:
    built = [("build", 30.0)]
    failure = Failure(("bob",), "reproduce", "Compare", "It differs.")
    for run, told in (
        (Run("reproduce.yml", COMMAND, stages=[*built, ("reproduce", 0.5)]), "is reproduced."),
        (Run("reproduce.yml", COMMAND, stages=built), "is not yet reproduced."),
        (Run("reproduce.yml", COMMAND, failures=[failure]), "is not reproduced: reproduce failed on bob."),
        (Run("attest.yml", COMMAND, stages=[*built, ("attestation", 0.5)]), "is attested."),
    ):
        assert show(make({"build-x": record()}), run)[0] == f"baserock-26.47 {told}"


def test_a_check_does_not_say_that_anything_is_done() -> None:
    lines = show(finish(make(ANNOUNCED)), Run("release.yml", COMMAND, check=True, changed=3))
    assert lines[0] == "baserock-26.47: nothing was changed, since this was a check."
    assert "  would   change 3 tasks" in lines
    assert not any(word in line for line in lines for word in ("public ", "mail", "verify", "next"))


def test_a_playbook_that_releases_nothing_is_one_line() -> None:
    assert show(Outcome(), Run("provision.yml", COMMAND, seconds=70, hosts=3, changed=1)) == [
        "provision.yml is done on 3 hosts: 1 task changed, 1:10."
    ]


def test_packages_are_somewhere_and_so_is_what_is_known_of_them() -> None:
    outcome = Outcome()
    built = {"builds": [{}, {}, {}], "failed_builds": [{}], "waiting": [{}]}
    outcome.take("deb_builds", {**built, "invocation": {"module_args": {"public": "/srv/apt/shadow"}}}, host="one")
    said = {"invocation": {"module_args": {"directory": "/srv/apt/excuses/cturtle"}}}
    outcome.take("deb_excuses", said, host="one")
    fixed = {"published": "/srv/apt/fixed"}
    before = {"published": True, "label": "cturtle-r1", "invocation": {"module_args": fixed}}
    outcome.take("stamp_plan", before, host="one")
    outcome.take("stamp_plan", {**before, "published": False, "label": "cturtle-r2"}, host="one")
    released = {"snapshot": "snapshots/cturtle-r2", "added": [{}], "updated": [{}, {}], "removed": []}
    released["invocation"] = {"module_args": {"directory": "/srv/apt/fixed"}}
    outcome.take("apt_publish", released, host="one")
    assert show(outcome, Run("debs_release.yml", "make debs", seconds=70, changed=2)) == [
        "debs_release.yml is done: 2 tasks changed, 1:10.",
        "  shadow  /srv/apt/shadow (2 built, 1 failed, 1 waiting)",
        "  public  /srv/apt/fixed/snapshots/cturtle-r1 (published before)",
        "  public  /srv/apt/fixed/snapshots/cturtle-r2 (1 added, 2 updated, 0 removed)",
        "  excuses /srv/apt/excuses/cturtle",
    ]
    lines = show(outcome, Run("debs_release.yml", "make debs", check=True, seconds=70, changed=2))
    assert lines == ["debs_release.yml is done: 2 tasks would change, 1:10."]


def test_only_stages_without_a_record_take_as_long_as_the_last_time() -> None:
    outcome = make({"preflight": record()}, version="26.46", seconds={"preflight": 3.0, "build": 60.0})
    assert outcome.expect() == {"build": 60.0}


def test_addresses_have_one_directory_for_each_channel() -> None:
    assert find_places(["https://a.example.org/x/1", "https://a.example.org/x/2", "file:///srv/p%25/x/1"]) == [
        "https://a.example.org/x/",
        "/srv/p%/x/",
    ]


@pytest.mark.parametrize(("version", "following"), [("26.47", "26.48"), ("1.09", "1.10"), ("26.47rc1", ""), ("7", "")])
def test_the_version_after_this(version: str, following: str) -> None:
    assert find_next_version(version) == following
