# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A project that is to be released: what its definitions are, and the directory from which it is."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_directory, make_scratch
from ..git.remote import COMMIT, Person, list_remote_refs, run_git
from ..git.tree import FILE, PROGRAM, Entry, commit_tree
from ..release.names import find_ref_fault
from ..yamltext import Node, NotPlainError, read
from .cluster import sanitise_path
from .definitions import Definitions, open_commit
from .request import ARCHITECTURES
from .systems import list_systems_at

CLUSTER = "clusters/release.morph"
#: The name of a repository's default branch, as git tells it.
HEAD = "ref: refs/heads/"
#: What BuildStream projects call the architectures that have names of their own here.
SPELLINGS = {
    "x86_64": ("x86_64", "x86-64", "amd64"),
    "x86_32": ("x86_32", "x86-32", "i686", "i386"),
    "armv7lhf": ("armv7lhf", "armhf", "aarch32"),
    "armv8l64": ("armv8l64", "aarch64", "arm64"),
}
DESCRIBED = "as docs/definitions.md describes it"


@dataclass(frozen=True)
class Survey:
    """What there is to know of definitions before they are released for the first time.

    ``options`` are what each architecture is built with, where the project has an option for that.
    """

    url: str
    ref: str
    commit: str
    cluster: str
    systems: list[dict[str, Any]]
    architectures: list[str]
    options: dict[str, dict[str, str]]


@dataclass(frozen=True)
class NewFile:
    """A file to write; ``path`` leads down from the top."""

    path: str
    content: str
    program: bool = False


def survey_definitions(url: str, *, ref: str = "", cluster: str = "", timeout: float = 60.0) -> Survey:
    """Look at the definitions at ``url``, at their default branch and only cluster file unless others are given."""
    url = _check_address(url)
    refs = list_remote_refs(url, attempt="reach the definitions at", timeout=timeout)
    if not any(name.startswith("refs/") for name in refs):
        raise SlipwayError(
            "use the definitions at", redacted(url), "there is no commit yet", do_next="Push some, and run again."
        )
    name, commit = _choose_ref(url, refs, ref, timeout=timeout)
    with open_commit(url, commit) as repository:
        definitions = Definitions(repository, commit, f"{redacted(url)} at {name}")
        settings = _read_settings(definitions)
        file = _choose_cluster(definitions, cluster)
        systems = list_systems_at(repository, commit, cluster=file, known=ARCHITECTURES)
    if foreign := [system["file"] for system in systems if not system["file"].endswith(".bst")]:
        raise SlipwayError(
            "use the cluster",
            f"{file} of {redacted(url)}",
            f"BuildStream does not build {', '.join(foreign)}",
            do_next="Morph's networks do: begin with a copy of inventory/example/baserock instead.",
        )
    architectures = list(dict.fromkeys(system["architecture"] for system in systems))
    return Survey(url, name, commit, file, systems, architectures, find_options(settings, architectures))


def find_options(settings: Mapping[str, Node], architectures: Iterable[str]) -> dict[str, dict[str, str]]:
    """What a project's option for architectures has to be for each of them; nothing, if it has no such option."""
    options = settings["options"].mapping if "options" in settings else None
    for name, node in (options or {}).items():
        stated = node.mapping or {}
        listed = stated["values"].items if "values" in stated else None
        values = [value.text for value in listed or []]
        found = {
            each: next((word for word in SPELLINGS.get(each, (each,)) if word in values), None)
            for each in architectures
        }
        if found and all(found.values()):
            return {each: {name: str(word)} for each, word in found.items()}
    return {}


def write_project(
    path: Path, files: Sequence[NewFile], *, definitions: Sequence[NewFile] = (), branch: str = "main", person: Person
) -> str | None:
    """Write the directory of a project, whole or not at all; return the commit of its own definitions, if it has any.

    These are a git repository below ``definitions``, in which everything is committed.
    """
    make_directory(path.parent)
    with make_scratch(f".making-{path.name}-", directory=path.parent) as scratch:
        top = scratch / path.name
        _write_files(top, files)
        commit = _commit_definitions(top / "definitions", definitions, branch, person) if definitions else None
        check_free(path)
        os.rename(top, path)
    return commit


def check_free(path: Path) -> None:
    """Refuse a place that is taken."""
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        return
    mine = "" if not (path / "group_vars/all.yml").is_file() else f", or go on with this one: make -C {path} release"
    raise SlipwayError(
        "make the project in", str(path), "it is there already", do_next=f"Choose another directory{mine}."
    )


def find_author() -> tuple[str, str] | None:
    """The name and the mail address with which this person commits, by git's own settings."""
    found = [
        run_git("config", "--get", f"user.{key}", attempt="read the settings of", on="git", ok_codes=(0, 1)).stdout
        for key in ("name", "email")
    ]
    name, email = (text.strip() for text in found)
    return (name, email) if name and email else None


def _check_address(url: str) -> str:
    """The address, which is absolute if it is a path; what git or Ansible would take for something else is refused."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or url.startswith("-") or not url.isprintable() or any(each in url for each in '{}"\\'):
        raise SlipwayError("use the address", redacted(url), "it is none", do_next="Correct it, and run again.")
    if parts.password is not None:
        raise SlipwayError(
            "use the address",
            redacted(url),
            "it has a password, which would be written into a file",
            do_next="Leave it out, and give it to git's credential helper, or use ssh; then run again.",
        )
    return os.path.abspath(url) if os.path.isdir(url) else url


def _choose_ref(url: str, refs: Mapping[str, str], wanted: str, *, timeout: float) -> tuple[str, str]:
    """The ref to release, the default branch unless another is wanted, and its commit."""
    if COMMIT.match(wanted):
        return wanted, wanted
    if wanted and (fault := find_ref_fault(wanted)):
        raise SlipwayError("use the branch", repr(wanted), fault, do_next="Correct it, and run again.")
    branches = {
        name.removeprefix("refs/heads/"): commit for name, commit in refs.items() if name.startswith("refs/heads/")
    }
    if not wanted:
        asked = run_git(
            *("ls-remote", "--symref", "--", url, "HEAD"),
            attempt="find the default branch of",
            on=redacted(url),
            timeout=timeout,
        ).stdout
        heads = [line.removeprefix(HEAD).split("\t")[0] for line in asked.splitlines() if line.startswith(HEAD)]
        usual = [name for name in heads if name in branches] or (list(branches) if len(branches) == 1 else [])
        if not usual:
            raise SlipwayError(
                "find the default branch of",
                redacted(url),
                f"its HEAD names none that is there ({', '.join(sorted(branches)[:8]) or 'it has no branches'})",
                do_next="Say which branch is to be released (REF=NAME), and run again.",
            )
        wanted = usual[0]
    commit = branches.get(wanted) or refs.get(f"refs/tags/{wanted}^{{}}") or refs.get(f"refs/tags/{wanted}")
    if commit is None:
        raise SlipwayError(
            "find",
            f"{wanted} in {redacted(url)}",
            "it has no branch or tag of this name",
            do_next=f"Its branches are {', '.join(sorted(branches)[:8]) or 'none'}: choose one, and run again.",
        )
    return wanted, commit


def _read_settings(definitions: Definitions) -> Mapping[str, Node]:
    """What ``project.conf`` says."""
    data = definitions.read(["project.conf"])["project.conf"]
    attempt, on = "use the definitions in", definitions.name
    if data is None:
        below = [path for path in definitions.list_paths() if posixpath.basename(path) == "project.conf"]
        where = (
            f"{below[0]} is not at the top" if below else "there is no project.conf, so it is no BuildStream project"
        )
        raise SlipwayError(attempt, on, where, do_next=f"Make a BuildStream project of it, {DESCRIBED}, and run again.")
    try:
        mapping = read(data)[0].mapping
    except NotPlainError as error:
        raise SlipwayError(attempt, on, f"project.conf: {error}", do_next="Correct it, and run again.") from error
    if mapping is None:
        raise SlipwayError(attempt, on, "project.conf is not a mapping", do_next="Correct it, and run again.")
    return mapping


def _choose_cluster(definitions: Definitions, wanted: str) -> str:
    """The cluster file: the one that is wanted, the one of the usual name, or the only one."""
    paths = definitions.list_paths()
    attempt, on = "find a cluster file in", definitions.name
    if wanted:
        if (path := sanitise_path(wanted)) in paths:
            return path
        near = [name for name in paths if posixpath.basename(name) == posixpath.basename(path)]
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise SlipwayError(attempt, on, f"there is no {path}{hint}", do_next="Correct the path, and run again.")
    if CLUSTER in paths:
        return CLUSTER
    suffixes = (".morph", ".yml", ".yaml")
    candidates = [path for path in paths if path.endswith(suffixes) and len(PurePosixPath(path).parts) <= 2]
    found = [path for path, data in definitions.read(candidates).items() if _is_cluster(data)]
    if len(found) == 1:
        return found[0]
    several = f"there are {len(found)}: {', '.join(found)}"
    raise SlipwayError(
        attempt,
        on,
        several if found else f"there is none, which would say what a release is made of ({CLUSTER})",
        do_next="Say which one (CLUSTER=PATH), and run again."
        if found
        else f"Add one, {DESCRIBED}, push it, and run again.",
    )


def _is_cluster(data: bytes | None) -> bool:
    try:
        kind = (read(data or b"{}")[0].mapping or {}).get("kind")
    except NotPlainError:
        return False
    return kind is not None and kind.text == "cluster"


def _write_files(top: Path, files: Sequence[NewFile]) -> None:
    make_directory(top)
    for file in files:
        path = top / file.path
        make_directory(path.parent)
        path.write_text(file.content, encoding="utf-8")
        path.chmod(0o755 if file.program else 0o644)


def _commit_definitions(directory: Path, files: Sequence[NewFile], branch: str, person: Person) -> str:
    """Make a repository of files, with a work tree of them; the same files by the same person are the same commit."""
    _write_files(directory, files)
    tree = {file.path.encode(): Entry(PROGRAM if file.program else FILE, file.content.encode()) for file in files}
    repository = directory / ".git"
    message = "Begin with two systems\n"
    commit = commit_tree(repository, tree, refs=[f"refs/heads/{branch}"], message=message, person=person)
    for words in (("config", "core.bare", "false"), ("reset", "--quiet", "--mixed")):
        run_git(*words, attempt="make a repository in", on=str(directory), repository=repository, tree=directory)
    return commit
