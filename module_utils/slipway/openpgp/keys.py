# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys that sign: found, made and imported."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

from ..errors import SlipwayError, refuse
from .agent import CONNECT, explain_away
from .command import has_keyring, normalise_fingerprint
from .home import open_home
from .listing import Key, list_secret_keys

USER_ID = re.compile(r"[^<>\x00-\x1f\x7f]+ <[^<>@\s\x00-\x1f\x7f]+@[^<>@\s\x00-\x1f\x7f]+>\Z")
EXPIRES = re.compile(r"(?:0|none|[1-9][0-9]*[dwmy]?|seconds=[1-9][0-9]*|[0-9]{4}-[0-9]{2}-[0-9]{2})\Z")


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
    if not has_keyring(Path(gnupghome)):
        raise SlipwayError(attempt, on, "there are no keys", do_next=make)
    listed = list_secret_keys(gnupghome)
    if wanted is not None:
        listed = [entry for entry in listed if entry.primary.fingerprint == wanted]
        if not listed:
            away = explain_away(gnupghome)
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
            away = explain_away(gnupghome)
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
    with open_home(home) as agent_home:
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
            found = ", ".join(name for entry in list_secret_keys(scratch) for name in entry.user_ids)
            came_back = f"it is of {found}" if found else "GnuPG finds no secret key in what was given"
            raise SlipwayError(attempt, user_id, came_back, do_next=do_next)
    home = Path(gnupghome)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    _import_secret(home, secret, attempt=attempt, on=user_id, do_next=do_next)


def _import_secret(home: Path, secret: str, *, attempt: str, on: str, do_next: str) -> None:
    with open_home(home) as opened:
        opened.run_gpg(["--import"], attempt=attempt, on=on, do_next=do_next, stdin=secret.encode())


def find_secret_key(gnupghome: str | os.PathLike[str], user_id: str, *, now: float | None = None) -> Key | None:
    """The secret signing key of that user id; None if there is none, a failure if it cannot sign any more."""
    if not has_keyring(Path(gnupghome)):
        return None
    mine = [entry for entry in list_secret_keys(gnupghome) if user_id in entry.user_ids]
    if not mine:
        return None
    moment = time.time() if now is None else now
    usable = [entry for entry in mine if entry.find_fault(moment) is None]
    return usable[0].describe() if usable else find_signing_key(gnupghome, mine[0].primary.fingerprint, now=moment)
