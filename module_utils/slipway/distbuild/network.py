# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs builds on their controllers: all sockets, deadlines and interruptions in one loop."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from .caller import open_callers, open_terminal
from .initiator import Build

RECEIVE = 1 << 16
#: No longer than this without a look at the clock.
MAX_SLEEP = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """A request to end this run: ``reason`` is empty while there is none, ``urgent`` is set by a second one."""

    def __init__(self, *, output: int | None = None) -> None:
        self.reason = ""
        self.urgent = False
        self.wake, self._bell = socket.socketpair()
        self.wake.setblocking(False)
        self._bell.setblocking(False)
        #: What becomes ready when somebody is gone: who reads our result, and the Ansible that we work for.
        self.ends: dict[int, str] = {}
        if output is not None and _is_pipe(output):
            self.ends[output] = "the reader of the result is gone"
        self._callers, self._terminal = open_callers(), open_terminal()
        self.ends.update(dict.fromkeys(self._callers, "the ansible-playbook that started it is gone"))

    def interrupt(self, reason: str) -> None:
        """End this run; may be called from a signal handler or another thread."""
        self.urgent = bool(self.reason)
        self.reason = self.reason or reason
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def tell(self, text: str) -> None:
        """Say on the terminal of who interrupted this run how it ended."""
        if self._terminal is not None and self.reason:
            shown = "".join(character if character.isprintable() else "?" for character in text)
            with contextlib.suppress(OSError):
                os.write(self._terminal, f"{shown}\n".encode())

    def close(self) -> None:
        """Nothing is listened to any more."""
        self.wake.close()
        self._bell.close()
        for descriptor in [*self._callers, *([] if self._terminal is None else [self._terminal])]:
            os.close(descriptor)


@contextlib.contextmanager
def handle_interruptions(*, output: int | None = None) -> Iterator[Interruption]:
    """An :class:`Interruption` that signals (in the main thread), a hang-up of ``output`` and Ansible's end cause."""
    interruption = Interruption(output=output)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            before[number] = signal.signal(number, lambda n, _: interruption.interrupt(signal.Signals(n).name))
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        interruption.close()


def run_builds(
    builds: Sequence[Build],
    *,
    interruption: Interruption | None = None,
    on_change: Callable[[Build], None] = lambda _build: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run every build to its end. ``on_change`` is called whenever a build's controller id changes or it ends."""
    with selectors.DefaultSelector() as selector:
        lines = [_Connection(build, selector, on_change) for build in builds]
        if interruption is not None:
            selector.register(interruption.wake, selectors.EVENT_READ, interruption)
            for descriptor in interruption.ends:
                selector.register(descriptor, selectors.EVENT_READ, interruption)
        try:
            while any(line.build.phase != "ended" for line in lines):
                _run_turn(lines, selector, interruption, clock)
        finally:
            for line in lines:
                line.hang_up()


def _run_turn(
    lines: Sequence[_Connection],
    selector: selectors.BaseSelector,
    interruption: Interruption | None,
    clock: Callable[[], float],
) -> None:
    now = clock()
    wakes = min(line.build.next_deadline() for line in lines if line.build.phase != "ended")
    for key, mask in selector.select(max(0.0, min(MAX_SLEEP, wakes - now))):
        if isinstance(key.data, _Connection):
            key.data.handle_ready(mask, clock())
        else:
            _handle_interruption(key, selector, key.data)
    now = clock()
    if interruption is not None and interruption.reason:
        for line in lines:
            line.build.interrupt(interruption.reason, now)
            if interruption.urgent:
                line.build.abandon(now)
    for line in lines:
        line.build.tick(now)
        line.settle(now)


def _handle_interruption(
    key: selectors.SelectorKey, selector: selectors.BaseSelector, interruption: Interruption
) -> None:
    if key.fileobj is interruption.wake:
        with contextlib.suppress(BlockingIOError):
            interruption.wake.recv(64)
    else:
        selector.unregister(key.fileobj)
        if not interruption.reason:  # one end leads to another
            interruption.interrupt(interruption.ends[key.fd])


class _Connection:
    """The connection of one build, opened again as often as the build needs it."""

    def __init__(self, build: Build, selector: selectors.BaseSelector, on_change: Callable[[Build], None]) -> None:
        self.build = build
        self._selector = selector
        self._on_change = on_change
        self._socket: socket.socket | None = None
        self._addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]] = []
        self._mask = 0
        self._known = ""

    def settle(self, now: float) -> None:
        """Open the connection that the build needs, send its bytes, and report changes."""
        if self.build.phase in ("wanted", "ended"):
            self.hang_up()
        if self.build.phase == "wanted" and now >= self.build.connect_at:
            self._resolve(now)
        if self._socket is not None:
            self._select_events()
        known = f"{self.build.id} {self.build.initiator} {self.build.phase == 'ended'}"
        if known != self._known:
            self._known = known
            self._on_change(self.build)

    def handle_ready(self, mask: int, now: float) -> None:
        """The socket has something to read or takes something to write."""
        if self._socket is None:
            return
        if self.build.phase == "connecting":
            self._finish_connecting(now)
            return
        try:
            if mask & selectors.EVENT_WRITE and self.build.outgoing():
                sent = self._socket.send(self.build.outgoing())
                del self.build.outgoing()[:sent]
            if mask & selectors.EVENT_READ:
                data = self._socket.recv(RECEIVE)
                if data:
                    self.build.receive(data, now)
                else:
                    self.build.connection_lost("the controller closed the connection", now)
        except BlockingIOError:
            pass
        except OSError as error:
            self.build.connection_lost(f"the connection broke ({error.strerror or error})", now)

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _resolve(self, now: float) -> None:
        host, port = self.build.controller.host, self.build.controller.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.build.connection_lost(
                f"the name {host} cannot be resolved ({getattr(error, 'strerror', None) or error})", now
            )
            return
        self._addresses = [(each[0], each[4]) for each in found]
        self.build.connection_begun(now)
        self._connect(now)

    def _connect(self, now: float) -> None:
        family, address = self._addresses.pop(0)
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._mask = selectors.EVENT_WRITE
        self._selector.register(self._socket, self._mask, self)
        try:
            self._socket.connect(address)
        except BlockingIOError:
            pass  # it goes on; the selector tells how it ends
        except OSError as error:
            self._try_next_address(error, now)

    def _finish_connecting(self, now: float) -> None:
        if self._socket is None:
            raise AssertionError("self._socket is always set here")
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._try_next_address(OSError(number, os.strerror(number)), now)
        else:
            host, port = self._socket.getsockname()[:2]
            self.build.connection_made(now, f"{host}:{port}")

    def _try_next_address(self, error: OSError, now: float) -> None:
        self.hang_up()
        if self._addresses:
            self._connect(now)
        else:
            self.build.connection_lost(f"the connection was refused ({error.strerror or error})", now)

    def _select_events(self) -> None:
        mask = selectors.EVENT_WRITE
        if self.build.phase != "connecting":
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.build.outgoing() else 0)
        if mask != self._mask and self._socket is not None:
            self._mask = mask
            self._selector.modify(self._socket, mask, self)


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False
