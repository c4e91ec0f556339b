#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_base
short_description: Create Debian base systems as tar archives
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes each base that is not there by mmdebstrap, as root directly, as another user in a user namespace. Either way
    the archive has the same bytes as long as the mirror offers the same packages.
  - A base has no device nodes. Owners and modes that a content store does not keep are listed in its file
    C(usr/share/image/permissions), one line C(<octal mode> <uid> <gid> <path>) each.
  - A base is the file C(<suite>-<name>-<12 hex digits>.tar.gz), by its SHA-256, and stays when another one is made.
extends_documentation_fragment:
  - slipway.release.apt.sources
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  directory:
    description: Where the archives are. It is made if absent.
    type: path
    required: true
  bases:
    description: The bases to create.
    type: list
    elements: dict
    required: true
    suboptions: &base
      name:
        description: The name of the archive, which the suite is put before unless it begins with that.
        type: str
        required: true
      architectures:
        description: Debian's names of its architectures. The first one is its own.
        type: list
        elements: str
        required: true
      method:
        description:
          - V(install) makes a configured system of Debian's essential packages and O(bases[].packages).
          - V(extract) unpacks O(bases[].packages) and what they need. Nothing of them is run.
          - V(parts), since 0.2.0, takes of these only the files that O(bases[].keep) names.
        type: str
        choices: [install, extract, parts]
        default: install
      packages:
        description: The packages in it.
        type: list
        elements: str
        default: []
      exclude:
        description: Patterns of paths to leave out, in the notation of dpkg's C(path-exclude).
        type: list
        elements: str
        default: []
      keep:
        description:
          - Patterns of paths to keep in spite of O(bases[].exclude), or with V(parts) of all that is taken. There, each
            of them has a file.
        type: list
        elements: str
        default: []
      modules:
        description:
          - Names of the kernel modules to keep. Those that they need stay as well, all others are left out, and the
            lists that C(modprobe) reads are written. A name may be that of a part of the kernel itself.
          - Without any, modules are files like others.
        type: list
        elements: str
        default: []
      links:
        description: Symbolic links to add, path below the tree to target.
        type: dict
        default: {}
  known:
    description: Bases, described like O(bases), that are returned if they exist, and not created.
    type: list
    elements: dict
    default: []
    suboptions: *base
  alias:
    description: The alias by which BuildStream elements name O(directory), for RV(pins).
    type: str
    default: bases
  suite:
    description: The Debian suite, by default that of the machine.
    type: str
    default: ""
  sources:
    description:
      - Where packages come from, lines as in C(sources.list). The word C(machine) in the place of an address stands for
        the mirror from which the host's own apt takes that suite.
      - Without any, O(suite) comes from there.
    default: []
  epoch:
    description: Seconds since 1970 that no time in an archive exceeds.
    type: int
    required: true
  jobs:
    description: How many bases are made at once.
    type: int
    default: 2
attributes:
  check_mode:
    details: What a base would hold is not known before it is created.
    support: partial
"""

EXAMPLES = r"""
- name: Create a base to build upon
  slipway.release.debian_base:
    directory: /var/cache/slipway/bases
    epoch: 1700000000
    bases:
      - name: build-x86_64
        architectures: [amd64]
        method: extract
        packages: [gcc, libc6-dev, make, dash, coreutils]
"""

RETURN = r"""
bases:
  description:
    - For each base that is there its name, file, path, sha256, size (bytes), and whether it was made now.
    - In check mode, those that would be made are not among them.
  returned: always
  type: list
  elements: dict
pins:
  description:
    - For each base that is there, what M(slipway.release.definitions_publish) needs to pin it, whether the definitions
      name it with its suite or without.
  returned: always
  type: list
  elements: dict
absent:
  description: In check mode, the names of the bases that would be made.
  returned: always
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.sources import name_sources, read_own_suite, resolve_mirrors
from ..module_utils.slipway.host.base import Recipe, check_recipes, ensure_bases
from ..module_utils.slipway.module.options import APT_SOURCES, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    suite = options["suite"] or read_own_suite()
    wanted = {**options, "suite": suite, "sources": resolve_mirrors(name_sources(options["sources"], suite))}
    directory = Path(wanted["directory"])
    recipes = [make_recipe(base, wanted) for base in wanted["bases"]]
    known = [make_recipe(base, wanted) for base in wanted["known"]]
    check_recipes([*recipes, *known])
    progress = Progress(wanted["progress"] if write else None)
    found = ensure_bases(recipes, directory, jobs=wanted["jobs"], progress=progress, write=write)
    absent = [recipe.name for recipe, base in zip(recipes, found, strict=True) if base is None]
    found += ensure_bases(known, directory, jobs=1, progress=progress, write=False)
    bases = [asdict(base) | {"path": str(directory / base.file)} for base in found if base is not None]
    alias = wanted["alias"]
    return {
        "changed": bool(absent) or any(base["made"] for base in bases),
        "bases": bases,
        "pins": [
            {"match": f"{alias}:{name}-*", "url": f"{alias}:{base['file']}", "ref": base["sha256"]}
            for base in bases
            for name in (base["name"], base["name"].removeprefix(f"{suite}-"))
        ],
        "absent": absent,
    }


def make_recipe(base: dict[str, Any], options: dict[str, Any]) -> Recipe:
    label = f"{options['suite']}-"
    return Recipe(
        name=label + base["name"].removeprefix(label),
        suite=options["suite"],
        sources=tuple(options["sources"]),
        architectures=tuple(base["architectures"]),
        method=base["method"],
        packages=tuple(base["packages"]),
        epoch=options["epoch"],
        exclude=tuple(base["exclude"]),
        keep=tuple(base["keep"]),
        links=base["links"],
        modules=tuple(base["modules"]),
    )


def main() -> None:
    base = {
        "name": {"type": "str", "required": True},
        "architectures": {"type": "list", "elements": "str", "required": True},
        "method": {"type": "str", "choices": ["install", "extract", "parts"], "default": "install"},
        "packages": {"type": "list", "elements": "str", "default": []},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "keep": {"type": "list", "elements": "str", "default": []},
        "links": {"type": "dict", "default": {}},
        "modules": {"type": "list", "elements": "str", "default": []},
    }
    run_module(
        act,
        {
            **PROGRESS,
            "sources": {**APT_SOURCES["sources"], "default": []},
            "directory": {"type": "path", "required": True},
            "bases": {"type": "list", "elements": "dict", "required": True, "options": base},
            "known": {"type": "list", "elements": "dict", "default": [], "options": base},
            "alias": {"type": "str", "default": "bases"},
            "suite": {"type": "str", "default": ""},
            "epoch": {"type": "int", "required": True},
            "jobs": {"type": "int", "default": 2},
        },
    )


if __name__ == "__main__":
    main()
