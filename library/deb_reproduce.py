#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_reproduce
short_description: Build what an archive has once more, as its .buildinfo says, and compare
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - For each .buildinfo below C(buildinfo) of O(public) of which clients see a package, builds the source package in a
    clean chroot with exactly the versions that were installed then, in the same place and with the same environment,
    and compares the SHA-256 of each package with that in the .buildinfo and that in the archive.
  - What differs is looked at with diffoscope, where that is installed, within O(diffoscope_timeout),
    O(diffoscope_memory) and O(diffoscope_bytes).
  - Each verdict, V(same), V(different) or V(unavailable), is signed and added to
    C(reproduced/<platform>/<source>/<.buildinfo>.jsonl) of O(public). The archive stays as it is.
extends_documentation_fragment:
  - slipway.release.deb_build_hosts.limits
  - slipway.release.deb_build_hosts
  - slipway.release.diffoscope
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.progress
  - slipway.release.attributes
options:
  public:
    description: What clients read of the archive.
    type: path
    required: true
  component:
    description: The component of the archive.
    type: str
    default: main
  platform:
    description: The platform.
    type: str
    required: true
  architectures:
    description: The architectures.
    type: list
    elements: str
    required: true
  packages:
    description: Sources. Without any, all that have a .buildinfo.
    type: list
    elements: str
    default: []
  hosts:
    required: true
  url:
    description: Where the hosts read O(public). Without it, this machine serves them to itself for the time of the run.
    type: str
  key:
    description: The public key of the archive.
    type: path
    required: true
  repositories:
    description:
      - More archives that have versions which are gone elsewhere, such as snapshots of this one or of Debian, each
        C(line), what is in C(sources.list) behind C(deb), and C(key), its armored public key. How old their indexes are
        does not count.
    type: list
    elements: dict
    default: []
    suboptions:
      line:
        description: Address, suite and components.
        type: str
        required: true
      key:
        description: The armored public key.
        type: str
        required: true
  directory:
    description: The directory for logs, and for packages that came out different.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Build the package greet once more
  slipway.release.deb_reproduce:
    public: /srv/apt/public/shadow
    platform: bookworm
    architectures: [amd64]
    packages: [greet]
    hosts:
      - {name: here, chroots: {amd64: amd64}}
    key: /srv/apt/public/key.asc
    gnupghome: /srv/apt/gnupg
    directory: /srv/apt/builds/reproduced
  become: true
  become_user: apt-archive
"""

RETURN = r"""
verdicts:
  description:
    - One for each build, with C(source), C(version), C(platform), C(architecture), C(verdict), C(reason), C(host),
      C(buildinfo), the digests of the C(sources), C(debs) with the digests of each and C(where) it differs, and
      C(text), a sentence. In check mode none.
  returned: success
  type: list
  elements: dict
planned:
  description: The names of the .buildinfo files.
  returned: success
  type: list
  elements: str
faults:
  description: A sentence for each source or build of which there is no verdict.
  returned: success
  type: list
  elements: str
"""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..module_utils.slipway.binary.job import Repository
from ..module_utils.slipway.binary.limits import Limits
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.farm.line import do_job
from ..module_utils.slipway.farm.roster import read_host
from ..module_utils.slipway.farm.site import serve_directory
from ..module_utils.slipway.files import make_directory, read_regular
from ..module_utils.slipway.locks import hold_flock
from ..module_utils.slipway.module.hangup import watch_reader
from ..module_utils.slipway.module.options import (
    DEB_BUILD_HOSTS,
    DEB_BUILD_HOSTS_LIMITS,
    DIFFOSCOPE,
    OPENPGP_REQUIRED,
    PROGRESS,
)
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.rebuild.difference import Bounds
from ..module_utils.slipway.rebuild.repeat import Published, Site, list_published, repeat_all
from ..module_utils.slipway.rebuild.verdict import Verdict, locate_verdicts, publish_verdict


def main() -> None:
    run_module(
        act,
        {
            **DEB_BUILD_HOSTS_LIMITS,
            **DIFFOSCOPE,
            **OPENPGP_REQUIRED,
            **PROGRESS,
            "public": {"type": "path", "required": True},
            "component": {"type": "str", "default": "main"},
            "platform": {"type": "str", "required": True},
            "architectures": {"type": "list", "elements": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "hosts": {**DEB_BUILD_HOSTS["hosts"], "required": True},
            "url": {"type": "str"},
            # A public key is no secret.
            "key": {"type": "path", "required": True, "no_log": False},
            "repositories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "line": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": False},
                },
            },
            "directory": {"type": "path", "required": True},
        },
        own_process=True,  # it ends when nobody reads what it says any more
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    public, component, platform = Path(options["public"]), options["component"], options["platform"]
    fingerprint = find_signing_key(options["gnupghome"], options["signing_key"]).fingerprint
    builds: list[Published] = []
    faults: list[str] = []
    for architecture in options["architectures"]:
        found, wrong = list_published(public, component, platform, architecture, options["packages"])
        builds += [one for one in found if one.info.name not in {each.info.name for each in builds}]
        faults += [one for one in wrong if one not in faults]
    answer: dict[str, Any] = {"planned": [one.info.name for one in builds], "verdicts": [], "faults": faults}
    if not write or not builds:
        return {**answer, "changed": bool(builds)}
    directory, progress = Path(options["directory"]), Progress(options["progress"], total=len(builds))
    make_directory(directory)
    stop = threading.Event()
    with ExitStack() as held:
        held.enter_context(hold_flock(directory / ".lock", attempt="build again", on=platform, timeout=600))
        url = options["url"] or held.enter_context(serve_directory(public))
        held.enter_context(watch_reader(stop.set))
        own = Repository(f"{url} {platform} {component}", read_regular(options["key"]).decode("ascii", "replace"))
        more = [Repository(row["line"], row["key"]) for row in options["repositories"]]
        site = Site(
            public,
            component,
            directory,
            {platform: [own, *more]},
            [read_host(row) for row in options["hosts"]],
            Limits(options["build_timeout"], options["silence_timeout"], options["log_bytes"], options["free_bytes"]),
            Bounds(options["diffoscope_timeout"], options["diffoscope_memory"], options["diffoscope_bytes"]),
        )

        def record(build: Published, verdict: Verdict) -> None:
            progress.step(verdict.tell())
            path = locate_verdicts(public, platform, build.info.source, build.info.name)
            home = options["gnupghome"]
            publish_verdict(path, verdict, gnupghome=home, fingerprint=fingerprint, moment=time.time())

        for one in repeat_all(site, builds, line=do_job, stop=stop, tell=record):
            if isinstance(one, SlipwayError):
                faults.append(str(one))
            else:
                answer["verdicts"].append({**one.as_dict(), "text": one.tell()})
    return {**answer, "changed": bool(answer["verdicts"])}


if __name__ == "__main__":
    main()
