#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_current
short_description: Make and sign what says which release is current
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs where the signing key is, or where gpg-agent reaches it. Makes C(latest.json), C(latest-<product>.json) and the
    views for systemd-sysupdate and TUF clients from the records of this coordinator and what every server has.
  - Servers that differ from each other, or have anything that was not signed here last, are a failure that names them
    and what it is. Nothing is signed over it.
  - What says the same as before, and is to be believed for more than half of O(valid_days), keeps its bytes.
  - Writes to no server. M(slipway.release.text_files) and M(slipway.release.release_view) do that,
    M(slipway.release.artifact_verify) reads it back, and O(state=confirmed) notes that every server has it.
extends_documentation_fragment:
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  state:
    description:
      - V(judged) only judges the servers, V(signed) makes and signs what they are to have, V(confirmed) notes that all
        servers have it.
    type: str
    choices: [judged, signed, confirmed]
    default: signed
  state_directory:
    description: The coordinator's state directory, with the records of releases. What was signed last is in C(current).
    type: path
    required: true
  project:
    description: The project that is released.
    type: str
    required: true
  servers:
    description: What M(slipway.release.release_current_info) found on each server, by the server's name.
    type: dict
    default: {}
  label:
    description: The release that is made current. Empty if nothing may have moved.
    type: str
    default: ""
  withdrawing:
    description: The release that is withdrawn.
    type: str
    default: ""
  refresh:
    description: Whether all is signed anew, so that it is believed for longer.
    type: bool
    default: false
  settle:
    description: Whether the record or the servers are right where they differ. Empty for neither, which is a failure.
    type: str
    choices: ["", record, servers]
    default: ""
  valid_days:
    description: For how many days it is to be believed.
    type: int
    default: 30
  updates:
    description: Whether there is the view C(updates) for systemd-sysupdate, if there are disks.
    type: bool
    default: true
  updates_types:
    description: The types of files that are in it.
    type: list
    elements: str
    default: [rawdisk, partition, squashfs, efi]
  tuf:
    description: Whether there is the view C(tuf) for clients of The Update Framework.
    type: bool
    default: false
  attestations:
    description: Where others attest the release, and who. Empty for nobody.
    type: dict
    default: {}
attributes:
  check_mode:
    details: Signs nothing, so that what would be new has no signature.
  idempotent:
    details: That every server has it is never reported as a change.
"""

EXAMPLES = r"""
- name: Make what says which release is current
  slipway.release.release_current:
    state_directory: /srv/slipway
    project: baserock
    label: baserock-26.47
    servers: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, ['found', 'found']))) }}"
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
serial:
  description: The number of what is signed, which only grows.
  returned: O(state=signed)
  type: int
files:
  description: The signed files, by name.
  returned: O(state=signed)
  type: dict
views:
  description: The views, each with its C(name), C(files) in base64, and C(links); one without any is to go.
  returned: O(state=signed)
  type: list
  elements: dict
served:
  description: What channels are to serve then, by C(path) of a directory, C(files) with C(name), C(size), C(sha256).
  returned: O(state=signed)
  type: list
  elements: dict
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.slipway.current.kept import confirm, load_kept
from ..module_utils.slipway.current.make import Demand, Made, judge_current, make_current
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import OPENPGP_REQUIRED
from ..module_utils.slipway.module.report import run_module

STATES = ("judged", "signed", "confirmed")


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    demand = _read_demand(options)
    if options["state"] == "confirmed":
        confirm(demand.directory, write=write)
        return {"changed": False}
    if not options["servers"]:
        raise SlipwayError("say which release is current", "no server", "there are none", do_next="Give servers.")
    if options["state"] == "judged":
        judge_current(demand, options["servers"])
        return {"changed": False}
    before = load_kept(demand.directory).files
    made = make_current(demand, options["servers"], write=write)
    changed = {name for name in {*before, *made.files} if before.get(name) != made.files.get(name)}
    texts = {
        str(demand.directory / "files" / name): (_show(before, name), _show(made.files, name))
        for name in sorted(changed)
        if not name.endswith(".gpg")
    }
    told = {"diff": diff_texts(texts)} if texts else {}
    return {"changed": bool(changed), "serial": made.serial, **_describe(made), **told}


def _show(files: Mapping[str, bytes], name: str) -> str:
    return files.get(name, b"").decode("utf-8", "replace")


def _read_demand(options: Mapping[str, Any]) -> Demand:
    if options["valid_days"] < 1:
        raise SlipwayError(
            "sign for", f"{options['valid_days']} days", "that is over at once", do_next="Give one day at least."
        )
    return Demand(
        project=options["project"],
        state=Path(options["state_directory"]),
        gnupghome=Path(options["gnupghome"]),
        signing_key=options["signing_key"] or None,
        valid_days=options["valid_days"],
        now=int(time.time()),
        label=options["label"],
        withdrawing=options["withdrawing"],
        refresh=options["refresh"],
        settle=options["settle"],
        types=options["updates_types"],
        updates=options["updates"],
        tuf=options["tuf"],
        attestations=options["attestations"] or None,
    )


def _describe(made: Made) -> dict[str, Any]:
    """What is written to servers, and what they serve then."""
    views = [
        {
            "name": name,
            "files": {path: base64.b64encode(data).decode() for path, data in _list_below(made, name).items()},
            "links": links,
        }
        for name, links in made.links.items()
    ]
    return {
        "files": {name: data.decode() for name, data in _list_below(made, "").items()},
        "views": [*views, *({"name": name, "files": {}, "links": {}} for name in made.gone)],
        "served": [
            {"path": path, "files": [_describe_file(name, data) for name, data in _list_below(made, path).items()]}
            for path in ("", *made.links)
            if _list_below(made, path)
        ],
    }


def _list_below(made: Made, directory: str) -> dict[str, bytes]:
    prefix = f"{directory}/" if directory else ""
    return {
        path.removeprefix(prefix): data
        for path, data in made.files.items()
        if path.startswith(prefix) and "/" not in path.removeprefix(prefix)
    }


def _describe_file(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP_REQUIRED,
            "state": {"type": "str", "choices": [*STATES], "default": "signed"},
            "state_directory": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "servers": {"type": "dict", "default": {}},
            "label": {"type": "str", "default": ""},
            "withdrawing": {"type": "str", "default": ""},
            "refresh": {"type": "bool", "default": False},
            "settle": {"type": "str", "choices": ["", "record", "servers"], "default": ""},
            "valid_days": {"type": "int", "default": 30},
            "updates": {"type": "bool", "default": True},
            "updates_types": {
                "type": "list",
                "elements": "str",
                "default": ["rawdisk", "partition", "squashfs", "efi"],
            },
            "tuf": {"type": "bool", "default": False},
            "attestations": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
