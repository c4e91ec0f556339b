# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attestations: what each signer got when making a release again, ``<version>/<signer>/SHA256SUMS{,.asc}`` in git.

Whoever may push there may be hostile: what is read is bounded, links are not followed, and nothing counts but what
:program:`sqv` accepts of the signer's own key. Directories of nobody who is a signer are passed over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import escape_line, redacted
from ..files import make_scratch
from ..git.files import BranchUpdate, Texts, edit_branch
from ..git.remote import REFS_TIMEOUT, Person, extract_reason, find_remote_commit, make_repository, run_git
from ..openpgp.keyring import provide_keyring
from ..openpgp.verifying import dearmor, judge_signature
from ..process import run
from ..progress import Progress
from ..publish.directory import SUMS, parse_sums
from ..release.names import check_version, version_key
from ..wait import wait_for
from .signers import Attestor, Quorum

SIGNATURE = f"{SUMS}.asc"
BRANCH = "main"
TIMEOUT = 120.0
#: A list of a hundred thousand files, and what a signature has.
MOST_BYTES = {SUMS: 16 << 20, SIGNATURE: 64 << 10}
#: What git may write of the repository: a pack of the last commit alone. Attestations are a few kilobytes each.
MOST_FETCHED = 256 << 20
#: Larger blobs are left with a server that knows how to.
_FILTER = f"--filter=blob:limit={(16 << 20) + 1}"
#: Versions are looked at, the newest first, and so many names are told.
MOST_VERSIONS, MOST_TOLD = 1000, 5
#: What git may need to list a directory.
MOST_LISTED = 4 << 20
DIRECTORY = "040000 tree"
_REF = "refs/slipway/attestations"


@dataclass(frozen=True)
class Given:
    """What is in a signer's directory of a version; ``fault`` is why that cannot be read, as half a sentence."""

    sums: bytes = b""
    signature: bytes = b""
    fault: str | None = None


@dataclass(frozen=True)
class Attested:
    """What the repository has of one version: by signer, and the last other version of each who has nothing of it.

    ``repeated`` names the version whose list a signer's is, byte for byte. ``strangers`` are directories of nobody
    who is a signer.
    """

    head: str | None
    given: Mapping[str, Given] = field(default_factory=dict)
    last: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether enough signers attest what is published.

    ``others`` are files that differ, by the signers who attest something else; ``alike`` are groups of those who attest
    the same of that; ``faults`` say why an attestation does not count, ``lagging`` the last version that a signer has
    attested who lacks this one, ``missing`` who never attested any.
    """

    version: str
    threshold: int
    count: int
    enough: bool
    agreed: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alike: tuple[tuple[str, ...], ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    lagging: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether those who have attested nothing of this version yet could still make it enough."""
        return not self.enough and len(self.agreed) + len(self.lagging) + len(self.missing) >= self.threshold

    def summarise(self) -> str:
        """One half of a sentence."""
        by = f" ({', '.join(self.agreed)})" if self.agreed else ""
        attest = "attests" if len(self.agreed) == 1 else "attest"
        which = f"exactly what is published{by}, and {self.threshold} must"
        return f"{len(self.agreed)} of {self.count} signers {attest} {which}"

    def tell(self) -> list[str]:
        """A sentence for each signer who does not agree, and for what else is there."""
        told = [f"{name} attests something else: {_list(files)}" for name, files in self.others.items()]
        for group in self.alike:
            loud = ": then what is published is wrong" if len(group) >= self.threshold else ""
            told.append(f"{' and '.join(group)} attest the same as each other, and not what is published{loud}")
        told += [f"the attestation of {name} does not count: {fault}" for name, fault in self.faults.items()]
        told += [
            f"{name} lags: nothing of {self.version} is attested, the last that {name} attested is {escape_line(last)}"
            for name, last in self.lagging.items()
        ]
        told += [f"{name} is missing: no version was ever attested by {name}" for name in self.missing]
        if self.strangers:
            told.append(f"these are no signers, and do not count: {_list(self.strangers)}")
        return told


def _list(names: Sequence[str]) -> str:
    shown = [escape_line(each)[:200] for each in names[:MOST_TOLD]]
    more = [f"and {len(names) - MOST_TOLD} more"] if len(names) > MOST_TOLD else []
    return ", ".join([*shown, *more])


def fetch_attestations(
    url: str, *, version: str, names: Collection[str], branch: str = BRANCH, timeout: float = TIMEOUT
) -> Attested:
    """What the signers called ``names`` have attested of ``version``, at the head of a branch of the repository.

    A branch that is not there yet holds nothing.
    """
    check_version(version)
    head = find_remote_commit(url, f"refs/heads/{branch}", timeout=min(timeout, REFS_TIMEOUT))
    if head is None:
        return Attested(None)
    with _fetch_head(url, branch, timeout=timeout) as repository:
        return _read_repository(repository, on=redacted(url), version=version, names=names)


@contextlib.contextmanager
def _fetch_head(url: str, branch: str, *, timeout: float) -> Iterator[Path]:
    """A repository with the head of the branch and no more of it than is bearable."""
    attempt, on = "read the attestations of", redacted(url)
    with make_repository() as repository:
        done = run_git(
            *("-c", "transfer.unpackLimit=1", "-c", "core.bigFileThreshold=1m", "-c", "fetch.fsckObjects=false"),
            *("fetch", "--quiet", "--no-tags", "--depth=1", _FILTER, "--", url, f"+refs/heads/{branch}:{_REF}"),
            attempt=attempt,
            on=on,
            repository=repository,
            timeout=timeout,
            runner=["prlimit", f"--fsize={MOST_FETCHED}"],
            ok_codes=range(-64, 256),
        )
        if done.returncode != 0:
            reason = extract_reason(done.stderr).replace(url, on) or f"git ended with status {done.returncode}"
            most = f"at most {MOST_FETCHED >> 20} MiB of it are read"
            large = done.returncode < 0 or "File too large" in done.stderr or "index-pack" in done.stderr
            found = f"{reason} ({most})" if large else reason
            do_next = "Look who pushed there, or correct the address; check your access to it, and run again."
            raise SlipwayError(attempt, on, found, do_next=do_next)
        yield repository


def _read_repository(repository: Path, *, on: str, version: str, names: Collection[str]) -> Attested:
    ask = partial(run_git, attempt="read the attestations of", on=on, repository=repository, timeout=60)
    head = ask("rev-parse", "--verify", f"{_REF}^{{commit}}").stdout.strip()
    versions = _list_versions(_list_directory(repository, f"{head}:", on=on))
    entries = _list_directory(repository, f"{head}:{version}", on=on) if version in versions else {}
    others = [each for each in versions if each != version][:MOST_VERSIONS]
    paths = [f"{head}:{each}/{name}/{SUMS}" for name in names for each in (version, *others)]
    answers = ask("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin="\n".join([*paths, ""]).encode())
    blobs = {
        path: line.split()[1] for path, line in zip(paths, answers.stdout.splitlines(), strict=True) if "blob " in line
    }
    given: dict[str, Given] = {}
    last: dict[str, str] = {}
    repeated: dict[str, str] = {}
    for name in names:
        had = {each: blobs.get(f"{head}:{each}/{name}/{SUMS}") for each in (version, *others)}
        if name in entries:
            given[name] = _read_given(repository, on=on, place=f"{head}:{version}/{name}", kind=entries[name])
            same = next((each for each in others if had[each] and had[each] == had[version]), None)
            repeated |= {name: same} if same else {}
        elif before := next((each for each in others if had[each]), None):
            last[name] = before
    return Attested(head, given, last, repeated, tuple(sorted(entries.keys() - {*names})))


def _list_versions(entries: Mapping[str, str]) -> list[str]:
    """The directories whose names are versions, the newest first."""
    found = []
    for name, kind in entries.items():
        with contextlib.suppress(SlipwayError):
            found += [check_version(name)] if kind == DIRECTORY else []
    return sorted(found, key=version_key, reverse=True)


def _list_directory(repository: Path, place: str, *, on: str) -> dict[str, str]:
    """Names and kinds (mode and type) of the entries of a directory in git."""
    ask = partial(run_git, attempt="read the attestations of", on=on, repository=repository, timeout=60)
    size = ask("cat-file", "--batch-check=%(objectsize)", stdin=f"{place}\n".encode()).stdout.strip()
    if not size.isdecimal() or int(size) > MOST_LISTED:
        found = f"{place.partition(':')[2] or 'its top directory'} has more entries than signers and versions need"
        raise SlipwayError("read the attestations of", on, found, do_next="Look who pushed there.")
    entries = {}
    for line in ask("ls-tree", "-z", place).raw.split(b"\0"):
        facts, tab, name = line.partition(b"\t")
        if tab:
            entries[name.decode("utf-8", "backslashreplace")] = " ".join(facts.decode().split()[:2])
    return entries


def _read_given(repository: Path, *, on: str, place: str, kind: str) -> Given:
    if kind != DIRECTORY:
        return Given(fault="where its directory should be is a file, a link or a submodule")
    ask = partial(run_git, attempt="read the attestations of", on=on, repository=repository, timeout=60)
    kinds = _list_directory(repository, place, on=on)
    parts = {}
    for name, most in MOST_BYTES.items():
        if name not in kinds:
            return Given(fault=f"there is no {name}")
        if kinds[name].split()[0] not in ("100644", "100755"):
            return Given(fault=f"its {name} is a link or a directory, and no file")
        asked = ask("cat-file", "--batch-check=%(objectsize)", stdin=f"{place}/{name}\n".encode()).stdout.split()
        if len(asked) != 1 or int(asked[0]) > most:
            size = f"{asked[0]} bytes" if len(asked) == 1 else f"more than {MOST_BYTES[SUMS]} bytes"
            return Given(fault=f"its {name} has {size}, and at most {most} are read")
        parts[name] = ask("cat-file", "blob", f"{place}/{name}").raw
    return Given(parts[SUMS], parts[SIGNATURE])


def judge_attestations(quorum: Quorum, attested: Attested, *, version: str, sums: bytes) -> Verdict:
    """Whether enough signers attest ``sums``, the published ``SHA256SUMS``, as :program:`sqv` counts them."""
    agreed: dict[str, bytes] = {}
    others: dict[str, tuple[str, ...]] = {}
    views: dict[bytes, list[str]] = {}
    faults: dict[str, str] = {}
    for attestor, given in (
        (each, attested.given[each.name]) for each in quorum.attestors if each.name in attested.given
    ):
        fault, signature = judge_attestation(quorum, attestor, given)
        if fault is None and given.sums != sums and attestor.name in attested.repeated:
            fault = f"it is the one of {attested.repeated[attestor.name]} once more"
        if fault is not None:
            faults[attestor.name] = fault
        elif given.sums == sums:
            agreed[attestor.name] = signature
        else:
            others[attestor.name] = compare_sums(sums, given.sums)
            views.setdefault(given.sums, []).append(attestor.name)
    silent = [name for name in quorum.names if name not in attested.given]
    accepted = bool(agreed) and count_signatures(quorum, [*agreed.values()], sums=sums)
    return Verdict(
        version,
        quorum.threshold,
        len(quorum.attestors),
        not quorum.attestors or (accepted and len(agreed) >= quorum.threshold),
        agreed=tuple(agreed),
        others=others,
        alike=tuple(tuple(names) for names in views.values() if len(names) > 1),
        faults=faults,
        lagging={name: attested.last[name] for name in silent if name in attested.last},
        missing=tuple(name for name in silent if name not in attested.last),
        strangers=attested.strangers,
    )


def compare_sums(published: bytes, given: bytes) -> tuple[str, ...]:
    """Which files differ, each with how."""
    before, now = (parse_sums(text.decode("utf-8", "replace")) for text in (published, given))
    told = []
    for name in sorted(before.keys() | now.keys()):
        was, has = before.get(name), now.get(name)
        if was != has:
            how = "is not there" if has is None else "is not published" if was is None else f"{has[:16]} for {was[:16]}"
            told.append(f"{name} ({how})")
    return tuple(told) or ("the same files in another form",)


def judge_attestation(quorum: Quorum, attestor: Attestor, given: Given) -> tuple[str | None, bytes]:
    """Why what a signer gave does not count, or the signature in binary form."""
    if given.fault is not None:
        return given.fault, b""
    with make_scratch("slipway-attestation-") as scratch:
        data, signature = scratch / SUMS, scratch / SIGNATURE
        data.write_bytes(given.sums)
        signature.write_bytes(given.signature)
        with provide_keyring({each.name: each.certificate for each in quorum.attestors}) as home:
            judged = judge_signature(home, data=data, signature=signature)
            binary = None if judged.fault else dearmor(home, given.signature)
    if judged.fault is not None:
        return judged.fault, b""
    if judged.fingerprint != attestor.fingerprint:
        whose = quorum.find(judged.fingerprint)
        return f"it is signed by the key {judged.fingerprint} of {whose.name if whose else 'nobody'}", b""
    if binary is None:
        return "its signature is not in ASCII armour", b""
    alone = Quorum(1, (attestor,))
    return None if count_signatures(alone, [binary], sums=given.sums) else "sqv does not accept its signature", binary


def count_signatures(quorum: Quorum, signatures: Sequence[bytes], *, sums: bytes) -> bool:
    """Whether :program:`sqv` finds valid signatures by as many keys as the threshold, of which it counts each once."""
    with make_scratch("slipway-sqv-") as scratch:
        data, signature = scratch / SUMS, scratch / f"{SUMS}.sig"
        data.write_bytes(sums)
        signature.write_bytes(b"".join(signatures))
        words = ["sqv", "--signatures", str(quorum.threshold)]
        for number, each in enumerate(quorum.attestors):
            keyring = scratch / f"key-{number}.pgp"
            keyring.write_bytes(each.certificate)
            words += ["--keyring", os.fspath(keyring)]
        done = run(
            [*words, os.fspath(signature), os.fspath(data)],
            attempt="count the signatures over",
            on=SUMS,
            do_next="Install the Debian package sqv, and run again.",
            timeout=60,
            ok_codes=(0, 1),
        )
        return done.returncode == 0


def wait_for_agreement(
    look: Callable[[], Verdict], *, timeout: float, interval: float, progress: Progress | None = None
) -> Verdict:
    """The verdict, after a wait for those who have attested nothing yet, as long as they could still make it enough.

    That the repository does not answer is waited out, too.
    """
    reporter = progress or Progress(None)

    last: list[Verdict | SlipwayError] = []

    def look_once() -> Verdict | SlipwayError:
        try:
            found = look()
            reporter.report(found.summarise())
            last.append(found)
        except SlipwayError as error:
            reporter.report(f"{error.on}: {error.came_back}")
            last.append(error)
        return last[-1]

    with contextlib.suppress(SlipwayError):
        wait_for(
            look_once,
            lambda seen: isinstance(seen, Verdict) and not seen.waits,
            attempt="wait for",
            on="those who attest",
            timeout=timeout,
            interval=interval,
        )
    if isinstance(last[-1], SlipwayError):
        raise last[-1]
    return last[-1]


def require_agreement(verdict: Verdict, *, label: str, on: str) -> None:
    """Fail unless enough signers agree, and name each who does not."""
    if not verdict.enough:
        raise SlipwayError(
            f"make {label} current as attested in",
            redacted(on),
            verdict.summarise(),
            do_next="What is current stays so. Find out about each signer that is named; when enough agree, run again.",
            findings=verdict.tell(),
        )


def push_attestation(
    url: str,
    *,
    attestor: Attestor,
    version: str,
    given: Given,
    person: Person,
    branch: str = BRANCH,
    attempts: int = 30,
    timeout: float = TIMEOUT,
    write: bool = True,
) -> BranchUpdate:
    """Add what a signer got to the repository, where nothing is ever overwritten.

    The same list once more is left with the signature that it has. Another list, or something else at its place, is a
    failure with both digests. What others push meanwhile stays, and is the ground of another try.
    """
    place = f"{check_version(version)}/{attestor.name}"
    fetch_attestations(url, version=version, names=[attestor.name], branch=branch, timeout=timeout)  # it is bearable

    def add(repository: Path, head: str | None) -> Texts:
        if head is None:
            return _make_texts(place, given)
        for directory, name in ("", version), (version, attestor.name):
            kind = _list_directory(repository, f"{head}:{directory}", on=redacted(url)).get(name)
            if kind is None:
                return _make_texts(place, given)
            if kind != DIRECTORY:
                _refuse_other(url, place, f"{name} is there, and is no directory")
        found = _read_given(repository, on=redacted(url), place=f"{head}:{place}", kind=DIRECTORY)
        return _complete(url, place, found, given, attestor=attestor)

    message = f"Attest {version} as {attestor.name}"
    return edit_branch(url, branch, edit=add, message=message, person=person, attempts=attempts, write=write)


def _complete(url: str, place: str, found: Given, given: Given, *, attestor: Attestor) -> Texts:
    """What is missing at a place where something is."""
    if found.fault == f"there is no {SUMS}":
        return _make_texts(place, given)
    if found.fault is not None:
        _refuse_other(url, place, found.fault)
    if found.sums != given.sums:
        _refuse_other(url, place, f"another list is attested there: {_list(compare_sums(found.sums, given.sums))}")
    fault, _unused = judge_attestation(Quorum(1, (attestor,)), attestor, found)
    if fault is not None:
        _refuse_other(url, place, f"the list there is the same, and does not count: {fault}")
    return {}


def _refuse_other(url: str, place: str, fault: str) -> None:
    raise SlipwayError(
        f"attest as {place} of",
        redacted(url),
        fault,
        do_next="Nothing was changed there, as an attestation never is. Find out which of them is right.",
    )


def _make_texts(place: str, given: Given) -> Texts:
    parts = {SUMS: given.sums, SIGNATURE: given.signature}
    return {f"{place}/{name}": ("", data.decode(errors="surrogateescape")) for name, data in parts.items()}


def describe_verdict(verdict: Verdict, quorum: Quorum, *, url: str, head: str | None) -> dict[str, object]:
    """What a record keeps."""
    return {
        "repository": redacted(url),
        "commit": head,
        "threshold": verdict.threshold,
        "signers": {each.name: each.fingerprint for each in quorum.attestors},
        "agreed": sorted(verdict.agreed),
        "others": sorted(verdict.others),
        "lagging": sorted(verdict.lagging),
        "missing": sorted(verdict.missing),
        "faulty": sorted(verdict.faults),
    }
