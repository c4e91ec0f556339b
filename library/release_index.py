#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_index
short_description: Manage the pages of the releases on a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server, after the current links name a release.
  - Writes C(<label>.html) beside the directory of every public release, with its files by system and architecture,
    sizes, digests, date, key and notes. C(index.html) lists the releases, newest first, and shows the current one;
    C(current.html) leads to its page.
  - Writes the same for programs, C(releases.json) and the feed C(releases.atom).
  - The pages are plain HTML without scripts, made from what is public only. Each is replaced in one step, and what
    names others is written after them.
  - A page under these names that this module did not write is a failure. A page of a release that is gone is removed.
requirements:
  - markdown-it-py on the controller, where there are notes
extends_documentation_fragment:
  - slipway.release.artifacts.public
  - slipway.release.attributes
options:
  project:
    description: The project that is released.
    type: str
    required: true
  label:
    description: The label of the release that is published in this run. In check mode it may not be public yet.
    required: false
  templates:
    description:
      - Directories on the controller with the Jinja templates C(index.html.j2) and C(release.html.j2), and with those
        that they include or extend. The first that has one is taken, so that a directory of your own needs only what is
        to be otherwise; C(slipway/page.html.j2) is C(page.html.j2) of the last directory. Always needed.
      - They get C(releases) or C(release), C(keys), C(project), C(title), C(style), and C(current), the label of the
        current release, for the list, or whether there is one, for a release. All values are escaped. Each page has
        the C(meta) line of C(page.html.j2) that names its generator.
    type: list
    elements: path
  title:
    description: The title of the list. The default is the project's name and the word releases.
    type: str
    default: ""
  pages:
    description: The pages by their names. The action plugin renders them.
    type: dict
  notes:
    description: The notes of O(label) in Markdown, to be public as C(<label>.md). Without it what is public stays.
    type: str
  notes_url:
    description:
      - The address of a release's notes, in which C({version}) and C({label}) are replaced. Without it nothing links to
        them.
    type: str
    default: ""
  support:
    description: The day until which a version is supported, such as V(2028-05-31), by version.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Update the pages of the releases
  slipway.release.release_index:
    public: /srv/download.example.org/public
    project: baserock
    label: baserock-26.47
    templates: [templates/download, roles/release_current/templates]
    notes_url: https://wiki.example.org/releases/{label}/
    support: {"26.47": "2028-11-30"}
"""

RETURN = r"""
pages:
  description: The names of the pages that were written, moved or removed.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import name_refusals
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import ARTIFACTS_PUBLIC
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.pages import update_pages
from ..module_utils.slipway.publish.releases import Site, describe_site


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    site = Site(
        Path(params["public"]),
        params["project"],
        title=params["title"],
        notes_url=params["notes_url"],
        support={version: str(day) for version, day in params["support"].items()},
        notes={params["label"]: params["notes"]} if params["label"] and params["notes"] else {},
    )
    if params["pages"] is None:
        site.check()
        with name_refusals("index", params["public"]):
            return {"changed": False, **describe_site(site)}
    done = update_pages(site, params["pages"], coming=params["label"], check=not write)
    changes = diff_texts({name: (done.before[name] or "", done.after[name] or "") for name in done.after})
    return {"changed": bool(changes), "pages": sorted(done.after), **({"diff": changes} if changes else {})}


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS_PUBLIC,
            "project": {"type": "str", "required": True},
            "label": {"type": "str"},
            "notes": {"type": "str"},
            "notes_url": {"type": "str", "default": ""},
            "support": {"type": "dict", "default": {}},
            "templates": {"type": "list", "elements": "path"},
            "title": {"type": "str", "default": ""},
            "pages": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()
