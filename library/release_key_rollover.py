#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_key_rollover
short_description: Have the key that signs releases followed by another
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes into the coordinator's list of keys from when on the new key signs and until when the old one does.
  - The old key certifies the new one, and signs that the new one follows it, so that who trusts the old key can follow.
    A key that was lost says nothing any more, and one that somebody else may have is not believed.
  - What is done already is left as it is, so that a run that broke goes on.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  gnupghome:
    description: The directory of the keys.
    type: path
    required: true
  path:
    description: The coordinator's list of keys, C(keys.json) in the state directory.
    type: path
    required: true
  project:
    description: The project whose releases are signed.
    type: str
    required: true
  old:
    description: The fingerprint of the key that signs now. Without it, the last one of the list.
    type: str
  new:
    description: The fingerprint of the key that follows. It must be able to sign.
    type: str
    required: true
  since:
    description: From when on the new key signs, such as V(2027-01-01T00:00:00Z). Without it, from now on.
    type: str
  reason:
    description: Why the old key ends.
    type: str
    choices: [rollover, lost, compromised]
    default: rollover
attributes:
  diff_mode:
    details: Shows the list.
"""

EXAMPLES = r"""
- name: Have the new key follow
  slipway.release.release_key_rollover:
    gnupghome: /srv/slipway/gnupg
    path: /srv/slipway/keys.json
    project: baserock
    new: 0123456789ABCDEF0123456789ABCDEF01234567
    since: "2027-01-01T00:00:00Z"
"""

RETURN = r"""
entries:
  description: The list as it stands, each with C(fingerprint), C(from), C(until) and C(reason).
  returned: success
  type: list
  elements: dict
certified:
  description: Whether the old key certified the new one now.
  returned: success
  type: bool
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trust.keys import REASONS, ROLLOVER, Rollover, roll_over
from ..module_utils.slipway.trust.moments import parse_moment


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    try:
        since = None if not params["since"] else parse_moment(params["since"])
    except ValueError as error:
        raise SlipwayError("have the key followed from", params["since"], str(error), do_next="Correct it.") from error
    path = Path(params["path"])
    wanted = Rollover(params["project"], params["old"] or None, params["new"], since, params["reason"])
    done = roll_over(path, wanted, gnupghome=Path(params["gnupghome"]), now=time.time(), write=write)
    kept = ("fingerprint", "from", "until", "reason")
    return {
        "changed": done.changed or done.certified,
        "entries": [{name: each.as_dict()[name] for name in kept} for each in done.entries],
        "certified": done.certified,
        **({"diff": diff_texts({str(path): (done.before, done.after)})} if done.changed else {}),
    }


def main() -> None:
    run_module(
        act,
        {
            # The home of keys, fingerprints and a list of them are not secrets.
            "gnupghome": {"type": "path", "required": True, "no_log": False},
            "path": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "old": {"type": "str"},
            "new": {"type": "str", "required": True},
            "since": {"type": "str"},
            "reason": {"type": "str", "choices": list(REASONS), "default": ROLLOVER},
        },
    )


if __name__ == "__main__":
    main()
