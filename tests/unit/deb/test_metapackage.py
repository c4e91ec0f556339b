from __future__ import annotations

import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.metapackage import Metapackage
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from debs import make_deb
from publishing import run_module

METAPACKAGE = Metapackage(
    package="ros-cturtle-base",
    version="1.0.0-r1~bookworm",
    architecture="i386",
    maintainer="Release team <release@example.org>",
    summary="the stacks of the variant base of cturtle, release r1",
    depends=[("ros-cturtle-a", "1-r1~bookworm"), ("ros-cturtle-b", "2-r1~bookworm", "ros-cturtle-c", "3-r1~bookworm")],
    fields={"WG-rosdistro": "cturtle"},
)


def test_the_same_words_give_the_same_bytes() -> None:
    assert METAPACKAGE.build_deb() == METAPACKAGE.build_deb()


@pytest.mark.parametrize("words", [(), ("a",), ("a", "1", "b")])
def test_a_name_without_a_version_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SlipwayError, match="is not package and version. Correct its depends"):
        replace(METAPACKAGE, depends=[words]).build_deb()


def test_dpkg_reads_it_as_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(METAPACKAGE.build_deb())
    shown = subprocess.run(
        ["dpkg-deb", "--field", path, "Package", "Architecture", "Depends", "WG-rosdistro"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown == (
        "Package: ros-cturtle-base\nArchitecture: i386\n"
        "Depends: ros-cturtle-a (= 1-r1~bookworm), ros-cturtle-b (= 2-r1~bookworm) | ros-cturtle-c (= 3-r1~bookworm)\n"
        "WG-rosdistro: cturtle\n"
    )
    subprocess.run(["dpkg-deb", "--extract", path, tmp_path / "root"], check=True)
    assert sorted(found.name for found in (tmp_path / "root/usr/share/doc/ros-cturtle-base").iterdir()) == [
        "changelog.Debian.gz",
        "copyright",
    ]


def make(directory: Path, *words: Metapackage) -> dict[str, Any]:
    return run_module("deb_metapackage", {"directory": str(directory), "packages": [asdict(each) for each in words]})


def test_metapackages_are_made_once(tmp_path: Path) -> None:
    assert make(tmp_path, METAPACKAGE)["changed"]
    assert not make(tmp_path, METAPACKAGE)["changed"]
    assert make(tmp_path, replace(METAPACKAGE, version="1.0.0-r2~bookworm"))["changed"]


def test_a_package_that_bears_the_name_of_a_metapackage_is_not_replaced(tmp_path: Path) -> None:
    package = make_deb(tmp_path, METAPACKAGE.package, METAPACKAGE.version, METAPACKAGE.architecture)
    before = package.read_bytes()
    refused = make(tmp_path, METAPACKAGE)
    assert refused["failed"]
    assert refused["msg"].startswith(
        f"Could not create 1 metapackage: {package} is a package of the name ros-cturtle-base. Nothing was"
    )
    assert package.read_bytes() == before


def test_two_metapackages_of_one_name_are_refused(tmp_path: Path) -> None:
    refused = make(tmp_path, METAPACKAGE, replace(METAPACKAGE, depends=[]))
    assert "ros-cturtle-base 1.0.0-r1~bookworm i386 is there twice, with different fields" in refused["msg"]
    assert list(tmp_path.iterdir()) == []
    assert make(tmp_path, METAPACKAGE, METAPACKAGE)["changed"]
