# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An SMTP server that mails are sent through, within bounds, and what it is known to have taken.

It takes a mail when it answers the mail's end. Between that end and its answer nobody on this side knows; what it says
to the QUIT after its answer changes nothing any more.
"""

from __future__ import annotations

import contextlib
import email.policy
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import IO, Any

from ..errors import SlipwayError

#: The end of a mail: a dot on a line of its own.
END = b"\r\n.\r\n"
ATTEMPT = "send the announcement through"
REFUSALS = (OSError, smtplib.SMTPException, ValueError)


@dataclass(frozen=True)
class Relay:
    """An SMTP server; ``tls`` is ``starttls``, ``implicit`` or ``none``.

    ``timeout`` is how long it may be silent, and ``limit`` how long all of an exchange may take, in seconds.
    """

    host: str
    port: int
    tls: str = "starttls"
    user: str | None = None
    password: str | None = None
    ca_path: str | None = None
    timeout: float = 30.0
    limit: float = 300.0
    #: Whose variables tell what became of a mail whose fate is unknown.
    role: str = "release_announce"

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        return f"{self.host}:{self.port}"


class MaybeSentError(SlipwayError):
    """The relay had the whole mail, and did not say what it did with it."""


class _Lines:
    """What comes over a connection, in whole lines."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.close = stream.close

    def readline(self, size: int) -> bytes:
        line = self._stream.readline(size)
        if line and len(line) < size and not line.endswith(b"\n"):
            raise ConnectionResetError("it ended within a line")
        return line


class _Client(smtplib.SMTP):
    """A connection that ends when its time is over, and knows whether the relay may have taken the mail."""

    limit = 0.0
    _host: str
    unknown = False
    expired = False
    _ender: threading.Timer | None = None
    _line: socket.socket | None = None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # typeshed does not know it
        self._line = line.dup()  # TLS takes the other one over
        self._ender = threading.Timer(self.limit, self._expire)
        self._ender.daemon = True
        self._ender.start()
        return line

    def _expire(self) -> None:
        """End the connection under whoever waits for it: a byte now and then ends no other wait."""
        self.expired = True
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer; half a line is none."""
        if self.file is None and self.sock is not None:
            self.file = _Lines(self.sock.makefile("rb"))
        return super().getreply()

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Hand the mail over. Whatever happens after its end, except for an answer, leaves its fate unknown."""
        code, answer = self.docmd("data")
        if code != 354:
            raise smtplib.SMTPDataError(code, answer)
        whole = re.sub(rb"(?m)^\.", b"..", bytes(msg)).removesuffix(b"\r\n")
        self.send(whole)
        self.unknown = True
        self.send(END)
        code, answer = self.getreply()
        if not (200 <= code < 300 or 400 <= code < 600):
            raise smtplib.SMTPServerDisconnected(f"it answered {code} {decode_answer(answer)}".rstrip())
        self.unknown = False
        return (250 if code < 300 else code), answer

    def end(self, *, politely: bool) -> None:
        """Close the connection; what the relay says to that is of no interest."""
        if politely:
            with contextlib.suppress(*REFUSALS):
                self.quit()
        self.close()
        for resource in (self._ender, self._line):
            if isinstance(resource, threading.Timer):
                resource.cancel()
            elif resource is not None:
                resource.close()


class _SecureClient(smtplib.SMTP_SSL, _Client):
    """The same, encrypted from the beginning."""


def send_mail(relay: Relay, mail: EmailMessage, recipients: Sequence[str] | None = None) -> dict[str, str]:
    """Give the mail to an SMTP server, for ``recipients`` of it, or all; those that it refused, and why.

    :class:`MaybeSentError` means that its fate is unknown, any other failure that nobody got it.
    """
    client, everyone = _make_client(relay), list_addresses(mail) if recipients is None else recipients
    try:
        with _open_session(client, relay):
            refused = _transmit(client, mail, everyone)
    except smtplib.SMTPRecipientsRefused as error:
        raise SlipwayError(
            ATTEMPT,
            relay.host,
            "it refused every recipient",
            do_next="Correct the recipients, or ask the server's administrator, and run again.",
            findings=[f"{address}: {reason}" for address, reason in sorted(_read_refusals(error.recipients).items())],
        ) from error
    except REFUSALS as error:
        reason = _explain(error, relay, client)
        if client.unknown:
            raise _unknown_error(relay, mail, reason, everyone) from error
        raise SlipwayError(
            ATTEMPT,
            relay.address,
            reason,
            do_next="Check the mail settings; nothing was sent. Run again.",
        ) from error
    return _read_refusals(refused)


def try_relay(relay: Relay, *, sender: str, recipients: Sequence[str]) -> dict[str, str]:
    """Go as far as a mail goes before its text, and leave; the recipients that the server refuses, and why."""
    client = _make_client(relay)
    refused: dict[str, tuple[int, bytes]] = {}
    try:
        with _open_session(client, relay):
            client.ehlo_or_helo_if_needed()
            code, answer = client.mail(sender)
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, answer, sender)
            for address in recipients:
                code, answer = client.rcpt(address)
                if code not in (250, 251):
                    refused[address] = code, answer
            client.rset()
    except REFUSALS as error:
        raise SlipwayError(
            "give a mail to",
            relay.address,
            _explain(error, relay, client),
            do_next=f"Check the mail settings, and whether that server lets {sender} send from here.",
        ) from error
    return _read_refusals(refused)


def list_addresses(mail: EmailMessage) -> list[str]:
    """Whom the mail is for."""
    return [each.addr_spec for each in mail["To"].addresses]


def decode_answer(answer: bytes | str) -> str:
    """What a server says, as text."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def explain_search(relay: Relay, message_id: str, recipients: Sequence[str]) -> str:
    """What to do about a mail whose fate is unknown."""
    return (
        f"Look for the Message-ID {message_id} in what {', '.join(recipients)} got, such as a list's archive, or in "
        f"the server's log. If it is there, run again with -e {relay.role}_arrived=true; if it is not, with "
        f"-e {relay.role}_again=true, which sends it again."
    )


def _make_client(relay: Relay) -> _Client:
    """A client that is not connected yet."""
    context = ssl.create_default_context(cafile=relay.ca_path) if relay.tls == "implicit" else None
    client = _SecureClient(timeout=relay.timeout, context=context) if context else _Client(timeout=relay.timeout)
    client.limit, client._host = relay.limit, relay.host  # the name that the certificate has to bear
    return client


@contextlib.contextmanager
def _open_session(client: _Client, relay: Relay) -> Iterator[None]:
    """Connect so that mail can be sent, and close the connection afterwards."""
    done = False
    try:
        code, answer = client.connect(relay.host, relay.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        if relay.tls == "starttls":
            client.starttls(context=ssl.create_default_context(cafile=relay.ca_path))
        if relay.user is not None:
            client.login(relay.user, relay.password or "")
        yield
        done = True
    finally:
        client.end(politely=done)


def _transmit(client: _Client, mail: EmailMessage, recipients: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """The mail as it is: smtplib itself would write ``>From`` for a line that begins with ``From``."""
    sender = mail["From"].addresses[0].addr_spec
    international = not "".join([sender, *recipients]).isascii()
    client.ehlo_or_helo_if_needed()
    if international and not client.has_extn("smtputf8"):
        raise smtplib.SMTPNotSupportedError("it takes no addresses with other letters than ASCII (SMTPUTF8)")
    text = mail.as_bytes(policy=email.policy.SMTP.clone(utf8=international))
    options = ["SMTPUTF8", "BODY=8BITMIME"] if international else []
    return client.sendmail(sender, list(recipients), text, options)


def _unknown_error(relay: Relay, mail: EmailMessage, reason: str, recipients: Sequence[str]) -> MaybeSentError:
    return MaybeSentError(
        ATTEMPT,
        relay.address,
        f"it had got the whole mail, and then, before it said whether it takes it: {reason}. It may have been sent",
        do_next=explain_search(relay, str(mail["Message-ID"]), recipients),
    )


def _explain(error: Exception, relay: Relay, client: _Client) -> str:
    if client.expired:
        return f"no whole answer within {relay.limit:g} s"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {decode_answer(error.smtp_error)}"
    return str(error) or type(error).__name__


def _read_refusals(refused: dict[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: f"{code} {decode_answer(answer)}" for address, (code, answer) in refused.items()}
