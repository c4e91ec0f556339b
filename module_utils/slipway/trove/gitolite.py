# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access to the repositories of a Trove: gitolite's configuration, written from plain values."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import write_atomic
from ..process import run
from .manifest import list_repositories

NAME = re.compile(r"[0-9a-zA-Z][-0-9a-zA-Z._+]*\Z")
#: The user by whose name gitolite knows what anybody may read.
ANYBODY = "daemon"
#: What gitolite takes as a pattern of repositories and of refs, without what would be a second word or line.
PATTERN = re.compile(r"[0-9a-zA-Z[][-0-9a-zA-Z._@/+\\^$|()[\]*?{},]*\Z")
REF = re.compile(r"refs/[-0-9a-zA-Z._@/+\\^$|()[\]*?{},]+\Z")
KEY = re.compile(r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}(?: [^\n\r]*)?\Z")
MARK = "slipway-applied"
TIMEOUT = 600.0

SETTINGS = """\
# Written by the provisioning: what is changed here is changed back.
%RC = (
    UMASK           => 0027,
    GIT_CONFIG_KEYS => '',
    LOG_EXTRA       => 1,
    LOCAL_CODE      => "{code}",
    ENABLE          => [ 'help', 'info', 'desc', 'writable', 'no-create-on-read', 'ssh-authkeys', 'daemon' ],
);
1;
"""


@dataclass(frozen=True)
class User:
    """Somebody with SSH keys."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """What holds for the repositories whose whole path matches ``pattern``, a regular expression.

    ``writers`` push, ``creators`` also make new ones by pushing to them, ``readers`` only read; ``public``: anybody
    reads.
    """

    pattern: str
    writers: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    public: bool = True


@dataclass(frozen=True)
class Access:
    """The access rules. ``protected`` refs (patterns) are made and moved forward, nothing else."""

    users: tuple[User, ...]
    admins: tuple[str, ...]
    rules: tuple[Rule, ...]
    protected: tuple[str, ...]


def format_configuration(access: Access) -> str:
    """The text of gitolite.conf.

    gitolite takes the first line that matches, in the order of the file and over all the patterns that a repository
    matches. So what protects refs comes before everything that would allow more.
    """
    check_access(access)
    admins = " ".join(access.admins)
    everything = "[0-9a-zA-Z].*"
    lines = [
        "# Written by the provisioning: what is changed here is changed back.",
        "# This repository shows it; nobody pushes here.",
        "repo gitolite-admin",
        "    option deny-rules = 1",
        *([f"    R = {admins}"] if admins else []),
        "    - = @all",
    ]
    for rule in access.rules:
        lines += _format_stanza(
            rule.pattern, [("RW", ref, (*rule.writers, *rule.creators)) for ref in access.protected]
        )
    lines += _format_stanza(everything, [("RW", ref, access.admins) for ref in access.protected])
    lines += _format_stanza(everything, [("-", ref, ("@all",)) for ref in access.protected])
    for rule in access.rules:
        lines += _format_stanza(
            rule.pattern,
            [
                ("C", "", rule.creators),
                ("RW+", "", (*rule.writers, *rule.creators)),
                ("R", "", (*rule.readers, *([ANYBODY, "@all"] if rule.public else []))),
            ],
        )
    lines += _format_stanza(everything, [("C", "", access.admins), ("RW+", "", access.admins)])
    return "\n".join(lines) + "\n"


def check_access(access: Access) -> None:
    """Refuse names, keys and patterns that would mean something else in gitolite's files."""
    wrong = []
    known = [user.name for user in access.users]
    wrong += [f"the user {name!r} is there twice" for name in sorted({name for name in known if known.count(name) > 1})]
    for user in access.users:
        if not NAME.match(user.name) or user.name in (ANYBODY, "gitweb"):
            wrong.append(f"{user.name!r} is not a name for a user")
        wrong += [f"a key of {user.name!r} is not a public SSH key" for key in user.keys if not KEY.match(key)]
        if not user.keys:
            wrong.append(f"the user {user.name!r} has no key")
    named = [(name, "admins") for name in access.admins]
    for rule in access.rules:
        if not PATTERN.match(rule.pattern):
            wrong.append(f"{rule.pattern!r} is not a pattern of repositories")
        named += [(name, rule.pattern) for name in (*rule.writers, *rule.creators, *rule.readers)]
    wrong += [f"{name!r} of {where} is none of the users" for name, where in named if name not in known]
    wrong += [f"{ref!r} is not a pattern of refs" for ref in access.protected if not REF.match(ref)]
    refuse("configure the access to", "the Trove", wrong, summary="the settings are not valid", do_next="Correct it.")


def make_files(access: Access, *, code: str) -> dict[str, str]:
    """What is to be below the home directory of gitolite's user: path -> text."""
    wanted = {".gitolite.rc": SETTINGS.format(code=code), ".gitolite/conf/gitolite.conf": format_configuration(access)}
    for user in access.users:
        for number, key in enumerate(user.keys):
            # gitolite takes several keys of one user from as many directories.
            wanted[f".gitolite/keydir/{number}/{user.name}.pub"] = key.strip() + "\n"
    return wanted


def apply_access(
    home: Path, repositories: Path, access: Access, *, code: str, write: bool = True
) -> dict[str, tuple[str, str]]:
    """Apply the access rules to every repository; return the texts that changed, before and after.

    A repository that lacks gitolite's hooks counts as a changed text named by its path.
    """
    wanted = make_files(access, code=code)
    before = {name: _read_text(home / name) for name in {*wanted, *_list_keys(home)}}
    changed = {
        name: (before[name], wanted.get(name, "")) for name in sorted(before) if before[name] != wanted.get(name, "")
    }
    changed |= {f"{path}.git/hooks": ("", "gitolite's\n") for path in _find_unhooked(repositories)}
    digest = hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest() + "\n"
    mark = home / ".gitolite" / MARK
    if not changed and _read_text(mark) != digest:
        changed = {f".gitolite/{MARK}": (_read_text(mark), digest)}
    if not changed or not write:
        return changed
    # Whatever happens from here on, the next run sees that this one did not come to its end.
    mark.unlink(missing_ok=True)
    for name in changed:
        if name in wanted:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(home / name, wanted[name].encode(), mode=0o600)
        elif name in before:
            (home / name).unlink(missing_ok=True)
    (home / ".gitolite/logs").mkdir(parents=True, exist_ok=True)
    # Repositories from outside get their hooks by the first, and count as readable only after that: hence the second.
    for words in (["setup"], ["trigger", "POST_COMPILE"]):
        run(
            ["gitolite", *words],
            attempt="set up gitolite in",
            on=str(home),
            cwd=home,
            timeout=TIMEOUT,
            do_next="Look at its message, and at gitolite's log below .gitolite/logs, and run again.",
        )
    still = _find_unhooked(repositories)
    if still:
        raise SlipwayError(
            "set up gitolite in",
            str(home),
            f"{', '.join(still)} did not get its hooks",
            do_next="Check who owns these repositories, and run again.",
        )
    write_atomic(mark, digest.encode(), mode=0o600)
    return changed


def _format_stanza(pattern: str, lines: Sequence[tuple[str, str, Sequence[str]]]) -> list[str]:
    rows = [f"    {' '.join(filter(None, (right, ref)))} = {' '.join(who)}" for right, ref, who in lines if who]
    return ["", f"repo {pattern}", *rows] if rows else []


def _list_keys(home: Path) -> list[str]:
    top = home / ".gitolite/keydir"
    return [str(path.relative_to(home)) for path in top.rglob("*.pub")]


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _find_unhooked(toplevel: Path) -> list[str]:
    hooked = []
    for path in list_repositories(toplevel):
        link = toplevel / f"{path}.git/hooks/update"
        if not (link.is_symlink() and ".gitolite/hooks/" in os.readlink(link)):
            hooked.append(path)
    return hooked
