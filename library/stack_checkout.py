#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_checkout
short_description: Ensure that a directory holds the source of a stack at a revision
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Exports the files of a stack from git, Subversion, Mercurial or Bazaar, or fetches a Debian source package. The
    directory then holds them and nothing else, no metadata of a repository either. Submodules, subrepositories and
    C(svn:externals) are not followed, and keywords of Subversion stay as they were committed.
  - The tree is made beside its place and put there as a whole. What it is stands in C(.NAME.checkout.json) beside it.
    A tree that was altered since is made anew, with a warning. Files that this module did not put there make it fail.
  - A tree is refused that holds C(.git), C(.svn), C(.hg) or C(.bzr) in any place, since tools would obey what is in
    it.
extends_documentation_fragment:
  - slipway.release.vcs
  - slipway.release.attributes
options:
  at:
    description:
      - What is to be there.
      - C(development) is the head of the development line. Of C(svn) that is the last change of C(dev), of C(hg) the
        last change of the branch that did more than tag. C(release) is what the release tag names.
      - A C(dsc) is the same at both.
    type: str
    choices: [development, release, revision]
    default: development
  revision:
    description:
      - The revision for C(at=revision). A commit of 40 hexadecimal digits for C(git) and C(hg), the number of a
        revision of C(dev) for C(svn), a revision id for C(bzr), the SHA-256 of the C(.dsc) for C(dsc).
    type: str
  directory:
    description: The directory. It is made if it is absent.
    type: path
    required: true
  anonymous:
    description: Whether to read from the C(anon-) twins of the values, which need no account but may lag behind.
    type: bool
    default: false
  max_bytes:
    description: What the files may have together. For C(dsc) that is known before they are fetched, else afterwards.
    type: int
    default: 2147483648
"""

EXAMPLES = r"""
- name: Check out what is to be released
  slipway.release.stack_checkout:
    kind: svn
    values:
      dev: https://code.example.org/svn/stacks/navigation/trunk
      release-tag: https://code.example.org/svn/stacks/navigation/tags/navigation-1.0.3
      distro-tag: https://code.example.org/svn/stacks/navigation/tags/cturtle
    directory: /srv/release/stacks/navigation
  register: checkout
"""

RETURN = r"""
revision:
  description: The exact revision, in the form that O(revision) takes.
  returned: success
  type: str
uri:
  description: The address that has this revision, without a password.
  returned: success
  type: str
epoch:
  description:
    - When the revision was made, in seconds since 1970. For C(git) that is the committer's date, for C(svn) the date of
      the last change up to the revision, for C(hg) and C(bzr) the date of the commit.
    - Null for C(dsc), and where the date is absent or absurd, before 1980-01-01 or more than a day ahead of the clock,
      so that any archive can have it.
    - In check mode, C(git) fetches the commit for it, unless the directory holds it already.
  returned: success
  type: int
  sample: 1268822400
before:
  description: The revision that the directory held before; null if it held none, or was altered.
  returned: success
  type: str
release_tag:
  description:
    - What the release tag is in the repository now. The C(name), the C(revision) that it names or null if it is
      absent, and for C(git) the C(kind), C(lightweight) or C(annotated), and whether it is C(signed), by whomever.
    - The tag of C(svn) is a copy. Its revision is that of the last change of C(dev) that it is a copy of, or where it
      was changed itself, that of this change.
  returned: success
  type: dict
  sample: {name: navigation-1.0.3, revision: 3f1b0a51cd4b0ff1a3d1b9a5a05f7be1a4d7cf5e, kind: annotated, signed: true}
distro_tag:
  description: The same for the tag of the distribution.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.escape import redacted
from ..module_utils.slipway.module.options import VCS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.vcs.checkout import check_out
from ..module_utils.slipway.vcs.source import Tag, read_source


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    source = read_source(wanted["kind"], wanted["values"], anonymous=wanted["anonymous"])
    found = check_out(
        source,
        Path(wanted["directory"]),
        at=wanted["at"],
        revision=wanted["revision"],
        timeout=wanted["timeout"],
        max_bytes=wanted["max_bytes"],
        write=write,
    )
    marker = found.before.marker
    before = None if marker is None or found.before.altered else marker.revision
    there = "" if marker is None else f"{marker.revision}{' altered' if found.before.altered else ''}"
    altered = f"{wanted['directory']} was altered since it was checked out, and is made anew"
    return {
        "changed": found.changed,
        "revision": found.place.revision,
        "uri": redacted(found.place.uri),
        "epoch": found.epoch,
        "before": before,
        **{f"{name}_tag": describe(source.tags.get(name), found.tags.get(name)) for name in ("release", "distro")},
        "warnings": [altered] if found.before.altered else [],
        "diff": {
            "before": f"{wanted['directory']} {there}\n" if there else "",
            "after": f"{wanted['directory']} {found.place.revision}\n",
        },
    }


def describe(name: str | None, tag: Tag | None) -> dict[str, Any]:
    if tag is None:
        return {"name": name, "revision": None, "kind": None, "signed": None}
    return {"name": name, "revision": tag.place.revision, "kind": tag.kind, "signed": tag.signed}


def main() -> None:
    run_module(
        act,
        {
            **VCS,
            "at": {"type": "str", "choices": ["development", "release", "revision"], "default": "development"},
            "revision": {"type": "str"},
            "directory": {"type": "path", "required": True},
            "anonymous": {"type": "bool", "default": False},
            "max_bytes": {"type": "int", "default": 2147483648},
        },
        required_if=[("at", "revision", ["revision"])],
    )


if __name__ == "__main__":
    main()
