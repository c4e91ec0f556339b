# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who hears of builds, how often, and what becomes of it where a run is killed or a server refuses."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from smtpd import Smtpd, smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.mails import (
    MOST_TOLD,
    Contacts,
    Mail,
    Told,
    find_address,
    read_maintainers,
    read_told,
    send_outbox,
    tell_news,
)
from publishing import run_module, tree

NOW = 1772352000
TEAM = Contacts(distribution="Team <team@example.org>")


def row(stack: str = "a", state: str = "failed", **more: Any) -> dict[str, Any]:
    given = {"source": f"ros-d-{stack}", "version": "1.0-0~bookworm", "platform": "bookworm", "architecture": "amd64"}
    said = {"stage": "build", "reason": "It does not compile.", "host": "one", "log": "/x.log", "at": NOW}
    return {**given, "stack": stack, "state": state, **said, **more}


def tell(told: Told, *rows: dict[str, Any], contacts: Contacts = TEAM) -> tuple[Told, list[Mail]]:
    """What is told afterwards, and the mails of it, which are sent."""
    now = tell_news(told, rows, contacts)
    return Told(now.distribution, now.failures), now.outbox


def test_a_failure_is_told_once_and_so_is_its_end() -> None:
    told, mails = tell(Told("d"), row(), row("b", "ok"))
    (mail,) = mails
    assert (mail.recipient, mail.subject) == ("team@example.org", "d: 1 build failed")
    assert "ros-d-a 1.0-0~bookworm for bookworm amd64, at build on one\n    It does not compile." in mail.body
    assert "ros-d-b" not in mail.body
    told, mails = tell(told, row(at=NOW + 5, reason="It does not compile, again."))
    assert mails == []
    told, mails = tell(told, row(state="ok", at=NOW + 9, version="1.1-0~bookworm"))
    assert [mail.subject for mail in mails] == ["d: 1 build recovered"]
    assert "ros-d-a 1.1-0~bookworm" in mails[0].body
    assert tell(told, row(state="ok", at=NOW + 9)) == (Told("d"), [])


@pytest.mark.parametrize("other", [{"version": "1.1-0~bookworm"}, {"stage": "test"}, {"architecture": "i386"}])
def test_another_failure_is_news(other: dict[str, Any]) -> None:
    told, _mails = tell(Told("d"), row())
    assert len(tell(told, row(**other))[1]) == 1


def test_the_last_result_counts_and_what_runs_is_none() -> None:
    assert tell(Told("d"), row(), row(state="ok", at=NOW + 1), row(state="running", at=NOW + 2))[1] == []


def test_each_contact_gets_one_mail_with_all_that_concerns_it() -> None:
    contacts = Contacts(
        {"a": "A <a@example.org>", "ros-d-b": "b@example.org"}, {"ros-d-c": "c@example.org"}, "team@x.org"
    )
    rows = [*(row(name) for name in "abcde"), row("a", architecture="i386"), {**row("f"), "stack": None}]
    _told, mails = tell(Told("d"), *rows, contacts=contacts)
    assert {mail.recipient: mail.subject for mail in mails} == {
        "a@example.org": "d: 2 builds failed",
        "b@example.org": "d: 1 build failed",
        "c@example.org": "d: 1 build failed",
        "team@x.org": "d: 3 builds failed",
    }


def test_who_became_the_contact_hears_of_what_nobody_was_told() -> None:
    told, mails = tell(Told("d"), row(), contacts=Contacts())
    assert (told, mails) == (Told("d"), [])
    assert len(tell(told, row())[1]) == 1


def test_the_same_news_is_the_same_mail_and_the_same_failure_later_another() -> None:
    first, again, later = (tell(Told("d"), row(at=at))[1][0].name for at in (NOW, NOW, NOW + 1))
    assert first == again != later


def test_a_mail_ends_however_many_builds_fail() -> None:
    _told, (mail,) = tell(Told("d"), *(row(f"s{number}", reason="x" * 5000) for number in range(MOST_TOLD + 3)))
    assert "  and 3 others" in mail.body
    assert len(mail.body) < 40000


def test_words_from_outside_are_one_line() -> None:
    _told, (mail,) = tell(Told("d"), row(reason="a\n\nTo: x@example.org\x1b[2J", host="h\r\nBcc: y", version="1\n2"))
    assert not [line for line in mail.body.splitlines() if line.startswith(("To:", "Bcc:"))]
    assert "\x1b" not in mail.body


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("A B <a@example.org>", "a@example.org"),
        ('"Smith, J." <j.smith@example.org>', "j.smith@example.org"),
        ("a@example.org\nBcc: b@example.org", ""),
        ("<a b@example.org>", ""),
        ("nobody", ""),
    ],
)
def test_a_maintainer_without_a_plain_address_is_nobody(text: str, address: str) -> None:
    assert find_address(text) == address


def test_maintainers_are_those_of_the_index_of_sources() -> None:
    index = "Package: a\nBinary: a\nMaintainer: A <a@x.org>\n\nPackage: b\nMaintainer: nobody\n\nMaintainer: c@x.org\n"
    assert read_maintainers(index) == {"a": "a@x.org"}


def fail_at(name: str) -> Callable[[Mail], None]:
    def send(mail: Mail) -> None:
        if mail.recipient == name:
            raise SlipwayError("send", name, "it refused", do_next="Run again.")

    return send


def test_a_mail_that_is_not_sent_holds_up_no_other_and_stays_as_it_is(tmp_path: Path) -> None:
    path, contacts = tmp_path / "mails.json", Contacts({name: f"{name}@x.org" for name in "abc"})
    told = tell_news(Told("d"), [row(name) for name in "abc"], contacts)
    with pytest.raises(SlipwayError, match="it refused"):
        send_outbox(told, path, fail_at("b@x.org"))
    kept = read_told(path, "d")
    assert [mail.recipient for mail in kept.outbox] == ["b@x.org"]
    again = tell_news(kept, [row(name, at=NOW + 1) for name in "abc"], contacts)
    assert again.outbox == kept.outbox
    corrected = tell_news(kept, [row("b")], Contacts({"b": "better@x.org"}))
    assert [mail.recipient for mail in corrected.outbox] == ["better@x.org"]


def test_a_record_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "mails.json"
    for text in ("{", "[]", '{"format": 1, "distribution": "e"}', '{"format": 2, "distribution": "d"}'):
        path.write_text(text)
        with pytest.raises(SlipwayError, match=r"Could not learn who was told .* Restore it from a copy, or remove it"):
            read_told(path, "d")
        assert path.read_text() == text


def options(tmp_path: Path, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {
        **{"distribution": "d", "directory": str(tmp_path / "builds"), "results": list(rows)},
        **{"contact": "team@example.org", "sender": "Builds <builds@example.org>", "maildir": str(tmp_path / "mail")},
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def read_mails(tmp_path: Path) -> list[Message]:
    return list(mailbox.Maildir(tmp_path / "mail", create=False))


def test_the_module_mails_once_and_says_in_check_mode_what_it_would(tmp_path: Path) -> None:
    log = tmp_path / "builds/bookworm-amd64/ros-d-a_1.0-0~bookworm/ros-d-a.log"
    given = options(tmp_path, row(log=str(log)), url="https://x.org/excuses/d/")
    looked = run_module("deb_build_mails", given, check=True)
    assert (looked["changed"], looked["mails"][0]["recipient"]) == (True, "team@example.org")
    assert tree(tmp_path) == {}
    done = run_module("deb_build_mails", given)
    assert (done["changed"], done["mails"], done["diff"]) == (True, looked["mails"], looked["diff"])
    (mail,) = read_mails(tmp_path)
    assert "https://x.org/excuses/d/logs/bookworm-amd64/ros-d-a_1.0-0~bookworm.txt" in str(mail.get_payload())
    before = tree(tmp_path)
    assert run_module("deb_build_mails", given)["changed"] is False
    assert tree(tmp_path) == before


def test_a_run_that_is_killed_after_it_sent_sends_no_second_mail(tmp_path: Path) -> None:
    given, record = options(tmp_path, row()), tmp_path / "builds/mails.json"
    run_module("deb_build_mails", given)
    told = tell_news(Told("d"), [row()], Contacts(distribution="team@example.org"))
    record.write_bytes(told.format())  # as it was before the mail was off it
    done = run_module("deb_build_mails", {**given, "results": [row(at=NOW + 7)]})
    assert len(read_mails(tmp_path)) == 1
    assert done["mails"][0]["subject"] == "d: 1 build failed"
    assert json.loads(record.read_text())["outbox"] == []


@pytest.fixture
def server() -> Iterator[Smtpd]:
    with smtpd() as running:
        yield running


def test_a_mail_whose_fate_is_unknown_waits_for_a_person(tmp_path: Path, server: Smtpd) -> None:
    smtp = {"maildir": None, "host": "127.0.0.1", "port": server.port, "tls": "none", "role": "debs_results"}
    given = options(tmp_path, row(), **smtp)
    server.answers["."] = "gone"
    assert "It may have been sent" in run_module("deb_build_mails", given)["msg"]
    server.answers.clear()
    asked = run_module("deb_build_mails", given)["msg"]
    assert "-e debs_results_arrived=true" in asked
    assert server.mails == [] or len(server.mails) == 1
    sent = len(server.mails)
    assert run_module("deb_build_mails", {**given, "arrived": True})["changed"] is True
    assert run_module("deb_build_mails", given)["changed"] is False
    assert len(server.mails) == sent
    run_module("deb_build_mails", {**given, "results": [row(state="ok", at=NOW + 5)]})
    assert len(server.mails) == sent + 1


def test_results_that_are_none_are_refused_in_a_sentence(tmp_path: Path) -> None:
    answer = run_module("deb_build_mails", options(tmp_path, {"source": "x"}))
    assert "has no version" in answer["msg"]
    assert tree(tmp_path) == {}
