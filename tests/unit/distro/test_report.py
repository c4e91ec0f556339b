"""What became of source packages is told to people, and decides how a run ends."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.report import find_excluded, report_sources

STACKS = [{"name": "ros", "version": "1.2.0"}, {"name": "geometry", "version": "1.1.1"}]
NOTHING = {"made": [], "faults": [], "excluded": [], "planned": []}


def test_each_platform_has_its_line_and_faults_are_told_again() -> None:
    made = {"platform": "bookworm", "source": "ros-cturtle-ros", "version": "1.2.0-0~bookworm"}
    fault = {"platform": "trixie", "reason": "ros: it has no packages\nfor trixie"}
    report = report_sources(
        STACKS,
        {
            "ros": {**NOTHING, "made": [made], "faults": [fault], "excluded": ["sid"]},
            "geometry": {**NOTHING, "planned": ["bookworm"]},
        },
    )
    assert report.lines == [
        "ros 1.2.0",
        "  bookworm: ros-cturtle-ros 1.2.0-0~bookworm",
        "  trixie: failed: it has no packages for trixie",
        "  sid: excluded",
        "geometry 1.1.1",
        "  bookworm: would be made",
    ]
    assert report.faults == ["ros for trixie: it has no packages for trixie"]
    assert report.made == 1


def test_a_stack_that_is_not_in_the_release_repository_is_a_fault() -> None:
    report = report_sources(STACKS[:1], {})
    assert report.faults == ["ros: it is not in the release repository; create it first"]


def test_a_platform_is_excluded_by_its_name_or_by_all_its_architectures() -> None:
    platforms = [{"name": name, "architectures": ["amd64", "i386"]} for name in ("bookworm", "trixie", "sid")]
    places = ["bookworm-amd64", "bookworm-i386", "trixie-i386", "sid"]
    assert find_excluded(platforms, places) == ["bookworm", "sid"]
