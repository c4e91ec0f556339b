# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import email
import email.policy
import mailbox
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from smtpd import Smtpd, smtpd
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import announcement
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


def relay(server: Smtpd, **options: Any) -> announcement.Relay:
    return announcement.Relay("127.0.0.1", server.port, **{"tls": "none", "timeout": 5, **options})


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
    except (SlipwayError, UnicodeError):
        return
    read = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
    assert sorted(read.keys()) == sorted(mail.keys())


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
    assert announcement.send_mail(relay(server), announcement.compose_mail(**MAIL)) == []
    ((recipients, data),) = server.mails
    assert recipients == ["announce@lists.example.org", "d@example.org"]
    read = email.message_from_bytes(data, policy=email.policy.default)
    assert read["Message-ID"] == MAIL["message_id"]
    assert read.get_content().replace("\r\n", "\n") == MAIL["body"]


def test_smtp_logs_in_after_starttls(certificate: tuple[str, str]) -> None:
    with smtpd(certificate) as server:
        options = {"tls": "starttls", "ca_path": certificate[0], "user": "anne"}
        announcement.send_mail(relay(server, **options, password="right"), announcement.compose_mail(**MAIL))  # noqa: S106  # a test's
        assert server.logins == ["\0anne\0right"]
        assert len(server.mails) == 1
        with pytest.raises(SlipwayError, match="535 wrong.*nothing was sent"):
            announcement.send_mail(relay(server, **options, password="wrong"), announcement.compose_mail(**MAIL))  # noqa: S106  # a test's
        with pytest.raises(SlipwayError, match="certificate"):
            announcement.send_mail(relay(server, tls="starttls"), announcement.compose_mail(**MAIL))
        assert len(server.mails) == 1


def test_a_server_without_starttls_gets_no_mail(server: Smtpd) -> None:
    with pytest.raises(SlipwayError, match="STARTTLS extension not supported"):
        announcement.send_mail(relay(server, tls="starttls"), announcement.compose_mail(**MAIL))
    assert server.mails == []


def test_refused_recipients_are_named(server: Smtpd) -> None:
    server.refuses = {"d@example.org"}
    assert announcement.send_mail(relay(server), announcement.compose_mail(**MAIL)) == ["d@example.org"]
    assert len(server.mails) == 1
    server.refuses |= {"announce@lists.example.org"}
    with pytest.raises(SlipwayError, match="it refused every recipient") as caught:
        announcement.send_mail(relay(server), announcement.compose_mail(**MAIL))
    assert "d@example.org: 550 nobody here" in str(caught.value)
    assert len(server.mails) == 1


def test_a_server_that_is_down_is_one_sentence() -> None:
    down = announcement.Relay("127.0.0.1", 1, tls="none", timeout=2)
    with pytest.raises(SlipwayError, match="Could not send the announcement through 127.0.0.1:1: .*refused"):
        announcement.send_mail(down, announcement.compose_mail(**MAIL))


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


def test_the_module_sends_by_smtp_unless_the_record_says_so(server: Smtpd) -> None:
    arguments = {**MAIL, "host": "127.0.0.1", "port": server.port, "tls": "none"}
    assert run_module("announcement_mail", arguments, check=True)["changed"]
    assert server.mails == []
    assert run_module("announcement_mail", arguments)["changed"]
    assert not run_module("announcement_mail", {**arguments, "already_sent": True})["changed"]
    assert len(server.mails) == 1
    assert "mutually exclusive" in run_module("announcement_mail", {**arguments, "maildir": "/x"})["msg"]
    assert "one of the following" in run_module("announcement_mail", MAIL)["msg"]
