# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run other programs: every program that Slipway starts is started here."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import SlipwayError
from .files import open_log

#: What is kept of a program's output in memory; the log keeps all of it.
TAIL_BYTES = 1 << 20
READ_BYTES = 1 << 16
#: A line that a terminal would show anew, as programs do for their progress, ends as well.
LINE_END = re.compile(rb"\r?\n|\r(?!\n|\Z)")
#: Seconds between asking a program to end and ending it.
GRACE = 10.0
#: What an operating system refuses: a program goes on to complain of what follows from it, often in many lines.
CAUSE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Permission denied|Too many open files"
    r"|Cannot allocate memory|Input/output error",
    re.IGNORECASE,
)
#: What is kept of the caller's environment: where programs and files are, who the person is, and how to reach servers.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LD_LIBRARY_PATH|XDG_\w+|SSH_AUTH_SOCK|SSH_ASKPASS(_REQUIRE)?|KRB5\w+|APT_CONFIG|RSYNC_(RSH|PROXY)"
    r"|GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|PROXY_COMMAND|ALLOW_PROTOCOL|SSL_\w+|HTTP_PROXY_\w+)"
    r"|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|PARAMETERS|KEY_[0-9]+|VALUE_[0-9]+)"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?i:https?|ftp|all|no)_(?i:proxy)"
)
#: ssh never asks; a peer that is silent for a quarter of a minute is dead, one that is only busy is not.
SSH_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3")
#: What decides which bytes git reads and writes, which programs it starts, and how long it waits; the last word counts.
#: The template directory is git's own, since some programs want the directories that it brings.
GIT_SETTINGS = (
    ("safe.directory", "*"),
    ("safe.bareRepository", "all"),
    ("advice.detachedHead", "false"),
    ("color.ui", "false"),
    ("core.attributesFile", os.devnull),
    ("core.autocrlf", "false"),
    ("core.eol", "lf"),
    ("core.excludesFile", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", os.devnull),
    ("core.quotePath", "true"),
    ("commit.gpgSign", "false"),
    ("fetch.prune", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("init.defaultObjectFormat", "sha1"),
    ("init.templateDir", "/usr/share/git-core/templates"),
    ("log.showSignature", "false"),
    ("push.followTags", "false"),
    ("push.gpgSign", "false"),
    ("push.recurseSubmodules", "no"),
    ("submodule.recurse", "false"),
    ("tag.forceSignAnnotated", "false"),
    ("tag.gpgSign", "false"),
)
#: What modules and programs make is for readers; what is secret has a mode of its own.
UMASK = 0o022


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit status and its decoded output; ``raw`` is the output's bytes."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    raw: bytes = b""


def make_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every program: what is :data:`KEPT` of the caller's, a fixed locale and time zone, git's
    settings, and ``extra``.
    """
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    if not kept.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"} and not _has_ssh_command(tuple(sorted(kept.items()))):
        kept["GIT_SSH_COMMAND"] = " ".join(["ssh", *(f"-o{option}" for option in SSH_OPTIONS)])
    ours = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **ours, **configure_git(), **(extra or {})}


def configure_git(*more: tuple[str, str]) -> dict[str, str]:
    """The variables by which git learns of the person's settings, and then of :data:`GIT_SETTINGS` and ``more``."""
    stated = os.environ.get("GIT_CONFIG_COUNT", "")
    count = int(stated) if stated.isdecimal() else 0
    settings = (*GIT_SETTINGS, *more)
    variables = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings, count):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    if inherited := os.environ.get("GIT_CONFIG_PARAMETERS"):  # of a `git -c`, which would have the last word
        ours = " ".join("'{}={}'".format(key, value.replace("'", "'\\''")) for key, value in settings)
        variables["GIT_CONFIG_PARAMETERS"] = f"{inherited} {ours}"
    return variables


@functools.lru_cache(maxsize=8)
def _has_ssh_command(kept: tuple[tuple[str, str], ...]) -> bool:
    """Whether the person's own git settings say how to start ssh; without git, nobody starts it so."""
    count = {name: value for name, value in os.environ.items() if name == "GIT_CONFIG_COUNT"}
    try:
        asked = subprocess.run(
            ["git", f"--git-dir={os.devnull}", "config", "--get", "core.sshCommand"],
            env={**dict(kept), **count},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def run(
    argv: Sequence[str],
    *,
    attempt: str,
    on: str = "",
    do_next: str = "Look at the message above and run the same command again.",
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600.0,
    log: str | os.PathLike[str] | None = None,
    on_line: Callable[[str], None] | None = None,
    ok_codes: Sequence[int] = (0,),
) -> Completed:
    """Run ``argv`` without a shell and wait for it, at most ``timeout`` seconds.

    With ``log`` (appended to) or ``on_line``, standard output and error are one stream, written and
    passed on line by line while the program runs; ``stdout`` then holds the last megabyte of it.
    A missing program, another exit status than ``ok_codes`` and the end of the time raise
    :class:`SlipwayError`; on a time-out the program's whole process group is ended.
    """
    words = tuple(str(word) for word in argv)
    merged = log is not None or on_line is not None
    where = None if log is None else os.fspath(log)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill_group(process)

    timer = threading.Timer(timeout, expire)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            cwd=cwd,
            env=make_environment(env),
            umask=UMASK,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        missing = words[0] if cwd is None or Path(cwd).is_dir() else f"the directory {cwd}"
        raise SlipwayError(
            attempt, on, f"{missing} was not found", do_next="Install it, or correct the path, and run again."
        ) from error
    except OSError as error:
        raise SlipwayError(attempt, on, f"{words[0]} did not start: {error}", do_next=do_next) from error
    try:
        timer.start()
        if merged:
            out, err = _stream_output(process, stdin=stdin, log=where, on_line=on_line), b""
        else:
            out, err = process.communicate(stdin)
        code = process.wait()
    except BaseException:
        _kill_group(process)
        process.wait()
        raise
    finally:
        timer.cancel()
    done = Completed(words, code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), out)
    if expired.is_set() and code != 0:
        raise SlipwayError(attempt, on, f"{words[0]} was ended after {timeout:.0f} s", do_next=do_next, log=where)
    if code not in ok_codes:
        summary = summarise_output(done.stderr or done.stdout)
        how = f"{words[0]} ended with status {code}" if code >= 0 else f"{words[0]} was ended by signal {-code}"
        raise SlipwayError(attempt, on, f"{how}: {summary}" if summary else how, do_next=do_next, log=where)
    return done


def read_version(*command: str, env: Mapping[str, str] | None = None, ok_codes: Sequence[int] = (0,)) -> str:
    """What a program says of its version, in its first line."""
    done = run(command, attempt="ask for the version of", on=command[0], env=env, timeout=60, ok_codes=ok_codes)
    return (done.stdout.strip() or done.stderr.strip()).split("\n", 1)[0]


def summarise_output(text: str, count: int = 3) -> str:
    """The last ``count`` lines of ``text`` that are not blank, and before them the first that names a cause, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = next((line for line in lines if CAUSE.search(line)), None)
    last = lines[-count:]
    return " / ".join([cause, *last] if cause is not None and cause not in last else last)


def _stream_output(
    process: subprocess.Popen[bytes], *, stdin: bytes | None, log: str | None, on_line: Callable[[str], None] | None
) -> bytes:
    feeder = None
    if stdin is not None and process.stdin is not None:
        feeder = threading.Thread(target=_feed_input, args=(process.stdin, stdin), daemon=True)
        feeder.start()
    tail = bytearray()
    if process.stdout is None:
        raise AssertionError("process.stdout is always set here")
    with open(os.devnull if log is None else open_log(log), "ab", buffering=0) as sink, process.stdout as output:
        begun = b""
        while raw := os.read(output.fileno(), READ_BYTES):
            sink.write(raw)
            tail += raw
            del tail[: max(0, len(tail) - TAIL_BYTES)]
            if on_line is not None:
                *lines, begun = LINE_END.split(begun[-TAIL_BYTES:] + raw)
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
        if on_line is not None and begun:
            on_line(begun.decode("utf-8", "replace"))
    if feeder is not None:
        feeder.join(timeout=5)
    return bytes(tail)


def _feed_input(pipe: IO[bytes], data: bytes) -> None:
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        pass  # the program ended without reading all of it; its exit status tells the rest


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started, which may outlive it and hold its output open."""
    deadline = time.monotonic() + GRACE
    with contextlib.suppress(ProcessLookupError):  # the group is gone
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
