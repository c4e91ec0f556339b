#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_promote
short_description: Mirror one repository on a local Trove now and wait for a commit
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Promotes one repository on a Trove, a site's git mirror, before whatever else is queued there.
  - The repository counts as promoted when the mirror's own ref names the wanted commit, and by nothing else.
  - With V(grokmirror) and V(git) it runs on the Trove's host. As root it works as the user to whom O(toplevel) belongs.
extends_documentation_fragment:
  - slipway.release.connection.ssh
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  backend:
    description:
      - What keeps the mirror.
      - With V(git) nothing else does. The one repository is fetched from O(upstream), any git server, into a mirror
        that is made if it is absent.
      - With V(grokmirror) the one repository is fetched at once, under grokmirror's lock for it.
      - With V(lorry_controller) it is moved to the head of Lorry Controller's queue, and its job is waited for. A
        stopped queue, an unknown path and a failed job are failures at once. The maintained Lorry has no such queue, so
        it is only waited for.
    type: str
    choices: [grokmirror, lorry_controller, git]
    default: grokmirror
  toplevel:
    description: The directory of the mirrors. Required with V(grokmirror) and V(git).
    type: path
  upstream:
    description: The URL of the repository that is mirrored. Required with V(git).
    type: str
  source:
    description:
      - The branch, tag or commit that O(ref) is made of, or will be.
      - With V(grokmirror) and V(git) it is a failure, before anything is waited for and in check mode too, if what is
        mirrored has O(commit) neither there nor at O(ref).
    type: str
  url:
    description:
      - The address of Lorry Controller as seen from where this runs, or with O(tunnel) from that host.
      - It answers its own host only, so either run this on the Trove's host or give O(tunnel).
      - The maintained Lorry listens on port 3000.
    type: str
    default: http://127.0.0.1:12765
  tunnel:
    description: The Trove as ssh names it, such as V(root@trove.example.org), to reach O(url) through ssh.
    type: str
  mirror:
    description:
      - The mirrored repository, whose ref is looked at. Required with V(lorry_controller).
      - A URL for git, or with O(cache_url) the name by which the cache server knows it, such as
        V(baserock:baserock/definitions).
    type: str
  cache_url:
    description: The Trove's cache server, to ask for the ref there and not with git. Not for annotated tags.
    type: str
  path:
    description: The repository's path on the Trove, without C(.git).
    type: str
    required: true
  ref:
    description: The full name of the ref that must arrive.
    type: str
    required: true
  commit:
    description: The commit that the mirror's ref must name.
    type: str
    required: true
  timeout:
    description: Seconds to wait for the commit.
    type: float
    default: 600
"""

EXAMPLES = r"""
- name: Promote the definitions on the local Trove
  slipway.release.trove_promote:
    toplevel: /srv/trove
    path: baserock/baserock/definitions
    ref: refs/heads/baserock/release/baserock-26.47
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
  delegate_to: trove.internal.example.org

- name: Promote the definitions from a git server
  slipway.release.trove_promote:
    backend: git
    upstream: ssh://git@git.example.org/acme/definitions.git
    toplevel: /srv/trove
    path: acme/definitions
    ref: refs/heads/acme/release/acme-1.0
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091

- name: Promote the definitions on a Baserock Trove
  slipway.release.trove_promote:
    backend: lorry_controller
    tunnel: root@trove.internal.example.org
    mirror: git://trove.internal.example.org/baserock/baserock/definitions
    path: baserock/baserock/definitions
    ref: refs/heads/baserock/release/baserock-26.47
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
"""

RETURN = r"""
commit:
  description: The commit that the mirror's ref names.
  returned: success
  type: str
"""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..module_utils.slipway.git.remote import find_remote_commit
from ..module_utils.slipway.http import Service
from ..module_utils.slipway.module.options import CONNECTION_SSH, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.morph.cache import MorphCache
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.ssh import open_tunnel
from ..module_utils.slipway.trove import grokmirror, lorry, server
from ..module_utils.slipway.trove.account import find_existing, run_as_owner


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    lorry.check_commit(wanted["commit"], wanted["path"])
    return {"changed": BACKENDS[wanted["backend"]](wanted, write=write), "commit": wanted["commit"]}


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_SSH,
            **PROGRESS,
            "backend": {"type": "str", "choices": ["grokmirror", "lorry_controller", "git"], "default": "grokmirror"},
            "toplevel": {"type": "path"},
            "upstream": {"type": "str"},
            "source": {"type": "str"},
            "url": {"type": "str", "default": lorry.DEFAULT_URL},
            "tunnel": {"type": "str"},
            "mirror": {"type": "str"},
            "cache_url": {"type": "str"},
            "path": {"type": "str", "required": True},
            "ref": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 600},
        },
        required_if=[
            ["backend", "grokmirror", ["toplevel"]],
            ["backend", "lorry_controller", ["mirror"]],
            ["backend", "git", ["toplevel", "upstream"]],
        ],
    )


def promote_by_grokmirror(wanted: dict[str, Any], *, write: bool) -> bool:
    return promote_here(wanted, grokmirror.promote_mirror, grokmirror.find_upstream, write=write)


def promote_by_git(wanted: dict[str, Any], *, write: bool) -> bool:
    url = wanted["upstream"]
    return promote_here(wanted, partial(server.promote_from_server, url=url), lambda _mirror: url, write=write)


def promote_here(
    wanted: dict[str, Any],
    promote: Callable[..., bool],
    find_upstream: Callable[[Path], str],
    *,
    write: bool,
) -> bool:
    """Promote in a directory of this host, as its owner."""
    toplevel, path, ref, commit = Path(wanted["toplevel"]), wanted["path"], wanted["ref"], wanted["commit"]

    def act_as_owner() -> bool:
        if not promote(toplevel, path, ref=ref, commit=commit, timeout=wanted["timeout"], write=False):
            return False
        if wanted["source"]:
            upstream = find_upstream(toplevel / f"{path}.git")
            server.check_upstream(upstream, path, refs=(ref, wanted["source"]), commit=commit)
        return promote(toplevel, path, ref=ref, commit=commit, timeout=wanted["timeout"], write=write)

    return run_as_owner(find_existing(toplevel), act_as_owner)


def promote_by_lorry_controller(wanted: dict[str, Any], *, write: bool) -> bool:
    with contextlib.ExitStack() as stack:
        socket = None
        if wanted["tunnel"]:
            target = lorry.extract_host_and_port(wanted["url"])
            socket = stack.enter_context(open_tunnel(wanted["tunnel"], target, options=wanted["ssh_options"]))
        return lorry.promote_repository(
            lorry.LorryController(Service(wanted["url"], unix_socket=socket)),
            wanted["path"],
            commit=wanted["commit"],
            read_mirrored=lambda: read_mirrored_commit(wanted),
            timeout=wanted["timeout"],
            write=write,
            report=Progress(wanted["progress"] if write else None).report,
        )


def read_mirrored_commit(wanted: dict[str, Any]) -> str | None:
    if wanted["cache_url"]:
        name = wanted["ref"].removeprefix("refs/heads/").removeprefix("refs/tags/")
        return MorphCache(wanted["cache_url"]).resolve_ref(wanted["mirror"], name)
    return find_remote_commit(wanted["mirror"], wanted["ref"])


BACKENDS = {
    "git": promote_by_git,
    "grokmirror": promote_by_grokmirror,
    "lorry_controller": promote_by_lorry_controller,
}


if __name__ == "__main__":
    main()
