from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import (
    Distro,
    Rules,
    expand_rule,
    load_distro,
    normalise_version,
    read_distro,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from hypothesis import given
from hypothesis import strategies as st

LEGACY = """
release: cturtle
version: "$Revision: 468 $"
stacks:
  _rules:
    dev-svn: https://svn.example.org/$STACK_NAME/trunk
    distro-svn: https://svn.example.org/$STACK_NAME/tags/$RELEASE_NAME_released
    release-svn: https://svn.example.org/$STACK_NAME/tags/$STACK_NAME-$STACK_VERSION
    anon-dev-svn: http://svn.example.org/$STACK_NAME/trunk
  ros: {version: 1.10}
  common_msgs:
    version: 1.1.1
    _rules: {dev-svn: https://other.example.org/msgs/trunk}
  navigation:
    version:
    _rules:
      git:
        uri: git://git.example.org/$STACK_NAME.git
        dev-branch: master
        distro-tag: $RELEASE_NAME
        release-tag: $STACK_NAME-$STACK_VERSION
variants:
- desktop: {extends: base, stacks: [navigation]}
- base: {stacks: [ros, common_msgs, ros]}
- everything: {extends: [base, desktop]}
"""


def distro(text: str, **options: object) -> Distro:
    return read_distro(text.encode(), **{"needs_sources": False, **options})  # type: ignore[arg-type]  # the keywords are the tests' own


def one_fault(text: str, **options: object) -> str:
    found = distro(text, **options).faults
    assert len(found) == 1, found
    return found[0]


def with_stack(rules: str, named: str = "{}", version: str = "1.0.0") -> Distro:
    text = f"release: c\n_rules: {named}\nstacks:\n  ros: {{version: {version}, _rules: {rules}}}\n"
    return distro(text, needs_sources=True)


def test_names_versions_and_variants_are_read() -> None:
    found = distro(LEGACY, required=["ros"])
    assert found.faults == []
    assert (found.name, found.version) == ("cturtle", "r468")
    assert found.released() == {"ros": "1.10", "common_msgs": "1.1.1"}
    assert found.stacks["navigation"].version is None


def test_parents_stacks_come_first_and_each_once() -> None:
    variants = distro(LEGACY).variants
    assert variants["base"].stacks == ("ros", "common_msgs")
    assert variants["desktop"].stacks == ("ros", "common_msgs", "navigation")
    assert variants["everything"].stacks == ("ros", "common_msgs", "navigation")
    assert variants["everything"].extends == ("base", "desktop")


def test_rules_of_the_first_form_overlay_key_by_key() -> None:
    rules = distro(LEGACY).stacks["common_msgs"].rules
    assert rules is not None
    assert rules.kind == "svn"
    assert rules.values["dev"] == "https://other.example.org/msgs/trunk"
    assert rules.values["release-tag"] == "https://svn.example.org/common_msgs/tags/common_msgs-1.1.1"
    assert rules.values["distro-tag"] == "https://svn.example.org/common_msgs/tags/cturtle_released"


def test_an_anonymous_twin_is_the_url_itself_unless_given() -> None:
    rules = distro(LEGACY).stacks["ros"].rules
    assert rules is not None
    assert rules.values["anon-dev"] == "http://svn.example.org/ros/trunk"
    assert rules.values["anon-release-tag"] == rules.values["release-tag"]


def test_rules_of_the_new_form_replace_what_stands_above() -> None:
    rules = distro(LEGACY).stacks["navigation"].rules
    assert rules is not None
    assert rules.kind == "git"
    assert "dev" not in rules.values
    assert rules.values["uri"] == rules.values["anon-uri"] == "git://git.example.org/navigation.git"


def test_what_needs_the_version_of_an_unreleased_stack_has_no_value() -> None:
    rules = distro(LEGACY).stacks["navigation"].rules
    assert rules is not None
    assert rules.values["release-tag"] is None
    assert rules.values["distro-tag"] == "cturtle"


@pytest.mark.parametrize("kind", ["git", "hg", "bzr"])
def test_every_distributed_kind_is_known(kind: str) -> None:
    found = with_stack(f"{{{kind}: {{uri: u, anon-uri: a, dev-branch: d, distro-tag: t, release-tag: r}}}}")
    rules = found.stacks["ros"].rules
    assert rules is not None
    assert (rules.kind, rules.values["uri"], rules.values["anon-uri"]) == (kind, "u", "a")


def test_rules_can_be_named() -> None:
    svn = "{svn: {dev: d, distro-tag: t, release-tag: $STACK_VERSION}}"
    rules = with_stack("shared", named=f"{{shared: {svn}}}").stacks["ros"].rules
    assert rules is not None
    assert rules.values["release-tag"] == "1.0.0"
    assert with_stack("other", named="{shared: {}}").faults == [
        "stacks.ros._rules: no _rules are named 'other' (line 4)"
    ]


UNKNOWN_KIND = "{dev: d, distro-tag: t, release-tag: r}"


def test_a_released_stack_whose_rule_has_no_kind_is_a_fault() -> None:
    assert with_stack(UNKNOWN_KIND).faults == ["stacks.ros: no rule says where its source is (line 4)"]
    assert with_stack(UNKNOWN_KIND, version="null").faults == []


def test_who_needs_no_sources_has_the_stack_without_rules_but_with_its_version() -> None:
    found = distro(f"release: c\nstacks: {{ros: {{version: 1.0.0, _rules: {UNKNOWN_KIND}}}}}")
    assert found.faults == []
    assert found.stacks["ros"].rules is None
    assert found.stacks["ros"].version == "1.0.0"
    assert found.remarks == [
        "stacks.ros._rules: none of svn, git, hg, bzr, dsc is there (line 2)",
        "stacks.ros: no rule says where its source is (line 2)",
    ]


def test_each_released_stack_without_any_rules_is_a_fault() -> None:
    text = "release: c\nstacks:\n  ros: {version: 1.0}\n  base: {}\n  tools: {version: 2.0}\n"
    assert distro(text, needs_sources=True).faults == [
        "stacks.ros: no rule says where its source is (line 3)",
        "stacks.tools: no rule says where its source is (line 5)",
    ]


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("absent", "stacks._rules: no _rules are named 'absent' (line 3)"),
        ("[a]", "stacks._rules: rules are a mapping or the name of one, this is a list (line 3)"),
        ("{svn: x}", "stacks._rules.svn: it is text, not a mapping (line 3)"),
    ],
)
def test_faulty_rules_of_all_stacks_are_told_once(rules: str, fault: str) -> None:
    text = f"release: c\nstacks:\n  _rules: {rules}\n  ros: {{version: 1.0}}\n  base: {{version: 1.0}}\n"
    assert distro(text, needs_sources=True).faults[0] == fault
    assert not [each for each in distro(text, needs_sources=True).faults if "no rule says" in each]


def test_a_stack_can_be_a_source_package_elsewhere() -> None:
    found = with_stack("{dsc: {uri: 'https://deb.example.org/$STACK_NAME_$STACK_VERSION.dsc'}}", version="2:1.0-1")
    assert found.faults == []
    assert found.released() == {"ros": "2:1.0-1"}
    assert found.stacks["ros"].rules == Rules(
        "dsc",
        dict.fromkeys(["uri", "anon-uri"], "https://deb.example.org/ros_1.0-1.dsc"),
        {"uri": "https://deb.example.org/$STACK_NAME_$STACK_VERSION.dsc"},
    )
    assert with_stack("{dsc: {}}").faults == ["stacks.ros: its dsc rules lack uri (line 4)"]


@pytest.mark.parametrize(
    ("kind", "tag", "uri"),
    [
        ("git", "ros-1%2.0_rc1-1", "u/1:2.0~rc1-1"),
        ("hg", "ros-1%2.0~rc1-1", "u/1:2.0~rc1-1"),
        ("bzr", "ros-1:2.0~rc1-1", "u/1:2.0~rc1-1"),
    ],
)
def test_a_version_stands_in_tags_as_the_program_takes_it(kind: str, tag: str, uri: str) -> None:
    rules = (
        f"{{{kind}: {{uri: u/$STACK_VERSION, dev-branch: d, distro-tag: t, release-tag: $STACK_NAME-$STACK_VERSION}}}}"
    )
    found = with_stack(rules, version="1:2.0~rc1-1").stacks["ros"].rules
    assert found is not None
    assert (found.values["release-tag"], found.values["uri"]) == (tag, uri)


def test_lacking_keys_of_a_rule_are_named() -> None:
    assert with_stack("{git: {uri: u, distro-tag: t}}").faults == [
        "stacks.ros: its git rules lack dev-branch, release-tag (line 4)"
    ]


def test_revision_cannot_be_used_in_a_rule() -> None:
    found = with_stack("{svn: {dev: d@$REVISION, distro-tag: t, release-tag: r}}")
    assert found.faults == ["stacks.ros: dev: $REVISION cannot be used in a rule (line 4)"]


def test_required_stacks_must_be_there() -> None:
    assert one_fault("release: c\nstacks: {base: {version: 1.0}}", required=["ros"]) == (
        "stacks: the stack ros is missing (line 2)"
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [("$Revision: 468 $", "r468"), ("$Revision:9$", "r9"), ("1.2~rc1", "1.2~rc1"), ("s1290000000", "s1290000000")],
)
def test_the_version_of_a_distribution(text: str, version: str) -> None:
    assert normalise_version(text) == version


@pytest.mark.parametrize("text", ["$Revision", "1-2", "1 2", "", "1:2", "x/y"])
def test_what_cannot_stand_in_a_version_is_refused(text: str) -> None:
    assert normalise_version(text) is None
    assert "cannot be part of a package's version" in one_fault(
        f"release: c\nversion: {yaml.dump(text).splitlines()[0]}\nstacks: {{ros: {{version: 1.0}}}}"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        ("stacks: !!python/object:os.system {}", "line 1: the tag tag:yaml.org,2002:python/object:os.system is not"),
        ("release: c\nstacks: *x", "line 2: the alias *x stands before the end of what it names"),
        ("release: c\nstacks: {ros: {<<: text}}", "line 2: << takes a mapping, not text"),
        ("release: c\n? [a]\n: b", "line 2: a key is a list, not text"),
        ("release: c\n\tstacks: {}", "it is not YAML: line 2:"),
        ("release: C D\nstacks: {ros: {}}", "release: 'C D' is not a name (line 1)"),
        ("release: c", "stacks: there are no stacks (line 1)"),
        ("release: c\nstacks: [ros]", "stacks: there are no stacks (line 2)"),
        ("release: c\nversion: [1]\nstacks: {ros: {}}", "version: it is a list, not text (line 2)"),
        ("release: c\n_rules: [a]\nstacks: {ros: {}}", "_rules: it is a list, not a mapping (line 2)"),
        (
            "release: c\nstacks: {ros: {_rules: {svn: {dev: [x], distro-tag: t, release-tag: r}}}}",
            "stacks.ros._rules.svn",
        ),
        (
            "release: c\nstacks: {ros: {version: 1.2-}}",
            "stacks.ros.version: '1.2-' cannot be the version of a package: it",
        ),
        ("release: c\nstacks: {ros: {version: 'x:1.2'}}", "stacks.ros.version: 'x:1.2' cannot be the version of a"),
        ("release: c\nstacks: {ros: {version: 1 2}}", "stacks.ros.version: '1 2' cannot be the version of a package"),
        ("- a", "it is a list, not a mapping with release, stacks and variants (line 1)"),
        ("release: c\nstacks: {ros: {version: 1}}\n---\nrelease: d", "it holds a second document from line 3"),
        ("release: c\nstacks: {}", "stacks: there are no stacks (line 2)"),
        ("release: [c]\nstacks: {ros: {version: 1}}", "release: it is a list (line 1)"),
        ("stacks: {ros: {version: 1}}", "release: it is missing (line 1)"),
        ("release: c\nstacks: {ros: {version: one}}", "stacks.ros.version: 'one' cannot be the version of a package"),
        ("release: c\nstacks: {ros: {version: [1]}}", "stacks.ros.version: a list cannot be the version of a package"),
        ("release: c\nstacks: {ros: 1.0}", "stacks.ros: it is text, not a mapping (line 2)"),
        ("release: c\nstacks: {Ros: {version: 1}}", "stacks: 'Ros' is not a name of a stack (line 2)"),
        (
            "release: c\nversion: $Revision$\nstacks: {ros: {}}",
            "version: '$Revision$' waits for keyword expansion, which Subversion does where svn:keywords",
        ),
        ("release: c\nversion: '$Rev: $'\nstacks: {ros: {}}", "version: '$Rev: $' waits for keyword expansion"),
        ("release: c\nstacks: {ros: {}, all: {}}", "stacks: the name all is taken by the metapackage of all stacks"),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{a_b: {stacks: [ros]}}, {a-b: {stacks: [ros]}}]",
            "variants: a_b and a-b would have the same package name (line 3)",
        ),
        ("release: c\nstacks: {a_b: {}, a-b: {}}", "stacks: a_b and a-b would have the same package name (line 2)"),
        (
            "release: c\nstacks:\n  ros: {version: 1}\n  ros: {version: 2}",
            "line 4: the key 'ros' is given a second time (first on line 3)",
        ),
        (
            "release: c\nstacks: {ros: {}}\nvariants: {a: b}",
            "variants: variants are a list, this is a mapping (line 3)",
        ),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{a: {stacks: [x]}}]",
            "variants.a.stacks: there is no stack 'x' (line 3)",
        ),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{a: {extends: b}}]",
            "variants.a.extends: there is no variant 'b' (line 3)",
        ),
        ("release: c\nstacks: {ros: {}}\nvariants: [{a: {extends: a}}]", "variants.a: it extends itself, directly or"),
        ("release: c\nstacks: {ros: {}}\nvariants: [{A: {stacks: [ros]}}]", "variants: 'A' is not a name of a variant"),
        ("release: c\nstacks: {ros: {}}\nvariants: [{a: {stacks: ros}}]", "variants.a: names stand in a list, this is"),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{a: {stacks: [[ros]]}}]",
            "variants.a: a name is text, this is a list",
        ),
        ("release: c\nstacks: {ros: {}}\nvariants: [{a: }]", "variants.a: it has neither stacks nor extends (line 3)"),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{a: {stacks: [ros]}, b: {}}]",
            "variants: a variant is a mapping of",
        ),
        (
            "release: c\nstacks: {ros: {}}\nvariants:\n- a: {stacks: [ros]}\n- a: {stacks: [ros]}",
            "variants: the variant a is there twice (line 5)",
        ),
        ("release: c\nstacks: {ros: {}}\nvariants: [{all: {stacks: [ros]}}]", "variants: the name all is taken"),
        (
            "release: c\nstacks: {ros: {}}\nvariants: [{ros: {stacks: [ros]}}]",
            "variants.ros: its metapackage would have the name of the stack ros (line 3)",
        ),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(text: str, fault: str) -> None:
    assert one_fault(text).startswith(fault)


def test_a_file_that_is_no_text_is_refused() -> None:
    assert read_distro(b"release: \xff").faults == ["byte 9 is not UTF-8"]


def test_variants_that_extend_each_other_are_faults() -> None:
    text = "release: c\nstacks: {ros: {}}\nvariants: [{a: {extends: b}}, {b: {extends: [a]}}, {c: {extends: a}}]"
    assert [fault.split(":")[0] for fault in distro(text).faults] == ["variants.a", "variants.b"]


def test_all_faults_are_listed_at_once() -> None:
    text = "version: a b\nstacks: {ros: {version: x}, Two: {}}\nvariants: [{v: {stacks: [nope]}}]"
    assert len(distro(text).faults) == 5


def test_unknown_keys_are_remarks() -> None:
    found = distro("release: c\nextra: 1\nstacks: {ros: {version: 1.0, note: x}}")
    assert found.faults == []
    assert found.remarks[:2] == [
        "extra: this key is ignored (line 2)",
        "stacks.ros.note: this key is ignored (line 3)",
    ]


def test_a_refused_file_is_named_with_its_fault(tmp_path: Path) -> None:
    path = tmp_path / "c.rosdistro"
    path.write_text("release: c\nstacks: [")
    with pytest.raises(SlipwayError, match=r"Could not read the distro file .*c\.rosdistro: it is not YAML: line 3"):
        load_distro(path)
    with pytest.raises(SlipwayError, match="No such file"):
        load_distro(tmp_path / "absent")
    path.write_text("release: c\nstacks: {ros: {version: 1.0}}")
    with pytest.raises(SlipwayError, match=r"c\.rosdistro: stacks\.ros: no rule says where its source is \(line 2\)"):
        load_distro(path)
    assert load_distro(path, needs_sources=False).released() == {"ros": "1.0"}


def test_the_text_of_a_file_on_another_machine_is_read_instead_of_it(tmp_path: Path) -> None:
    there = tmp_path / "there.rosdistro"
    assert load_distro(there, text="release: c\nstacks: {ros: {}}").released() == {}
    with pytest.raises(SlipwayError, match=r"there\.rosdistro: it is not YAML"):
        load_distro(there, text="release: c\nstacks: [")


def test_a_value_is_put_in_as_plain_text_and_not_expanded_again() -> None:
    assert (
        expand_rule("$STACK_NAMES-$RELEASE_NAME", stack="$RELEASE_NAME", version=None, release="c")
        == "$RELEASE_NAMES-c"
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = read_distro(data)
    assert found.faults or found.stacks


VALUES = st.recursive(
    st.none() | st.sampled_from(["ros", "base", "all", "1.0", "svn", "git", "a b", "$Revision: 3 $"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["ros", "base", "version", "stacks", "variants", "extends", "_rules", "svn", "dev", "release"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(VALUES, VALUES, VALUES)
def test_any_structure_is_read_or_refused(stacks: object, variants: object, rules: object) -> None:
    text = yaml.safe_dump({"release": "c", "stacks": stacks, "variants": variants, "_rules": rules})
    found = distro(text)
    for variant in found.variants.values():
        assert set(variant.stacks) <= found.stacks.keys()
        assert len(set(variant.stacks)) == len(variant.stacks)
