#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_gitolite
short_description: Configure who may use the repositories of a Trove over SSH
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes gitolite's settings, its configuration and the users' keys, and lets gitolite set up every repository.
  - Keys and rules that are not given here are removed. What a run did not finish is done by the next one.
  - As root it works as the user to whom O(home) belongs.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  home:
    description: The home directory of gitolite's user, below which gitolite looks for C(repositories).
    type: path
    required: true
  repositories:
    description: The directory of the repositories.
    type: path
    required: true
  code:
    description: A directory with more of gitolite's code, such as C(hooks/common/post-receive).
    type: path
    required: true
  users:
    description: Everybody who has keys.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Their name.
        type: str
        required: true
      keys:
        description: Their public SSH keys, each a line.
        type: list
        elements: str
        required: true
  admins:
    description: Users who may create, write and rewind everywhere, but for protected refs.
    type: list
    elements: str
    default: []
  rules:
    description: The permissions, by repository.
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: A regular expression for the whole path of a repository, without C(.git).
        type: str
        required: true
      writers:
        description: Users who may push.
        type: list
        elements: str
        default: []
      creators:
        description: Users who may push, and make a repository by pushing to it.
        type: list
        elements: str
        default: []
      readers:
        description: Users who may read, if not everybody may.
        type: list
        elements: str
        default: []
      public:
        description: Whether anybody may read, also over HTTP.
        type: bool
        default: true
  protected_refs:
    description: Regular expressions for the beginning of refs that nobody, not even an admin, may rewind or delete.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Configure the access of the release team
  slipway.release.trove_gitolite:
    home: /var/lib/slipway-trove
    repositories: /srv/trove
    code: /etc/slipway/gitolite
    users:
      - name: releaser
        keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKVmS8mZ5cEMbAe6T5rh2D8pDx0YyXbS6cVJ6yq1sVbE releaser"]
    rules:
      - pattern: baserock/.*
        writers: [releaser]
    protected_refs: ["refs/heads/[^/]+/release/", refs/tags/]
"""

RETURN = r"""
files:
  description: The files below O(home), and the hooks of repositories, that changed or would change.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trove.account import run_as_owner
from ..module_utils.slipway.trove.gitolite import Access, Rule, User, apply_access, check_access


def read_access(options: dict[str, Any]) -> Access:
    return Access(
        users=tuple(User(one["name"], tuple(key.strip() for key in one["keys"])) for one in options["users"]),
        admins=tuple(options["admins"]),
        rules=tuple(
            Rule(
                one["pattern"],
                writers=tuple(one["writers"]),
                creators=tuple(one["creators"]),
                readers=tuple(one["readers"]),
                public=one["public"],
            )
            for one in options["rules"]
        ),
        protected=tuple(options["protected_refs"]),
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    wanted = read_access(options)
    check_access(wanted)
    home, repositories = Path(options["home"]), Path(options["repositories"])
    changed = run_as_owner(home, lambda: apply_access(home, repositories, wanted, code=options["code"], write=write))
    return {
        "changed": bool(changed),
        "files": sorted(changed),
        "diff": diff_texts(changed),
    }


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    user = {
        "name": {"type": "str", "required": True},
        "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    }
    rule = {
        "pattern": {"type": "str", "required": True},
        "writers": names,
        "creators": names,
        "readers": names,
        "public": {"type": "bool", "default": True},
    }
    run_module(
        act,
        {
            "home": {"type": "path", "required": True},
            "repositories": {"type": "path", "required": True},
            "code": {"type": "path", "required": True},
            "users": {"type": "list", "elements": "dict", "required": True, "options": user},
            "admins": names,
            "rules": {"type": "list", "elements": "dict", "default": [], "options": rule},
            "protected_refs": names,
        },
    )


if __name__ == "__main__":
    main()
