from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.release.plugins.filter.build_jobs import build_jobs


def platform(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "10.04",
        "distribution": "Ubuntu",
        "mirror": "http://192.0.2.1",
        "components": ["main"],
        "architectures": ["amd64", "i386"],
        "base": [f"deb http://192.0.2.1 {name} main"],
    }


def test_each_platform_and_architecture_has_a_job_behind_the_one_that_it_is_a_copy_of() -> None:
    platforms = [platform("lucid"), {**platform("karmic"), "version": "9.10"}]
    jobs = build_jobs(platforms, {"cturtle": ["lucid", "karmic-i386"]})
    base = "debbuild-build-debs-cturtle"
    assert [(job["name"], job["kind"], job["base"]) for job in jobs] == [
        ("debbuild-sourcedeb", "source", ""),
        (base, "binary", ""),
        (f"{base}-lucid-amd64", "binary", base),
        (f"{base}-lucid-i386", "binary", base),
        (f"{base}-karmic-i386", "binary", base),
    ]
    assert [jobs[4][name] for name in ("distribution", "platform", "architecture")] == ["cturtle", "karmic", "i386"]


def test_a_platform_that_is_not_there_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="jaunty"):
        build_jobs([platform("lucid")], {"cturtle": ["jaunty"]})
