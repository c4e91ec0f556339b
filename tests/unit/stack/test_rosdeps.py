# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys of manifests become relations to Debian packages, platform by platform."""

from __future__ import annotations

import contextlib
import re
import subprocess
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.rosdeps import (
    Platform,
    choose,
    read_platforms,
    resolve_keys,
    split_relations,
)
from hypothesis import given
from hypothesis import strategies as st

BOOKWORM, TRIXIE = Platform("bookworm", "12", "debian"), Platform("trixie", "13", "debian")
JAMMY, BARE = Platform("jammy", "22.04", "ubuntu"), Platform("lucid")
NAME = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,10}", fullmatch=True)
VERSION = st.from_regex(r"([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[a-z0-9.+~]{1,4})?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "relations"),
    [
        ("", []),
        ("libfoo-dev", ["libfoo-dev"]),
        ("libfoo-dev  bar\nbaz", ["libfoo-dev", "bar", "baz"]),
        ("libfoo-dev bar (>= 1)", ["libfoo-dev", "bar (>= 1)"]),
        ("libfoo-dev, bar(>=1), baz", ["libfoo-dev", "bar (>= 1)", "baz"]),
        ("foo=1.2-3~x", ["foo (= 1.2-3~x)"]),
        ("foo=1:2.0 bar", ["foo (= 1:2.0)", "bar"]),
        ("a | b (<< 2) | c=1 d", ["a | b (<< 2) | c (= 1)", "d"]),
        ("gcc:native foo [amd64 !i386]", ["gcc:native", "foo [amd64 !i386]"]),
        ("foo (> 1)", ["foo (> 1)"]),
    ],
)
def test_relations_are_read_in_any_form(text: str, relations: list[str]) -> None:
    assert split_relations(text) == relations


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo=1.*", "'foo=1.*' has a *, which no relation between packages can have"),
        ("*", "'*' has a *"),
        ("foo=*", "'foo=*' has a *"),
        ("Foo", "'Foo' is no relation"),
        ("foo bar_baz", "'_baz' is no relation"),
        ("-rf", "'-rf' is no relation"),
        ("foo=", "'foo=' is no relation"),
        ("foo (>= )", "'foo (>= )' is no relation"),
        ("foo (1.0", "'(1.0' is no relation"),
        ("foo (~ 1)", "'foo (~ 1)' is no relation"),
        ("foo |", "'' is no relation"),
        ("${shlibs:Depends}", "'${shlibs:Depends}' is no relation"),
        ("foo; rm -rf /", "'; rm -rf /' is no relation"),
    ],
)
def test_what_is_no_relation_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        split_relations(text)


@given(st.lists(st.tuples(NAME, st.sampled_from(["", "=", "<<", "<=", ">=", ">>"]), VERSION), max_size=5))
def test_what_is_written_is_read_and_read_again(wanted: list[tuple[str, str, str]]) -> None:
    relations = [f"{name} ({sign} {version})" if sign else name for name, sign, version in wanted]
    assert split_relations(" ".join(relations)) == relations
    assert split_relations(", ".join(relations)) == relations
    assert split_relations("\n".join(f"{name}={version}" for name, _sign, version in wanted)) == [
        f"{name} (= {version})" for name, _sign, version in wanted
    ]


def test_dpkg_takes_every_form_that_is_written() -> None:
    found = split_relations("a | b (<< 2) | c=1:1-1 d:any e [amd64 i386] f (>= 1~rc1)")
    field = ", ".join(found)
    done = subprocess.run(
        ["perl", "-MDpkg::Deps", "-e", "print deps_parse($ARGV[0], reduce_arch => 0)->output()", field],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == field


@pytest.mark.parametrize(
    ("value", "platform", "chosen"),
    [
        ("a b", BOOKWORM, "a b"),
        (["a"], BARE, ["a"]),
        ({"bookworm": "new", "*": "old"}, BOOKWORM, "new"),
        ({"bookworm": "new", "*": "old"}, TRIXIE, "old"),
        ({"bookworm": None, "*": "old"}, BOOKWORM, None),
        ({"bookworm": []}, BOOKWORM, []),
        ({"bookworm": "new"}, TRIXIE, None),
        ({"ubuntu": {"lucid": "l", "karmic": "k"}}, BARE, "l"),
        ({"ubuntu": {"22.04": "j"}}, JAMMY, "j"),
        ({"ubuntu": "u", "debian": {"bookworm": ["b"], "*": ["d"]}, "fedora": "f"}, TRIXIE, ["d"]),
        ({"ubuntu": "u", "debian": {"bookworm": ["b"]}}, JAMMY, "u"),
        ({"ubuntu": "u"}, BARE, None),
        ({"ubuntu": {"karmic": "k", "*": "all"}}, BARE, None),
        ({"debian": {"bookworm": {"apt": {"packages": ["a"]}}}}, BOOKWORM, ["a"]),
        ({"fedora": "f"}, BOOKWORM, None),
        ({"*": {"*": {"*": {"*": {"*": {"*": "deep"}}}}}}, BOOKWORM, None),
        (7, BOOKWORM, None),
    ],
)
def test_what_a_key_stands_for_depends_on_the_platform(value: Any, platform: Platform, chosen: Any) -> None:
    assert choose(value, platform) == chosen


def test_each_platform_has_its_relations_sorted_and_once() -> None:
    data = {"boost": {"bookworm": "libboost-dev", "*": "libboost1.83-dev"}, "zlib": ["zlib1g-dev", "cmake"], "none": []}
    found = resolve_keys(
        dict.fromkeys(data, "x"), data, platforms=[BOOKWORM, TRIXIE], implicit=["cmake", "build-essential"]
    )
    assert found.relations == {
        "bookworm": ["build-essential", "cmake", "libboost-dev", "zlib1g-dev"],
        "trixie": ["build-essential", "cmake", "libboost1.83-dev", "zlib1g-dev"],
    }
    assert (found.faults, found.remarks) == ([], [])


def test_a_platform_without_packages_for_a_key_is_not_supported_and_that_is_said() -> None:
    data = {"boost": {"bookworm": "libboost-dev"}, "eml": {"*": "#!/bin/bash\nmake install"}, "zlib": "zlib1g-dev"}
    found = resolve_keys({"boost": "x", "zlib": "x"}, data, platforms=[BOOKWORM, TRIXIE])
    assert found.relations == {"bookworm": ["libboost-dev", "zlib1g-dev"]}
    assert found.remarks == ["trixie is not supported: it has nothing for boost"]
    found = resolve_keys({"boost": "x", "eml": "x"}, data, platforms=[BOOKWORM, TRIXIE])
    assert found.faults == [
        "no platform is supported: bookworm is not supported: it has nothing for eml",
        "no platform is supported: trixie is not supported: it has nothing for boost, eml",
    ]


def test_keys_that_nobody_knows_and_relations_that_are_none_are_faults() -> None:
    data = {"odd": {"bookworm": "foo=1.*"}, "wrong": ["ok", 7]}
    keys = {"odd": "the package a", "wrong": "the package a", "gone": "the package b"}
    found = resolve_keys(keys, data, platforms=[BOOKWORM], implicit=["Bad"])
    assert found.faults == [
        "the rosdep key gone of the package b is in no rosdep data",
        "the implicit packages: 'Bad' is no relation to a Debian package, such as libfoo-dev or libfoo-dev (>= 1.2)",
        "the rosdep key odd on bookworm: 'foo=1.*' has a *, which no relation between packages can have",
        "the rosdep key wrong on bookworm: 7 is no text",
    ]


def test_platforms_are_names_or_mappings() -> None:
    assert read_platforms(["lucid", {"name": "jammy", "version": 22.04, "distribution": "ubuntu", "mirror": "x"}]) == [
        BARE,
        JAMMY,
    ]


@given(st.text(alphabet="ab1=()<>|[], *~.-", max_size=30))
def test_any_text_is_relations_or_a_sentence_and_relations_stay_as_they_are(text: str) -> None:
    with contextlib.suppress(ValueError):
        found = split_relations(text)
        try:
            again = split_relations(", ".join(found))
        except ValueError as error:
            again = [str(error)]
        assert again == found
