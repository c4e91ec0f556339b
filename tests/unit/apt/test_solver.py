from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.solver import (
    check_installable,
    digest_demands,
    find_unmet,
    select_reachable,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control


def stanza(name: str, version: str = "1.0", **fields: str) -> str:
    lines = {"Package": name, "Version": version, "Architecture": "amd64", **fields}
    return "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "Packages"
    packages = [
        stanza("libc6", "2.36"),
        stanza("base-files", Essential="yes", Depends="awk"),
        stanza("mawk", Provides="awk"),
        stanza("gawk", Provides="awk"),
        stanza("mta", Provides="mail-agent (= 3)", Conflicts="other-mta"),
        stanza("unrelated", Depends="libc6"),
    ]
    path.write_text("\n".join(packages))
    return path


def test_what_can_be_installed_has_no_findings(base: Path) -> None:
    packages = [
        stanza("a", "1-r1", Depends="b (= 1-r1), libc6 (>= 2.30)"),
        stanza("b", "1-r1", Pre_Depends="libc6", Depends="no-such | awk"),
    ]
    assert check_installable(packages, [base], architecture="amd64") == []


def test_every_demand_that_nothing_meets_is_named_with_all_that_fail_for_it(base: Path) -> None:
    packages = [
        stanza("a", "1-r1", Depends="b"),
        stanza("b", "1-r1", Depends="libc6 (>= 3), no-such | neither (>= 2)"),
        stanza("c", "1-r1", Depends="a (= 1-r2)"),
    ]
    assert check_installable(packages, [base], architecture="amd64") == [
        "b 1-r1 needs libc6 (>= 3), which is not available; so a 1-r1 cannot be installed",
        "b 1-r1 needs no-such | neither (>= 2), which is not available",
        "c 1-r1 needs a (= 1-r2), which is not available",
    ]


def test_packages_that_exclude_each_other_are_named(base: Path) -> None:
    packages = [stanza("all", Depends="a, b"), stanza("a", Conflicts="b"), stanza("b")]
    assert check_installable(packages, [base], architecture="amd64") == [
        "a 1.0 and b 1.0 exclude each other; so all 1.0 cannot be installed"
    ]


def test_versioned_names_that_packages_provide_are_known(base: Path) -> None:
    assert check_installable([stanza("a", Depends="mail-agent (>= 2)")], [base], architecture="amd64") == []
    assert check_installable([stanza("a", Depends="mail-agent (>= 4)")], [base], architecture="amd64") == [
        "a 1.0 needs mail-agent (>= 4), which is not available"
    ]


def test_only_what_can_be_needed_is_asked_about(base: Path) -> None:
    kept = select_reachable([stanza("a", Depends="mta")], [base.read_text()])
    assert sorted(Control(paragraph).get("Package") or "" for paragraph in kept) == [
        "base-files",
        "gawk",
        "mawk",
        "mta",
    ]


def test_every_version_of_a_needed_package_is_kept() -> None:
    text = "\n".join([stanza("x", "1"), stanza("x", "2")])
    assert len(select_reachable([stanza("a", Depends="x (= 2)")], [text])) == 2


def test_demands_of_alternatives_are_met_by_any_of_them() -> None:
    assert find_unmet([stanza("a", Depends="x | y (>= 2) | a (= 1.0)")], []) == []
    assert find_unmet([stanza("a", Depends="x | y (>= 2)")], [stanza("y", "1")]) == [("a", "1.0", "x | y (>= 2)")]


def test_the_digest_of_demands_sees_what_a_solver_sees() -> None:
    one = digest_demands(Control(stanza("a", Depends="x,\n y", Homepage="here")))
    assert digest_demands(Control(stanza("a", Depends="x, y", Homepage="there"))) == one
    assert digest_demands(Control(stanza("a", Depends="x, z", Homepage="here"))) != one
