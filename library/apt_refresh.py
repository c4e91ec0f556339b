#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_refresh
short_description: Sign what an apt archive publishes once more, with a new date and Valid-Until
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Clients of an archive whose InRelease has a C(Valid-Until) refuse it afterwards, so that they notice when a mirror
    shows them an old state for ever. This module signs the same state again before that day, in a generation of its
    own. Indexes and packages stay the same files, and a client sees the old signature or the new one.
  - First all indexes and signatures are compared with what was published. What somebody changed is not signed, and
    neither is an older generation than the module has seen before.
  - Later publications keep the number of days. Snapshots are for ever, and are not touched.
extends_documentation_fragment:
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  directory:
    description: The directory that is served.
    type: path
    required: true
  base:
    description: Of an archive that reprepro keeps, reprepro's own directory, in which nobody may work meanwhile.
    type: path
  valid_days:
    description: For how many days clients believe what is signed. 0 means for ever.
    type: float
    required: true
  ahead_days:
    description:
      - Only what clients believe for fewer days than this is signed once more. The default is half of O(valid_days).
    type: float
  record:
    description:
      - A file that is not public, which keeps what was seen last. Without it, an archive that was put back to an older
        state is not noticed.
    type: path
  lock_timeout:
    description: Seconds to wait for a publication that goes on.
    type: float
    default: 600
attributes:
  diff_mode:
    details: Shows until when clients believe each suite.
"""

EXAMPLES = r"""
- name: Refresh the published archive
  slipway.release.apt_refresh:
    directory: /srv/apt/public/fixed
    gnupghome: /srv/apt/gnupg
    valid_days: 7
    record: /srv/apt/refreshed-fixed.json
"""

RETURN = r"""
suites:
  description:
    - Until when clients believe each suite, as C(2026-12-24T18:00:00Z), or null for ever.
    - Empty if nothing is published.
  returned: success
  type: dict
generation:
  description: The number of what clients read. 0 if nothing is published.
  returned: success
  type: int
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import exported, publication, reprepro
from ..module_utils.slipway.apt.generations import (
    Freshness,
    find_faults_before_signing,
    read_freshness,
    refresh_generation,
)
from ..module_utils.slipway.apt.signed import Signer
from ..module_utils.slipway.errors import SlipwayError, refuse
from ..module_utils.slipway.files import write_atomic
from ..module_utils.slipway.locks import hold_flock
from ..module_utils.slipway.module.options import OPENPGP_REQUIRED
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.release.records import format_json

NOTHING = Freshness(0, 0, 0.0, {})


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory, base = Path(options["directory"]), options["base"]
    account = exported.ACCOUNT if base else publication.ACCOUNT
    _refuse_days(options)
    before = read_freshness(directory, account)
    if before is None:
        return _describe(NOTHING, NOTHING)
    if not write:
        return _look(options, before, account)
    lock = Path(base) / reprepro.LOCK if base else directory / publication.LOCK
    with hold_flock(lock, attempt="refresh", on=str(directory), timeout=options["lock_timeout"]):
        before = read_freshness(directory, account) or NOTHING
        if _is_due(options, before):
            refresh_generation(
                directory,
                account,
                signer=_find_signer(options),
                valid_days=options["valid_days"],
                known=_read_known(options["record"]),
            )
        else:
            _look(options, before, account)
        after = read_freshness(directory, account) or NOTHING
        if options["record"]:
            seen = format_json({"generation": after.generation, "published": after.published})
            write_atomic(Path(options["record"]), seen, mode=0o600)
    return _describe(before, after)


def _look(options: Mapping[str, Any], before: Freshness, account: str) -> dict[str, Any]:
    """Say what would be, after the same look at what is published."""
    signer, directory = _find_signer(options), Path(options["directory"])
    refuse(
        "refresh",
        str(directory),
        find_faults_before_signing(directory, account, signer=signer, known=_read_known(options["record"])),
        summary="it is not what was published",
        do_next="Find out who changed it, and restore it from a copy.",
    )
    if not _is_due(options, before):
        return _describe(before, before)
    days = options["valid_days"]
    end = int(time.time() + days * 86400) if days else None
    after = Freshness(before.generation + 1, int(time.time()), days, dict.fromkeys(before.suites, end))
    return _describe(before, after)


def _refuse_days(options: Mapping[str, Any]) -> None:
    days, ahead = options["valid_days"], options["ahead_days"]
    faults = [] if 0 <= days <= 3650 else [f"valid_days is {days:g}, and not one of 0 to 3650"]
    if ahead is not None and not 0 <= ahead <= days:
        faults.append(f"ahead_days is {ahead:g}, and not one of 0 to {days:g}")
    refuse("refresh", str(options["directory"]), faults, do_next="Correct it.")


def _is_due(options: Mapping[str, Any], before: Freshness) -> bool:
    days, ahead = options["valid_days"], options["ahead_days"]
    return before.is_due(days, ahead=days / 2 if ahead is None else ahead, now=time.time())


def _find_signer(options: Mapping[str, Any]) -> Signer:
    key = find_signing_key(options["gnupghome"], options["signing_key"])
    return Signer(Path(options["gnupghome"]), key.fingerprint)


def _read_known(record: str | None) -> Freshness | None:
    """What was seen there last."""
    if record is None or not Path(record).exists():
        return None
    try:
        kept = json.loads(Path(record).read_text("utf-8"))
        return Freshness(int(kept["generation"]), int(kept["published"]), 0.0, {})
    except (OSError, ValueError, TypeError, KeyError) as error:
        do_next = "Compare the archive with a copy, and remove the file."
        raise SlipwayError("read what was seen of the archive in", record, str(error), do_next=do_next) from error


def _describe(before: Freshness, after: Freshness) -> dict[str, Any]:
    ends = [{suite: _format_end(end) for suite, end in each.suites.items()} for each in (before, after)]
    texts = ["".join(f"{suite} until {end or 'for ever'}\n" for suite, end in sorted(each.items())) for each in ends]
    return {
        "changed": before != after,
        "suites": ends[1],
        "generation": after.generation,
        "diff": {"before": texts[0], "after": texts[1]},
    }


def _format_end(end: int | None) -> str | None:
    return None if end is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP_REQUIRED,
            "directory": {"type": "path", "required": True},
            "base": {"type": "path"},
            "valid_days": {"type": "float", "required": True},
            "ahead_days": {"type": "float"},
            "record": {"type": "path"},
            "lock_timeout": {"type": "float", "default": 600},
        },
    )


if __name__ == "__main__":
    main()
