# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Git on remote repositories: list refs, create them, fetch commits."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_scratch
from ..openpgp.signing import sign_within
from ..openpgp.verifying import verify_signature
from ..process import Completed, configure_git, run

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
TIMEOUT = 300.0
#: Seconds for what only lists refs.
REFS_TIMEOUT = 60.0
REACH = "Check its address, the network and your access to it, and run again."
#: Lines that git adds to every failure of this kind; the reason stands in another one.
_NO_REASON = re.compile(r"could not read from remote|please make sure you have|and the repository exists|\Ahint:", re.I)

#: The variable in which a password reaches git; other users see the words of a command, but not its environment.
_HIDDEN = "SLIPWAY_GIT_PASSWORD"
_HELPER = f'!f() {{ test "$1" != get || printf \'password=%s\\n\' "${_HIDDEN}"; }}; f'


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
    """What turns a tag into an annotated one; with a key (its fingerprint), into a signed one.

    ``environment`` is what :func:`provide_environment` gives.
    """

    message: str
    tagger: Person
    signing_key: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def run_git(
    *arguments: str,
    attempt: str,
    on: str,
    repository: str | os.PathLike[str] | None = None,
    tree: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = TIMEOUT,
    do_next: str = "Check the repository's address and your access to it, and run again.",
    ok_codes: Sequence[int] = (0,),
    runner: Sequence[str] = (),
) -> Completed:
    """Run one git command, by the program ``runner`` if that must limit it.

    It works in ``repository`` (the directory that holds ``HEAD``), with the work tree ``tree``, and in no other that
    it might find by its working directory or by a variable.
    """
    words, secret = _hide_accounts(arguments)
    where = [f"--git-dir={os.devnull if repository is None else os.fspath(repository)}"]
    if tree is not None:
        where.append(f"--work-tree={os.fspath(tree)}")
    return run(
        [*runner, "git", *where, *words],
        attempt=attempt,
        on=on,
        cwd=next((place for place in (tree, repository) if place is not None and os.path.isdir(place)), None),
        env={**secret, **(env or {})},
        stdin=stdin,
        timeout=timeout,
        do_next=do_next,
        ok_codes=ok_codes,
    )


def _hide_accounts(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments without the account in the address among them, and the variables by which git learns of it."""
    words, variables = list(arguments), dict[str, str]()
    for place, word in enumerate(words):
        try:
            parts = urlsplit(word) if word.startswith(("http://", "https://")) else None
        except ValueError:  # its message may have the password in it
            do_next = "Correct it, and run again."
            raise SlipwayError("use the address", redacted(word), "it is none", do_next=do_next) from None
        if parts is None or parts.username is None:
            continue
        words[place] = redacted(word)
        section = f"credential.{urlunsplit((parts.scheme, parts.netloc.rsplit('@', 1)[1], '', '', ''))}"
        settings = [(f"{section}.username", unquote(parts.username))]
        if parts.password is not None:
            settings += [(f"{section}.helper", ""), (f"{section}.helper", _HELPER)]
        variables = {_HIDDEN: unquote(parts.password or ""), **configure_git(*settings)}
    return words, variables


def list_remote_refs(
    url: str,
    *patterns: str,
    attempt: str = "read the refs of",
    timeout: float = REFS_TIMEOUT,
    do_next: str = REACH,
) -> dict[str, str]:
    """The refs of a remote repository by name; an annotated tag also has its ``^{}`` entry.

    A repository that cannot be reached is a failure with git's own reason.
    """
    done = run_git(
        *("ls-remote", "--", url, *patterns),
        attempt=attempt,
        on=redacted(url),
        timeout=timeout,
        do_next=do_next,
        ok_codes=range(256),
    )
    if done.returncode != 0:
        raise SlipwayError(
            attempt,
            redacted(url),
            extract_reason(done.stderr).replace(url, redacted(url)) or f"git ended with status {done.returncode}",
            do_next=do_next,
        )
    return {name: value for value, _unused, name in (line.partition("\t") for line in done.stdout.splitlines())}


def extract_reason(stderr: str) -> str:
    """The reason in git's error output, as one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    reasons = [line for line in lines if not _NO_REASON.search(line)] or lines
    return " / ".join(line.removeprefix("fatal: ") for line in reasons[-2:])


def find_remote_commit(url: str, ref: str, *, timeout: float = REFS_TIMEOUT) -> str | None:
    """The commit that a remote's ref names, through an annotated tag; ``None`` when there is no such ref."""
    refs = list_remote_refs(url, ref, f"{ref}^{{}}", timeout=timeout)
    return refs.get(f"{ref}^{{}}") or refs.get(ref)


def find_named_commit(
    url: str,
    name: str,
    *,
    attempt: str = "read the refs of",
    do_next: str = REACH,
    timeout: float = REFS_TIMEOUT,
) -> str | None:
    """The commit that a branch, a tag or a whole ref of a remote names; ``None`` if there is none of this name.

    A commit is taken for itself, without a look at whether it is there.
    """
    if COMMIT.match(name):
        return name
    names = list_names(name)
    wanted = [pattern for each in names for pattern in (each, f"{each}^{{}}")]
    refs = list_remote_refs(url, *wanted, attempt=attempt, do_next=do_next, timeout=timeout)
    return next((commit for each in names if (commit := refs.get(f"{each}^{{}}") or refs.get(each))), None)


def list_names(name: str) -> list[str]:
    """The refs that a name may mean, the branch before the tag."""
    return [name] if name == "HEAD" or name.startswith("refs/") else [f"refs/heads/{name}", f"refs/tags/{name}"]


@contextlib.contextmanager
def make_repository() -> Iterator[Path]:
    """A temporary bare repository."""
    with make_scratch("slipway-git-") as scratch:
        run_git("init", "--quiet", "--bare", attempt="make a repository in", on=str(scratch), repository=scratch)
        yield scratch


@contextlib.contextmanager
def fetch_commit(url: str, commit: str | None, *, depth: int | None = 1, timeout: float = TIMEOUT) -> Iterator[Path]:
    """A temporary bare repository that holds ``commit`` of ``url``, if any, with all history if ``depth`` is None."""
    with make_repository() as repository:
        if commit is not None:
            shallow = [] if depth is None else [f"--depth={depth}"]
            run_git(
                *("fetch", "--quiet", "--no-tags", *shallow, "--", url, commit),
                attempt=f"fetch {commit} from",
                on=redacted(url),
                repository=repository,
                timeout=timeout,
            )
        yield repository


def ensure_ref(
    url: str, ref: str, *, commit: str, annotation: Annotation | None = None, write: bool = True
) -> tuple[str | None, bool]:
    """Create ``ref`` of the remote ``url`` at ``commit``.

    Returns the commit it named before (``None`` if it was absent) and whether it was made now. A ref that
    names another commit, or that is no tag as ``annotation`` wants it, is never moved: it fails with what is there.
    The ref is read back after the push, and a tag is fetched to see that it is annotated and by whom it is signed.
    """
    if not COMMIT.match(commit):
        raise SlipwayError(f"set {ref} of", redacted(url), f"{commit!r} is not a commit", do_next="Give 40 hex digits.")
    before = find_remote_commit(url, ref)
    if before is None and not write:
        return None, True
    if before is None:
        with fetch_commit(url, commit) as repository:
            source = commit if annotation is None else make_tag(repository, ref, commit=commit, annotation=annotation)
            push_ref(url, ref, source=source, expected="", repository=repository)
    _verify_ref(url, ref, commit=commit, annotation=annotation)
    return before, before is None


def push_ref(url: str, ref: str, *, source: str, expected: str, repository: Path) -> None:
    """Push the object ``source`` to a ref that must name ``expected`` until then, or must be absent if that is empty.

    When the push fails here, what the remote has then tells whether it took it: an answer can be lost.
    """
    try:
        run_git(
            *("push", "--quiet", f"--force-with-lease={ref}:{expected}", "--", url, f"{source}:{ref}"),
            attempt=f"push {ref} to",
            on=redacted(url),
            repository=repository,
            do_next="If somebody pushed there meanwhile, run again; else check the room there, the repository's "
            "address and your access to it.",
        )
    except SlipwayError as error:
        if _read_after(url, ref, error=error) != source:
            raise


def _read_after(url: str, ref: str, *, error: SlipwayError) -> str | None:
    """What a remote's ref names after a push that failed here."""
    try:
        return list_remote_refs(url, ref).get(ref)
    except SlipwayError as silent:
        raise SlipwayError(
            error.attempted,
            error.on,
            f"{error.came_back}; and the server does not say whether it took {ref}: {silent.came_back}",
            do_next="Run again when it answers: what it took is found, what it did not take is pushed.",
        ) from error


def make_tag(repository: Path, ref: str, *, commit: str, annotation: Annotation) -> str:
    """Make an annotated tag in a repository that is here; its object.

    It is signed here, since git would do so as a person's settings say.
    """
    name = ref.removeprefix("refs/tags/")
    run_here = partial(run_git, attempt="make the tag", on=name, repository=repository)
    run_here(
        *("tag", "--cleanup=whitespace", "--file=-", "--annotate", "--no-sign", name, commit),
        env=annotation.tagger.environment(),
        stdin=annotation.message.encode(),
    )
    text, signature = _write_parts(repository, run_here("cat-file", "tag", ref).raw)
    if annotation.signing_key is not None:
        signature.write_bytes(sign_within(annotation.environment, annotation.signing_key, data=text))
    signed = text.read_bytes() + signature.read_bytes()
    return run_here("hash-object", "-t", "tag", "-w", "--stdin", stdin=signed).stdout.strip()


def _write_parts(repository: Path, tag: bytes) -> tuple[Path, Path]:
    """Files with the text of a tag and with the signature at its end, which may be empty."""
    text, begin, rest = tag.partition(b"-----BEGIN PGP SIGNATURE-----\n")
    parts = repository / "tag", repository / "tag.asc"
    for path, data in zip(parts, (text, begin + rest), strict=True):
        path.write_bytes(data)
    return parts


def _verify_ref(url: str, ref: str, *, commit: str, annotation: Annotation | None) -> None:
    fault = find_ref_fault(url, ref, commit=commit, annotation=annotation)
    if fault is not None:
        raise SlipwayError(
            f"set {ref} of",
            redacted(url),
            fault,
            do_next="Nothing was changed. Find out who moved it and put it back, or release under another version.",
        )


def find_ref_fault(url: str, ref: str, *, commit: str, annotation: Annotation | None) -> str | None:
    """What a remote's ref lacks: it names another commit, or is a tag of another kind or by another key than wanted."""
    refs = list_remote_refs(url, ref, f"{ref}^{{}}")
    found = refs.get(f"{ref}^{{}}") or refs.get(ref)
    fault = None if found == commit else f"it should name {commit}, but it names {found or 'nothing'}"
    if fault is None and annotation is not None:
        is_tag = f"{ref}^{{}}" in refs
        fault = (
            _find_tag_fault(url, ref, tag=refs[ref], annotation=annotation)
            if is_tag
            else (f"it names {commit} by itself, and is no annotated tag")
        )
    return fault


def _find_tag_fault(url: str, ref: str, *, tag: str, annotation: Annotation) -> str | None:
    """What a remote's tag lacks: its own name, or the signature by the key."""
    with fetch_commit(url, tag) as repository:
        run_here = partial(run_git, attempt="read the tag", on=ref, repository=repository)
        found = run_here("cat-file", "tag", tag)
        name = re.search(r"^tag (.*)$", found.stdout, re.MULTILINE)
        if name is None or f"refs/tags/{name[1]}" != ref:
            return f"the tag there says that it is {name[1] if name else 'none'}"
        if annotation.signing_key is None:
            return None
        text, asc = _write_parts(repository, found.raw)
        signature = verify_signature(annotation.environment["GNUPGHOME"], data=text, signature=asc)
    if signature is not None and signature.fingerprint == annotation.signing_key:
        return None
    by = "by nobody whose key is known" if signature is None else f"by {signature.fingerprint}"
    return f"the tag there should be signed by {annotation.signing_key}, but is signed {by}"
