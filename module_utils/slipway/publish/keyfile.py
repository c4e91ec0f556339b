# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public keys beside the releases: every key that ever signed one, each as it is now.

Other than a release's files these bytes may change, since keys are prolonged, revoked and followed by others; but no
key is ever taken away, and none is there that the coordinator does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..errors import SlipwayError
from ..openpgp.keyring import export_public_key, list_fingerprints, provide_keyring
from ..openpgp.keys import find_signing_key
from .packets import read_keys
from .releases import KEY


def make_key_file(
    gnupghome: Path, signing_key: str | None, published: Sequence[str], *, also: Sequence[str] = ()
) -> bytes:
    """The file as it is to be: the signing key, and those of the public files ``published``, sorted by fingerprint.

    Keys of the home that are to be there ``also``, by fingerprint, are those that follow or that signed before.
    """
    signer = signing_key or find_signing_key(gnupghome, None).fingerprint
    own = export_public_key(gnupghome, signer)
    if not own:
        do_next = "Import its public half there, as `gpg --armor --export` writes it, and run again."
        raise SlipwayError("publish", KEY, f"the key {signer} is not in {gnupghome}", do_next=do_next)
    others = sorted({text for text in published if text.strip() and text.encode() != own})
    known = list_fingerprints(gnupghome)
    wanted = {signer, *(known & {*also})}
    if not others and len(wanted) == 1:
        return own
    for text in others:
        found = [key.fingerprint for key in read_keys(text)]
        if not found or not known.issuperset(found):
            raise _foreign_error(gnupghome, text, own, [each for each in found if each not in known])
        wanted.update(found)
    ours = {f"{gnupghome}, {each}": export_public_key(gnupghome, each, certified=True) for each in sorted(wanted)}
    theirs = {f"{KEY} ({number})": text.encode() for number, text in enumerate(others, 1)}
    # GnuPG joins what both say of a key. Of what others say of it, what keys of this file say remains.
    with provide_keyring({**ours, **theirs}) as keyring:
        return b"".join(export_public_key(keyring, each, certified=True) for each in sorted(wanted))


def _foreign_error(gnupghome: Path, text: str, own: bytes, foreign: Sequence[str]) -> SlipwayError:
    has, signs = (hashlib.sha256(data).hexdigest() for data in (text.encode(), own))
    why = f"it has the key {', '.join(foreign)}, which is not in {gnupghome}" if foreign else "it holds no public key"
    return SlipwayError(
        "publish",
        KEY,
        f"the public one has sha256 {has}, the key that signs has {signs}, and of the public one is known that {why}",
        do_next="Find out who wrote it, and remove it; or import into that directory what is yours. Run again.",
    )
