# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of source packages: for people, for the excuses, and for the exit status."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.filter import (
    excluded_platforms,
    excuse_facts,
    file_digests,
    source_report,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.platforms import find_excluded_platforms
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.report import (
    gather_facts,
    report_sources,
)

STACKS = [{"name": "ros", "version": "1.2.0"}, {"name": "nav", "version": "0.1"}]
MADE = {"platform": "bookworm", "source": "ros-c-ros", "version": "1.2.0-0~bookworm"}
FAULT = {"platform": "trixie", "reason": "it needs opencv,\n  of which nothing is said for trixie."}
PLATFORMS = [
    {"name": "bookworm", "architectures": ["amd64", "i386"]},
    {"name": "trixie", "architectures": ["amd64"]},
]


def entry(**known: list[Any]) -> dict[str, list[Any]]:
    return {"made": [], "faults": [], "planned": [], "excluded": [], **known}


def test_each_stack_is_told_by_platform() -> None:
    sources = {
        "ros": entry(made=[MADE], faults=[FAULT]),
        "nav": entry(planned=["bookworm"], excluded=["trixie"]),
    }
    report = report_sources(STACKS, sources)
    assert report.lines == [
        "ros 1.2.0",
        "  bookworm: ros-c-ros 1.2.0-0~bookworm",
        "  trixie: failed: it needs opencv, of which nothing is said for trixie.",
        "nav 0.1",
        "  bookworm: would be made",
        "  trixie: excluded",
    ]
    assert report.faults == ["ros for trixie: it needs opencv, of which nothing is said for trixie."]
    assert report.made == 1


def test_what_is_not_in_the_release_repository_is_a_fault() -> None:
    report = report_sources(STACKS, {"ros": entry(made=[MADE])})
    assert report.faults == ["nav: it is not in the release repository; create it first"]
    assert report.lines[-2:] == ["nav 0.1", "  failed: it is not in the release repository; create it first"]


def test_a_reason_names_its_stack_once() -> None:
    fault = {"platform": "trixie", "reason": "ros: no data"}
    assert report_sources(STACKS[:1], {"ros": entry(faults=[fault])}).faults == ["ros for trixie: no data"]


def test_nothing_to_do_is_no_fault() -> None:
    report = report_sources([], {})
    assert (report.lines, report.faults, report.made) == ([], [], 0)


@pytest.mark.parametrize(
    ("places", "excluded"),
    [
        ([], []),
        (["trixie"], ["trixie"]),
        (["bookworm-i386"], []),
        (["bookworm-i386", "bookworm-amd64"], ["bookworm"]),
        (["trixie-amd64", "bookworm"], ["bookworm", "trixie"]),
        (["sid"], []),
    ],
)
def test_a_platform_is_excluded_by_its_name_or_by_all_its_architectures(places: list[str], excluded: list[str]) -> None:
    assert find_excluded_platforms(PLATFORMS, places) == excluded
    assert excluded_platforms.FilterModule().filters()["excluded_platforms"](PLATFORMS, places) == excluded


PLAN = {
    "distribution": "c",
    "stack_names": ["ros", "nav", "greet", "count", "arm"],
    "released": [{"name": name, "version": "1.0"} for name in ("ros", "greet", "count", "arm")],
    "settings": {
        "source_versions": {"ros": "{version}-0~{platform}", "debian": "{version}~{platform}1", "dsc": "{version}"}
    },
}
RELEASES = {
    "ros": {"control": {"kind": "ros", "package": "ros", "depends": []}},
    "greet": {"control": {"kind": "debian", "package": "greet", "depends": []}},
    "count": {"control": {"kind": "dsc", "package": "counter", "depends": None}},
    "arm": {"control": None},
}


def test_the_excuses_get_how_packages_are_called_and_versioned() -> None:
    facts = gather_facts(PLAN, RELEASES, {})
    assert facts == {
        "stacks": {
            "ros": {"version": "1.0"},
            "nav": {"version": None},
            "greet": {"version": "1.0", "package": "greet", "source_version": "{version}~{platform}1"},
            "count": {"version": "1.0", "package": "counter", "source_version": "{version}"},
            "arm": {"version": "1.0"},
        },
        "depends": {"ros": [], "greet": [], "count": [], "arm": []},
        "sources": [],
    }


def test_the_excuses_get_what_stacks_depend_on_also_from_old_control_files() -> None:
    releases = {"arm": {"control": {"depends": ["ros"]}}}
    facts = gather_facts(PLAN, releases, {})
    assert facts["depends"] == {"ros": [], "greet": [], "count": [], "arm": ["ros"]}
    assert facts["stacks"]["arm"] == {"version": "1.0"}


def test_the_excuses_get_what_became_of_source_packages() -> None:
    sources = {"ros": entry(made=[MADE], faults=[FAULT])}
    filtered = excuse_facts.FilterModule().filters()["excuse_facts"](PLAN, RELEASES, sources)
    assert filtered == gather_facts(PLAN, RELEASES, sources)
    assert filtered["sources"] == [
        {"stack": "ros", "platform": "bookworm", "state": "ok", "reason": ""},
        {"stack": "ros", "platform": "trixie", "state": "failed", "reason": FAULT["reason"]},
    ]


def test_the_filter_reports_the_same_as_plain_values() -> None:
    report = source_report.FilterModule().filters()["source_report"]({"ros": entry(made=[MADE])}, STACKS[:1])
    assert report == {"lines": ["ros 1.2.0", "  bookworm: ros-c-ros 1.2.0-0~bookworm"], "faults": [], "made": 1}


def test_of_files_only_what_identifies_them_is_kept() -> None:
    keep = file_digests.FilterModule().filters()["file_digests"]
    files = [{"name": "a", "size": 1, "sha256": "0", "path": "/x/a"}, {"name": "b", "size": None, "sha256": None}]
    assert keep(files) == [{"name": "a", "size": 1, "sha256": "0"}, {"name": "b", "size": None, "sha256": None}]
    assert keep([]) == []
    with pytest.raises(KeyError, match="sha256"):
        keep([{"name": "a", "size": 1}])
