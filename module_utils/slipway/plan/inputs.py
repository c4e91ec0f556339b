# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release was made from and with, for those who want to make the same bytes again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..escape import redacted

FORMAT = 1
#: Stages that make bytes of the release, by how their records begin.
MAKERS = ("build-", "deploy-", "extra-", "package")
#: What a reader elsewhere can fetch from.
SCHEMES = ("http", "https", "git", "ssh")


def describe_inputs(plan: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The inputs of a release by its plan and records.

    The same records give the same, whatever this machine has by now.
    """
    definitions = plan["definitions"]
    made = {name: record for name, record in records.items() if name.startswith(MAKERS)}
    tools: dict[str, set[str]] = {}
    for record in made.values():
        for tool, version in (record.get("tools") or {}).items():
            tools.setdefault(tool, set()).add(str(version))
    systems = []
    for system in plan["systems"]:
        build = records.get(f"build-{system['name']}") or {}
        options = (build.get("inputs") or {}).get("options") or {}
        systems.append(
            {
                **{name: system[name] for name in ("name", "file", "architecture")},
                "key": (build.get("outputs") or {}).get("key"),
                "options": {str(name): str(value) for name, value in options.items()},
            }
        )
    package = (records.get("package") or {}).get("inputs") or {}
    return {
        "format": FORMAT,
        **{name: plan[name] for name in ("project", "version", "label")},
        "definitions": None
        if definitions is None
        else {
            "url": find_public_url(definitions),
            **{name: definitions[name] for name in ("path", "commit")},
            **{name: plan[name] for name in ("branch", "tag", "cluster", "cluster_sha256")},
        },
        "systems": systems,
        "left_out": sorted(f"{each['system']} ({each['architecture']})" for each in plan.get("skipped") or []),
        "compression_level": package.get("level"),
        "tools": {tool: sorted(versions) for tool, versions in sorted(tools.items())},
    }


def find_public_url(definitions: Mapping[str, Any]) -> str | None:
    """Where a reader elsewhere can fetch the definitions from, without what is secret in it."""
    url = redacted(definitions["url"]) if definitions.get("url") else ""
    return url if urlsplit(url).scheme in SCHEMES or ("@" in url and ":" in url) else None
