# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients of Subversion, Mercurial and Bazaar, under settings of our own.

A person's settings may change bytes and start programs, so the clients do not see them; what says how to reach a server
is taken over: ssh's agent and proxies by the environment, and for

* Subversion the file ``servers`` and the credentials below ``auth`` of ``~/.subversion``;
* Mercurial the sections ``auth``, ``http_proxy``, ``hostsecurity`` and ``hostfingerprints`` of ``~/.hgrc`` (or
  ``$XDG_CONFIG_HOME/hg/hgrc``), and ``ssh`` of ``ui``;
* Bazaar the file ``authentication.conf`` of ``~/.config/breezy``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import make_scratch, write_atomic
from ..process import SSH_OPTIONS, Completed, run

DO_NEXT = "Check the repository's address and your access to it, and run again."
#: How the clients start ssh, unless the person says otherwise.
_SSH = ("ssh", *(f"-o{option}" for option in SSH_OPTIONS))
_HG_SECTIONS = frozenset({"auth", "http_proxy", "hostsecurity", "hostfingerprints"})
_HG_SECTION = re.compile(r"\[([^\[]+)\]\s*\Z")


@dataclass(frozen=True)
class Client:
    """A client's program with its settings; ``home`` is a private directory for what is made meanwhile."""

    home: Path
    timeout: float
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        program: str,
        *words: str,
        attempt: str,
        on: str,
        stdin: bytes | None = None,
        ok_codes: Sequence[int] = (0,),
        do_next: str = DO_NEXT,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a program of the client, within its time."""
        return run(
            [program, *self.options, *words],
            attempt=attempt,
            on=on,
            do_next=do_next,
            cwd=self.home if cwd is None else cwd,
            env=self.environment,
            stdin=stdin,
            timeout=self.timeout,
            ok_codes=ok_codes,
        )


@contextlib.contextmanager
def provide_client(kind: str, *, timeout: float) -> Iterator[Client]:
    """The client of a kind of repository, for the time of the block."""
    with make_scratch(f"slipway-{kind}-") as scratch:
        options, environment = _PREPARE[kind](scratch)
        yield Client(scratch, timeout, options, environment)


def _prepare_svn(scratch: Path) -> tuple[list[str], dict[str, str]]:
    mine = scratch / "settings"
    mine.mkdir()
    for name in ("servers", "auth"):
        _link_theirs(_find_home() / ".subversion" / name, mine / name)
    ssh = os.environ.get("SVN_SSH") or " ".join([*_SSH, "-q", "--"])
    return ["--non-interactive", "--no-auth-cache", "--config-dir", str(mine)], {"SVN_SSH": ssh}


def _prepare_hg(scratch: Path) -> tuple[list[str], dict[str, str]]:
    kept = [line for path in _find_hgrcs() for line in select_settings(path.read_text("utf-8", "replace"))]
    settings = ["[ui]", f"ssh = {' '.join(_SSH)}", *kept]
    write_atomic(scratch / "hgrc", "".join(f"{line}\n" for line in settings).encode(), mode=0o600)
    plain = {"HGPLAIN": "+strictflags", "HGENCODING": "UTF-8"}  # strictflags: no word of a command is an option of hg
    return ["--noninteractive"], {"HGRCPATH": str(scratch / "hgrc"), **plain}


def _prepare_bzr(scratch: Path) -> tuple[list[str], dict[str, str]]:
    mine = scratch / "breezy"
    mine.mkdir()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or _find_home() / ".config")
    _link_theirs(settings / "breezy/authentication.conf", mine / "authentication.conf")
    kept = {name: os.environ[name] for name in ("BRZ_SSH",) if name in os.environ}
    quiet = {"BRZ_LOG": os.devnull, "BRZ_PROGRESS_BAR": "none", "BRZ_EMAIL": "Slipway <slipway@localhost>"}
    plugins = {"BRZ_PLUGIN_PATH": "-user:-site:+core", "BRZ_PLUGINS_AT": ""}
    # Breezy works with the Python that is first in PATH, which may be that of an environment without it.
    path = os.environ.get("PATH", os.defpath)
    kept["PATH"] = os.pathsep.join([os.path.dirname(shutil.which("brz") or ""), path]).lstrip(os.pathsep)
    return ["--no-aliases"], {**kept, "BRZ_HOME": str(scratch), "BZR_HOME": str(scratch), **quiet, **plugins}


_PREPARE: Mapping[str, Callable[[Path], tuple[list[str], dict[str, str]]]] = {
    "svn": _prepare_svn,
    "hg": _prepare_hg,
    "bzr": _prepare_bzr,
}


def select_settings(text: str) -> Iterator[str]:
    """The lines of a person's hgrc that say how to reach a server: no extension, no hook, no other file."""
    section, keeps = "", False
    for line in text.splitlines():
        if found := _HG_SECTION.match(line):
            section, keeps = found[1].strip(), False
            if section in (*_HG_SECTIONS, "ui"):
                yield f"[{section}]"
        elif line[:1] in (" ", "\t"):  # it continues the line before
            if keeps:
                yield line
        else:
            key = line.partition("=")[0].strip()
            keeps = bool(key) and key[0] not in "#;%" and (section in _HG_SECTIONS or (section, key) == ("ui", "ssh"))
            if keeps:
                yield line


def _find_hgrcs() -> list[Path]:
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or _find_home() / ".config")
    return [path for path in (settings / "hg/hgrc", _find_home() / ".hgrc") if path.is_file()]


def _find_home() -> Path:
    return Path(os.path.expanduser("~"))


def _link_theirs(theirs: Path, mine: Path) -> None:
    if theirs.exists():
        mine.symlink_to(theirs)
