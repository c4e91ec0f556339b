# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OpenPGP keys for securesystemslib, which in-toto and TUF use: GnuPG signs and judges, by an agent elsewhere too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_scratch
from ..openpgp.command import normalise_fingerprint
from ..openpgp.signing import sign_messages
from ..openpgp.verifying import judge_signature

try:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
    from securesystemslib.signer import Key, SecretsHandler, Signature, Signer  # type: ignore[attr-defined]  # as its pages say
except ImportError:  # a host with Debian's Python, which judges by GnuPG alone
    Envelope = None  # type: ignore[assignment,misc]  # in the place of a class
    Key = Signer = object  # type: ignore[assignment,misc]  # so that the classes below can be read, and are not used

#: Whether Python has the library.
IS_THERE = Envelope is not None
KEYTYPE, SCHEME = "openpgp", "openpgp-detached"


class OpenPGPKey(Key):
    """A public key in a GnuPG home; its signatures are detached and binary."""

    def __init__(
        self,
        keyid: str,
        keytype: str = KEYTYPE,
        scheme: str = SCHEME,
        keyval: dict[str, Any] | None = None,
        unrecognized_fields: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(keyid, keytype, scheme, keyval or {}, unrecognized_fields)
        self.gnupghome: str | os.PathLike[str] | None = None

    @classmethod
    def of_home(cls, gnupghome: str | os.PathLike[str], fingerprint: str) -> OpenPGPKey:
        """The key of that fingerprint in a home."""
        key = cls(normalise_fingerprint(fingerprint))
        key.gnupghome = gnupghome
        return key

    @classmethod
    def from_dict(cls, keyid: str, key_dict: dict[str, Any]) -> OpenPGPKey:
        """As metadata gives it: without a home, it judges nothing."""
        keytype, scheme, keyval = cls._from_dict(key_dict)
        return cls(keyid, keytype, scheme, keyval, key_dict)

    def to_dict(self) -> dict[str, Any]:
        """As metadata has it."""
        return self._to_dict()

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Fail unless this key made that signature, and is good now."""
        if self.gnupghome is None:
            raise VerificationError(f"the key {self.keyid} is in no keyring")
        with make_scratch("slipway-verify-") as scratch:
            text, detached = scratch / "data", scratch / "data.sig"
            text.write_bytes(data)
            detached.write_bytes(bytes.fromhex(signature.signature))
            judged = judge_signature(self.gnupghome, data=text, signature=detached)
        if judged.fault is not None:
            raise UnverifiedSignatureError(judged.fault)
        if judged.fingerprint != self.keyid:
            raise UnverifiedSignatureError(f"it is by the key {judged.fingerprint}, not by {self.keyid}")


class OpenPGPSigner(Signer):
    """A secret key that GnuPG has in a home, or through an agent elsewhere."""

    def __init__(self, key: OpenPGPKey) -> None:
        self._key = key

    @property
    def public_key(self) -> OpenPGPKey:
        """The public half."""
        return self._key

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: Key,
        secrets_handler: SecretsHandler | None = None,  # noqa: ARG003  # GnuPG's agent asks
    ) -> OpenPGPSigner:
        """``slipway-openpgp:<home>``."""
        kind, colon, home = priv_key_uri.partition(":")
        if kind != "slipway-openpgp" or not colon or not home:
            raise ValueError(f"{priv_key_uri} is not of the form slipway-openpgp:<GnuPG's home>")
        return cls(OpenPGPKey.of_home(Path(home), public_key.keyid))

    def sign(self, payload: bytes) -> Signature:
        """A detached binary signature."""
        if self._key.gnupghome is None:
            raise ValueError(f"the key {self._key.keyid} is in no home")
        keyid = self._key.keyid
        (made,) = sign_messages(self._key.gnupghome, keyid, [payload], on=f"with the key {keyid}")
        return Signature(keyid, made.hex())


def verify_line(line: bytes, *, gnupghome: str | os.PathLike[str], fingerprint: str, on: str) -> bytes:
    """The payload of an envelope, if securesystemslib finds that this key signed it."""
    if not IS_THERE:
        raise SlipwayError("verify", on, "Python has no securesystemslib", do_next="Install it and run again.")
    try:
        envelope = Envelope.from_dict(json.loads(line))
        envelope.verify([OpenPGPKey.of_home(gnupghome, fingerprint)], 1)
    except (ValueError, KeyError, TypeError, VerificationError) as error:
        do_next = "Verify it by hand as the documentation of statements says."
        raise SlipwayError("verify", on, f"securesystemslib says: {error}", do_next=do_next) from error
    payload: bytes = envelope.payload
    return payload
