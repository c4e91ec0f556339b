#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_statement
short_description: State of what and how a release of debs was made
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one in-toto statement with SLSA's provenance of the indexes of a published release, in a DSSE envelope that
    the archive's key signs, as C(snapshots/<label>.intoto.jsonl).
  - It is made once and never changed. One that is there is verified.
extends_documentation_fragment:
  - slipway.release.apt.served
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.trust.builder
  - slipway.release.attributes
options:
  label:
    description: The release's label, such as V(cturtle-r468).
    type: str
    required: true
  debs:
    description: The files of the debs as they were before they were stamped.
    type: list
    elements: path
    default: []
  buildinfo:
    description: Directories in which C(.buildinfo) files are. Those of builds of O(debs) are named.
    type: list
    elements: path
    default: []
  sources:
    description: Where the sources of packages are, each with C(kind), C(repository), C(tag) and C(commit).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: State how the release of debs was made
  slipway.release.deb_statement:
    directory: /srv/apt/public/fixed
    label: cturtle-r468
    builder: https://releases.example.org/builder
    gnupghome: /srv/apt/gnupg
"""

RETURN = r"""
file:
  description: The file's C(name), C(size) in bytes and C(sha256); null in check mode if it is not there yet.
  returned: success
  type: dict
signed_by:
  description: The fingerprint of the key that signed. Null if not signed yet.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt.index import locate_index
from ..module_utils.slipway.apt.publication import read_published
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import APT_SERVED, OPENPGP_REQUIRED, TRUST_BUILDER
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.process import read_version
from ..module_utils.slipway.trust.debs import (
    DebRelease,
    describe_files,
    find_buildinfo,
    hash_snapshot,
    make_deb_statement,
)
from ..module_utils.slipway.trust.statement import Site
from ..module_utils.slipway.trust.stating import name_statements, state_once


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory, label = Path(params["directory"]), params["label"]
    kept = read_published(directory, label)
    if kept is None and not write:
        return {
            "changed": True,
            "file": {"name": name_statements(label), "size": None, "sha256": None},
            "signed_by": None,
        }
    if kept is None:
        came_back = f"{directory} has no such release"
        raise SlipwayError("state how it was made", label, came_back, do_next="Publish it first.")
    snapshot = directory / "snapshots" / label
    places = [name.partition("/") for name in kept["packages"]]
    indexes = [locate_index(suite, params["component"], architecture) for suite, _slash, architecture in places]
    debs = describe_files(Path(each) for each in params["debs"] if Path(each).is_file())
    released = DebRelease(
        label,
        kept,
        hash_snapshot(snapshot, indexes),
        debs,
        find_buildinfo((Path(each) for each in params["buildinfo"]), debs),
        params["sources"],
        {"gpg": read_version("gpg", "--version").rsplit(" ", 1)[-1]},
    )
    path = snapshot.parent / name_statements(label)
    done = state_once(
        [make_deb_statement(released, Site(params["builder"]))],
        path,
        gnupghome=Path(params["gnupghome"]),
        signing_key=params["signing_key"] or None,
        write=write,
    )
    return {
        "changed": done.made,
        "file": done.describe(path.name),
        "signed_by": done.signed_by,
        **({"diff": diff_added([str(path)])} if done.made else {}),
    }


def main() -> None:
    run_module(
        act,
        {
            **APT_SERVED,
            **OPENPGP_REQUIRED,
            **TRUST_BUILDER,
            "label": {"type": "str", "required": True},
            "debs": {"type": "list", "elements": "path", "default": []},
            "buildinfo": {"type": "list", "elements": "path", "default": []},
            "sources": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
