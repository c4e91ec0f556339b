#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_index
short_description: Manage the HTML pages of the releases on a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server, after the current links name a release.
  - Writes C(<label>.html) beside the directory of every public release, with its files, sizes, digests, signature and
    notes. C(index.html) lists the releases, newest first, and marks the current one; C(current.html) leads to its page.
  - The pages are plain HTML without scripts, made from what is public only. Each is replaced in one step.
  - A page under these names that this module did not write is a failure. A page of a release that is gone is removed.
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
      - The directory on the controller with the Jinja templates C(index.html.j2) and C(release.html.j2), and with those
        that they include or extend. Those of the role C(release_publish) are a beginning for your own. Always needed.
      - They get C(releases) or C(release), C(current) and C(title). All values are escaped. Each page has the C(meta)
        line of C(page.html.j2) that names its generator.
    type: path
  title:
    description: The title of the list. The default is the project's name and the word releases.
    type: str
    default: ""
  pages:
    description: The pages by their names. The action plugin renders them.
    type: dict
  notes_url:
    description:
      - The address of a release's notes, in which C({version}) and C({label}) are replaced. Without it nothing links to
        them.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Update the pages of the releases
  slipway.release.release_index:
    public: /srv/download.example.org/public
    project: baserock
    templates: templates/download
    notes_url: https://wiki.example.org/releases/{label}/
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

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import ARTIFACTS_PUBLIC
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.pages import Site, describe_site, update_pages


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    site = Site(Path(params["public"]), params["project"], params["notes_url"])
    if params["pages"] is None:
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
            "notes_url": {"type": "str", "default": ""},
            "templates": {"type": "path"},
            "title": {"type": "str", "default": ""},
            "pages": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()
