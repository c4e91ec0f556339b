# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags that somebody signed who may: with a key of OpenPGP, or with one of ssh.

What counts is what was signed: the tag object with its own name in it, and keys as they are now. The time in a tag, and
in its signature, is what whoever made it says, so a key that has expired or was revoked since counts no more. What is
refused is a :class:`RefusedTagError`; what could not be found out, because a server does not answer or the keys cannot
be read, is another :class:`SlipwayError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..escape import escape_line, redacted
from ..files import make_scratch, read_regular
from ..openpgp.command import normalise_fingerprint
from ..openpgp.keyring import list_fingerprints, provide_keyring
from ..openpgp.verifying import Judgement, judge_signature
from ..process import run
from .remote import TIMEOUT, extract_reason, make_repository, run_git

ATTEMPT = "accept"
#: A tag is a message and a signature; what is larger is something else.
MAX_TAG_BYTES = 1 << 20
#: Where the tag is in the repository into which it is fetched.
_REF = "refs/slipway/tag"
_SSH_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_SSH_VERDICT = re.compile(r'Good "git" signature with \S+ key (SHA256:[A-Za-z0-9+/]{43})\Z')
#: The whole header of a tag: git and GnuPG do not agree on what one with other lines in it says.
_HEADER = re.compile(
    rb"object (?P<object>[0-9a-f]{40})\ntype (?P<type>[a-z]+)\ntag (?P<name>[^\n]+)\n"
    rb"tagger (?P<tagger>[^\n]*) (?P<date>[0-9]{1,12}) [+-][0-9]{4}\n\n"
)
_BLOCK = re.compile(
    rb"^-----BEGIN (?P<kind>PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----[^\n]*\n", re.MULTILINE
)


class RefusedTagError(SlipwayError):
    """A tag that nobody signed who may, or that is not what it should be."""


@dataclass(frozen=True)
class Signers:
    """Whose signature counts: full fingerprints of OpenPGP keys (of a primary key, which speaks for its subkeys, or of
    one subkey) or of ssh keys (``SHA256:...``).

    ``keys`` are the public OpenPGP keys by where each is from; ssh signatures bring theirs.
    """

    fingerprints: tuple[str, ...]
    keys: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """What changes when a signature may count that did not, or the other way round."""
        parts = [*sorted(self.fingerprints), *sorted(hashlib.sha256(data).hexdigest() for data in self.keys.values())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class SignedTag:
    """An annotated tag by somebody who may sign it.

    ``object`` is the tag's own name in git. ``fingerprint`` is that of the primary key, ``key`` that of the key that
    signed. ``date`` (seconds since the epoch) is what the tagger says. ``annotation`` is the message without signature.
    """

    tag: str
    object: str
    commit: str
    tagger: str
    date: int
    fingerprint: str
    key: str
    annotation: str


@dataclass(frozen=True)
class _Parts:
    """A tag object, read strictly: what is signed, and by what."""

    commit: str
    tagger: str
    date: int
    annotation: str
    text: bytes
    kind: str
    signature: bytes


def read_signers(fingerprints: Sequence[str], keys: Sequence[str]) -> Signers:
    """The signers of these fingerprints and keys, each a public OpenPGP key in ASCII armour or a path of a file."""
    wanted = tuple(dict.fromkeys(_normalise_fingerprint(each) for each in fingerprints))
    if not wanted:
        do_next = "Name the full fingerprint of each key that may sign tags."
        raise SlipwayError("verify tags by", "signers", "there are none, so nobody may sign", do_next=do_next)
    return Signers(wanted, dict(_read_key(number, each) for number, each in enumerate(keys, 1)))


def check_signers(signers: Signers) -> None:
    """Fail where a signer's key is not among the keys, or one of these is none."""
    with _provide_keys(signers):
        pass


@contextlib.contextmanager
def _provide_keys(signers: Signers) -> Iterator[Path]:
    """A keyring with the keys of all signers: one without could never be recognised, which is no fault of a tag."""
    with provide_keyring(signers.keys) as home:
        known = list_fingerprints(home)
        missing = [each for each in signers.fingerprints if not _SSH_FINGERPRINT.match(each) and each not in known]
        refuse(
            "verify tags by",
            "signers",
            [f"no key that was given has the fingerprint {each}" for each in missing],
            do_next="Give the public key of each signer.",
        )
        yield home


def _normalise_fingerprint(text: str) -> str:
    return text if _SSH_FINGERPRINT.match(text) else normalise_fingerprint(text)


def _read_key(number: int, key: str) -> tuple[str, bytes]:
    if "-----BEGIN PGP" in key:
        return f"number {number} of the keys", key.encode()
    if not os.path.isabs(key) or "\n" in key:
        found = f"{escape_line(key[:40])!r} is neither a key in ASCII armour nor an absolute path"
        raise SlipwayError("use", f"number {number} of the keys", found, do_next="Correct it.")
    with name_refusals("read the key", key):
        return key, read_regular(key)


def find_name_fault(tag: str) -> str | None:
    """Why nothing is asked of git for a tag of this name; None if it is harmless."""
    if not tag.isprintable() or not tag.isascii() or " " in tag:
        return "its name has characters that are not printable ASCII, or blanks"
    bad = (
        tag.startswith(("-", "/", "."))
        or tag.endswith(("/", ".", ".lock"))
        or re.search(r"\.\.|//|/\.|@\{|[~^:?*\[\\]", tag)
    )
    return "its name is none that git takes" if not tag or bad else None


def verify_tag(
    url: str,
    tag: str,
    *,
    signers: Signers,
    stack: str | None = None,
    version: str | None = None,
    expected: str | None = None,
    timeout: float = TIMEOUT,
) -> SignedTag:
    """The tag of a remote repository, if one of the ``signers`` signed it and it is what it is named.

    With ``stack`` and ``version``, its name or its message must say them, since a tag that was signed for one stack
    could be copied into the repository of another. ``expected`` is the tag object that was seen before.
    """
    on = f"the tag {tag} of {redacted(url)}"
    _refuse(on, find_name_fault(tag), do_next="Give the tag another name.")
    with _fetch_tag(url, tag, timeout=timeout) as repository:
        found = _read_object(repository, on, expected=expected)
        parts = _parse_tag(found[1], tag=tag, on=on, signers=signers)
        kind = run_git("cat-file", "-t", parts.commit, attempt="read", on=on, repository=repository).stdout.strip()
        _refuse(on, None if kind == "commit" else f"it is on a {kind}", do_next=_explain_remedy(tag, signers))
    if stack is not None and version is not None:
        _refuse_other_release(tag, parts.annotation, stack=stack, version=version, on=on)
    judged = _judge_parts(parts, signers)
    _refuse(on, judged.fault, do_next=_explain_remedy(tag, signers))
    if not {judged.key, judged.fingerprint} & {*signers.fingerprints}:
        whose = judged.fingerprint if judged.key == judged.fingerprint else f"{judged.key} of {judged.fingerprint}"
        _refuse(on, f"it is signed by the key {whose}, which may not sign it", do_next=_explain_remedy(tag, signers))
    return SignedTag(
        tag, found[0], parts.commit, parts.tagger, parts.date, judged.fingerprint, judged.key, parts.annotation
    )


def _refuse(on: str, fault: str | None, *, do_next: str) -> None:
    if fault is not None:
        raise RefusedTagError(ATTEMPT, on, fault, do_next=do_next)


def _explain_remedy(tag: str, signers: Signers) -> str:
    return (
        f"Find out who pushed it. If it is meant, delete it there and make it again with `git tag --sign {tag} COMMIT` "
        f"by a key that may ({', '.join(signers.fingerprints)}), or add the key to the signers."
    )


@contextlib.contextmanager
def _fetch_tag(url: str, tag: str, *, timeout: float) -> Iterator[Path]:
    """A repository with the tag and what it is on, without the files where the server can leave them out."""
    with make_repository() as repository:
        done = run_git(
            *("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=tree:0", "--", url, f"+refs/tags/{tag}:{_REF}"),
            attempt=f"fetch the tag {tag} of",
            on=redacted(url),
            repository=repository,
            timeout=timeout,
            ok_codes=range(256),
        )
        if done.returncode != 0:
            missing = f"find remote ref refs/tags/{tag}" in done.stderr
            reason = extract_reason(done.stderr).replace(url, redacted(url))
            raise SlipwayError(
                f"fetch the tag {tag} of",
                redacted(url),
                "there is no such tag" if missing else reason or f"git ended with status {done.returncode}",
                do_next="Push it, or correct its name." if missing else "Check the address and the network; run again.",
            )
        yield repository


def _read_object(repository: Path, on: str, *, expected: str | None) -> tuple[str, bytes]:
    """The tag object's name and content."""
    run_here = partial(run_git, attempt="read", on=on, repository=repository)
    name = run_here("rev-parse", "--verify", _REF).stdout.strip()
    kind, size = run_here(
        "cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=f"{name}\n".encode()
    ).stdout.split()
    remedy = "Delete it there, and make it with `git tag --sign`."
    if kind != "tag":
        _refuse(
            on, f"it is no annotated tag: it names the {kind} {name} by itself, so nobody signed it", do_next=remedy
        )
    if int(size) > MAX_TAG_BYTES:
        _refuse(on, f"the tag has {size} bytes, and at most {MAX_TAG_BYTES} are read", do_next=remedy)
    if expected not in (None, name):
        do_next = "Run again to look at what it is now."
        raise SlipwayError(ATTEMPT, on, f"it was {expected} and has become {name} meanwhile", do_next=do_next)
    return name, run_here("cat-file", "tag", name).raw


def _parse_tag(data: bytes, *, tag: str, on: str, signers: Signers) -> _Parts:
    """Read a tag object as strictly as git writes it; what could be read in two ways is refused."""
    remedy = _explain_remedy(tag, signers)
    header = _HEADER.match(data)
    if header is None or b"\0" in data:
        found = "its header is not one line each of object, type, tag and tagger"
        raise RefusedTagError(ATTEMPT, on, found, do_next=remedy)
    named = header["name"].decode("utf-8", "replace")
    if named != tag:
        found = f"the signed tag in it says that it is {escape_line(named)!r}: it was made for something else"
        _refuse(on, found, do_next=remedy)
    if header["type"] != b"commit":
        _refuse(on, f"it is on a {header['type'].decode()}, and not on a commit", do_next=remedy)
    blocks = list(_BLOCK.finditer(data, header.end()))
    if not blocks:
        _refuse(on, "it is not signed", do_next=remedy)
    if len(blocks) > 1:
        _refuse(on, f"it has {len(blocks)} signatures, of which none counts", do_next=remedy)
    start, kind = blocks[0].start(), blocks[0]["kind"].decode()
    end = f"-----END {kind}-----".encode()
    if data[start:].rstrip().rpartition(b"\n")[2] != end:
        _refuse(on, "it goes on after its signature, or the signature has no end", do_next=remedy)
    return _Parts(
        commit=header["object"].decode(),
        tagger=escape_line(header["tagger"].decode("utf-8", "replace")),
        date=int(header["date"]),
        annotation=data[header.end() : start].decode("utf-8", "replace"),
        text=data[:start],
        kind=kind,
        signature=data[start:],
    )


def _refuse_other_release(tag: str, annotation: str, *, stack: str, version: str, on: str) -> None:
    """Refuse a tag that does not say which release it is: one of another stack may have the same name."""
    if not any(names_release(text, stack, version) for text in (tag, annotation)):
        found = f"neither its name nor its message says '{stack} {version}', so it may be another stack's"
        _refuse(on, found, do_next=f"Begin its message with '{stack} {version}', and sign it again.")


def names_release(text: str, stack: str, version: str) -> bool:
    """Whether a text names this release, by words that no other stack or version has in them.

    ``foo-1.2``, ``foo 1.2``, ``foo release 1.2`` and ``source=foo version=1.2`` do.
    """
    between = r"(?:[-_ ]|[ ]+(?:release|version)[ ]+|[ ]+version=)"
    pattern = rf"(?<![\w.+-]){re.escape(stack)}{between}v?{re.escape(version)}(?!\.?[\w+~:-])"
    return re.search(pattern, text) is not None


def _judge_parts(parts: _Parts, signers: Signers) -> Judgement:
    with make_scratch("slipway-tag-") as scratch:
        data, signature = scratch / "tag", scratch / "tag.asc"
        data.write_bytes(parts.text)
        signature.write_bytes(parts.signature)
        if parts.kind == "SSH SIGNATURE":
            return _judge_ssh(parts.text, signature)
        if parts.kind != "PGP SIGNATURE":
            return Judgement(f"its signature is a {parts.kind}, and only those of OpenPGP and ssh are supported")
        with _provide_keys(signers) as home:
            return judge_signature(home, data=data, signature=signature)


def _judge_ssh(text: bytes, signature: Path) -> Judgement:
    """Of a signature by ssh: it brings its key, whose fingerprint says whose it is."""
    done = run(
        ["ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", os.fspath(signature)],
        attempt="check the signature",
        on=str(signature),
        stdin=text,
        timeout=60,
        ok_codes=range(256),
    )
    good = _SSH_VERDICT.match(done.stdout.strip())
    if done.returncode != 0 or good is None:
        return Judgement("its signature by ssh is over another text, or cannot be read")
    return Judgement(None, good[1], good[1])
