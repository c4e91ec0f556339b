# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of the excuses share: a distribution of which a test says only what is special."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses import build_excuses
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_files import read_versions
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_input import read_facts

DAY = 86400
#: 2026-03-01, in the morning.
NOW = 1772352000
AMD64, I386 = "bookworm-amd64", "bookworm-i386"
COMMAND = "ansible-playbook playbooks/debs.yml -e distro=d -e stack={}"
DEFAULTS: dict[str, Any] = {
    "distribution": "d",
    "platforms": [{"name": "bookworm", "architectures": ["amd64", "i386"]}],
    "excludes": [],
    "holds": {},
    "plan": None,
    "builds": [],
    "sources": [],
    "uninstallable": [],
    "depends": {},
    "package_name": "ros-{distribution}-{stack}",
    "source_version": "{version}-0~{platform}",
    "stamped_version": "{version}-{release}~{platform}",
    "distro_command": COMMAND.replace("=d ", "={distribution} ").replace("{}", "{stack}"),
    "release_command": "release {distribution} {stack} {version}",
}


def stacks(**versions: str | None) -> dict[str, dict[str, str | None]]:
    return {name: {"version": version} for name, version in versions.items()}


def archive(
    amd64: Mapping[str, str], i386: Mapping[str, str] | None = None, *, form: str = "{}-0~bookworm"
) -> dict[str, Any]:
    """An archive with these stacks in these versions; the same on both architectures if one is given."""
    return {
        "bookworm": {
            name: {f"ros-d-{stack.replace('_', '-')}": form.format(version) for stack, version in there.items()}
            for name, there in {"amd64": amd64, "i386": amd64 if i386 is None else i386}.items()
        }
    }


def explain(
    *, previous: Mapping[str, Any] | None = None, now: int = NOW, shadow: Any = None, fixed: Any = None, **given: Any
) -> dict[str, Any]:
    facts = read_facts(
        {**DEFAULTS, **given},
        shadow=read_versions(archive({}) if shadow is None else shadow, what="the shadow archive"),
        fixed=None if fixed is None else read_versions(fixed, what="the fixed archive"),
        now=now,
    )
    return build_excuses(facts, previous)
