#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: page_moves
short_description: Move pages in git from the release before to the new one
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Replaces what rules say in the pages of wikis and websites that live in git, by one commit to each repository.
  - A name is only found as a whole, so that V(acme-1.2) is not found in V(acme-1.25).
  - What others push meanwhile is not lost. Then the pages are read and moved anew, five times in all.
  - Also lists the lines of pages that still name the release before.
extends_documentation_fragment:
  - slipway.release.git.author
  - slipway.release.attributes
options:
  rules:
    description:
      - The rules. In their texts and patterns C({previous}) and C({previous_label}) are the release before, and
        C({version}), C({label}) and C({project}) the new one.
      - In patterns V(*) stands for no slash, and V(**) for any directories.
    type: list
    elements: dict
    required: true
    suboptions:
      repository: {description: URL or path of the repository., type: str, required: true}
      branch: {description: Its branch., type: str, default: main}
      product:
        description: The product that the pages are about. Without one it is the whole release.
        type: str
        default: ""
      paths: {description: Patterns of the pages that are moved., type: list, elements: str, default: []}
      replace:
        description: What is replaced by what, in this order, each with C(from) and C(to).
        type: list
        elements: dict
        default: []
      except:
        description: Patterns of pages that stay, and are not looked at.
        type: list
        elements: str
        default: []
      review:
        description: Patterns of the pages that are looked at for findings.
        type: list
        elements: str
        default: ["**"]
  project:
    description: The project.
    type: str
    required: true
  version:
    description: The new version.
    type: str
    required: true
  previous:
    description: The version before.
    type: str
    required: true
  products:
    description: >-
      The products that take part in the release, each with its version before, which is C({previous}) in their rules.
      Rules of others are left out.
    type: dict
    default: {}
  except:
    description: Patterns of pages that no rule is for, such as the notes of all releases.
    type: list
    elements: str
    default: []
  commit_message:
    description: The message of the commits.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Move the pages of the wiki to the new release
  slipway.release.page_moves:
    rules:
      - repository: ssh://git@wiki.example.org/wiki
        paths: [index.mdwn, guides/**]
        replace:
          - {from: "baserock-{previous}", to: "baserock-{version}"}
        except: [guides/history.mdwn]
    project: baserock
    version: "26.47"
    previous: "26.46"
    except: [releases/**]
    commit_message: Move the pages to baserock-26.47
"""

RETURN = r"""
moved:
  description: >-
    For each repository its C(repository) and C(branch), the C(paths) that were moved, or would be, the C(lines) that
    changed with C(path), C(line), C(before) and C(after), the branch's C(head) afterwards, and the C(findings) with
    C(path), C(line) and C(text), and their number in all, C(total). At most 100 lines and findings are listed.
    C(idle) are patterns of O(rules) that match no page.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ..module_utils.slipway.escape import redacted
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import GIT_AUTHOR
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.notes.moves import fill_rules, list_changed_lines, move_pages

_NAMES = {"type": "list", "elements": "str", "default": []}
RULE = {
    "repository": {"type": "str", "required": True},
    "branch": {"type": "str", "default": "main"},
    "product": {"type": "str", "default": ""},
    "paths": _NAMES,
    "replace": {"type": "list", "elements": "dict", "default": []},
    "except": _NAMES,
    "review": {"type": "list", "elements": "str", "default": ["**"]},
}


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    project, version, previous = (wanted[name] for name in ("project", "version", "previous"))
    names = {
        **{"project": project, "version": version, "label": f"{project}-{version}"},
        **{"previous": previous, "previous_label": f"{project}-{previous}"},
    }
    moved = move_pages(
        fill_rules(wanted["rules"], names, skip=wanted["except"], products=wanted["products"]),
        message=wanted["commit_message"],
        person=Person(wanted["name"], wanted["email"], wanted["epoch"]),
        write=write,
    )
    texts = {
        f"{path} of {redacted(each.repository)}": tuple(_show(text) for text in pair)
        for each in moved
        for path, pair in each.changed.items()
    }
    told = [
        {
            "repository": redacted(each.repository),
            "branch": each.branch,
            "head": each.head,
            "paths": sorted(each.changed),
            "lines": list_changed_lines(each.changed),
            "findings": each.findings,
            "total": each.total,
            "idle": each.idle,
        }
        for each in moved
    ]
    return {"changed": bool(texts), "moved": told, "diff": diff_texts(texts)}  # type: ignore[arg-type]  # they are pairs


def _show(text: str) -> str:
    """What is no UTF-8 cannot be shown."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def main() -> None:
    run_module(
        act,
        {
            **GIT_AUTHOR,
            "rules": {"type": "list", "elements": "dict", "required": True, "options": RULE},
            **{
                name: {"type": "str", "required": True} for name in ("project", "version", "previous", "commit_message")
            },
            "products": {"type": "dict", "default": {}},
            "except": _NAMES,
        },
    )


if __name__ == "__main__":
    main()
