# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the site's platforms: the jobs that make packages for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.platforms import choose_platforms
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DOCUMENTATION = r"""
name: build_jobs
short_description: List the jobs that make source and binary packages
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Returns the job that makes source packages, for each distribution the job that makes binary packages, and its
    copies, one for each platform and architecture. A job is behind the one that it is a copy of.
options:
  _input:
    description: The site's platforms, as P(slipway.release.target_platforms#filter) has them.
    type: list
    elements: dict
    required: true
  targets:
    description: The names of the platforms of each distribution, or of single architectures of them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the jobs of cturtle
  ansible.builtin.debug:
    msg: "{{ debs_platforms | slipway.release.build_jobs({'cturtle': ['bookworm', 'trixie-amd64']}) }}"
"""

RETURN = r"""
_value:
  description:
    - The jobs, each with C(name), C(kind) (V(source) or V(binary)), C(base), the job that it is a copy of, and what it
      is for, C(distribution), C(platform) and C(architecture). What a job is not limited to is empty.
  type: list
  elements: dict
"""
SOURCE = "debbuild-sourcedeb"
BINARY = "debbuild-build-debs"


def build_jobs(platforms: Sequence[Mapping[str, Any]], targets: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The jobs for all distributions."""
    jobs = [_make_job(SOURCE, "source")]
    try:
        for distribution in targets:
            base = f"{BINARY}-{distribution}"
            jobs.append(_make_job(base, "binary", distribution))
            jobs += [
                _make_job(f"{base}-{one['name']}-{each}", "binary", distribution, one["name"], each, base)
                for one in choose_platforms(platforms, targets, distribution)
                for each in one["architectures"]
            ]
    except SlipwayError as error:
        raise AnsibleFilterError(str(error)) from error
    return jobs


def _make_job(
    name: str, kind: str, distribution: str = "", platform: str = "", architecture: str = "", base: str = ""
) -> dict[str, str]:
    places = {"distribution": distribution, "platform": platform, "architecture": architecture}
    return {"name": name, "kind": kind, "base": base, **places}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"build_jobs": build_jobs}
