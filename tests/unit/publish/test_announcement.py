# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import email
import email.policy
import json
import mailbox
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from smtpd import Smtpd, smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import announcement
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.relay import Relay, send_mail, try_relay
from hypothesis import given
from hypothesis import strategies as st
from publishing import run_module, tree

MAIL: dict[str, Any] = {
    "sender": "Release Team <release@example.org>",
    "recipients": ["announce@lists.example.org", "Döris <d@example.org>"],
    "subject": "Baserock 26.47 — größer",
    "body": "Dear all,\n\nBaserock 26.47 is there: größer.\n",
    "message_id": "<baserock-26.47.announcement@example.org>",
    "date": 1795231628,
}
OPENSSL = [
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"),
    *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
    *("-addext", "basicConstraints=critical,CA:TRUE"),
]


@pytest.fixture
def server() -> Iterator[Smtpd]:
    with smtpd() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    top = tmp_path_factory.mktemp("tls")
    subprocess.run([*OPENSSL, "-keyout", top / "key", "-out", top / "cert"], check=True, capture_output=True)
    return str(top / "cert"), str(top / "key")


def relay(server: Smtpd, **options: Any) -> Relay:
    return Relay("127.0.0.1", server.port, **{"tls": "none", "timeout": 5, **options})


def test_a_mail_says_what_it_was_given() -> None:
    read = email.message_from_bytes(announcement.compose_mail(**MAIL).as_bytes(), policy=email.policy.default)
    assert read["Subject"] == MAIL["subject"]
    assert read["Message-ID"] == MAIL["message_id"]
    assert [address.addr_spec for address in read["To"].addresses] == ["announce@lists.example.org", "d@example.org"]
    assert read["Date"].datetime.timestamp() == MAIL["date"]
    assert read.get_content() == MAIL["body"]


def test_the_same_release_composes_the_same_mail() -> None:
    assert announcement.compose_mail(**MAIL).as_bytes() == announcement.compose_mail(**MAIL).as_bytes()


def test_a_plain_text_stays_readable_in_the_file() -> None:
    text = announcement.compose_mail(**{**MAIL, "body": "From here = there\n"}).as_string()
    assert "\nFrom here = there\n" in text
    assert "Content-Transfer-Encoding: 7bit" in text


def test_a_long_message_id_is_not_broken() -> None:
    long = f"<{'b' * 100}@{'e' * 100}.org>"
    assert f"Message-ID: {long}" in announcement.compose_mail(**{**MAIL, "message_id": long}).as_string()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"subject": "x\nBcc: all@example.org"}, "is not a subject of one line"),
        ({"subject": " "}, "is not a subject of one line"),
        ({"sender": "nobody"}, "'nobody' is not a mail address"),
        ({"sender": "A <a@b.c>\nBcc: x@y.z"}, "is not a mail address"),
        ({"recipients": ["a@b.c, d@e.f"]}, "is not a mail address"),
        ({"recipients": []}, "there are no recipients"),
        ({"message_id": "baserock"}, "is not a Message-ID of the form"),
        ({"message_id": "<a@b>\n"}, "is not a Message-ID of the form"),
        ({"body": "\n"}, "the text is empty"),
        ({"subject": "x\x1b[2J"}, "is not a subject of one line"),
        ({"subject": "x\u2028Bcc: y"}, "is not a subject of one line"),
        ({"subject": "26.47\u202e"}, "is not a subject of one line"),
        ({"sender": "A\u2029B <a@b.c>"}, "is not a mail address"),
        ({"recipients": ["\u202eA <a@b.c>"]}, "is not a mail address"),
    ],
)
def test_bad_input_is_one_sentence(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        announcement.compose_mail(**{**MAIL, **change})
    assert fault in str(caught.value)


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=200))
def test_no_text_can_forge_a_header(subject: str, body: str) -> None:
    try:
        mail = announcement.compose_mail(**{**MAIL, "subject": subject, "body": body})
    except SlipwayError:
        return
    read = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
    assert sorted(read.keys()) == sorted(mail.keys())


def test_a_body_holds_lines_of_text_and_nothing_that_acts() -> None:
    body = "a\r\nb\rc\x1b[2J\u202ed\x00\ttab\n.\nFrom here\n"
    read = email.message_from_bytes(
        announcement.compose_mail(**{**MAIL, "body": body}).as_bytes(), policy=email.policy.default
    )
    assert read.get_content() == "a\nb\ufffdc\ufffd[2J\ufffdd\ufffd\ttab\n.\nFrom here\n"


def test_a_maildir_gets_the_mail_once(tmp_path: Path) -> None:
    mail = announcement.compose_mail(**MAIL)
    maildir = tmp_path / "deep" / "mail"
    assert announcement.deliver_mail(maildir, mail)
    assert not announcement.deliver_mail(maildir, mail)
    (delivered,) = mailbox.Maildir(maildir, create=False)
    assert delivered["Message-ID"] == MAIL["message_id"]
    assert (maildir / "new").stat().st_mode & 0o777 == 0o700
    assert list((maildir / "tmp").iterdir()) == []


def test_a_mail_that_was_read_is_not_delivered_again(tmp_path: Path) -> None:
    mail = announcement.compose_mail(**MAIL)
    announcement.deliver_mail(tmp_path, mail)
    (path,) = (tmp_path / "new").iterdir()
    path.rename(tmp_path / "cur" / f"{path.name}:2,S")
    assert not announcement.deliver_mail(tmp_path, mail)
    other = announcement.compose_mail(**{**MAIL, "message_id": "<baserock-26.48.announcement@example.org>"})
    assert announcement.deliver_mail(tmp_path, other)


def test_deliveries_at_once_make_one_mail(tmp_path: Path) -> None:
    answers: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(announcement.deliver_mail(tmp_path, announcement.compose_mail(**MAIL)))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_half_made_maildir_is_completed(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert announcement.deliver_mail(tmp_path, announcement.compose_mail(**MAIL))


def test_smtp_carries_the_mail_to_every_recipient(server: Smtpd) -> None:
    assert send_mail(relay(server), announcement.compose_mail(**MAIL)) == {}
    ((recipients, data),) = server.mails
    assert recipients == ["announce@lists.example.org", "d@example.org"]
    read = email.message_from_bytes(data, policy=email.policy.default)
    assert read["Message-ID"] == MAIL["message_id"]
    assert read.get_content().replace("\r\n", "\n") == MAIL["body"]


@pytest.mark.parametrize("body", [".\n..\n.QUIT\nFrom here\n.", "größer\n.\nFrom here\n"])
def test_smtp_carries_dots_and_lines_that_begin_with_from_as_they_are(server: Smtpd, body: str) -> None:
    send_mail(relay(server), announcement.compose_mail(**{**MAIL, "body": body}))
    ((_, data),) = server.mails
    read = email.message_from_bytes(data, policy=email.policy.default)
    assert read.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


def test_smtp_logs_in_after_starttls(certificate: tuple[str, str]) -> None:
    with smtpd(certificate) as server:
        options = {"tls": "starttls", "ca_path": certificate[0], "user": "anne"}
        send_mail(relay(server, **options, password="right"), announcement.compose_mail(**MAIL))  # noqa: S106  # a test's
        assert server.logins == ["\0anne\0right"]
        assert len(server.mails) == 1
        with pytest.raises(SlipwayError, match="535 wrong.*nothing was sent"):
            send_mail(relay(server, **options, password="wrong"), announcement.compose_mail(**MAIL))  # noqa: S106  # a test's
        with pytest.raises(SlipwayError, match="certificate"):
            send_mail(relay(server, tls="starttls"), announcement.compose_mail(**MAIL))
        assert len(server.mails) == 1


def test_a_server_without_starttls_gets_no_mail(server: Smtpd) -> None:
    with pytest.raises(SlipwayError, match="STARTTLS extension not supported"):
        send_mail(relay(server, tls="starttls"), announcement.compose_mail(**MAIL))
    assert server.mails == []


def test_refused_recipients_are_named(server: Smtpd) -> None:
    server.refuses = {"d@example.org"}
    assert send_mail(relay(server), announcement.compose_mail(**MAIL)) == {"d@example.org": "550 nobody here"}
    assert len(server.mails) == 1
    server.refuses |= {"announce@lists.example.org"}
    with pytest.raises(SlipwayError, match="it refused every recipient") as caught:
        send_mail(relay(server), announcement.compose_mail(**MAIL))
    assert "d@example.org: 550 nobody here" in str(caught.value)
    assert len(server.mails) == 1


def test_a_server_that_is_down_is_one_sentence() -> None:
    down = Relay("127.0.0.1", 1, tls="none", timeout=2)
    with pytest.raises(SlipwayError, match="Could not send the announcement through 127.0.0.1:1: .*refused"):
        send_mail(down, announcement.compose_mail(**MAIL))


def test_the_module_delivers_once_and_shows_the_mail(tmp_path: Path) -> None:
    arguments = {**MAIL, "maildir": str(tmp_path / "mail")}
    would = run_module("announcement_mail", arguments, check=True)
    assert would["changed"]
    assert "Message-ID: <baserock-26.47.announcement@example.org>" in would["diff"]["after"]
    assert tree(tmp_path) == {}
    assert run_module("announcement_mail", arguments)["changed"]
    for check in (True, False):
        assert not run_module("announcement_mail", arguments, check=check)["changed"]
    (path,) = (tmp_path / "mail/new").iterdir()
    path.unlink()
    assert not run_module("announcement_mail", {**arguments, "already_sent": True})["changed"]


def test_what_a_server_says_after_it_took_the_mail_changes_nothing(server: Smtpd) -> None:
    for answer in ("421 4.4.2 closing", "250 bye", "gone", "silent", "drip", "x" * 3000):
        server.answers = {"QUIT": answer}
        began = time.monotonic()
        options = {"timeout": 0.3, "limit": 0.6}
        assert send_mail(relay(server, **options), announcement.compose_mail(**MAIL)) == {}
        assert time.monotonic() - began < 5
    assert len(server.mails) == 6


@pytest.mark.parametrize(
    "answer", ["gone", "silent", "drip", "no SMTP", "354 go on", "100 hm", "250-" + "x" * 70_000, "25"]
)
def test_a_mail_that_may_have_been_sent_is_told_and_not_sent_again_unasked(
    server: Smtpd, tmp_path: Path, answer: str
) -> None:
    journal, mail = tmp_path / "release" / "announcement.json", announcement.compose_mail(**MAIL)
    to = relay(server, timeout=0.3, limit=0.6)
    server.answers = {".": answer}
    began = time.monotonic()
    with pytest.raises(SlipwayError, match="It may have been sent. Look for the Message-ID") as caught:
        announcement.send_once(to, mail, journal=journal)
    assert time.monotonic() - began < 5
    for said in ("nothing was sent", "run again with the tag"):
        assert said not in str(caught.value).lower()
    for said in (MAIL["message_id"], "announce@lists.example.org", "-e release_announce_again=true"):
        assert said in str(caught.value)
    server.answers = {}
    for write in (True, False):
        with pytest.raises(SlipwayError, match=f"{MAIL['message_id']}.*-e release_announce_arrived=true"):
            announcement.send_once(to, mail, journal=journal, write=write)
    assert len(server.mails) == 1
    assert announcement.send_once(to, mail, journal=journal, again=True).changed
    assert not announcement.send_once(to, mail, journal=journal).changed
    assert not announcement.send_once(to, mail, journal=journal, again=True).changed, "both took it"
    assert len(server.mails) == 2


def test_a_mail_that_a_person_found_stands_as_sent(server: Smtpd, tmp_path: Path) -> None:
    journal, mail = tmp_path / "announcement.json", announcement.compose_mail(**MAIL)
    server.answers = {".": "gone"}
    with pytest.raises(SlipwayError, match="It may have been sent"):
        announcement.send_once(relay(server), mail, journal=journal)
    server.answers = {}
    for write in (False, True):
        assert announcement.send_once(relay(server), mail, journal=journal, arrived=True, write=write).changed
    assert not announcement.send_once(relay(server), mail, journal=journal).changed
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({".": "451 4.3.0 later"}, "451 4.3.0 later"),
        ({".": "554 no"}, "554 no"),
        ({".": "421 closing"}, "421 closing"),
        ({"DATA": "gone"}, "unexpectedly closed"),
        ({"DATA": "554 no"}, "554 no"),
        ({"MAIL": "550 not you"}, "550 not you"),
        ({"": "554 go away"}, "554 go away"),
        ({"": "drip"}, "no whole answer within 0.6 s"),
        ({"RCPT": "drip"}, "no whole answer within 0.6 s"),
        ({"EHLO": "drip"}, "no whole answer within 0.6 s"),
    ],
)
def test_where_the_server_did_not_take_it_nothing_was_sent_and_the_next_run_sends(
    server: Smtpd, tmp_path: Path, answers: dict[str, str], said: str
) -> None:
    journal, mail = tmp_path / "announcement.json", announcement.compose_mail(**MAIL)
    server.answers = answers
    with pytest.raises(SlipwayError, match="nothing was sent. Run again") as caught:
        announcement.send_once(relay(server, timeout=3, limit=0.6), mail, journal=journal)
    assert said in str(caught.value)
    assert not journal.exists()
    server.answers, server.mails[:] = {}, []
    assert announcement.send_once(relay(server), mail, journal=journal).changed
    assert len(server.mails) == 1


def test_a_definite_failure_of_another_try_leaves_the_first_one_unknown(server: Smtpd, tmp_path: Path) -> None:
    journal, mail = tmp_path / "announcement.json", announcement.compose_mail(**MAIL)
    for answer, again in (("gone", False), ("451 later", True)):
        server.answers = {".": answer}
        with pytest.raises(SlipwayError):
            announcement.send_once(relay(server), mail, journal=journal, again=again)
    server.answers = {}
    with pytest.raises(SlipwayError, match="it may have been sent at"):
        announcement.send_once(relay(server), mail, journal=journal)


def test_a_run_that_is_killed_while_the_server_thinks_is_told_of_by_the_next(server: Smtpd, tmp_path: Path) -> None:
    arguments = {**MAIL, "host": "127.0.0.1", "port": server.port, "tls": "none", "journal": f"{tmp_path}/a.json"}
    server.answers = {".": "silent"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible_collections.slipway.release.plugins.modules.announcement_mail"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        process.stdin.close()
        while not server.mails:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    server.answers = {}
    for check in (True, False):
        refused = run_module("announcement_mail", arguments, check=check)
        assert refused["failed"]
        assert MAIL["message_id"] in refused["msg"]
    assert len(server.mails) == 1
    assert run_module("announcement_mail", {**arguments, "arrived": True})["refused"] == []
    assert not run_module("announcement_mail", arguments)["changed"]
    assert len(server.mails) == 1


def test_only_those_get_it_again_whom_the_server_refused(server: Smtpd, tmp_path: Path) -> None:
    journal, mail = tmp_path / "announcement.json", announcement.compose_mail(**MAIL)
    server.refuses = {"d@example.org"}
    for _ in range(2):
        sending = announcement.send_once(relay(server), mail, journal=journal)
        assert sending.refused == {"d@example.org": "550 nobody here"}
    server.refuses = set()
    assert announcement.send_once(relay(server), mail, journal=journal, again=True, write=False).changed
    assert announcement.send_once(relay(server), mail, journal=journal, again=True).changed
    assert not announcement.send_once(relay(server), mail, journal=journal, again=True).changed
    assert [recipients for recipients, _ in server.mails] == [["announce@lists.example.org"], ["d@example.org"]]


def test_who_got_it_gets_no_second_one_after_another_try_of_unknown_fate(server: Smtpd, tmp_path: Path) -> None:
    journal, mail = tmp_path / "announcement.json", announcement.compose_mail(**MAIL)
    server.refuses = {"d@example.org"}
    announcement.send_once(relay(server), mail, journal=journal)
    server.refuses, server.answers = set(), {".": "gone"}
    with pytest.raises(SlipwayError, match="It may have been sent"):
        announcement.send_once(relay(server), mail, journal=journal, again=True)
    server.answers = {}
    with pytest.raises(SlipwayError, match=r"in what d@example\.org got"):
        announcement.send_once(relay(server), mail, journal=journal)
    announcement.send_once(relay(server), mail, journal=journal, again=True)
    everyone = [recipients for recipients, _ in server.mails]
    assert everyone == [["announce@lists.example.org"], ["d@example.org"], ["d@example.org"]]


def test_a_journal_that_cannot_be_read_sends_nothing(server: Smtpd, tmp_path: Path) -> None:
    (tmp_path / "announcement.json").write_text("{")
    with pytest.raises(SlipwayError, match="Could not learn whether the announcement was sent from .*cannot be read"):
        announcement.send_once(relay(server), announcement.compose_mail(**MAIL), journal=tmp_path / "announcement.json")
    assert server.mails == []


def test_a_relay_is_tried_without_a_mail(server: Smtpd) -> None:
    everyone = ["announce@lists.example.org", "d@example.org"]
    assert try_relay(relay(server), sender="release@example.org", recipients=everyone) == {}
    server.refuses = {"d@example.org"}
    refused = try_relay(relay(server), sender="release@example.org", recipients=everyone)
    assert refused == {"d@example.org": "550 nobody here"}
    assert server.mails == []
    assert "DATA" not in server.commands
    assert server.commands.count("RSET") == server.commands.count("QUIT") == 2
    server.answers = {"MAIL": "553 not from there"}
    with pytest.raises(SlipwayError, match="give a mail to 127.0.0.1:.*: 553 not from there.*lets release@example.org"):
        try_relay(relay(server), sender="release@example.org", recipients=everyone)


def test_the_module_sends_by_smtp_unless_the_record_says_so(server: Smtpd) -> None:
    arguments = {**MAIL, "host": "127.0.0.1", "port": server.port, "tls": "none"}
    assert run_module("announcement_mail", arguments, check=True)["changed"]
    assert server.mails == []
    assert run_module("announcement_mail", arguments)["changed"]
    assert not run_module("announcement_mail", {**arguments, "already_sent": True})["changed"]
    assert len(server.mails) == 1
    assert "mutually exclusive" in run_module("announcement_mail", {**arguments, "maildir": "/x"})["msg"]
    assert "one of the following" in run_module("announcement_mail", MAIL)["msg"]


def test_one_mail_to_all_of_an_earlier_version_counts_for_each_list(tmp_path: Path, server: Smtpd) -> None:
    earlier, recipients = tmp_path / "announcement.json", ["a@example.org", "b@example.org"]
    mail = announcement.compose_mail(**{**MAIL, "recipients": recipients})
    server.refuses = {"b@example.org"}
    announcement.send_once(relay(server), mail, journal=earlier)
    server.refuses = set()
    for address, changed in (("a@example.org", False), ("b@example.org", True), ("c@example.org", True)):
        single = announcement.compose_mail(**{**MAIL, "recipients": [address]})
        words: dict[str, Any] = {"journal": tmp_path / f"{address}.json", "earlier": earlier}
        assert announcement.send_once(relay(server), single, **words).changed == changed
        assert not announcement.send_once(relay(server), single, **words).changed
    assert [to for to, _ in server.mails] == [["a@example.org"], ["b@example.org"], ["c@example.org"]]


def test_one_mail_whose_fate_is_unknown_is_unknown_for_each_list(tmp_path: Path, server: Smtpd) -> None:
    earlier = tmp_path / "announcement.json"
    server.answers = {".": "gone"}
    mail = announcement.compose_mail(**{**MAIL, "recipients": ["a@example.org"]})
    with pytest.raises(SlipwayError, match="It may have been sent"):
        announcement.send_once(relay(server), mail, journal=earlier)
    server.answers = {}
    words: dict[str, Any] = {"journal": tmp_path / "a.json", "earlier": earlier}
    with pytest.raises(SlipwayError, match="it may have been sent at 20"):
        announcement.send_once(relay(server), mail, **words)
    announcement.send_once(relay(server), mail, **words, arrived=True)
    assert not announcement.send_once(relay(server), mail, **words).changed
    assert len(server.mails) == 1


def test_a_mail_that_its_reader_took_away_is_not_delivered_again_to_a_maildir(tmp_path: Path) -> None:
    mail, maildir = announcement.compose_mail(**MAIL), tmp_path / "mail"
    assert announcement.deliver_once(maildir, mail, journal=tmp_path / "a.json")
    (delivered,) = (maildir / "new").iterdir()
    delivered.unlink()
    assert not announcement.deliver_once(maildir, mail, journal=tmp_path / "a.json")
    assert announcement.deliver_once(maildir, mail, journal=tmp_path / "a.json", again=True)
