#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vcs_tag
short_description: Tag a stack in its source repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Tags a revision as a release or as what a distribution has, each kind of repository's own way, and reads the tag
    back.
  - A release tag is made once. If it is on another revision, the module fails and names both. A distro tag moves to
    the revision. What somebody else changes meanwhile is a failure, except that C(brz) moves a tag wherever it is.
  - In C(git), a tag is signed with O(signing_key), annotated with O(annotation) alone, or else lightweight. A release
    tag that is annotated or signed otherwise than this fails; a distro tag is made anew, by a push that names what it
    was. The branch that older tools forced along with the distro tag is left alone.
  - In C(svn), a tag is a copy at the revision. A distro tag is removed and copied in one commit.
  - In C(hg), a tag is a commit at the head of the development branch, which is pushed. O(name), O(email) and O(epoch)
    are its author and date.
  - In C(bzr), a tag is set in the development branch itself, and has neither author nor message.
extends_documentation_fragment:
  - slipway.release.vcs
  - slipway.release.openpgp
  - slipway.release.git.author
  - slipway.release.attributes
options:
  tag:
    description: Which of the tags of the rule.
    type: str
    required: true
    choices: [release, distro]
  revision:
    description: The revision, as M(slipway.release.stack_checkout) returns it.
    type: str
    required: true
  annotation:
    description: The text of an annotated tag of C(git), and the message of the commit in C(svn) and C(hg).
    type: str
"""

EXAMPLES = r"""
- name: Tag the release
  slipway.release.vcs_tag:
    kind: git
    values: "{{ rules }}"
    tag: release
    revision: "{{ checkout.revision }}"
    annotation: Release navigation 1.0.3
    gnupghome: /etc/slipway/gnupg
"""

RETURN = r"""
tag_name:
  description: The tag's name; for C(svn) its URL.
  returned: success
  type: str
revision:
  description: The revision that it names, or would name.
  returned: success
  type: str
before:
  description: The revision that it named before, or null.
  returned: success
  type: str
object:
  description:
    - In C(git), the object that the tag is now, which is another one when somebody makes the tag anew, signed or not.
      Else null, and where it would be made.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.git.annotation import provide_annotation
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.options import GIT_AUTHOR, OPENPGP, VCS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.vcs.source import read_source
from ..module_utils.slipway.vcs.tags import TagRequest, ensure_tag


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    source = read_source(wanted["kind"], wanted["values"])
    person = Person(wanted["name"], wanted["email"], wanted["epoch"])
    revision, text = wanted["revision"], wanted["annotation"]
    keys = {name: wanted[name] if wanted["kind"] == "git" else None for name in OPENPGP}
    with provide_annotation(f"{wanted['tag']} of {revision}", text, person, **keys) as annotation:
        message = text or f"Tag revision {revision}"
        request = TagRequest(wanted["tag"], revision, message, person, annotation)
        done = ensure_tag(source, request, timeout=wanted["timeout"], write=write)
    before = None if done.before is None else done.before.place.revision
    texts = [f"{done.name} {each}\n" if each else "" for each in (before, revision if done.changed else before)]
    return {
        "changed": done.changed,
        "tag_name": done.name,
        "revision": revision,
        "before": before,
        "object": done.object,
        "diff": {"before": texts[0], "after": texts[1]},
    }


def main() -> None:
    run_module(
        act,
        {
            **VCS,
            **OPENPGP,
            **GIT_AUTHOR,
            "tag": {"type": "str", "required": True, "choices": ["release", "distro"]},
            "revision": {"type": "str", "required": True},
            "annotation": {"type": "str"},
        },
        required_by={"signing_key": ["annotation", "gnupghome"], "gnupghome": ["annotation"]},
    )


if __name__ == "__main__":
    main()
