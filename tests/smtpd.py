# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small SMTP server on the loopback interface that keeps what it is sent."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Smtpd(socketserver.ThreadingTCPServer):
    """Takes every mail except for ``refuses``; with a certificate it offers STARTTLS and wants a login after it.

    ``answers`` are other ones than the usual to a command, to the connection ("") or to a mail's end ("."): "gone"
    closes the connection, "silent" says nothing, "drip" says it, and for ever more of it, byte by byte.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[tuple[list[str], bytes]] = []
        self.logins: list[str] = []
        self.refuses: set[str] = set()
        self.answers: dict[str, str] = {}
        self.commands: list[str] = []
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, as one does that distrusts the certificate, is no news."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: Smtpd
    encrypted = False

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def say_otherwise(self, verb: str) -> bool:
        """Give an unusual answer, if there is one; False ends the session."""
        match self.server.answers[verb]:
            case "gone":
                return False
            case "silent":
                self.rfile.read()
                return False
            case "drip":
                while True:
                    self.wfile.write(b"2")
                    time.sleep(0.02)
            case answer:
                self.say(answer)
        return True

    def handle(self) -> None:
        if "" in self.server.answers and not self.say_otherwise(""):
            return
        self.say("220 test")
        recipients: list[str] = []
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            self.server.commands.append(verb.upper())
            if verb.upper() in self.server.answers:
                if not self.say_otherwise(verb.upper()):
                    return
                continue
            match verb.upper():
                case "EHLO" if self.server.context and not self.encrypted:
                    self.say("250-test\r\n250 STARTTLS")
                case "EHLO":
                    self.say("250-test\r\n250 AUTH PLAIN")
                case "STARTTLS" if self.server.context:
                    self.say("220 go")
                    self.request = self.server.context.wrap_socket(self.request, server_side=True)
                    self.setup()
                    self.encrypted = True
                case "AUTH":
                    self.server.logins.append(base64.b64decode(rest.split()[1]).decode())
                    self.say("235 welcome" if self.server.logins[-1].endswith("right") else "535 wrong")
                case "MAIL" if self.server.context and not self.server.logins:
                    self.say("530 log in first")
                case "RCPT":
                    address = rest.partition(":")[2].strip("<>")
                    if address in self.server.refuses:
                        self.say("550 nobody here")
                    else:
                        recipients.append(address)
                        self.say("250 ok")
                case "DATA":
                    self.say("354 go")
                    self.server.mails.append((recipients, self.data()))
                    if "." not in self.server.answers:
                        self.say("250 taken")
                    elif not self.say_otherwise("."):
                        return
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)


@contextmanager
def smtpd(certificate: tuple[str, str] | None = None) -> Iterator[Smtpd]:
    """Serve until the end of the block."""
    with Smtpd(certificate) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
