# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The property ``svn:externals`` where it is: in a repository, or in a working copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ..errors import SlipwayError
from ..process import summarise_output
from .client import DO_NEXT, Client, provide_client
from .externals import PROPERTY, Base, StackTags, Update, update_externals
from .source import find_address_fault, normalise_url
from .svn import SvnRepository

TIMEOUT = 300.0
_ABSENT = "W200017"


@dataclass(frozen=True)
class Updated:
    """The property's text before, what became of it, and the revision that was committed, if one was."""

    before: str
    update: Update
    commit: str | None
    changed: bool


def update_remote(
    url: str, stacks: Sequence[StackTags], *, message: str, timeout: float = TIMEOUT, write: bool = True
) -> Updated:
    """Update the property of a directory of a repository, by one commit that fails if somebody else was quicker."""
    fault = find_address_fault("svn", url)
    if fault is not None:
        raise SlipwayError("use", "the address of the directory", fault, do_next="Correct it and run again.")
    with provide_client("svn", timeout=timeout) as client:
        repository = SvnRepository(normalise_url(url), client)
        node = repository.require_node(normalise_url(url))
        before = _read_property(client, f"{node.url}@{node.revision}", "--revision", str(node.revision))
        update = update_externals(before, Base(node.url, node.root), stacks)
        if not update.changes or not write:
            return Updated(before, update, None, changed=bool(update.changes))
        words = ("--revision", str(node.revision), f"--message={message}", "--", "propsetf", PROPERTY)
        value = _write_value(client, update.text)
        do_next = "If somebody committed there meanwhile, run again; else check your access to it."
        repository.run("svnmucc", *words, value, node.url, attempt="commit to", on=node.url, do_next=do_next)
        after = repository.require_node(node.url)
    return Updated(before, update, str(after.changed), changed=True)


def update_working_copy(
    directory: Path,
    stacks: Sequence[StackTags],
    *,
    message: str | None = None,
    timeout: float = TIMEOUT,
    write: bool = True,
) -> Updated:
    """Update the property of a directory of a working copy; with a ``message`` it is committed, and nothing else is."""
    target = f"{directory}@"
    with provide_client("svn", timeout=timeout) as client:
        base = _find_base(client, target)
        before = _read_property(client, target)
        update = update_externals(before, base, stacks)
        if message is not None:
            _refuse_other_changes(client, target)
        committed = _read_property(client, target, "--revision", "BASE") if message is not None else update.text
        if not write or update.text == before == committed:
            return Updated(before, update, None, changed=update.text != before or committed != before)
        on = str(directory)
        if update.text != before:
            words = ("propset", "--quiet", PROPERTY, f"--file={_write_value(client, update.text)}", target)
            client.run("svn", *words, attempt=f"set {PROPERTY} of", on=on)
        if message is None:
            return Updated(before, update, None, changed=True)
        words = ("commit", "--quiet", "--depth=empty", f"--message={message}", target)
        client.run("svn", *words, attempt="commit", on=on, do_next=f"Run `svn update {directory}`, and run again.")
        commit = _ask(client, target).get("changed")
    return Updated(before, update, commit, changed=True)


def _find_base(client: Client, target: str) -> Base:
    found = _ask(client, target)
    return Base(normalise_url(found["url"]), normalise_url(found["root"]))


def _ask(client: Client, target: str) -> dict[str, str]:
    done = client.run("svn", "info", "--xml", target, attempt="look at the working copy", on=target[:-1])
    entry = ElementTree.fromstring(done.stdout).find("entry")  # noqa: S314  # svn writes it, without entities
    commit = None if entry is None else entry.find("commit")
    if entry is None or commit is None:
        do_next = "Check out the directory, and run again."
        raise SlipwayError("look at the working copy", target[:-1], "it was never committed", do_next=do_next)
    root = entry.findtext("repository/root") or ""
    return {"url": entry.findtext("url") or "", "root": root, "changed": commit.get("revision") or ""}


def _read_property(client: Client, target: str, *words: str) -> str:
    """The property's text; empty if there is none."""
    name = target.rpartition("@")[0]
    command = ("propget", "--strict", *words, PROPERTY, target)
    done = client.run("svn", *command, attempt=f"read {PROPERTY} of", on=name, ok_codes=(0, 1))
    if done.returncode != 0 and _ABSENT not in done.stderr:
        fault = f"svn says: {summarise_output(done.stderr)}"
        raise SlipwayError(f"read {PROPERTY} of", name, fault, do_next=DO_NEXT)
    try:
        return done.raw.decode() if done.returncode == 0 else ""
    except UnicodeDecodeError as error:
        do_next = "Correct the property and run again."
        raise SlipwayError(f"read {PROPERTY} of", name, "it is not UTF-8", do_next=do_next) from error


def _refuse_other_changes(client: Client, target: str) -> None:
    """Refuse to commit what somebody else changed of the directory's properties."""
    now, committed = (_list_others(client, target, *words) for words in ((), ("--revision", "BASE")))
    different = sorted(name for name in now.keys() | committed.keys() if now.get(name) != committed.get(name))
    if different:
        do_next = "Commit or revert that, and run again."
        raise SlipwayError("commit", target[:-1], f"{', '.join(different)} of it was changed as well", do_next=do_next)


def _list_others(client: Client, target: str, *words: str) -> dict[str, str]:
    command = ("proplist", "--xml", "--verbose", "--depth=empty", *words, target)
    done = client.run("svn", *command, attempt="list the properties of", on=target[:-1])
    found = ElementTree.fromstring(done.stdout).iter("property")  # noqa: S314  # svn writes it, without entities
    return {each.get("name") or "": each.text or "" for each in found if each.get("name") != PROPERTY}


def _write_value(client: Client, text: str) -> str:
    path = client.home / "value"
    path.write_bytes(text.encode())
    return str(path)
