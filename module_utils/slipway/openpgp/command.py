# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How GnuPG is called, and what a fingerprint is."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from ..errors import SlipwayError

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
FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")


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


def has_keyring(home: Path) -> bool:
    """Whether a home has public keys in any of GnuPG's formats."""
    return any((home / name).exists() for name in ("pubring.kbx", "pubring.gpg", "public-keys.d"))


def format_day(moment: int) -> str:
    """The day, in UTC, on which a key expires."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def gpg_command(home: str | os.PathLike[str]) -> list[str]:
    """How each command line of gpg on a home begins."""
    return ["gpg", "--homedir", os.fspath(home), *GPG_OPTIONS]
