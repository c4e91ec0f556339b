"""Versions, projects and the names made from them."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.names import (
    FILE_NAME,
    begins_with_label,
    check_project,
    check_version,
    find_previous_version,
    find_ref_fault,
    find_tagged_versions,
    is_final,
    make_file_name,
    make_names,
    version_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def git_takes(ref):
    return subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


def refusal(check, value):
    with pytest.raises(SlipwayError) as caught:
        check(value)
    return str(caught.value)


def test_the_names_of_baserock_are_those_it_always_had():
    called = make_names("baserock", "15.25")
    assert called.label == "baserock-15.25"
    assert called.branch == "baserock/release/baserock-15.25"
    assert called.tag == "baserock-15.25"
    assert make_file_name(called.label, "devel-system-x86_64.img") == "baserock-15.25-devel-system-x86_64.img"


@pytest.mark.parametrize(
    "version", ["26.47", "15.05", "1.0", "1.2.3.4", "26.47rc1", "26.47-rc1", "26.47.rc2", "2.0beta"]
)
def test_a_usual_version_is_taken_as_it_is(version):
    assert check_version(version) == version
    assert git_takes(f"refs/tags/{make_names('baserock', version).tag}")


@pytest.mark.parametrize("version", [None, ""])
def test_a_missing_version_is_refused_with_the_command_to_run(version):
    assert refusal(check_version, version) == (
        "Could not plan the release: no version was given. Run ansible-playbook release.yml -e version=X.Y."
    )


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("26/47", "it holds a slash"),
        ("../26.47", "it holds a slash"),
        ("26 47", "it holds a space"),
        (" 26.47", "it holds a space"),
        ("26.47 ", "it holds a space"),
        ("-26.47", "it begins with '-'"),
        (".26.47", "it begins with '.'"),
        ("26..47", "it holds two points in a row"),
        ("26.47\n", "it holds a control character"),
        ("26.47\x00", "it holds a control character"),
        ("26.47\\", "it holds a backslash"),
        ("yy.ww", "it is not of the form X.Y"),
        ("26", "it is not of the form X.Y"),
        ("v26.47", "it is not of the form X.Y"),
        ("26.47.", "it is not of the form X.Y"),
        ("26.47~rc1", "it is not of the form X.Y"),
        ("26.47$(id)", "it is not of the form X.Y"),
        ("२६.४७", "it is not of the form X.Y"),
        ("26." + "4" * 100, "it is longer than 64 characters"),
    ],
)
def test_a_version_that_cannot_name_a_release_is_refused_with_the_reason(version, reason):
    said = refusal(check_version, version)
    assert said.startswith(f"Could not use the version {version!r}: {reason}. Give numbers separated by points")


@pytest.mark.parametrize(
    ("version", "kind"), [(26.4, "a number"), (26, "a number"), (True, "a truth value"), ([], "a list")]
)
def test_a_version_that_is_no_text_is_refused_with_the_advice_to_quote_it(version, kind):
    said = refusal(check_version, version)
    assert f"it is {kind} and not text" in said
    assert """Quote it: -e '{"version": "X.Y"}'""" in said


def test_a_version_whose_tag_git_would_refuse_is_refused():
    said = refusal(lambda version: make_names("baserock", version), "26.47.lock")
    assert said.startswith("Could not use the version '26.47.lock': as the tag baserock-26.47.lock it holds '.lock'")


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        ("", "it is empty"),
        (None, "it is empty"),
        (7, "it is a number and not text"),
        ("a/b", "it may hold letters"),
        ("-baserock", "it may hold letters"),
        ("base rock", "it may hold letters"),
        ("baserock.", "it may hold letters"),
        ("base..rock", "as part of a branch's name it holds '..'"),
        ("base.lock", "as part of a branch's name it holds '.lock'"),
        ("b" * 65, "it is longer than 64 characters"),
    ],
)
def test_a_project_that_cannot_begin_names_is_refused_with_the_reason(project, reason):
    said = refusal(check_project, project)
    assert said.startswith(f"Could not use the project {project!r}: {reason}")
    assert said.endswith("Give a name such as acme (release_project).")


@given(st.text(max_size=20) | st.from_regex(r"[0-9.a-z-]{1,12}", fullmatch=True))
@settings(deadline=None, max_examples=150)
def test_whatever_is_taken_as_a_version_makes_names_that_git_and_file_systems_take(version):
    try:
        called = make_names("baserock", version)
    except SlipwayError:
        return
    assert git_takes(f"refs/heads/{called.branch}")
    assert git_takes(f"refs/tags/{called.tag}")
    assert FILE_NAME.match(called.label)


@given(st.lists(st.sampled_from([*"ab/.@{}~^:?*[\\ -\x7f\x01", ".lock"]), max_size=6).map("".join))
@settings(deadline=None, max_examples=200)
def test_refs_are_judged_as_git_judges_them(name):
    if name.startswith("-"):
        assert find_ref_fault(name)
    elif name != "@":
        assert (find_ref_fault(name) is None) == git_takes(f"refs/heads/{name}")


def test_versions_are_ordered_by_their_numbers_and_suffixes_come_before():
    ordered = ["15.2", "15.19", "15.25rc1", "15.25rc2", "15.25rc10", "15.25", "15.25.1", "26.4", "26.40"]
    shuffled = ordered[3:] + ordered[:3]
    assert sorted(shuffled, key=version_key) == ordered
    assert is_final("15.25")
    assert not is_final("15.25rc1")
    with pytest.raises(ValueError, match="not a version"):
        version_key("yy.ww")


def test_the_releases_of_a_project_are_found_among_its_tags():
    tags = ["baserock-15.25", "baserock-15.2", "baserock-morph", "morph-1.0", "baserock-demo-1.0", "v1"]
    assert list(find_tagged_versions("baserock", tags).items()) == [
        ("15.2", "baserock-15.2"),
        ("15.25", "baserock-15.25"),
    ]


def test_the_release_before_a_final_one_is_the_final_one_before():
    versions = ["15.19", "15.25rc1", "15.25", "15.30"]
    assert find_previous_version("15.25", versions) == "15.19"
    assert find_previous_version("15.26rc1", versions) == "15.25"
    assert find_previous_version("15.25rc2", versions) == "15.25rc1"
    assert find_previous_version("15.1", versions) is None


@pytest.mark.parametrize(
    ("location", "begins"),
    [
        ("baserock-15.2", True),
        ("baserock-15.2-x.img", True),
        ("baserock-15.2.img", True),
        ("baserock-15.2_x.img", True),
        ("baserock-15.25-x.img", False),
        ("baserock-15.2.1-x.img", False),
        ("baserock-15.2rc1-x.img", False),
        ("baserock-openstack-system-x86_64.img", False),
        ("x-baserock-15.2.img", False),
    ],
)
def test_only_the_very_label_counts_as_the_label(location, begins):
    assert begins_with_label(location, "baserock-15.2") is begins
