# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signatures by a key of a home."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_scratch, write_atomic
from ..process import run
from .agent import explain_unsigned, find_manner
from .command import gpg_command
from .home import open_home
from .verifying import verify_signature

GPG_SIGN = ("--armor", "--output", "-", "--detach-sign")
GPG_SIGN_BINARY = ("--output", "-", "--detach-sign")
GPG_CLEARSIGN = ("--digest-algo", "SHA512", "--output", "-", "--clearsign")
#: What to do when no signature was made.
UNSIGNED = (
    "If the key has a passphrase, sign something by hand once for the agent to know it, and have it remember that for "
    "longer than a release (default-cache-ttl, max-cache-ttl in gpg-agent.conf). Run again."
)


def sign_detached(
    gnupghome: str | os.PathLike[str], fingerprint: str, *, data: Path, signature: Path, at: int | None = None
) -> None:
    """Write an armoured detached signature over ``data``.

    ``at`` (seconds since the epoch) dates the signature. The same key, data and date give the same bytes
    with all key types but those that need fresh randomness, so that a lost signature can be made again.
    """
    dated = () if at is None else ("--faked-system-time", f"{at}!")
    on = f"{data} with the key {fingerprint}"
    with open_home(gnupghome) as home, explain_unsigned(home.path):
        words = [*dated, *find_manner(home.path, on), "--local-user", fingerprint, *GPG_SIGN, os.fspath(data)]
        done = home.run_gpg(words, attempt="sign", on=on, do_next=UNSIGNED)
    write_atomic(signature, done.stdout.encode())


def sign_within(environment: Mapping[str, str], fingerprint: str, *, data: Path) -> bytes:
    """An armoured detached signature over ``data``, made in a home that :func:`provide_environment` holds."""
    home, on = environment["GNUPGHOME"], f"{data} with the key {fingerprint}"
    words = [*gpg_command(home), *find_manner(home, on), "--local-user", fingerprint, *GPG_SIGN, os.fspath(data)]
    with explain_unsigned(home):
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
    with open_home(gnupghome) as home:
        manner = [*dated, *by, *find_manner(home.path, on)]
        words = [*gpg_command(home.path), *manner, "--local-user", fingerprint, *GPG_SIGN_BINARY]

        def sign(message: bytes) -> bytes:
            with explain_unsigned(home.path):
                return run(words, attempt="sign", on=on, do_next=UNSIGNED, stdin=message, timeout=120).raw

        first = [sign(message) for message in messages[:1]]  # starts the agent
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return [*first, *pool.map(sign, messages[1:])]


def clearsign_within(environment: Mapping[str, str], fingerprint: str, text: bytes, *, on: str) -> bytes:
    """``text`` with a signature around it, made in a home that :func:`provide_environment` holds."""
    home, where = environment["GNUPGHOME"], f"{on} with the key {fingerprint}"
    words = [*gpg_command(home), *find_manner(home, where), "--local-user", fingerprint, *GPG_CLEARSIGN]
    with explain_unsigned(home):
        return run(words, attempt="sign", on=where, do_next=UNSIGNED, stdin=text, timeout=120).raw


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


def certify_key(gnupghome: str | os.PathLike[str], *, by: str, fingerprint: str) -> None:
    """Have a key of the home say of another that it is whose it says: every user id of it is signed."""
    on = f"the key {fingerprint} by {by}"
    with open_home(gnupghome) as home, explain_unsigned(home.path):
        words = ["--yes", *find_manner(home.path, on), "--local-user", by, "--quick-sign-key", fingerprint]
        home.run_gpg(words, attempt="certify", on=on, do_next=UNSIGNED)
