# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Git on remote repositories: list refs, create them, fetch commits."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ..errors import SlipwayError
from ..process import run
from ..ssh import OPTIONS as SSH_OPTIONS

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
TIMEOUT = 300.0
#: Lines that git adds to every failure of this kind; the reason stands in another one.
_NO_REASON = re.compile(r"could not read from remote|please make sure you have|and the repository exists|\Ahint:", re.I)

#: git never asks questions, and a dead peer is noticed.
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": " ".join(["ssh", *(f"-o{option}" for option in SSH_OPTIONS)]),
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_CONFIG_KEY_1": "advice.detachedHead",
    "GIT_CONFIG_VALUE_1": "false",
}


@dataclass(frozen=True)
class Person:
    """Who commits and tags, and when (seconds since the epoch, UTC)."""

    name: str
    email: str
    date: int

    def environment(self) -> dict[str, str]:
        """The variables by which git learns of this person."""
        stamp = f"@{self.date} +0000"
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
            "GIT_COMMITTER_DATE": stamp,
        }


@dataclass(frozen=True)
class Annotation:
    """What turns a tag into an annotated one; with a key, into a signed one."""

    message: str
    tagger: Person
    signing_key: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def redacted(url: str) -> str:
    """``url`` without the password that it may hold."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, host = parts.netloc.rsplit("@", 1)
    return urlunsplit(parts._replace(netloc=f"{user.split(':', 1)[0]}@{host}"))


def run_git(
    *arguments: str,
    attempt: str,
    on: str,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = TIMEOUT,
    do_next: str = "Check the repository's address and your access to it, and run again.",
) -> str:
    """Run one git command and return its standard output."""
    return run(
        ["git", *arguments],
        attempt=attempt,
        on=on,
        cwd=cwd,
        env={**ENVIRONMENT, **(env or {})},
        stdin=stdin,
        timeout=timeout,
        do_next=do_next,
    ).stdout


def list_remote_refs(
    url: str, *patterns: str, attempt: str = "read the refs of", timeout: float = 60.0
) -> dict[str, str]:
    """The refs of a remote repository by name; an annotated tag also has its ``^{}`` entry.

    A repository that cannot be reached is a failure with git's own reason.
    """
    done = run(
        ["git", "ls-remote", "--", url, *patterns],
        attempt=attempt,
        on=redacted(url),
        env=ENVIRONMENT,
        timeout=timeout,
        do_next="Check its address, the network and your access to it, and run again.",
        ok_codes=range(256),
    )
    if done.returncode != 0:
        raise SlipwayError(
            attempt,
            redacted(url),
            extract_reason(done.stderr).replace(url, redacted(url)) or f"git ended with status {done.returncode}",
            do_next="Check its address, the network and your access to it, and run again.",
        )
    return {name: value for value, _unused, name in (line.partition("\t") for line in done.stdout.splitlines())}


def extract_reason(stderr: str) -> str:
    """The reason in git's error output, as one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    reasons = [line for line in lines if not _NO_REASON.search(line)] or lines
    return " / ".join(line.removeprefix("fatal: ") for line in reasons[-2:])


def find_remote_commit(url: str, ref: str) -> str | None:
    """The commit that a remote's ref names, through an annotated tag; ``None`` when there is no such ref."""
    refs = list_remote_refs(url, ref, f"{ref}^{{}}")
    return refs.get(f"{ref}^{{}}") or refs.get(ref)


@contextlib.contextmanager
def fetch_commit(url: str, commit: str | None, *, depth: int | None = 1) -> Iterator[Path]:
    """A temporary bare repository that holds ``commit`` of ``url``, if any, with all history if ``depth`` is None."""
    with tempfile.TemporaryDirectory(prefix="slipway-git-") as name:
        run_git("init", "--quiet", "--bare", name, attempt="make a scratch repository in", on=name)
        if commit is not None:
            shallow = [] if depth is None else [f"--depth={depth}"]
            run_git(
                *("fetch", "--quiet", "--no-tags", *shallow, "--", url, commit),
                attempt=f"fetch {commit} from",
                on=redacted(url),
                cwd=name,
            )
        yield Path(name)


def ensure_ref(
    url: str, ref: str, *, commit: str, annotation: Annotation | None = None, write: bool = True
) -> tuple[str | None, bool]:
    """Create ``ref`` of the remote ``url`` at ``commit``.

    Returns the commit it named before (``None`` if it was absent) and whether it was made now. A ref that
    names another commit is never moved: it fails with both commits. The ref is read back after the push.
    """
    if not COMMIT.match(commit):
        raise SlipwayError(f"set {ref} of", redacted(url), f"{commit!r} is not a commit", do_next="Give 40 hex digits.")
    before = find_remote_commit(url, ref)
    if before == commit:
        return before, False
    if before is not None:
        raise _moved_error(url, ref, wanted=commit, found=before)
    if not write:
        return None, True
    with fetch_commit(url, commit) as repository:
        source = commit if annotation is None else _make_tag(repository, ref, commit=commit, annotation=annotation)
        # The empty expectation makes the push fail if somebody else made the ref meanwhile.
        run_git(
            *("push", "--quiet", f"--force-with-lease={ref}:", "--", url, f"{source}:{ref}"),
            attempt=f"push {ref} to",
            on=redacted(url),
            cwd=repository,
            do_next="Check the room there, the repository's address and your access to it, and run again.",
        )
    after = find_remote_commit(url, ref)
    if after != commit:
        raise _moved_error(url, ref, wanted=commit, found=after)
    return None, True


def _make_tag(repository: Path, ref: str, *, commit: str, annotation: Annotation) -> str:
    name = ref.removeprefix("refs/tags/")
    sign = ["--annotate", "--no-sign"] if annotation.signing_key is None else ["--local-user", annotation.signing_key]
    run_git(
        *("tag", "--file=-", *sign, name, commit),
        attempt="make the tag",
        on=name,
        cwd=repository,
        env={**annotation.tagger.environment(), **annotation.environment},
        stdin=annotation.message.encode(),
        do_next="Check the signing key with `gpg --list-secret-keys` and run again.",
    )
    return ref


def _moved_error(url: str, ref: str, *, wanted: str, found: str | None) -> SlipwayError:
    return SlipwayError(
        f"set {ref} of",
        redacted(url),
        f"it should name {wanted}, but it names {found or 'nothing'}",
        do_next="Nothing was changed. Find out who moved it and put it back, or release under another version.",
    )
