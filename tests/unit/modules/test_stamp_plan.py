"""A set of packages without a distro file, as the modules plan, stamp and publish it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from debs import make_deb
from publishing import run_module, tree


class Tools:
    """Debs below a directory, and a platform that has nothing but its libc."""

    def __init__(self, base: Path) -> None:
        self.base, self.fixed = base, base / "fixed"
        index = base / "base/dists/bookworm/main/binary-amd64"
        index.mkdir(parents=True)
        (index / "Packages").write_text("Package: libc6\nVersion: 2.36\nArchitecture: amd64\nFilename: none\nSize: 0\n")
        make_key(base / "gnupg", "Archive <archive@example.org>")
        self.make("greet", "1:1.2-1", Depends="libc6 (>= 2.30)")
        self.make("count", "0.5-3", Depends="greet (>= 1:1.0)")

    def make(self, name: str, version: str, **fields: str) -> Path:
        return make_deb(self.base / "debs", name, version, "amd64", fields=fields)

    def plan(self, release: str = "r1", *, check: bool = False, **given: Any) -> dict[str, Any]:
        source = f"deb [trusted=yes] copy:{self.base}/base bookworm main"
        words = {
            "set": "tools",
            "release": release,
            "gnupghome": str(self.base / "gnupg"),
            "published": str(self.fixed),
            "base_directory": str(self.base / "lists"),
            "maintainer": "A <a@example.org>",
            "platforms": [{"name": "bookworm", "architectures": ["amd64"], "base": [source]}],
            **({} if "sources" in given else {"debs": [str(self.base / "debs")]}),
            **given,
        }
        return run_module("stamp_plan", words, check=check)

    def publish(self, plan: dict[str, Any]) -> dict[str, Any]:
        (platform,) = plan["platforms"]
        stage, release = str(self.base / "stage" / plan["label"]), plan["release"]
        words = {"debs": platform["debs"], "directory": stage, "release": release, "platform": "bookworm"}
        debs = run_module("deb_stamp", words)["debs"]
        packages = {"directory": stage, "packages": platform["metapackages"]}
        debs += run_module("deb_metapackage", packages)["debs"] if platform["metapackages"] else []
        return run_module(
            "apt_publish",
            {
                "directory": str(self.fixed),
                "distribution": plan["distribution"],
                "release": release,
                "indexes": {"bookworm": platform["indexes"]},
                "debs": debs,
                **{name: plan[name] for name in ("inputs", "provenance")},
                "origin": "Slipway",
                "gnupghome": str(self.base / "gnupg"),
            },
        )


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


def test_a_set_that_is_published_is_not_made_again_from_other_debs(tools: Tools) -> None:
    tools.publish(tools.plan())
    before = tree(tools.fixed)
    again = tools.plan()
    assert (again["published"], again["platforms"]) == (True, [])
    tools.make("greet", "1:1.2-1", Depends="libc6 (>= 2.31)")
    refused = tools.plan()
    assert re.search(r"debs\.bookworm\.greet_1\.2-1_amd64\.deb was .*, is ", refused["msg"])
    assert "packages was" in tools.plan(packages=["greet"])["msg"]
    assert "Could not release tools-r1 from generation 7" in tools.plan(generation=7)["msg"]
    assert tree(tools.fixed) == before


def test_all_gates_are_asked_of_a_set(tools: Tools) -> None:
    tools.make("broken", "1.0-1", Depends="nothing-like-it")
    refused = tools.plan("r2", packages=["greet", "count=0.6-1", "broken", "absent"])
    assert refused["failed"]
    for said in (
        "bookworm/amd64: count is 0.5-3, and 0.6-1 is asked for",
        "bookworm/amd64: absent is missing",
        "bookworm/amd64: broken 1.0-1-r2~bookworm needs nothing-like-it",
    ):
        assert said in refused["msg"]


def test_packages_of_an_apt_source_become_a_release_with_a_metapackage(tools: Tools) -> None:
    tools.publish(tools.plan())
    source = f"deb [trusted=yes] copy:{tools.fixed}/snapshots/tools-r1 {{platform}} main"
    words: dict[str, Any] = {
        "set": "taken",
        "sources": [source],
        "packages": ["count", "greet"],
        "variants": {"both": ["count", "greet"]},
        "published": str(tools.base / "taken"),
    }
    before = tree(tools.base)
    looked = tools.plan(check=True, **words)
    assert looked["platforms"][0]["debs"] == []
    assert "taken-both" in looked["platforms"][0]["indexes"]["amd64"]
    assert tree(tools.base) == before
    plan = tools.plan(**words)
    assert plan["platforms"][0]["indexes"] == looked["platforms"][0]["indexes"]
    tools.fixed = tools.base / "taken"
    tools.publish(plan)
    index = (tools.fixed / "dists/bookworm/main/binary-amd64/Packages").read_text()
    assert "Version: 1:1.2-1-r1~bookworm-r1~bookworm\n" in index
    assert "Depends: greet (= 1:1.2-1-r1~bookworm-r1~bookworm)\n" in index


def test_sources_without_names_of_packages_are_refused_and_so_is_a_set_from_nowhere(tools: Tools) -> None:
    assert "sources are of use with a list of packages only" in tools.plan(sources=["deb x y z"])["msg"]
    assert "nothing says where its packages are" in tools.plan(debs=[])["msg"]
