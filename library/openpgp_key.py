#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: openpgp_key
short_description: Create or import an OpenPGP key that signs releases
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Creates an ed25519 key that only signs and has no passphrase, unless the directory has a signing key of that name.
  - Such a key suits a rehearsal, or a machine that nobody else uses. It leaves no C(gpg-agent) behind.
  - A key of that name that is expired or revoked is a failure, because a new key is a person's decision.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  gnupghome:
    description: The directory of the keys. It is made with mode 0700.
    type: path
    required: true
  name:
    description: Whose key it is.
    type: str
    required: true
  email:
    description: The mail address in the key.
    type: str
    required: true
  expires:
    description: When the key expires, such as V(2y), V(90d), V(2030-01-31), or V(0) for never.
    type: str
    default: 2y
  secret_key:
    description:
      - The secret key of that name and address, as C(gpg --armor --export-secret-keys) writes it, to import instead of
        creating one. Keep it in a vault. It is given to GnuPG on its standard input.
      - Where the directory has a signing key of that name, this is not looked at.
    type: str
  public_key:
    description: A file to export the armoured public key to, for those who verify.
    type: path
attributes:
  diff_mode:
    details: Shows the exported public key.
  idempotent:
    details: A key of that name that can sign is kept, whatever its expiry.
"""

EXAMPLES = r"""
- name: Create the key that signs local releases
  slipway.release.openpgp_key:
    gnupghome: /srv/slipway/gnupg
    name: Baserock local releases
    email: release@localhost
    public_key: /srv/slipway/download/public/release-key.asc
  register: key
"""

RETURN = r"""
fingerprint:
  description: The key's fingerprint. Empty in check mode if there is no key yet.
  returned: success
  type: str
expires:
  description: When the key expires, in seconds since the epoch. Null means never, or not made yet.
  returned: success
  type: int
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.files import write_atomic
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keyring import export_public_key
from ..module_utils.slipway.openpgp.keys import find_secret_key, find_signing_key, import_secret_key, make_key


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    home = Path(options["gnupghome"])
    user_id = f"{options['name']} <{options['email']}>"
    key = find_secret_key(home, user_id)
    made = key is None
    if key is None and write:
        if options["secret_key"]:
            import_secret_key(home, user_id, options["secret_key"])
            key = find_secret_key(home, user_id)
        else:
            key = find_signing_key(home, make_key(home, user_id, expires=options["expires"]))
    result = {
        "changed": made,
        "fingerprint": key.fingerprint if key else "",
        "expires": key.expires if key else None,
    }
    if options["public_key"]:
        exported = export_public_key(home, key.fingerprint) if key else b""
        result |= _export(Path(options["public_key"]), exported, check=not write)
    return result


def main() -> None:
    run_module(
        act,
        {
            # The home of keys and the name of a file with a public key are not secrets.
            "gnupghome": {"type": "path", "required": True, "no_log": False},
            "name": {"type": "str", "required": True},
            "email": {"type": "str", "required": True},
            "expires": {"type": "str", "default": "2y"},
            "secret_key": {"type": "str", "no_log": True},
            "public_key": {"type": "path", "no_log": False},
        },
    )


def _export(path: Path, exported: bytes, *, check: bool) -> dict[str, Any]:
    before = path.read_bytes() if path.is_file() else None
    if before == exported:
        return {}
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, exported)
    return {"changed": True, "diff": diff_texts({str(path): ((before or b"").decode(), exported.decode())})}


if __name__ == "__main__":
    main()
