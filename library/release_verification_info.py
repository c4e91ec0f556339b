#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_verification_info
short_description: Verify what is published, from outside
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads a download server or a mirror as anybody can who has its address and a key, and compares all that is said
    there with what was signed.
  - An archive of debs is recognised by itself. Every suite, every index and every package of it is looked at.
  - All that is wrong is told at once, each as what it is of, what was expected and what was seen.
  - Files are hashed as they come, several at once, so that memory stays small.
  - Nothing is written.
extends_documentation_fragment:
  - slipway.release.connection.https
  - slipway.release.progress
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  url:
    description: The address (file, http or https) of the public directory.
    type: str
    required: true
  key:
    description:
      - The public key, as a file, or its full fingerprint, from elsewhere than that address.
      - Other keys count if this one leads to them, by C(keys.json).
    type: str
    required: true
  version:
    description: The version to look at. By default the one that C(latest.json) names.
    type: str
  all_releases:
    description: Whether to look at all releases that are named there.
    type: bool
    default: false
  read_links:
    description:
      - Whether to read again what other names of a file lead to.
      - Otherwise that is done only where a server does not say, by size, tag and time, that it is the same file.
    type: bool
    default: false
  signer_keys:
    description: Files with public keys of those who attest releases. Their fingerprints are in C(latest.json).
    type: list
    elements: path
    default: []
  suites:
    description:
      - Of an archive of debs, the suites to look at, such as V(bookworm). By default all that it lists, and its
        snapshots.
    type: list
    elements: str
    default: []
  state_file:
    description:
      - A file with what RV(remember) was the last time. A lower serial than that is a finding.
      - It may be absent.
    type: path
  timeout:
    description: Seconds that one file may take.
    type: float
    default: 21600
  idle_timeout:
    description: Seconds of silence after which a server is given up.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Verify what a mirror has
  slipway.release.release_verification_info:
    url: https://mirror.example.org/baserock
    key: 0123456789ABCDEF0123456789ABCDEF01234567
"""

RETURN = r"""
counts:
  description: How much was looked at, such as C(files), C(bytes), C(signatures) and C(statements).
  returned: success
  type: dict
notes:
  description: What could not be looked at, as sentences.
  returned: success
  type: list
  elements: str
releases:
  description: The labels of the releases that were looked at.
  returned: success
  type: list
  elements: str
remember:
  description: The serial by project, and the date of each suite of an archive, for O(state_file).
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import read_regular
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish.feed import LISTING
from ..module_utils.slipway.verify.archive import ArchiveRequest, is_archive, verify_archives
from ..module_utils.slipway.verify.current import LATEST
from ..module_utils.slipway.verify.files import Look
from ..module_utils.slipway.verify.finding import Report, refuse_findings
from ..module_utils.slipway.verify.reader import Reader
from ..module_utils.slipway.verify.site import Request, Seen, read_remembered, verify_site
from ..module_utils.slipway.verify.trusted import read_given


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    reader = Reader(
        options["url"],
        timeout=options["timeout"],
        idle_timeout=options["idle_timeout"],
        ca_path=options["ca_path"],
    )
    request = Request(
        read_given(options["key"]),
        version=options["version"] or None,
        every=options["all_releases"],
        read_links=options["read_links"],
        serials=read_remembered(Path(options["state_file"])) if options["state_file"] else {},
        signer_keys=[_read_key(Path(path)) for path in options["signer_keys"]],
    )
    dates: dict[str, int] = {}
    with Look(reader, Report(), progress=Progress(options["progress"] if write else None)) as look:
        archive = bool(options["suites"]) or is_archive(look)
        seen = Seen() if archive and not _has_releases(look) else verify_site(look, request)
        if archive:
            wanted = ArchiveRequest(request.given, options["suites"], request.serials)
            dates = verify_archives(look, wanted).dates
    refuse_findings(options["url"], look.report.findings)
    told = look.report.as_dict()
    return {
        "changed": False,
        "counts": told["counts"],
        "notes": told["notes"],
        "releases": sorted(seen.releases),
        "remember": {**request.serials, **seen.serials(), **dates},
    }


def _has_releases(look: Look) -> bool:
    return any(look.is_there(name) for name in (LATEST, LISTING))


def _read_key(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        do_next = "Give files with public keys, as `gpg --armor --export` writes them."
        raise SlipwayError("read the key", str(path), error.strerror or str(error), do_next=do_next) from error


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            **PROGRESS,
            "url": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "version": {"type": "str"},
            "all_releases": {"type": "bool", "default": False},
            "read_links": {"type": "bool", "default": False},
            "signer_keys": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "suites": {"type": "list", "elements": "str", "default": []},
            "state_file": {"type": "path"},
            "timeout": {"type": "float", "default": 21600},
            "idle_timeout": {"type": "float", "default": 30},
        },
    )


if __name__ == "__main__":
    main()
