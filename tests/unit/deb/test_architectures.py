# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wildcards of architectures and relations of sources, beside dpkg's own reading of them."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.architectures import (
    is_built_for,
    match_architecture,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.buildrelations import (
    accepts_architecture,
    accepts_profiles,
    parse_build_group,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import next_rebuild, strip_rebuild
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = (
    *("any", "linux", "kfreebsd", "hurd", "gnu", "musl", "uclibc", "bsd", "base", "eabi", "eabihf", "arm", "armel"),
    *("armhf", "i386", "amd64", "mips64el", "abi64", "x32"),
)


def ask_perl(program: str, lines: list[str], *words: str) -> list[str]:
    done = subprocess.run(
        ["perl", "-e", program, *words], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_wildcards_stand_for_what_they_stand_for_in_dpkg() -> None:
    listed = subprocess.run(["dpkg-architecture", "-L"], capture_output=True, text=True, check=True).stdout.split()
    some = ("any", "linux", "musl", "gnu", "armhf", "amd64", "eabihf")
    wildcards = ["-".join(words) for count in (1, 2) for words in itertools.product(WORDS, repeat=count)]
    wildcards += ["-".join(words) for count in (3, 4) for words in itertools.product(some, repeat=count)]
    wildcards = [word for word in wildcards if "any" in word.split("-")][::3]
    program = (
        "use Dpkg::Arch qw(debarch_is); my @known = split /,/, shift;"
        'while (<STDIN>) { chomp; for my $one (@known) { print "$one $_\\n" if debarch_is($one, $_) } }'
    )
    expected = ask_perl(program, wildcards, ",".join(listed))
    found = [f"{one} {wildcard}" for wildcard in wildcards for one in listed if match_architecture(one, wildcard)]
    assert len(expected) > 1000
    assert found == expected


def test_all_is_no_real_architecture() -> None:
    assert not match_architecture("all", "any")
    assert is_built_for("amd64", "linux-any kfreebsd-amd64")
    assert not is_built_for("amd64", "all")


def test_restrictions_are_read_as_dpkg_reads_them() -> None:
    names = ("amd64", "i386", "!amd64", "!i386", "linux-any", "!linux-any", "!any-i386", "any", "hurd-i386")
    lists = [" ".join(words) for count in (1, 2, 3) for words in itertools.product(names, repeat=count)]
    program = (
        "use Dpkg::Arch qw(debarch_is_concerned);"
        'while (<STDIN>) { chomp; print debarch_is_concerned("amd64", split) ? 1 : 0, "\\n" }'
    )
    expected = [line == "1" for line in ask_perl(program, lists)]
    assert [accepts_architecture(tuple(words.split()), "amd64") for words in lists] == expected


def test_profiles_are_read_as_dpkg_reads_them() -> None:
    terms = ("<a>", "<!a>", "<a b>", "<!a b>", "<!a !b>", "<a> <b>", "<!a> <b>", "<a !b> <!b c>")
    active = [(), ("a",), ("b",), ("a", "b"), ("c",), ("a", "c")]
    lines = [f"{' '.join(names)};{term}" for names in active for term in terms]
    program = (
        "use Dpkg::BuildProfiles qw(parse_build_profiles evaluate_restriction_formula);"
        "while (<STDIN>) { chomp; my ($names, $term) = split /;/; my @active = split / /, $names;"
        'print evaluate_restriction_formula([parse_build_profiles($term)], \\@active) ? 1 : 0, "\\n" }'
    )
    expected = [line == "1" for line in ask_perl(program, lines)]
    found = [accepts_profiles(parse_build_group(f"x {term}")[0].profiles, names) for names in active for term in terms]
    assert found == expected


NAME = st.sampled_from(["a", "lib-b", "c++", "d1.0"])
VERSION = st.sampled_from(["1", "2:1.0-1~x", "1.0+b1"])
RELATION = st.builds(
    "".join,
    st.tuples(
        NAME,
        st.sampled_from(["", ":any", ":native", ":i386"]),
        st.one_of(st.just(""), st.builds(" ({} {})".format, st.sampled_from(["<<", "<=", "=", ">=", ">>"]), VERSION)),
        st.sampled_from(["", " [amd64]", " [!amd64 !i386]", " [linux-any]"]),
        st.sampled_from(["", " <!nocheck>", " <a b> <!c>"]),
    ),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(RELATION, min_size=1, max_size=3).map(" | ".join), min_size=20, max_size=40))
def test_what_counts_on_an_architecture_is_what_dpkg_says(groups: list[str]) -> None:
    program = (
        "use Dpkg::Deps; while (<STDIN>) { chomp; my $deps = deps_parse($_, build_dep => 1, reduce_restrictions => 1,"
        'host_arch => "amd64", build_arch => "amd64", build_profiles => ["nocheck", "c"]);'
        'print $deps->output(), "\\n" }'
    )
    expected = ask_perl(program, groups)
    found = []
    for group in groups:
        used = [one for one in parse_build_group(group) if one.applies("amd64", {"nocheck", "c"})]
        found.append(" | ".join(str(one.relation) for one in used))
    assert found == expected


@pytest.mark.parametrize(
    "text",
    ["", "a [amd64", "a <x", "a (>= 1", "a [amd64] (>= 1)", "a <x> [amd64]", "a b", "a (>= x_y)", "[amd64]", "a]"],
)
def test_what_is_no_relation_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"its Build-Depends has '.*', which is not a relation"):
        parse_build_group(text)


def test_binary_rebuilds_are_of_the_version_of_their_source() -> None:
    assert [strip_rebuild(version) for version in ("1-1+b2", "1-1", "1+b1", "1+bar")] == ["1-1", "1-1", "1", "1+bar"]
    assert next_rebuild("1-1+b9", "1-1") == "1-1+b10"
    assert next_rebuild("1-1", "1-1") == "1-1+b1"
