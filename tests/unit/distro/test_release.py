from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import Distro, read_distro
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.release import (
    Names,
    Plan,
    check_installable,
    find_release,
    plan_release,
    read_shadow,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DISTRO = """
release: d
version: r2
stacks:
  ros: {version: 1.0}
  common_msgs: {version: 2.0}
  navigation: {version: 3.0}
  unborn: {}
variants:
- base: {stacks: [ros, common_msgs]}
- full: {extends: base, stacks: [navigation]}
"""
PLATFORMS = {"bookworm": ["amd64", "i386"]}
#: As ROS has them.
NAMES = Names(
    package="ros-{distribution}-{stack}",
    variant="ros-{distribution}-{variant}",
    or_shadow=(),
    maintainer="A <a@example.org>",
)


def distro(text: str = DISTRO) -> Distro:
    found = read_distro(text.encode(), needs_sources=False)
    assert found.faults == []
    return found


def stanza(package: str, version: str, architecture: str, **fields: str) -> str:
    path = f"pool/main/{package}_{version}_{architecture}.deb"
    lines = {"Package": package, "Version": version, "Architecture": architecture, **fields, "Filename": path}
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def whole(platform: str, architecture: str) -> dict[str, str]:
    """The stanzas of an index in which everything is there."""
    return {
        "ros": stanza("ros-d-ros", f"1.0-0~{platform}", architecture),
        "common_msgs": stanza("ros-d-common-msgs", f"2.0-0~{platform}", "all", Depends="ros-d-ros"),
        "navigation": stanza(
            "ros-d-navigation",
            f"3.0-0~{platform}",
            architecture,
            Depends="ros-d-common-msgs (>= 1.9), libc6",
            Recommends="other",
        ),
        "foreign": stanza("ros-e-ros", "9.0-0", architecture),
    }


def plan(
    shadow: Path,
    indexes: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    *,
    text: str = DISTRO,
    excludes: Mapping[str, Sequence[str]] | None = None,
    published: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    names: Names = NAMES,
) -> Plan:
    given = indexes or {name: {arch: whole(name, arch) for arch in archs} for name, archs in PLATFORMS.items()}
    for platform, architectures in given.items():
        for architecture, stanzas in architectures.items():
            directory = shadow / "dists" / platform / "main" / f"binary-{architecture}"
            directory.mkdir(parents=True)
            (directory / "Packages").write_text("\n".join(stanzas.values()))
    platforms = {platform: list(architectures) for platform, architectures in given.items()}
    return plan_release(
        distro(text),
        read_shadow(shadow, platforms, component="main"),
        excludes=excludes or {},
        names=names,
        published=published or {},
    )


def test_a_release_is_the_stacks_of_the_distro_file_and_a_metapackage_for_each_variant(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.findings == []
    assert {name: row["version"] for name, row in made.packages["bookworm/i386"].items()} == {
        "ros-d-ros": "1.0-r2~bookworm",
        "ros-d-common-msgs": "2.0-r2~bookworm",
        "ros-d-navigation": "3.0-r2~bookworm",
        "ros-d-base": "1.0.0-r2~bookworm",
        "ros-d-full": "1.0.0-r2~bookworm",
        "ros-d-all": "1.0.0-r2~bookworm",
    }
    assert [path.name for path in made.platforms[0].debs] == [
        "ros-d-common-msgs_2.0-0~bookworm_all.deb",
        "ros-d-navigation_3.0-0~bookworm_amd64.deb",
        "ros-d-navigation_3.0-0~bookworm_i386.deb",
        "ros-d-ros_1.0-0~bookworm_amd64.deb",
        "ros-d-ros_1.0-0~bookworm_i386.deb",
    ]
    assert "unborn has no version and is not released" in made.remarks


def test_without_settings_packages_keep_their_names_and_their_debian_versions_and_no_marker_is_set(
    tmp_path: Path,
) -> None:
    text = "release: tools\nversion: r2\nstacks: {greet: {version: '1:1.2-1'}, count: {version: '0.5'}}\n"
    indexes = {
        "greet": stanza("greet", "1:1.2-1~bookworm1", "amd64"),
        "lib": stanza("libcount1", "0.5-0~bookworm", "amd64", Source="count"),
        "bin": stanza("count-bin", "0.5-0~bookworm+b1", "amd64", Source="count (0.5-0~bookworm)", Depends="libcount1"),
    }
    made = plan(tmp_path, {"bookworm": {"amd64": indexes}}, text=text, names=Names(maintainer="A <a@example.org>"))
    assert made.findings == []
    assert {name: row["version"] for name, row in made.packages["bookworm/amd64"].items()} == {
        "count-bin": "0.5+b1-r2~bookworm",
        "greet": "1:1.2-1~bookworm1-r2~bookworm",
        "libcount1": "0.5-r2~bookworm",
        "tools-all": "1.0.0-r2~bookworm",
    }
    (everything,) = made.platforms[0].metapackages
    assert [choices[0] for choices in everything.depends] == ["count-bin", "greet", "libcount1"]
    assert not [text for text in made.platforms[0].stanzas["amd64"] if "WG-" in text]


def test_what_ros_releases_were_made_from_is_said_as_before(tmp_path: Path) -> None:
    names = {"package": "ros-{distribution}-{stack}", "stamped": "{version}-{release}~{platform}", "marker": ""}
    assert plan(tmp_path).inputs["names"] == names
    assert Names().describe()["variant"] == "{distribution}-{variant}"


def test_the_solver_will_see_locked_packages(tmp_path: Path) -> None:
    text = "\n".join(plan(tmp_path).platforms[0].stanzas["amd64"])
    assert "Depends: ros-d-common-msgs (= 2.0-r2~bookworm), libc6\n" in text
    assert "Depends: ros-d-common-msgs (= 2.0-r2~bookworm), ros-d-ros (= 1.0-r2~bookworm)\n" in text


def test_every_missing_stack_and_every_other_version_is_a_finding(tmp_path: Path) -> None:
    amd64, i386 = whole("bookworm", "amd64"), whole("bookworm", "i386")
    del i386["navigation"]
    amd64["ros"] = stanza("ros-d-ros", "1.1-0~bookworm", "amd64")
    found = plan(tmp_path, {"bookworm": {"amd64": amd64, "i386": i386}}).findings
    assert found == [
        "bookworm/amd64: ros-d-ros is 1.1-0~bookworm; ros 1.0 would be 1.0-0~bookworm",
        "bookworm/i386: ros-d-navigation is missing (navigation 3.0)",
    ]


def test_what_is_excluded_by_name_may_be_missing_where_it_is_excluded(tmp_path: Path) -> None:
    i386 = whole("bookworm", "i386")
    del i386["navigation"]
    indexes = {"bookworm": {"amd64": whole("bookworm", "amd64"), "i386": i386}}
    made = plan(tmp_path, indexes, excludes={"navigation": ["bookworm-i386"]})
    assert made.findings == []
    assert "ros-d-navigation" in made.packages["bookworm/amd64"]
    assert "ros-d-navigation" not in made.packages["bookworm/i386"]
    full = [each for each in made.platforms[0].metapackages if each.package == "ros-d-full"]
    assert [len(each.depends) for each in full] == [3, 2]


def test_what_is_excluded_everywhere_is_left_out_everywhere(tmp_path: Path) -> None:
    made = plan(tmp_path, excludes={"navigation": []})
    assert made.findings == []
    assert not any("ros-d-navigation" in packages for packages in made.packages.values())


def test_an_exclude_that_names_nothing_is_a_finding(tmp_path: Path) -> None:
    assert plan(tmp_path, excludes={"navigaton": [], "ros": ["lucid-i386"]}).findings == [
        "navigaton is excluded, and is neither a stack nor a package",
        "ros is excluded for lucid-i386, which is not a platform",
    ]


@pytest.mark.parametrize("source", ["ros-d-ros", "elsewhere"])
def test_a_package_with_the_name_of_a_metapackage_is_a_finding(tmp_path: Path, source: str) -> None:
    amd64 = whole("bookworm", "amd64")
    amd64["base"] = stanza("ros-d-base", "1.0-0~bookworm", "amd64", Source=source)
    made = plan(tmp_path / "1", {"bookworm": {"amd64": amd64}})
    assert made.findings == [
        f"bookworm/amd64: ros-d-base 1.0-0~bookworm of the source {source} bears the name of the metapackage of base; "
        "rename one of them, or exclude ros-d-base"
    ]
    made = plan(tmp_path / "2", {"bookworm": {"amd64": amd64}}, excludes={"ros-d-base": []})
    assert made.findings == []
    assert made.packages["bookworm/amd64"]["ros-d-base"]["version"] == "1.0.0-r2~bookworm"


def test_two_packages_of_one_name_are_a_finding(tmp_path: Path) -> None:
    amd64 = whole("bookworm", "amd64")
    amd64["twin"] = stanza("ros-d-ros", "1.0-0~bookworm", "all")
    assert plan(tmp_path, {"bookworm": {"amd64": amd64}}).findings == [
        "bookworm/amd64: ros-d-ros is there twice, as ros-d-ros_1.0-0~bookworm_amd64.deb and "
        "ros-d-ros_1.0-0~bookworm_all.deb"
    ]


def test_an_exclusion_of_what_is_there_by_now_is_told(tmp_path: Path) -> None:
    made = plan(tmp_path / "1", excludes={"navigation": ["bookworm-i386"], "unborn": []})
    assert made.findings == []
    assert made.warnings == [
        "navigation is excluded for bookworm-i386, and ros-d-navigation 3.0-0~bookworm is there by now"
    ]
    i386 = whole("bookworm", "i386")
    i386["navigation"] = stanza("ros-d-navigation", "2.9-0~bookworm", "i386")
    indexes = {"bookworm": {"amd64": whole("bookworm", "amd64"), "i386": i386}}
    assert plan(tmp_path / "2", indexes, excludes={"navigation": ["bookworm-i386"]}).warnings == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (Names(package="ros-{distribution}"), "the template 'ros-{distribution}': it lacks {stack}"),
        (Names(package="{stack}-{platform}"), "it cannot be filled in ('platform'). Use {distribution} and {stack}"),
        (Names(shadow="{version"), "the template '{version': it lacks {version}"),
        (Names(or_shadow=("1",)), "the template '1': it lacks {version}"),
        (Names(variant="{distribution}"), "the template '{distribution}': it lacks {variant}"),
        (Names(package="{stack}{stack.x}"), "it cannot be filled in ('str' object has no attribute 'x')"),
        (Names(package="{stack}{stack[x]}"), "it cannot be filled in (string indices must be integers"),
        (Names(stamped="{version}-{relase}"), "the version template '{version}-{relase}': it names relase"),
    ],
)
def test_names_that_would_all_be_the_same_are_refused(names: Names, said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan_release(distro(), {}, excludes={}, names=names, published={})
    assert said in str(caught.value)


def test_a_rebuild_on_one_architecture_only_is_a_finding(tmp_path: Path) -> None:
    amd64 = whole("bookworm", "amd64")
    amd64["ros"] = stanza("ros-d-ros", "1.0-0~bookworm+b1", "amd64")
    found = plan(tmp_path, {"bookworm": {"amd64": amd64, "i386": whole("bookworm", "i386")}}).findings
    assert found == ["bookworm: ros-d-ros is 1.0-0~bookworm+b1 for amd64, 1.0-0~bookworm for i386"]


def test_further_packages_of_a_stack_belong_to_the_release(tmp_path: Path) -> None:
    amd64, i386 = whole("bookworm", "amd64"), whole("bookworm", "i386")
    amd64["dev"] = stanza("ros-d-ros-dev", "1.0-0~bookworm", "amd64", Source="ros-d-ros", Depends="ros-d-ros")
    found = plan(tmp_path, {"bookworm": {"amd64": amd64, "i386": i386}})
    assert found.packages["bookworm/amd64"]["ros-d-ros-dev"]["version"] == "1.0-r2~bookworm"
    assert found.findings == ["bookworm: ros-d-ros-dev is there for amd64 only"]


def test_a_package_that_is_older_than_what_is_published_is_a_finding(tmp_path: Path) -> None:
    published = {"bookworm/amd64": {"ros-d-ros": {"version": "1.0-r3~bookworm"}, "gone": {"version": "1"}}}
    assert plan(tmp_path, published=published).findings == [
        "bookworm/amd64: ros-d-ros 1.0-r2~bookworm is older than 1.0-r3~bookworm, which is published"
    ]


def test_a_variant_with_an_unreleased_stack_is_a_finding_for_each_index(tmp_path: Path) -> None:
    text = DISTRO.replace("stacks: [navigation]", "stacks: [navigation, unborn]")
    assert plan(tmp_path, text=text).findings == [
        "bookworm/amd64: the variant full has unborn, which is not released",
        "bookworm/i386: the variant full has unborn, which is not released",
    ]


def test_an_empty_platform_is_a_finding(tmp_path: Path) -> None:
    found = plan(tmp_path, {"bookworm": {"amd64": {}}}).findings
    assert "bookworm/amd64: nothing would be released there" in found


def test_a_package_that_cannot_be_stamped_is_a_finding_with_its_file(tmp_path: Path) -> None:
    amd64 = whole("bookworm", "amd64")
    amd64["ros"] = stanza("ros-d-ros", "1.0-0~bookworm", "amd64", Depends="this is (no relation")
    found = plan(tmp_path, {"bookworm": {"amd64": amd64}}).findings
    assert len(found) == 1
    assert "ros-d-ros_1.0-0~bookworm_amd64.deb: its Depends has" in found[0]


def test_a_missing_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"Could not read the shadow archive's index .*binary-armhf/Packages"):
        read_shadow(tmp_path, {"bookworm": ["armhf"]}, component="main")


def test_a_distribution_without_a_version_cannot_be_released() -> None:
    with pytest.raises(SlipwayError, match="its distro file has no version"):
        find_release(distro(DISTRO.replace("version: r2", "")))


def test_stacks_that_stand_for_each_other_are_installable_together_with_their_metapackages(tmp_path: Path) -> None:
    text = "release: d\nversion: r2\nstacks: {plain: {version: 1.0}, fast: {version: 2.0}, tool: {version: 1.0}}\n"
    fast = {"Provides": "ros-d-plain", "Conflicts": "ros-d-plain", "Replaces": "ros-d-plain"}
    stanzas = {
        "plain": stanza("ros-d-plain", "1.0-0~bookworm", "amd64"),
        "fast": stanza("ros-d-fast", "2.0-0~bookworm", "amd64", **fast),
        "tool": stanza("ros-d-tool", "1.0-0~bookworm", "amd64", Depends="ros-d-plain"),
    }
    made = plan(tmp_path / "shadow", {"bookworm": {"amd64": stanzas}}, text=text)
    (everything,) = made.platforms[0].metapackages
    choice = "ros-d-plain (= 1.0-r2~bookworm) | ros-d-fast (= 2.0-r2~bookworm)"
    assert (
        f"\nDepends: ros-d-fast (= 2.0-r2~bookworm), {choice}, ros-d-tool (= 1.0-r2~bookworm)\n" in everything.control
    )
    (tmp_path / "base").touch()
    check_installable(made, {"bookworm": {"amd64": [tmp_path / "base"]}})
    assert made.findings == []


def test_the_solver_is_asked_for_every_index(tmp_path: Path) -> None:
    made = plan(tmp_path / "shadow")
    lists = {}
    for architecture in PLATFORMS["bookworm"]:
        path = tmp_path / architecture
        path.write_text(stanza("libc6", "2.36", architecture) if architecture == "amd64" else "")
        lists[architecture] = [path]
    check_installable(made, {"bookworm": lists})
    assert made.findings == [
        "bookworm/i386: ros-d-navigation 3.0-r2~bookworm needs libc6, which is not available; so ros-d-all "
        "1.0.0-r2~bookworm, ros-d-full 1.0.0-r2~bookworm cannot be installed"
    ]
