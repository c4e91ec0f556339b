# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OpenPGP keys and detached signatures, by GnuPG."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from .errors import SlipwayError, refuse
from .files import make_scratch, read_regular, write_atomic
from .locks import hold_flock
from .process import Completed, run, summarise_output
from .wait import wait_for

#: A UNIX socket's path has at most 107 bytes, of which gpg-agent leaves one free; its longest socket name is this.
SOCKET_PATH_BYTES = 106
LONGEST_SOCKET_NAME = "S.gpg-agent.browser"

#: No questions, no settings of a person's gpg.conf, and no trust database: the caller names the key.
GPG_OPTIONS = (
    *("--no-options", "--batch", "--no-tty", "--no-auto-check-trustdb", "--trust-model", "always"),
    *("--no-permission-warning", "--no-random-seed-file"),
)

#: Looking takes no lock, because a lock is a file in the home; GnuPG replaces its files whole.
GPG_READ = ("--lock-never",)
#: A text that comes from outside and was signed by a digest that can be forged is signed by nobody.
GPG_WEAK = ("--weak-digest", "SHA1")
#: Looking at what is somebody else's: no key is fetched that a signature or a key names, and no agent is started.
GPG_OFFLINE = ("--no-autostart", "--disable-dirmngr", "--no-auto-key-retrieve")
#: Nobody is asked for a passphrase. An agent that is forwarded takes no such order; it asks where it runs.
GPG_UNASKED = ("--pinentry-mode", "error")
GPG_SIGN = ("--armor", "--output", "-", "--detach-sign")
GPG_SIGN_BINARY = ("--output", "-", "--detach-sign")
GPG_CLEARSIGN = ("--digest-algo", "SHA512", "--output", "-", "--clearsign")
#: The classes of signatures: over bytes as they are, and over a text that holds its signature.
OVER_BYTES, OVER_TEXT = "00", "01"
#: What to do when no signature was made.
UNSIGNED = (
    "If the key has a passphrase, sign something by hand once for the agent to know it, and have it remember that for "
    "longer than a release (default-cache-ttl, max-cache-ttl in gpg-agent.conf). Run again."
)

#: What to do when the agent that has the key, on another machine, is away.
CONNECT = (
    "On the machine that has the key, forward its agent to here again, as docs/keys.md has it. Run the same command "
    "again: it goes on where it ended."
)

FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
USER_ID = re.compile(r"[^<>\x00-\x1f\x7f]+ <[^<>@\s\x00-\x1f\x7f]+@[^<>@\s\x00-\x1f\x7f]+>\Z")
EXPIRES = re.compile(r"(?:0|none|[1-9][0-9]*[dwmy]?|seconds=[1-9][0-9]*|[0-9]{4}-[0-9]{2}-[0-9]{2})\Z")
#: Seconds within which an agent answers; one over a connection that died does not.
AGENT_SILENCE = 10.0
#: What GnuPG calls a part that is revoked, disabled or invalid, which no new date helps.
GONE = {"r", "d", "i"}
#: Digests that no longer bind a signature to what it is over, by their numbers in OpenPGP.
BROKEN_DIGESTS = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}
ALGORITHMS = {"1": "rsa", "17": "dsa", "19": "ecdsa", "22": "eddsa"}


@dataclass(frozen=True)
class Key:
    """A secret key that can sign now; ``created`` and ``expires`` are seconds since the epoch (None: never).

    ``ends`` are the parts that signing needs, by fingerprint, and when each expires. An ``offline`` key has its primary
    key's secret part elsewhere.
    """

    fingerprint: str
    user_id: str
    algorithm: str
    created: int
    expires: int | None
    ends: Mapping[str, int | None] = field(default_factory=dict)
    offline: bool = False

    def explain_extension(self, gnupghome: str | os.PathLike[str], *, until: float) -> str:
        """How to prolong each part that expires before ``until``: the subkey, where that is what expires."""
        parts = [fingerprint for fingerprint, end in self.ends.items() if end is not None and end <= until]
        extend = shlex.join(["gpg", "--homedir", os.fspath(gnupghome), "--quick-set-expire", self.fingerprint, "2y"])
        commands = [extend if part == self.fingerprint else f"{extend} {part}" for part in parts]
        where = ", where the secret part of the primary key is, import the key here," if self.offline else ""
        return f"extend it with `{' && '.join(commands)}`{where} and publish it again"


@dataclass
class _KeyPart:
    """A primary key or subkey as GnuPG lists it; a stub has no secret part here."""

    validity: str
    algorithm: str
    created: int
    expires: int | None
    capabilities: str
    stub: bool
    fingerprint: str = ""
    keygrip: str = ""

    def signs(self, now: float) -> bool:
        alive = self.validity not in {"e", *GONE} and (self.expires is None or self.expires > now)
        return alive and "s" in self.capabilities and not self.stub


@dataclass
class _ListedKey:
    """A key with its subkeys and user ids."""

    primary: _KeyPart
    subkeys: list[_KeyPart] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)

    def find_fault(self, now: float) -> str | None:
        """Why this key cannot sign, as half a sentence; None if it can."""
        primary = self.primary
        if primary.validity == "r":
            return "it is revoked"
        if primary.validity == "d" or "D" in primary.capabilities:
            return "it is disabled"
        if primary.expires is not None and primary.expires <= now:
            return f"it expired on {_format_day(primary.expires)}"
        if any(part.signs(now) for part in self.parts()):
            return None
        signing = [part for part in self.parts() if "s" in part.capabilities]
        if not signing:
            return "it is not made for signing"
        if all(part.stub for part in signing):
            return "its secret part is not there"
        expired = [part.expires for part in signing if part.expires is not None and part.expires <= now]
        if expired:
            return f"its signing subkey expired on {_format_day(max(expired))}"
        return "its signing subkey is revoked or not valid"

    def parts(self) -> list[_KeyPart]:
        return [self.primary, *self.subkeys]

    def describe(self) -> Key:
        needed = {part.fingerprint: part.expires for part in (self.primary, *self._select_signing())}
        return Key(
            fingerprint=self.primary.fingerprint,
            user_id=self.user_ids[0] if self.user_ids else "",
            algorithm=self.primary.algorithm,
            created=self.primary.created,
            expires=min((end for end in needed.values() if end is not None), default=None),
            ends=needed,
            offline=self.primary.stub,
        )

    def _select_signing(self) -> list[_KeyPart]:
        """The part that signs longest, expired or not; the primary key, if it signs, since no subkey outlives it."""
        mine = [
            part for part in self.parts() if "s" in part.capabilities and not part.stub and part.validity not in GONE
        ]
        ranked = sorted(mine, key=lambda part: (part is self.primary, part.expires is None, part.expires or 0))
        return ranked[-1:]


def find_signing_key(
    gnupghome: str | os.PathLike[str], fingerprint: str | None = None, *, now: float | None = None
) -> Key:
    """The secret key that signs: the one of ``fingerprint``, or the only one that can.

    Fails when it is missing, expired, revoked, not for signing, or when there are several to choose from.
    """
    moment = time.time() if now is None else now
    wanted = None if fingerprint is None else normalise_fingerprint(fingerprint)
    attempt, on = "sign with", f"the key {wanted} in {gnupghome}" if wanted else f"a key in {gnupghome}"
    make = (
        "Make or import one there (playbooks/provision.yml makes the coordinator's, slipway.release.openpgp_key any), "
        "or correct the setting, and run again."
    )
    if not _has_keyring(Path(gnupghome)):
        raise SlipwayError(attempt, on, "there are no keys", do_next=make)
    listed = _list_secret_keys(gnupghome)
    if wanted is not None:
        listed = [entry for entry in listed if entry.primary.fingerprint == wanted]
        if not listed:
            away = _explain_away(gnupghome)
            came_back = f"no secret key has this fingerprint{away and f'; {away}'}"
            raise SlipwayError(attempt, on, came_back, do_next=CONNECT if away else make)
    faults = {entry.primary.fingerprint: entry.find_fault(moment) for entry in listed}
    usable = [entry for entry in listed if faults[entry.primary.fingerprint] is None]
    if not usable:
        # What is at fault for another reason gets no better by another date.
        expired = [entry.describe() for entry in listed if "expired" in str(faults[entry.primary.fingerprint])]
        extend = expired[0].explain_extension(gnupghome, until=moment) if len(expired) == 1 else "extend one of them"
        reasons = "; ".join(f"{print_}: {fault}" for print_, fault in faults.items())
        if not listed:
            away = _explain_away(gnupghome)
            reasons, make = f"there are no secret keys{away and f'; {away}'}", CONNECT if away else make
        raise SlipwayError(
            attempt,
            on,
            reasons if wanted is None else str(faults[wanted]),
            do_next=f"{extend[0].upper()}{extend[1:]}, or choose another key; run again." if listed else make,
        )
    if len(usable) > 1:
        raise SlipwayError(
            attempt,
            on,
            f"{len(usable)} keys can sign: " + ", ".join(entry.primary.fingerprint for entry in usable),
            do_next="Say which one by its fingerprint and run again.",
        )
    return usable[0].describe()


def sign_detached(
    gnupghome: str | os.PathLike[str], fingerprint: str, *, data: Path, signature: Path, at: int | None = None
) -> None:
    """Write an armoured detached signature over ``data``.

    ``at`` (seconds since the epoch) dates the signature. The same key, data and date give the same bytes
    with all key types but those that need fresh randomness, so that a lost signature can be made again.
    """
    dated = () if at is None else ("--faked-system-time", f"{at}!")
    on = f"{data} with the key {fingerprint}"
    with _open_home(gnupghome) as home, _explain_unsigned(home.path):
        words = [*dated, *_find_manner(home.path, on), "--local-user", fingerprint, *GPG_SIGN, os.fspath(data)]
        done = home.run_gpg(words, attempt="sign", on=on, do_next=UNSIGNED)
    write_atomic(signature, done.stdout.encode())


def sign_within(environment: Mapping[str, str], fingerprint: str, *, data: Path) -> bytes:
    """An armoured detached signature over ``data``, made in a home that :func:`provide_environment` holds."""
    home, on = environment["GNUPGHOME"], f"{data} with the key {fingerprint}"
    words = [*_gpg_command(home), *_find_manner(home, on), "--local-user", fingerprint, *GPG_SIGN, os.fspath(data)]
    with _explain_unsigned(home):
        return run(words, attempt="sign", on=on, do_next=UNSIGNED, timeout=120).raw


def sign_messages(
    gnupghome: str | os.PathLike[str],
    fingerprint: str,
    messages: Sequence[bytes],
    *,
    on: str,
    at: int | None = None,
    digest: str = "",
) -> list[bytes]:
    """A detached signature over each message, in their order: binary, not armoured. ``at`` dates them.

    ``digest`` is one that all who verify it know. A fingerprint with ``!`` is that of the very subkey that signs.

    The home is opened and an agent started once for all of them; GnuPG signs one text at a time.
    """
    dated = () if at is None else ("--faked-system-time", f"{at}!")
    by = ("--digest-algo", digest) if digest else ()
    with _open_home(gnupghome) as home:
        manner = [*dated, *by, *_find_manner(home.path, on)]
        words = [*_gpg_command(home.path), *manner, "--local-user", fingerprint, *GPG_SIGN_BINARY]

        def sign(message: bytes) -> bytes:
            with _explain_unsigned(home.path):
                return run(words, attempt="sign", on=on, do_next=UNSIGNED, stdin=message, timeout=120).raw

        first = [sign(message) for message in messages[:1]]  # starts the agent
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return [*first, *pool.map(sign, messages[1:])]


def clearsign_within(environment: Mapping[str, str], fingerprint: str, text: bytes, *, on: str) -> bytes:
    """``text`` with a signature around it, made in a home that :func:`provide_environment` holds."""
    home, where = environment["GNUPGHOME"], f"{on} with the key {fingerprint}"
    words = [*_gpg_command(home), *_find_manner(home, where), "--local-user", fingerprint, *GPG_CLEARSIGN]
    with _explain_unsigned(home):
        return run(words, attempt="sign", on=where, do_next=UNSIGNED, stdin=text, timeout=120).raw


def open_clearsigned(
    signed: bytes, *, gnupghome: str | os.PathLike[str] | None = None, keyring: str | os.PathLike[str] | None = None
) -> tuple[Signature, bytes] | None:
    """Whose good signature is around a text, and what it signs; None unless there is exactly one.

    Keys that count are those of the home, or those of a file, armoured or not, by which alone :program:`gpgv` judges.
    """
    with make_scratch("slipway-gpgv-") as directory:
        message, text = directory / "message", directory / "text"
        message.write_bytes(signed)
        if keyring is not None:
            words, verb = ["gpgv", "--homedir", str(directory), "--keyring", _place_keyring(keyring, directory)], []
        elif gnupghome is not None and _has_keyring(Path(gnupghome)):
            words, verb = [*_gpg_command(gnupghome), *GPG_READ], ["--decrypt"]
        else:
            return None
        done = run(
            [*words, *GPG_WEAK, "--status-fd", "1", "--output", str(text), *verb, str(message)],
            attempt="check the signature",
            on="of a text",
            timeout=60,
            ok_codes=range(256),
        )
        found = parse_verification(done.stdout)
        return None if found is None or not text.is_file() else (found, text.read_bytes())


def _place_keyring(keyring: str | os.PathLike[str], directory: Path) -> str:
    """A copy of a file of keys in the form that gpgv reads."""
    content, copy = read_regular(keyring), directory / "keyring.gpg"
    if content.lstrip().startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        words = [*_gpg_command(directory), "--dearmor"]
        content = run(words, attempt="read the keys in", on=os.fspath(keyring), stdin=content, timeout=60).raw
    copy.write_bytes(content)
    return str(copy)


def try_signing(gnupghome: str | os.PathLike[str], fingerprint: str) -> None:
    """Sign something that does not matter, and verify it; the home is afterwards as it was."""
    home = Path(gnupghome)
    before = home.stat()
    with make_scratch("slipway-sign-") as directory:
        data, signature = directory / "data", directory / "data.asc"
        data.write_text("Whether this key signs.\n", encoding="utf-8")
        try:
            sign_detached(home, fingerprint, data=data, signature=signature)
        finally:
            os.utime(home, ns=(before.st_atime_ns, before.st_mtime_ns))  # the agent's sockets came and went
        made = verify_signature(home, data=data, signature=signature)
    if made is None or made.fingerprint != fingerprint:
        by = "is not good" if made is None else f"is by {made.fingerprint}"
        do_next = "Look at the keys there with `gpg --list-secret-keys`."
        raise SlipwayError("sign with", f"the key {fingerprint} in {home}", f"the signature {by}", do_next=do_next)


@dataclass(frozen=True)
class Signature:
    """A good signature: the fingerprint of the (primary) key, and when it was made (seconds since the epoch)."""

    fingerprint: str
    made: int


def verify_signature(gnupghome: str | os.PathLike[str], *, data: Path, signature: Path) -> Signature | None:
    """Who signed ``data``; None unless ``signature`` is one good signature by a key of that home. Writes nothing."""
    if not (signature.is_file() and data.is_file() and _has_keyring(Path(gnupghome))):
        return None
    done = run(
        [*_gpg_command(gnupghome), *GPG_READ, "--status-fd", "1", "--verify", os.fspath(signature), os.fspath(data)],
        attempt="check the signature",
        on=str(signature),
        timeout=60,
        ok_codes=range(256),
    )
    return parse_verification(done.stdout)


def parse_verification(status: str) -> Signature | None:
    """Read GnuPG's status lines of a verification; None unless there is exactly one signature and it is good.

    A signature made before its key expired stays good; one by a revoked key does not.
    """
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    valid = [line for line in lines if line and line[0] == "VALIDSIG"]
    if words & {"BADSIG", "ERRSIG", "REVKEYSIG", "EXPSIG"} or len(valid) != 1 or len(valid[0]) < 11:
        return None
    fingerprint, made = valid[0][10], valid[0][3]
    return Signature(fingerprint, int(made)) if FINGERPRINT.match(fingerprint) and made.isdecimal() else None


@dataclass(frozen=True)
class Judgement:
    """What a signature is worth now: ``fault`` is why it is not good, as half a sentence, None if it is.

    ``key`` is what signed, a primary key or a subkey, and ``fingerprint`` its primary key; empty where GnuPG cannot
    know. ``made`` is the time that the signature gives, which whoever signs can choose.
    """

    fault: str | None
    key: str = ""
    fingerprint: str = ""
    made: int | None = None


@contextlib.contextmanager
def provide_keyring(keys: Mapping[str, bytes]) -> Iterator[Path]:
    """A private GnuPG home with these public keys: where each is from, and the key itself, armoured or not."""
    secret = [f"{name} is a secret key" for name, data in keys.items() if b"PRIVATE KEY" in data]
    refuse("use the keys of", "signers", secret, do_next="Give the public half, as `gpg --armor --export` writes it.")
    with make_scratch("slipway-keyring-") as home:
        for number, (name, data) in enumerate(keys.items()):
            _import_key(home, home / f"key-{number}", name=name, data=data)
        yield home


def _import_key(home: Path, path: Path, *, name: str, data: bytes) -> None:
    path.write_bytes(data)
    done = run(
        [*_gpg_command(home), *GPG_OFFLINE, "--status-fd", "1", "--import", os.fspath(path)],
        attempt="import the key of",
        on=name,
        timeout=60,
        ok_codes=range(256),
    )
    taken = re.findall(r"^\[GNUPG:\] IMPORT_OK [0-9]+ ", done.stdout, re.MULTILINE)
    if not taken:
        do_next = "Give a public key, as `gpg --armor --export` writes it."
        raise SlipwayError("use the key of", name, "GnuPG finds no public key in it", do_next=do_next)


def list_certificates(gnupghome: str | os.PathLike[str]) -> dict[str, set[str]]:
    """The public keys of a home by the fingerprints of their primary keys: the fingerprints of all their parts."""
    words = [*_gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        entry.primary.fingerprint: {part.fingerprint for part in entry.parts()} for entry in parse_keys(done.stdout)
    }


def list_ends(gnupghome: str | os.PathLike[str]) -> dict[str, int | None]:
    """When each public key and subkey of a home expires (seconds since the epoch; None: never); 0 if it is revoked."""
    words = [*_gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        part.fingerprint: 0 if part.validity in GONE else part.expires
        for entry in parse_keys(done.stdout)
        for part in entry.parts()
    }


def list_fingerprints(gnupghome: str | os.PathLike[str]) -> set[str]:
    """The fingerprints of the public keys of a home, those of subkeys among them."""
    return {part for parts in list_certificates(gnupghome).values() for part in parts}


def export_certificate(gnupghome: str | os.PathLike[str], fingerprint: str) -> bytes:
    """One public key of a home as OpenPGP's packets, which other programs than GnuPG read as well."""
    words = [*_gpg_command(gnupghome), *GPG_READ, "--export", fingerprint]
    return run(words, attempt="export the public key", on=f"{fingerprint} of {gnupghome}", timeout=60).raw


def dearmor(gnupghome: str | os.PathLike[str], armoured: bytes) -> bytes | None:
    """What a text in ASCII armour stands for; None if it is none."""
    words = [*_gpg_command(gnupghome), "--dearmor"]
    done = run(words, attempt="read", on="a signature", stdin=armoured, timeout=60, ok_codes=range(256))
    return done.raw if done.returncode == 0 and done.raw else None


def list_signing_ends(gnupghome: str | os.PathLike[str]) -> dict[str, int | None]:
    """When each primary key of a home can sign no more: itself, or the part of it that signs longest; 0 if revoked."""
    words = [*_gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        entry.primary.fingerprint: 0 if entry.primary.validity in GONE else entry.describe().expires
        for entry in parse_keys(done.stdout)
    }


def judge_signature(
    gnupghome: str | os.PathLike[str], *, data: Path | None, signature: Path, at: float | None = None
) -> Judgement:
    """What a signature is worth now, by the keys of a home, and whose it is.

    Other than for :func:`verify_signature`, a key that has expired since counts no more. ``at`` (seconds since the
    epoch) is the time instead of that of this machine's clock. Without ``data``, ``signature`` is a clear-signed text.
    """
    dated = () if at is None else ("--faked-system-time", f"{int(at)}!")
    signed = () if data is None else (os.fspath(data),)
    words = ["--status-fd", "1", "--verify", os.fspath(signature), *signed]
    done = run(
        [*_gpg_command(gnupghome), *GPG_READ, *GPG_OFFLINE, *dated, *words],
        attempt="check the signature",
        on=str(signature),
        timeout=60,
        ok_codes=range(256),
    )
    return parse_judgement(done.stdout, over=OVER_BYTES if data is not None else OVER_TEXT)


def parse_judgement(status: str, *, over: str = OVER_BYTES) -> Judgement:
    """Read GnuPG's status lines of a verification; what they do not say outright is no good signature.

    ``over`` is the class that the signature must have.
    """
    # What else splits a line for Python may stand in a name, which GnuPG repeats.
    lines = [words for line in status.split("\n") if line.startswith("[GNUPG:] ") and (words := line.split()[1:])]
    said = {words[0]: words[1:] for words in lines}
    times = max([words[0] for words in lines].count(word) for word in ("NEWSIG", "VALIDSIG"))
    if times > 1:
        return Judgement(f"it has {times} signatures, of which none counts")
    if "ERRSIG" in said:
        return _judge_unchecked([*said["ERRSIG"], *[""] * 7])
    if "BADSIG" in said:
        key = said["BADSIG"][0] if said["BADSIG"] else ""
        return Judgement(f"its signature, by the key {key}, is over another text", key)
    valid = said.get("VALIDSIG", [])
    if len(valid) < 10 or not (FINGERPRINT.match(valid[0]) and FINGERPRINT.match(valid[9])):
        return Judgement("GnuPG cannot read its signature")
    key, made, fingerprint = valid[0], int(valid[2]) if valid[2].isdecimal() else None, valid[9]
    return Judgement(_find_fault_of_valid(said, valid, key, over), key, fingerprint, made)


def _judge_unchecked(fields: Sequence[str]) -> Judgement:
    """Of a signature that GnuPG could not check: the key's id, what it lacks, and perhaps the fingerprint."""
    key = fields[6] if FINGERPRINT.match(fields[6]) else fields[0]
    if fields[5] == "9":
        return Judgement(f"its signature is by the key {key}, which is none of those that are known here", key)
    return Judgement(f"its signature, by the key {key}, is of a kind that GnuPG cannot check here", key)


def _find_fault_of_valid(said: Mapping[str, Sequence[str]], valid: Sequence[str], key: str, over: str) -> str | None:
    """Why a signature does not count that is right in itself: its key, its end, or how it was made."""
    if "REVKEYSIG" in said:
        return f"its signature is by the key {key}, which is revoked"
    if "EXPKEYSIG" in said:
        end = "".join(said.get("KEYEXPIRED", ()))
        when = f" on {_format_day(int(end))}" if re.fullmatch(r"[0-9]{1,10}", end) else ""
        return f"its signature is by the key {key}, which expired{when}"
    if "EXPSIG" in said:
        return f"its signature, by the key {key}, was made for a time that is over"
    if valid[7] in BROKEN_DIGESTS:
        return f"its signature, by the key {key}, is over a digest by {BROKEN_DIGESTS[valid[7]]}, which can be forged"
    return None if "GOODSIG" in said and valid[8] == over else f"its signature, by the key {key}, is none over a file"


def make_key(gnupghome: str | os.PathLike[str], user_id: str, *, expires: str = "2y") -> str:
    """Make an ed25519 key that only signs, without passphrase, in ``gnupghome`` (made with mode 0700); its fingerprint.

    ``expires`` is in GnuPG's form: ``2y``, ``90d``, ``2030-01-31``, ``seconds=N``, ``0`` for never.
    """
    faults = [] if USER_ID.match(user_id) else ["it is not of the form 'Name <mail@address>'"]
    if not EXPIRES.match(expires):
        faults.append(f"{expires!r} is not a time of expiry, such as 2y, 90d, 2030-01-31, or 0 for never")
    refuse("make a signing key for", repr(user_id), faults, do_next="Correct it.")
    home = Path(gnupghome)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    with _open_home(home) as agent_home:
        done = agent_home.run_gpg(
            ["--status-fd", "1", "--passphrase", "", "--quick-generate-key", user_id, "ed25519", "sign", expires],
            attempt="make a signing key for",
            on=f"{user_id} in {gnupghome}",
        )
    created = re.search(r"^\[GNUPG:\] KEY_CREATED P ([0-9A-F]{40,64})", done.stdout, re.MULTILINE)
    if created is None:
        raise SlipwayError(
            "make a signing key for", user_id, f"gpg wrote {done.stdout!r}", do_next="Look at the directory's keys."
        )
    return created.group(1)


def import_secret_key(gnupghome: str | os.PathLike[str], user_id: str, secret: str) -> None:
    """Import the armoured secret key of that user id into ``gnupghome`` (made with mode 0700).

    It is looked at in a home of its own first, so that a key of somebody else is refused, and none is left.
    """
    attempt, do_next = "import the signing key of", "Give what `gpg --armor --export-secret-keys` writes of that key."
    with tempfile.TemporaryDirectory(prefix="slipway-key-") as scratch:
        _import_secret(Path(scratch), secret, attempt=attempt, on=user_id, do_next=do_next)
        if find_secret_key(scratch, user_id) is None:
            found = ", ".join(name for entry in _list_secret_keys(scratch) for name in entry.user_ids)
            came_back = f"it is of {found}" if found else "GnuPG finds no secret key in what was given"
            raise SlipwayError(attempt, user_id, came_back, do_next=do_next)
    home = Path(gnupghome)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    _import_secret(home, secret, attempt=attempt, on=user_id, do_next=do_next)


def _import_secret(home: Path, secret: str, *, attempt: str, on: str, do_next: str) -> None:
    with _open_home(home) as opened:
        opened.run_gpg(["--import"], attempt=attempt, on=on, do_next=do_next, stdin=secret.encode())


def find_secret_key(gnupghome: str | os.PathLike[str], user_id: str, *, now: float | None = None) -> Key | None:
    """The secret signing key of that user id; None if there is none, a failure if it cannot sign any more."""
    if not _has_keyring(Path(gnupghome)):
        return None
    mine = [entry for entry in _list_secret_keys(gnupghome) if user_id in entry.user_ids]
    if not mine:
        return None
    moment = time.time() if now is None else now
    usable = [entry for entry in mine if entry.find_fault(moment) is None]
    return usable[0].describe() if usable else find_signing_key(gnupghome, mine[0].primary.fingerprint, now=moment)


def export_public_key(gnupghome: str | os.PathLike[str], fingerprint: str, *, certified: bool = False) -> bytes:
    """The armoured public key; the same bytes as long as the key is the same.

    If it is to be ``certified``, what other keys of the home say of it remains.
    """
    options = "export-clean" if certified else "export-minimal"
    done = run(
        [*_gpg_command(gnupghome), *GPG_READ, "--armor", "--export-options", options, "--export", fingerprint],
        attempt="export the public key",
        on=f"{fingerprint} of {gnupghome}",
        timeout=60,
    )
    return done.stdout.encode()


def certify_key(gnupghome: str | os.PathLike[str], *, by: str, fingerprint: str) -> None:
    """Have a key of the home say of another that it is whose it says: every user id of it is signed."""
    on = f"the key {fingerprint} by {by}"
    with _open_home(gnupghome) as home, _explain_unsigned(home.path):
        words = ["--yes", *_find_manner(home.path, on), "--local-user", by, "--quick-sign-key", fingerprint]
        home.run_gpg(words, attempt="certify", on=on, do_next=UNSIGNED)


def list_certifiers(gnupghome: str | os.PathLike[str], fingerprint: str) -> set[str]:
    """The fingerprints of other keys of a home that signed a user id of this one, as GnuPG verifies it."""
    words = [*_gpg_command(gnupghome), *GPG_READ, "--with-colons", "--no-sig-cache", "--check-signatures", fingerprint]
    done = run(words, attempt="list who signed", on=f"the key {fingerprint}", timeout=60)
    # GnuPG 2.2 gives wrong fingerprints of who signed where it uses no cache; the key ids are right.
    lines = [line.split(":") for line in done.stdout.splitlines()]
    good = {line[4] for line in lines if line[0] == "sig" and len(line) > 4 and line[1] == "!"}
    return {each for each in list_fingerprints(gnupghome) if each[-16:] in good} - {fingerprint}


@contextlib.contextmanager
def provide_environment(gnupghome: str | os.PathLike[str]) -> Iterator[dict[str, str]]:
    """The variables under which another program, such as git, signs with the keys in ``gnupghome``."""
    with _open_home(gnupghome) as home:
        yield {"GNUPGHOME": str(home.path)}


def normalise_fingerprint(text: str) -> str:
    """A fingerprint in GnuPG's form: upper case without spaces; anything shorter is refused."""
    candidate = "".join(text.split()).upper().removeprefix("0X")
    if not FINGERPRINT.match(candidate):
        raise SlipwayError(
            "use the signing key",
            repr(text),
            "this is not a full fingerprint of 40 (or 64) hexadecimal digits",
            do_next="Take it from `gpg --list-secret-keys --with-colons` (the line that begins with fpr).",
        )
    return candidate


def parse_keys(listing: str) -> list[_ListedKey]:
    """Read ``gpg --with-colons --list-keys`` or ``--list-secret-keys``; lines of unknown kinds are passed over."""
    keys: list[_ListedKey] = []
    for line in listing.splitlines():
        fields = line.split(":")
        kind = fields[0]
        if kind in {"pub", "sub", "sec", "ssb"}:
            part = _parse_part(fields)
            if kind in {"pub", "sec"}:
                keys.append(_ListedKey(part))
            elif keys:
                keys[-1].subkeys.append(part)
        elif kind == "fpr" and keys and len(fields) > 9:
            last = keys[-1].parts()[-1]
            last.fingerprint = last.fingerprint or fields[9]
        elif kind == "grp" and keys and len(fields) > 9:
            keys[-1].parts()[-1].keygrip = fields[9]
        elif kind == "uid" and keys and len(fields) > 9 and fields[1] not in {"r", "e"}:
            keys[-1].user_ids.append(_unescape(fields[9]))
    return keys


def _parse_part(fields: Sequence[str]) -> _KeyPart:
    padded = [*fields, *[""] * 20]
    return _KeyPart(
        validity=padded[1],
        algorithm=padded[16] or f"{ALGORITHMS.get(padded[3], padded[3])}{padded[2]}",
        created=int(padded[5]) if padded[5].isdecimal() else 0,
        expires=int(padded[6]) if padded[6].isdecimal() and int(padded[6]) > 0 else None,
        capabilities=padded[11],
        stub=padded[14] == "#",
    )


def _unescape(text: str) -> str:
    """GnuPG writes a colon and control characters as ``\\x3a``."""
    raw = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match.group(1), 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def _list_secret_keys(gnupghome: str | os.PathLike[str]) -> list[_ListedKey]:
    """The keys whose secret part is here, found without an agent: one would write its sockets into the home.

    An agent that already runs is asked for those whose secret part is not here: it may be another machine's.
    """
    done = run(
        [*_gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-keygrip", "--list-keys"],
        attempt="list the keys of",
        on=str(gnupghome),
        timeout=60,
    )
    secrets = Path(gnupghome) / "private-keys-v1.d"
    listed = parse_keys(done.stdout)
    absent = []
    for part in (part for entry in listed for part in entry.parts()):
        part.stub = not (FINGERPRINT.match(part.keygrip) and (secrets / f"{part.keygrip}.key").is_file())
        if part.stub and FINGERPRINT.match(part.keygrip):
            absent.append(part)
    if absent and (said := _ask_agent(gnupghome, [f"HAVEKEY {part.keygrip}" for part in absent])):
        for part, answer in zip(absent, said, strict=True):
            part.stub = not answer.startswith("OK")
    return [entry for entry in listed if not all(part.stub for part in entry.parts())]


def _ask_agent(gnupghome: str | os.PathLike[str], commands: Sequence[str]) -> list[str] | None:
    """How the agent of a home answers commands, each by one line; None if none answers, as over a dead connection."""
    said: list[str] = []
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(AGENT_SILENCE)
        client.connect(str(_find_agent_socket(Path(gnupghome))))
        with client.makefile("rwb") as lines:
            answer = lines.readline()
            for command in commands:
                if not answer.startswith((b"OK", b"ERR")):
                    return None
                lines.write(f"{command}\n".encode("ascii"))
                lines.flush()
                answer = lines.readline()
                said.append(answer.decode("utf-8", "replace").strip())
            return said if answer.startswith((b"OK", b"ERR")) else None
    return None


def _find_manner(home: str | os.PathLike[str], on: str) -> Sequence[str]:
    """How gpg is to deal with passphrases: an agent that is forwarded, by its extra socket, takes no orders.

    Where the home has no secret keys, no agent is started in the place of one that is away.
    """
    said = _ask_agent(home, ["GETINFO restricted"])
    if said is None and (away := _explain_away(home)):
        raise SlipwayError("sign", on, away, do_next=CONNECT)
    return () if said and said[0].startswith("OK") else GPG_UNASKED


def _explain_away(gnupghome: str | os.PathLike[str]) -> str:
    """What is wrong with the agent of a home that has no secret keys of its own; empty for a home that has some."""
    if any((Path(gnupghome) / "private-keys-v1.d").glob("*.key")):
        return ""
    place = _find_agent_socket(Path(gnupghome))
    if _ask_agent(gnupghome, []) is not None:
        return f"the agent at {place} does not have it"
    if place.is_socket():
        return f"the connection to the agent that was forwarded to {place} is broken"
    return f"no agent of another machine is forwarded to {place}"


@contextlib.contextmanager
def _explain_unsigned(home: str | os.PathLike[str]) -> Iterator[None]:
    """Tell what is wrong with the agent elsewhere, where a signature by it failed."""
    try:
        yield
    except SlipwayError as error:
        away = _explain_away(home)
        if not away or error.came_back == away:
            raise
        if _ask_agent(home, []) is not None:
            away = "the agent of another machine did not sign; if its pinentry asks there, somebody must answer"
        came_back = f"{away}; {error.came_back}"
        raise SlipwayError(error.attempted, error.on, came_back, do_next=CONNECT, log=error.log) from None


def _has_keyring(home: Path) -> bool:
    return any((home / name).exists() for name in ("pubring.kbx", "pubring.gpg", "public-keys.d"))


def _format_day(moment: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _gpg_command(home: str | os.PathLike[str]) -> list[str]:
    return ["gpg", "--homedir", os.fspath(home), *GPG_OPTIONS]


@dataclass(frozen=True)
class _Home:
    """A GnuPG home under a path that is short enough for the sockets of its agent."""

    path: Path
    agent_runs: bool

    def run_gpg(
        self, words: Sequence[str], *, attempt: str, on: str, do_next: str | None = None, stdin: bytes | None = None
    ) -> Completed:
        """Run gpg with an agent that ends when gpg does, unless one was there already."""
        with make_scratch("slipway-agent-") as scratch:
            log = scratch / "log"
            agent = ["gpg-agent", "--homedir", str(self.path), "--quiet", "--log-file", str(log), "--daemon"]
            try:
                return run(
                    [*([] if self.agent_runs else agent), *_gpg_command(self.path), *words],
                    attempt=attempt,
                    on=on,
                    do_next=do_next or "Look at the message above and run the same command again.",
                    stdin=stdin,
                    timeout=120,
                )
            except SlipwayError as error:
                said = summarise_output(log.read_text(errors="replace")) if log.exists() else ""
                if said:
                    error = SlipwayError(
                        error.attempted, error.on, f"{error.came_back}; {said}", do_next=error.do_next, log=error.log
                    )
                raise error from None


@contextlib.contextmanager
def _open_home(gnupghome: str | os.PathLike[str]) -> Iterator[_Home]:
    """Lock a home; an agent that was started meanwhile is ended afterwards."""
    home = Path(gnupghome).resolve()
    with hold_flock(home, attempt="use the keys in", on=str(home), timeout=120), _shorten_path(home) as short:
        agent_socket = _find_agent_socket(short)
        runs = _is_answering(agent_socket)
        dead = not runs and agent_socket.is_socket()  # of a connection that broke, or of an agent that was killed
        try:
            yield _Home(short, runs)
        finally:
            if not runs and not (dead and not _is_answering(agent_socket)):
                _end_agent(short, agent_socket)


@contextlib.contextmanager
def _shorten_path(home: Path) -> Iterator[Path]:
    """``home``, or a temporary link to it where the paths of the agent's sockets would be too long."""
    if len(os.fsencode(_find_agent_socket(home).with_name(LONGEST_SOCKET_NAME))) <= SOCKET_PATH_BYTES:
        yield home
    else:
        places = [place for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if os.access(place, os.W_OK)]  # noqa: S108  # a private directory is made there
        place = min(places, key=lambda path: len(os.fsencode(path)))
        with make_scratch("slipway-gpg-", directory=place) as directory:
            link = directory / "h"
            link.symlink_to(home)
            try:
                yield link
            finally:
                link.unlink()


def _find_agent_socket(home: Path) -> Path:
    done = run(
        ["gpgconf", "--homedir", str(home), "--list-dirs"],
        attempt="find the agent's socket of",
        on=str(home),
        timeout=60,
    )
    named = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    return Path(unquote(named.get("agent-socket", str(home / "S.gpg-agent"))))


def _is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(AGENT_SILENCE)
        try:
            client.connect(str(path))
            return client.recv(2) == b"OK"
        except (OSError, ValueError):
            return False


def _end_agent(home: Path, agent_socket: Path) -> None:
    run(["gpgconf", "--homedir", str(home), "--kill", "all"], attempt="end the agent of", on=str(home), timeout=60)
    wait_for(
        lambda: "running" if agent_socket.is_socket() else "gone",
        lambda state: state == "gone",
        attempt="end the agent of",
        on=str(home),
        timeout=60,
        interval=0.02,
    )
