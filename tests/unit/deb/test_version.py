"""Versions: dpkg is the judge of their syntax and of their order."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import (
    Rule,
    compare_versions,
    find_version_fault,
    parse_version,
    satisfies,
    strip_epoch,
    version_key,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

#: Keeps the order of versions whatever they are.
ORDERLY = "{epoch}{upstream}-{revision}A~{release}~{platform}"

words = st.text("0019aAbzZ.+~-:", max_size=8)
epochs = st.sampled_from(["", "", "", "0:", "1:", "02:"])
upstreams = st.builds(lambda first, rest: first + rest, st.sampled_from("0129"), st.text("0019abzAZ.+~-", max_size=8))
some_revision = st.builds(lambda text: f"-{text}", st.text("0019abzAZ.+~", min_size=1, max_size=6))
revisions = st.one_of(st.just(""), some_revision)
versions = st.builds(lambda epoch, upstream, revision: epoch + upstream + revision, epochs, upstreams, revisions)
valid = versions.filter(lambda version: find_version_fault(version) is None)


def dpkg(*words: str) -> bool:
    return subprocess.run(["dpkg", *words], stderr=subprocess.DEVNULL, check=False).returncode == 0


@given(st.one_of(words, versions))
@settings(max_examples=300, deadline=None)
@example("1.0-")
@example("2147483648:1")
@example("2147483647:1")
@example("99999999999999999999:1")
@example(":1")
@example("1:")
@example("1:2:3-1")
@example("1-1:1")
@example("1.0_1")
@example("1-\N{LATIN SMALL LETTER E WITH ACUTE}")
@example("\N{ARABIC-INDIC DIGIT ONE}")
def test_a_version_is_refused_exactly_when_dpkg_refuses_it(version: str) -> None:
    assume(not version.startswith(("-", "+")))
    assert (find_version_fault(version) is None) == dpkg("--validate-version", version)


@given(valid, valid)
@settings(max_examples=300, deadline=None)
@example("1.0~rc1", "1.0")
@example("1.0-1", "1.0-1+b1")
@example("1.0", "1.0-0")
@example("1.0+", "1.0+1")
@example("1.0", "1.00")
@example("1:0", "9")
def test_two_versions_have_the_order_that_dpkg_gives_them(left: str, right: str) -> None:
    order = compare_versions(left, right)
    assert dpkg("--compare-versions", left, {-1: "lt", 0: "eq", 1: "gt"}[order], right)


def test_a_long_number_in_a_version_is_no_difficulty() -> None:
    assert compare_versions("1." + "9" * 5000, "1.1" + "0" * 5000) < 0


@pytest.mark.parametrize(
    ("version", "stamped"),
    [
        ("1.1.1-0~lucid", "1.1.1-r468~lucid"),
        ("1.1.1-0lucid", "1.1.1-r468~lucid"),
        ("1.1.1-0", "1.1.1-r468~lucid"),
        ("1.1.1-0~lucid+b2", "1.1.1+b2-r468~lucid"),
        ("1.1.1-0~karmic", "1.1.1-0~karmic-r468~lucid"),
        ("2:1.1.1-0~lucid", "2:1.1.1-r468~lucid"),
        ("2.36-9+deb12u4", "2.36-9+deb12u4-r468~lucid"),
        ("5.2.15-2+b13", "5.2.15-2+b13-r468~lucid"),
        ("3.134", "3.134-r468~lucid"),
        ("1.0~rc1", "1.0~rc1-r468~lucid"),
        ("0:1.0", "1.0-r468~lucid"),
        ("0:1:2", "0:1:2-r468~lucid"),
        ("1:1.2.13.dfsg-1", "1:1.2.13.dfsg-1-r468~lucid"),
    ],
)
def test_the_rule_gives_a_version_the_release_and_the_platform(version: str, stamped: str) -> None:
    assert Rule("r468", "lucid").apply(version) == stamped
    assert dpkg("--validate-version", stamped)


@pytest.mark.parametrize(
    ("template", "stamped"),
    [
        ("{source_version}-{release}", "1:2.0-3-r5"),
        ("{epoch}{upstream}-{release}~{platform}", "1:2.0-r5~sid"),
        ("{epoch}{upstream}-{revision}A~{release}", "1:2.0-3+b1A~r5"),
        ("{version}.{release}", "1:2.0-3+b1.r5"),
    ],
)
def test_a_template_may_name_each_part_of_a_version(template: str, stamped: str) -> None:
    assert Rule("r5", "sid", template).apply("1:2.0-3+b1") == stamped


@given(valid)
@settings(max_examples=300, deadline=None)
def test_a_stamped_version_is_valid_and_newer_than_its_shadow(version: str) -> None:
    stamped = Rule("r468", "lucid").apply(version)
    assert find_version_fault(stamped) is None
    assert compare_versions(version, stamped) < 0


@given(upstreams.map(lambda text: text.replace("-", "")), some_revision, some_revision)
@settings(max_examples=300, deadline=None)
def test_the_rule_keeps_the_order_of_revisions(upstream: str, left: str, right: str) -> None:
    rule = Rule("r468", "lucid")
    older, newer = sorted((upstream + left, upstream + right), key=version_key)
    assume(not older.endswith(("-0", "-0lucid", "-0~lucid")) and not newer.endswith(("-0", "-0lucid", "-0~lucid")))
    assert compare_versions(rule.apply(older), rule.apply(newer)) <= 0


@given(valid, valid)
@settings(max_examples=500, deadline=None)
@example("1.2-3", "1.2+dfsg-1")
@example("1.2-9", "1.2-9ubuntu1")
@example("1.2-9", "1.2-9~bpo1")
def test_the_orderly_template_keeps_the_order_of_versions_that_end_in_a_digit(left: str, right: str) -> None:
    revisions_given = [parse_version(one).revision or "0" for one in (left, right)]
    assume(all(revision[-1].isdigit() and "A~" not in revision for revision in revisions_given))
    rule = Rule("r468", "lucid", ORDERLY)
    assert compare_versions(rule.apply(left), rule.apply(right)) == compare_versions(left, right)


@given(valid, st.sampled_from([("r9", "r468"), ("5", "10"), ("r468", "s1290000000")]))
@settings(max_examples=100, deadline=None)
def test_a_later_release_of_the_same_version_is_newer(version: str, releases: tuple[str, str]) -> None:
    old, new = (Rule(release, "lucid").apply(version) for release in releases)
    assert compare_versions(old, new) < 0


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (Rule("r-1", "lucid"), "Could not use the release 'r-1': it has characters that a revision must not have."),
        (Rule("r1", "lu cid"), "Could not use the platform 'lu cid': it has characters"),
        (Rule("r1", ""), "it needs a platform, and there is none"),
        (Rule("", "lucid"), "it needs a release, and there is none"),
        (Rule("r1", "x", "{version}-{distro}"), "it names distro"),
        (Rule("r1", "x", "{release}"), "it does not name a version"),
        (Rule("r1", "x", "{version}-{"), "has a stray brace"),
    ],
)
def test_a_rule_that_makes_no_versions_is_refused(rule: Rule, sentence: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        rule.check()
    assert sentence in str(caught.value)


def test_a_template_that_makes_what_dpkg_refuses_is_refused_for_that_version() -> None:
    with pytest.raises(ValueError, match=r"the version '1-1' would become '1-1_r1', which has a character"):
        Rule("r1", "x", "{version}_{release}").apply("1-1")


@pytest.mark.parametrize(("operator", "truth"), [("<<", False), ("<=", True), ("<", True), ("=", True), (">=", True)])
def test_old_operators_mean_what_dpkg_takes_them_for(operator: str, truth: bool) -> None:
    assert satisfies("1.0", operator, "1.0-0") is truth


@pytest.mark.parametrize(("version", "short"), [("1:2.3-4", "2.3-4"), ("2.3", "2.3"), ("0:1", "1"), ("1:1:2", "1:2")])
def test_names_of_files_have_no_epoch(version: str, short: str) -> None:
    assert strip_epoch(version) == short
