# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of a stack's source, and what each kind of repository can be asked; nothing outside is trusted here."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..errors import SlipwayError, refuse
from ..escape import redacted
from ..git.remote import Person
from ..release.names import find_ref_fault

#: The ways to a repository of each kind: any other may start a program of the address's choice.
SCHEMES: Mapping[str, frozenset[str]] = {
    "git": frozenset({"http", "https", "git", "ssh", "git+ssh", "ssh+git", "file"}),
    "svn": frozenset({"http", "https", "svn", "svn+ssh", "file"}),
    "hg": frozenset({"http", "https", "ssh", "file"}),
    "bzr": frozenset({"http", "https", "bzr", "bzr+ssh", "bzr+http", "bzr+https", "sftp", "lp", "file"}),
    "dsc": frozenset({"http", "https", "file"}),
}
KINDS = tuple(SCHEMES)
#: What a rule must say for the development line to be found.
_PLACES = {"git": ("uri", "dev-branch"), "hg": ("uri", "dev-branch"), "bzr": ("uri",), "svn": ("dev",), "dsc": ("uri",)}
_TAGS = {"release": "release-tag", "distro": "distro-tag"}
#: An account and a machine; neither can be taken for an option of a program.
_HOST = re.compile(
    r"(?:[A-Za-z0-9._~%+][A-Za-z0-9._~%+-]*@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)?(?::[0-9]+)?\Z"
)
#: ``me@host:path``, as git takes it; a second colon would name a program that is to be run.
_SCP = re.compile(r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?![:/]{2})[^:].*\Z")
#: ``lp:~me/project/branch`` names no machine.
_LAUNCHPAD = re.compile(r"lp:[A-Za-z0-9~+._/-]+\Z")
#: What Mercurial and Bazaar read as more than a name.
_NO_NAME = re.compile(r"['\"\\:,]|\A[-.]\Z|\A(?:tip|null|[0-9]+)\Z")
#: 1980-01-01, before which zip knows no time; and how much a developer's clock may be ahead of ours.
_EARLIEST, _AHEAD = 315532800, 86400


@dataclass(frozen=True)
class Source:
    """Where a stack's source is: the address, the branch where that has one, and the tags by their purpose."""

    kind: str
    uri: str
    branch: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """An exact revision. Places with the same ``identity`` hold the same files, whatever they are called.

    ``epoch`` is when it was made, as it says, where that came with the rest.
    """

    uri: str
    revision: str
    identity: str
    epoch: int | None = None


@dataclass(frozen=True)
class Tag:
    """A tag that is there; git's also have a kind, and are signed or not."""

    name: str
    place: Place
    kind: str | None = None
    signed: bool | None = None


class Repository(Protocol):
    """What can be asked of a repository of any kind, and done to it."""

    def find_head(self) -> Place:
        """The development line as it is now."""

    def find_revision(self, revision: str) -> Place:
        """A revision by its exact name."""

    def find_tag(self, name: str) -> Tag | None:
        """A tag as it is now."""

    def export(self, place: Place, target: Path) -> None:
        """Write the files of a revision to ``target``, which is absent."""

    def find_epoch(self, place: Place) -> int | None:
        """When a revision was made, as it says; of what was exported just now, no server is asked for more."""


class TagRepository(Repository, Protocol):
    """A repository in which tags are set by a client's own command."""

    def set_tag(self, name: str, place: Place, *, before: Tag | None, message: str, person: Person) -> None:
        """Make the tag, or move the one that was found before; what somebody else did meanwhile is a failure."""


def read_source(kind: str, values: Mapping[str, object], *, anonymous: bool = False) -> Source:
    """The source that the values of a rule name, each of them checked; ``anonymous`` prefers their ``anon-`` twins."""
    if kind not in SCHEMES:
        raise SlipwayError("use the source", repr(kind), "it is of no known kind", do_next=f"Use {', '.join(KINDS)}.")
    chosen = {
        name: _choose(values, name, anonymous=anonymous) for name in (*_PLACES[kind], "dev-branch", *_TAGS.values())
    }
    refuse(
        "use the rules of",
        f"a stack's source ({kind})",
        [f"{name}: {fault}" for name, value in chosen.items() if (fault := _find_fault(kind, name, value)) is not None],
        do_next="Correct the distro file and run again.",
    )
    texts = {name: None if value is None else str(value) for name, value in chosen.items()}
    address = texts["dev" if kind == "svn" else "uri"] or ""
    tags = {} if kind == "dsc" else {purpose: texts[name] for purpose, name in _TAGS.items()}
    if kind == "svn":
        address = normalise_url(address)
        tags = {purpose: url and normalise_url(url) for purpose, url in tags.items()}
    return Source(kind, address, texts["dev-branch"] if kind in ("git", "hg", "bzr") else None, tags)


def require_tag(source: Source, purpose: str) -> str:
    """The name of the tag of that purpose; it has none while the stack has no version."""
    name = source.tags.get(purpose)
    if name is None:
        raise SlipwayError(
            "find",
            f"the {purpose} tag of {redacted(source.uri)}",
            "a source package has no tags" if source.kind == "dsc" else f"the rules say no {_TAGS[purpose]}",
            do_next="Give the stack a version and a rule for its tag in the distro file.",
        )
    return name


def accept_epoch(epoch: int | None) -> int | None:
    """The time of a revision, unless no file should have it: from before 1980, or from after tomorrow."""
    return epoch if epoch is not None and _EARLIEST <= epoch <= time.time() + _AHEAD else None


def find_address_fault(kind: str, address: str) -> str | None:
    """Why an address is not used; ``None`` if it may be."""
    if not address or not address.isprintable() or address != address.strip():
        return "it is empty, begins or ends with a blank, or holds a control character"
    if address.startswith("/"):
        return "it is a path; Subversion wants file://PATH" if kind == "svn" else None
    try:
        parts = urlsplit(address)
        host, password = parts.netloc, parts.password
    except ValueError:  # its message may have the password in it
        return "it is no address"
    if parts.scheme == "lp" and kind == "bzr":
        return None if _LAUNCHPAD.match(address) else "it is no address at Launchpad"
    if "://" not in address:
        return None if kind == "git" and _SCP.match(address) else "it is neither a URL nor an absolute path"
    if parts.scheme not in SCHEMES[kind]:
        return f"{parts.scheme}:// is not among {', '.join(sorted(SCHEMES[kind]))}"
    if password is not None and not (kind == "git" and parts.scheme in ("http", "https")):
        return "it holds a password, which others could read; give it in the client's own settings"
    bare = host.rpartition("@")[2] if password is not None else host
    if not _HOST.match(bare) or (not bare and parts.scheme != "file"):
        return "it names no machine"
    if parts.fragment or (kind in ("svn", "dsc") and parts.query):
        return "it has more than a path after the machine's name"
    return None


def find_name_fault(kind: str, name: str) -> str | None:
    """Why a name cannot be one of a tag or a branch; ``None`` if it can."""
    if kind == "git":
        return find_ref_fault(name)
    if not name or not name.isprintable() or name != name.strip():
        return "it is empty, begins or ends with a blank, or holds a control character"
    if name.startswith("-"):
        return "it begins with '-', which a program takes for an option"
    found = _NO_NAME.search(name)
    return f"it holds {found.group()!r}, which means something else there" if found else None


def normalise_url(url: str) -> str:
    """A Subversion URL in the one form that the client reads as nothing else: what follows ``@`` is no revision."""
    parts = urlsplit(url)
    path = quote("/".join(part for part in unquote(parts.path).split("/") if part), safe="/!$&()*+,-.:;=_~")
    return urlunsplit((parts.scheme.lower(), _normalise_host(parts.scheme, parts.netloc), f"/{path}", "", ""))


def join_branch(uri: str, branch: str | None) -> str:
    """The address of a branch of Bazaar: a directory below the repository's, or that itself."""
    return uri if branch in (None, "", ".") else f"{uri.rstrip('/')}/{quote(branch or '', safe='/+~')}"


def _normalise_host(scheme: str, netloc: str) -> str:
    user, at, host = netloc.rpartition("@")
    port = {"http": ":80", "https": ":443", "svn": ":3690"}.get(scheme.lower(), "")
    return f"{user}{at}{host.lower().removesuffix(port) if port else host.lower()}"


def _choose(values: Mapping[str, object], name: str, *, anonymous: bool) -> object:
    twin = values.get(f"anon-{name}") if anonymous else None
    return values.get(name) if twin is None else twin


def _find_fault(kind: str, name: str, value: object) -> str | None:
    if value is None:
        return "it is missing" if name in _PLACES[kind] else None
    if not isinstance(value, str):
        return f"it is {value!r} and not text"
    if name in ("uri", "dev") or (kind == "svn" and name in _TAGS.values()):
        fault = find_address_fault(kind, value)
        return fault or ("it leads out of its place" if ".." in unquote(urlsplit(value).path).split("/") else None)
    if name == "dev-branch" and kind in ("svn", "dsc"):
        return None
    if name == "dev-branch" and kind == "bzr":
        return None if value == "." else find_name_fault(kind, value) or _find_path_fault(value)
    return None if kind == "dsc" else find_name_fault(kind, value)


def _find_path_fault(path: str) -> str | None:
    bad = path.startswith("/") or {"..", "."} & set(path.split("/"))
    return "it is not a path below the repository" if bad else None
