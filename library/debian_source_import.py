#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_source_import
short_description: Import upstream sources from Debian source packages into git
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes a bare git repository from the upstream tarball of each source package, one commit a version, with the
    version as tag. The same tarball gives the same commit everywhere.
  - Sources are fetched with an apt configuration of their own. The machine's C(/etc/apt) needs no C(deb-src) line and
    is not changed.
  - As root it works as the user to whom O(toplevel) belongs, who must be able to write to O(cache) and O(progress).
extends_documentation_fragment:
  - slipway.release.apt.sources
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  toplevel:
    description: The directory below which the repositories are.
    type: path
    required: true
  imports:
    description: What to import.
    type: list
    elements: dict
    required: true
    suboptions:
      package:
        description: The source package.
        type: str
        required: true
      path:
        description: The path of the repository below O(toplevel), without C(.git).
        type: str
        required: true
      version:
        description: The upstream version. Without it, what the repository has, or else what the cache or archive has.
        type: str
  cache:
    description: Where tarballs are kept. One that lies there already is used.
    type: path
    required: true
  suite:
    description: The Debian suite, by default that of the machine.
    type: str
    default: ""
  sources:
    description:
      - Where source packages come from, lines as in C(sources.list). The word C(machine) in the place of an address
        stands for the mirror from which the host's own apt takes that suite.
      - Without any, O(suite) comes from there.
    default: []
  alias:
    description: The alias by which BuildStream elements name O(toplevel), for RV(pins).
    type: str
    default: trove
  refresh:
    description: Whether to query the archive for newer versions of what was imported already.
    type: bool
    default: false
attributes:
  check_mode:
    details: Which version would be imported is not known before.
    support: partial
"""

EXAMPLES = r"""
- name: Import the source of tree
  slipway.release.debian_source_import:
    toplevel: /srv/git
    cache: /var/cache/slipway/sources
    imports:
      - package: tree
        path: delta/tree
"""

RETURN = r"""
imports:
  description:
    - For each import its package, path, version, commit, and whether it was made now.
    - In check mode, those that would be made are not among them.
  returned: always
  type: list
  elements: dict
pins:
  description: For each import that is there, what M(slipway.release.definitions_publish) needs to pin it.
  returned: always
  type: list
  elements: dict
absent:
  description: In check mode, the paths that would be imported.
  returned: always
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.sources import name_sources, read_own_suite
from ..module_utils.slipway.module.options import APT_SOURCES, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.trove.account import run_as_owner
from ..module_utils.slipway.trove.sources import Archive, SourceRequest, ensure_imports


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    wanted = [SourceRequest(**one) for one in options["imports"]]
    toplevel = Path(options["toplevel"])
    sources = name_sources(options["sources"], options["suite"] or read_own_suite(), kind="deb-src")
    found = run_as_owner(
        toplevel,
        lambda: ensure_imports(
            wanted,
            toplevel,
            archive=Archive(tuple(sources), Path(options["cache"])),
            progress=Progress(options["progress"] if write else None),
            refresh=options["refresh"],
            write=write,
        ),
    )
    absent = [one.path for one, held in zip(wanted, found, strict=True) if held is None]
    imports = [asdict(held) for held in found if held is not None]
    return {
        "changed": bool(absent) or any(one["made"] for one in imports),
        "imports": imports,
        "pins": [{"match": f"{options['alias']}:{one['path']}.git", "ref": one["commit"]} for one in imports],
        "absent": absent,
    }


def main() -> None:
    one = {
        "package": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "version": {"type": "str"},
    }
    run_module(
        act,
        {
            **PROGRESS,
            "suite": {"type": "str", "default": ""},
            "sources": {**APT_SOURCES["sources"], "default": []},
            "toplevel": {"type": "path", "required": True},
            "imports": {"type": "list", "elements": "dict", "required": True, "options": one},
            "cache": {"type": "path", "required": True},
            "alias": {"type": "str", "default": "trove"},
            "refresh": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
