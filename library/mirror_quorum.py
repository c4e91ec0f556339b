#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_quorum
short_description: Wait until enough mirrors serve a release, and list them
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads all of the release from each mirror, as its readers do, and who says there which release is current.
  - A mirror that does not answer, or has not all of it yet, is slow, and is looked at again. One with other bytes, with
    a signature that is not good, or that went back to an older state, lies; it is not asked again in this run.
  - Makes the signed list C(mirrors.json) of those that serve it, and of those that are left out with the reason.
  - That there are too few is no failure of this module, since the list is to be published all the same.
extends_documentation_fragment:
  - slipway.release.artifacts.wait
  - slipway.release.connection.https
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  gnupghome:
    description: The GnuPG directory with the key that signs the list, and with those that count.
  project:
    description: The project that is released.
    type: str
    required: true
  urls:
    description: The addresses of the mirrors.
    type: list
    elements: str
    required: true
  label:
    description: The release.
    type: str
    required: true
  files:
    description: Its files, each with C(name), C(size) and C(sha256).
    type: list
    elements: dict
    required: true
  latest:
    description: The text of C(latest.json) on the server itself. Empty where the site has none.
    type: str
    default: ""
  listing:
    description: The text of C(mirrors.json) that is public. It stays while it says the same and is not half over.
    type: str
    default: ""
  faults:
    description: Why mirrors could not be pushed to, by address; told with what is seen there.
    type: dict
    default: {}
  needed:
    description: How many mirrors must serve the release.
    type: int
    default: 0
  valid_days:
    description: For how many days the list is to be believed.
    type: float
    default: 30
  memory:
    description: A file that remembers what each mirror had, by which one that goes back is noticed.
    type: path
    required: true
attributes:
  check_mode:
    details: Looks once, and signs and remembers nothing.
"""

EXAMPLES = r"""
- name: Wait until two of the mirrors serve the release
  slipway.release.mirror_quorum:
    project: baserock
    urls: ["https://mirror.example.net/baserock", "https://baserock.example.org"]
    label: "{{ expected.label }}"
    files: "{{ expected.files }}"
    latest: "{{ expected.latest }}"
    needed: 2
    timeout: 3600
    memory: /srv/slipway/mirrors.json
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
reached:
  description: Whether enough mirrors serve it.
  returned: success
  type: bool
summary:
  description: How many do, of how many, and how many must.
  returned: success
  type: str
serving:
  description: The addresses of those that do.
  returned: success
  type: list
  elements: str
left_out:
  description: The others, each with C(url), C(state), which is C(slow) or C(lies), and C(reason).
  returned: success
  type: list
  elements: dict
content:
  description: The signed list. In check mode, that which is public.
  returned: success
  type: str
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.escape import redacted
from ..module_utils.slipway.mirror import listing
from ..module_utils.slipway.mirror.quorum import (
    LIES,
    SERVES,
    SLOW,
    Memory,
    expect_release,
    judge_mirror,
    name_faults,
    wait_for_quorum,
)
from ..module_utils.slipway.module.options import ARTIFACTS_WAIT, CONNECTION_HTTPS, OPENPGP_REQUIRED, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.release.artifact import read_artifacts


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    home = Path(options["gnupghome"])
    expected = expect_release(
        options["label"],
        read_artifacts(options["files"], attempt="judge the mirrors"),
        options["latest"].encode() or None,
        gnupghome=home,
    )
    memory = Memory.load(Path(options["memory"]))
    quorum = wait_for_quorum(
        list(dict.fromkeys(options["urls"])),
        lambda url: judge_mirror(
            url,
            expected,
            gnupghome=home,
            seen=memory.find_serial(url),
            fetch_timeout=options["fetch_timeout"],
            idle_timeout=options["idle_timeout"],
            ca_path=options["ca_path"],
        ),
        needed=options["needed"],
        timeout=options["timeout"] if write else 0,
        interval=options["interval"],
        progress=Progress(options["progress"] if write else None),
    )
    quorum.verdicts = name_faults(quorum.verdicts, options["faults"])
    content = options["listing"]
    now = time.time()
    if write:
        seen = memory.note(quorum.verdicts, now=now)
        memory.save()
        said = listing.make_listing(
            options["project"],
            options["label"],
            quorum.verdicts,
            {url: each["since"] for url, each in seen.items()},
            now=now,
            days=options["valid_days"],
        )
        key = find_signing_key(home, options["signing_key"]).fingerprint
        content = listing.renew_listing(said, content.encode(), gnupghome=home, fingerprint=key, now=now).decode()
    left_out = quorum.select(SLOW, LIES)
    return {
        "changed": content != options["listing"],
        "reached": quorum.reached,
        "summary": quorum.describe(),
        "serving": [redacted(each.url) for each in quorum.select(SERVES)],
        "left_out": [{"url": redacted(each.url), "state": each.state, "reason": each.reason} for each in left_out],
        "content": content,
        "warnings": [f"The mirror {redacted(each.url)} is left out: {each.reason}." for each in left_out],
    }


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS_WAIT,
            **CONNECTION_HTTPS,
            **OPENPGP_REQUIRED,
            **PROGRESS,
            "project": {"type": "str", "required": True},
            "urls": {"type": "list", "elements": "str", "required": True},
            "label": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True},
            "latest": {"type": "str", "default": ""},
            "listing": {"type": "str", "default": ""},
            "faults": {"type": "dict", "default": {}},
            "needed": {"type": "int", "default": 0},
            "valid_days": {"type": "float", "default": 30},
            "memory": {"type": "path", "required": True},
        },
    )


if __name__ == "__main__":
    main()
