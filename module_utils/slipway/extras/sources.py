# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sources of components: in the git repositories of a Trove, or as BuildStream checks them out."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ..buildstream.command import Project, format_options, run_bst
from ..buildstream.session import extract_complaint
from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_scratch
from ..git.remote import COMMIT, list_remote_refs, run_git
from ..plan.definitions import open_commit
from .licences import SourceFile, clip, is_text
from .manifest import Component

#: The short forms of addresses in Baserock's definitions; ``{trove}`` is the site's own.
ALIASES = {
    "baserock": "{trove}/baserock/%s",
    "freedesktop": "git://anongit.freedesktop.org/%s",
    "github": "git://github.com/%s",
    "gnome": "git://git.gnome.org/%s",
    "upstream": "{trove}/delta/%s",
}
ALIASED = re.compile(r"(?P<alias>[A-Za-z][\w+.-]*):(?!//)(?P<rest>.+)\Z")
#: How much of a tree is in memory at a time, and what is too large to be a source that somebody wrote.
PORTION, LARGEST = 32 << 20, 16 << 20
FETCH_TIMEOUT = 1800.0


class Sources(Protocol):
    """Where the files of components are."""

    def find_commit(self, component: Component) -> str:
        """What the component's ref means: the same always has the same files."""

    def open_files(self, component: Component) -> contextlib.AbstractContextManager[Iterator[SourceFile]]:
        """The files that may say something in words."""

    def read_named(self, component: Component, names: Sequence[str]) -> dict[str, str]:
        """The text of those of these files that are there."""


@dataclass(frozen=True)
class GitSources:
    """Repositories of a Trove, by the addresses that definitions have; ``aliases`` go before those that are known."""

    trove: str
    aliases: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, repo: str) -> str:
        """The address of a repository: a directory of this machine if it is one."""
        found = ALIASED.match(repo)
        url = repo
        if found is not None:
            known = {**ALIASES, **self.aliases}
            if found["alias"] not in known:
                raise SlipwayError(
                    "find the repository",
                    repo,
                    f"the alias {found['alias']} is not known; known are {', '.join(sorted(known))}",
                    do_next="Add it to release_extras_aliases, such as {x: https://git.example.org/%s}, and run again.",
                )
            url = known[found["alias"]].replace("{trove}", self.trove.rstrip("/")).replace("%s", found["rest"])
        path = unquote(urlsplit(url).path) if url.startswith("file://") else url
        for place in (path, f"{path}.git"):
            if os.path.isabs(place) and os.path.isdir(place):
                return place
        return url

    def find_commit(self, component: Component) -> str:
        """The ref itself if it is a commit; else what the Trove says of it."""
        if COMMIT.match(component.ref):
            return component.ref
        url = self.resolve(component.alias or component.repo)
        names = [f"refs/{kind}/{component.ref}{end}" for kind in ("tags", "heads") for end in ("^{}", "")]
        refs = list_remote_refs(url, *names)
        found = next((refs[name] for name in names if name in refs), None)
        if found is None:
            raise SlipwayError(
                f"find {component.ref} of",
                redacted(url),
                f"it has no branch or tag of this name, which {component.chunk} is built from",
                do_next="Let the Trove mirror it, or correct the definitions, and run again.",
            )
        return found

    @contextlib.contextmanager
    def open_files(self, component: Component) -> Iterator[Iterator[SourceFile]]:
        """The regular files of the commit; those of submodules are not among them."""
        with contextlib.ExitStack() as stack:
            repository = stack.enter_context(self._open_repository(component))
            yield _read_blobs(repository, component.commit, name=component.chunk)

    def read_named(self, component: Component, names: Sequence[str]) -> dict[str, str]:
        """Files of the commit by their paths."""
        with self._open_repository(component) as repository:
            listed = _list_blobs(repository, component.commit, name=component.chunk, paths=names)
            contents = _read_contents(repository, [blob for _path, blob, _size in listed], name=component.chunk)
            return {path: contents[blob].decode("utf-8", "replace") for path, blob, _size in listed}

    def _open_repository(self, component: Component) -> contextlib.AbstractContextManager[Path]:
        return open_commit(
            self.resolve(component.alias or component.repo),
            component.commit,
            attempt=f"find the commit {component.commit} of",
            do_next=f"Let the Trove mirror what {component.chunk} is built from, and run again.",
            timeout=FETCH_TIMEOUT,
        )


def _list_blobs(repository: Path, commit: str, *, name: str, paths: Sequence[str] = ()) -> list[tuple[str, str, int]]:
    """The regular files of a commit: path, object and size."""
    words = ("ls-tree", "-r", "-z", "-l", "--full-tree", commit, *(["--", *paths] if paths else []))
    done = run_git(*words, attempt="list the files of", on=name, repository=repository)
    found = []
    for entry in done.raw.split(b"\0"):
        facts, tab, path = entry.partition(b"\t")
        if tab and facts.startswith(b"100"):
            _mode, _kind, blob, size = facts.split()
            found.append((os.fsdecode(path), blob.decode(), int(size)))
    return found


def _read_contents(repository: Path, blobs: Sequence[str], *, name: str) -> dict[str, bytes]:
    wanted = "".join(f"{blob}\n" for blob in dict.fromkeys(blobs)).encode()
    done = run_git("cat-file", "--batch", attempt="read the files of", on=name, repository=repository, stdin=wanted)
    found: dict[str, bytes] = {}
    place = 0
    while place < len(done.raw):
        end = done.raw.index(b"\n", place)
        blob, _kind, size = done.raw[place:end].split()
        found[blob.decode()] = done.raw[end + 1 : end + 1 + int(size)]
        place = end + 2 + int(size)
    return found


def _read_blobs(repository: Path, commit: str, *, name: str) -> Iterator[SourceFile]:
    portion: list[tuple[str, str, int]] = []
    listed = [each for each in _list_blobs(repository, commit, name=name) if each[2] <= LARGEST]
    for number, each in enumerate(listed, 1):
        portion.append(each)
        if number == len(listed) or sum(size for _path, _blob, size in portion) >= PORTION or len(portion) >= 5000:
            contents = _read_contents(repository, [blob for _path, blob, _size in portion], name=name)
            for path, blob, _size in portion:
                if is_text(contents[blob]):
                    yield SourceFile(path, clip(contents[blob]))
            portion = []


@dataclass(frozen=True)
class ElementSources:
    """Sources of a BuildStream project's elements, which BuildStream fetches from where its configuration says."""

    project: Project
    options: Mapping[str, str]
    elements: Mapping[str, str]
    timeout: float = FETCH_TIMEOUT

    def find_commit(self, component: Component) -> str:
        """What the element's sources are was told together with the element."""
        return component.commit

    @contextlib.contextmanager
    def open_files(self, component: Component) -> Iterator[Iterator[SourceFile]]:
        """The files of all sources of the element, as they are staged before it is built."""
        element = self.elements[component.chunk]
        with make_scratch("slipway-sources-") as scratch:
            words = ("source", "checkout", "--deps", "none", "--directory", str(scratch / "tree"), element)
            attempt = f"take the sources of {element} out of"
            done = run_bst(self.project, *format_options(self.options), *words, attempt=attempt, timeout=self.timeout)
            if done.returncode != 0:
                raise SlipwayError(
                    attempt,
                    str(self.project.directory),
                    extract_complaint(done.stderr) or f"bst ended with status {done.returncode}",
                    do_next="Check that BuildStream's configuration names the mirror of the sources, and run again.",
                )
            yield _walk_files(scratch / "tree")

    def read_named(self, component: Component, names: Sequence[str]) -> dict[str, str]:
        """Not needed: what BuildStream knows of a version it has told."""
        del component, names
        return {}


def _walk_files(top: Path) -> Iterator[SourceFile]:
    for parent, directories, names in os.walk(top):
        directories.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                continue
            content = path.read_bytes()
            if is_text(content):
                yield SourceFile(str(path.relative_to(top)), clip(content))
