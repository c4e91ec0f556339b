"""What names the set is locked, and what was true stays true."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import lock
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import (
    KEPT_FIELDS,
    LOCKED_FIELDS,
    Control,
    encode_control,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.lock import ReleaseSet
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.relations import read_relations
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.stamp import Order, stamp_debs
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule, satisfies
from aptclient import Client
from debs import make_deb
from hypothesis import given, settings
from hypothesis import strategies as st

RULE = Rule("r468", "lucid")
OPERATORS = ("<<", "<=", "=", ">=", ">>", "<", ">")


def text(package: str, version: str, architecture: str = "amd64", **fields: str) -> str:
    """A control file."""
    lines = {"Package": package, "Version": version, "Architecture": architecture}
    lines |= {name.replace("_", "-"): value for name, value in fields.items()}
    return "".join(f"{name}: {value}\n" for name, value in lines.items()) + "Description: short\n long\n .\n more\n"


def stamped(*controls: str, fields: Mapping[str, str] | None = None, rule: Rule = RULE) -> list[Control]:
    """All ``controls`` after they were stamped as one set."""
    parsed = [Control(control) for control in controls]
    members = [lock.describe_member(control, rule) for control in parsed]
    release = ReleaseSet(members)
    return [
        Control(lock.stamp_control(control, member, release=release, rule=rule, fields=fields or {}).text)
        for control, member in zip(parsed, members, strict=True)
    ]


def locked(depends: str, *others: str, field: str = "Depends", architecture: str = "amd64") -> str | None:
    """What ``depends`` of a package becomes beside ``others``."""
    fields = {field.replace("-", "_"): depends}
    return stamped(text("user", "1.0-0~lucid", architecture, **fields), *others)[0].get(field)


FOO = text("foo", "2.0-0~lucid")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("foo", "foo (= 2.0-r468~lucid)"),
        ("foo (>= 1.0)", "foo (= 2.0-r468~lucid)"),
        ("foo(>=1.0)", "foo (= 2.0-r468~lucid)"),
        ("foo (= 2.0-0~lucid)", "foo (= 2.0-r468~lucid)"),
        ("foo (2.0-0~lucid)", "foo (= 2.0-r468~lucid)"),
        ("foo (< 2.0-0~lucid)", "foo (= 2.0-r468~lucid)"),
        ("foo:any (>= 1)", "foo:any (= 2.0-r468~lucid)"),
        ("foo:amd64", "foo:amd64 (= 2.0-r468~lucid)"),
        ("bar | foo | baz (>= 1)", "bar | foo (= 2.0-r468~lucid) | baz (>= 1)"),
        ("libc6 (>= 2.3),  foo ,bar", "libc6 (>= 2.3),  foo (= 2.0-r468~lucid) ,bar"),
        ("foo (>= 1), foo (<< 3), bar", "foo (= 2.0-r468~lucid), bar"),
        ("bar,\n foo,\n baz", "bar,\n foo (= 2.0-r468~lucid),\n baz"),
        ("food, libfoo, foo-dev", "food, libfoo, foo-dev"),
        ("foo (>= 3)", "foo (>= 3)"),
    ],
)
@pytest.mark.parametrize("field", LOCKED_FIELDS)
def test_a_dependency_on_the_set_is_locked_in_every_field(before: str, after: str, field: str) -> None:
    assert locked(before, FOO, field=field) == after


def test_names_that_no_package_of_the_set_has_stay_as_they_are() -> None:
    assert locked("libc6 (>= 2.3), default-mta | mail-transport-agent") == (
        "libc6 (>= 2.3), default-mta | mail-transport-agent"
    )


def test_a_provided_version_is_stamped_and_locked_to() -> None:
    provider = text("foo", "2.0-0~lucid", Provides="foo-abi (= 7), foo-plain, foo-self (= 2.0-0~lucid)")
    user = text("user", "1.0-0~lucid", Depends="foo-abi (>= 6), foo-plain, foo-self")
    first, second = stamped(user, provider)
    assert second.get("Provides") == "foo-abi (= 7-r468~lucid), foo-plain, foo-self (= 2.0-r468~lucid)"
    assert first.get("Depends") == "foo-abi (= 7-r468~lucid), foo (= 2.0-r468~lucid), foo-self (= 2.0-r468~lucid)"


def test_of_several_providers_each_may_satisfy_the_lock() -> None:
    providers = (text("a", "1.0", Provides="abi (= 1)"), text("b", "1.0", Provides="abi (= 2)"))
    assert locked("abi | x", *providers) == "abi (= 2-r468~lucid) | abi (= 1-r468~lucid) | x"
    assert locked("abi (<< 2)", *providers) == "abi (= 1-r468~lucid)"


def test_a_name_that_is_provided_without_a_version_is_locked_to_each_package_that_provides_it() -> None:
    providers = (
        text("zeta", "1.0", Provides="mta", Priority="important"),
        text("alpha", "2.0", Provides="mta, x"),
        text("beta", "3.0", Provides="mta (= 1)"),
        text("gamma", "4.0", Provides="mta (= 2)"),
    )
    assert locked("mta | alpha | y", *providers) == (
        "mta (= 2-r468~lucid) | mta (= 1-r468~lucid) | zeta (= 1.0-r468~lucid) | alpha (= 2.0-r468~lucid) | y"
    )
    assert locked("mta:any", providers[0]) == "zeta:any (= 1.0-r468~lucid)"
    assert locked("mta (>= 2)", *providers) == "mta (= 2-r468~lucid)"
    assert locked("mta (>= 1)", providers[0]) == "mta (>= 1)"


def test_the_real_package_is_first_and_every_provider_that_also_fits_comes_after_it() -> None:
    versioned, plain = text("other", "1.0", Provides="foo (= 9)"), text("fast", "1.0", Provides="foo")
    assert locked("foo", FOO, versioned) == "foo (= 2.0-r468~lucid) | foo (= 9-r468~lucid)"
    assert locked("foo", plain, versioned, FOO) == (
        "foo (= 2.0-r468~lucid) | foo (= 9-r468~lucid) | fast (= 1.0-r468~lucid)"
    )
    assert locked("foo (>= 1)", plain, FOO) == "foo (= 2.0-r468~lucid)"
    assert locked("foo (>= 3)", FOO, versioned, plain) == "foo (= 9-r468~lucid)"
    assert locked("foo", FOO, text("same", "1.0", Provides="foo (= 2.0-0~lucid)")) == "foo (= 2.0-r468~lucid)"
    assert locked("foo | fast, x", FOO, plain) == "foo (= 2.0-r468~lucid) | fast (= 1.0-r468~lucid), x"


def test_a_provider_on_another_architecture_does_not_hide_the_package_of_the_own_one() -> None:
    real, provider = text("foo", "2.0", "amd64"), text("fast", "1.0", "i386", Provides="foo")
    assert locked("foo", real, provider, architecture="i386") == "foo (= 2.0-r468~lucid) | fast (= 1.0-r468~lucid)"


def test_a_package_that_provides_what_it_needs_still_does() -> None:
    own = text("all-in-one", "1.0", Provides="part", Depends="part", Conflicts="part")
    (control, _part) = stamped(own, text("part", "2.0"))
    assert control.get("Depends") == "part (= 2.0-r468~lucid) | all-in-one (= 1.0-r468~lucid)"
    assert (control.get("Conflicts"), control.get("Provides")) == ("part", "part")


def test_what_apt_installed_before_it_installs_after(tmp_path: Path) -> None:
    fast = {"Provides": "zlib-plain", "Conflicts": "zlib-plain", "Replaces": "zlib-plain"}
    before = [
        make_deb(tmp_path / "shadow", "zlib-plain", "1.0"),
        make_deb(tmp_path / "shadow", "zlib-fast", "2.0", fields=fast),
        make_deb(tmp_path / "shadow", "tool", "1.0", fields={"Depends": "zlib-plain"}),
        make_deb(tmp_path / "shadow", "app", "1.0", fields={"Depends": "tool, zlib-fast"}),
        make_deb(tmp_path / "shadow", "everything", "1.0", fields={"Depends": "zlib-plain, zlib-fast, tool"}),
    ]
    stamp_debs(before, tmp_path / "fixed", order=Order(RULE, {}))
    for archive, mark in (("shadow", ""), ("fixed", "-r468~lucid")):
        client = make_client(tmp_path / archive, tmp_path / f"client-{archive}")
        done = client.install("app")
        assert done.returncode == 0, done.stdout + done.stderr
        wanted = {"app": "1.0", "tool": "1.0", "zlib-fast": "2.0"}
        assert client.installed() == {name: f"{version}{mark}" for name, version in wanted.items()}
        fresh = make_client(tmp_path / archive, tmp_path / f"fresh-{archive}")
        assert set(fresh.would_install("tool")) == {"tool", "zlib-plain"}
        assert set(fresh.would_install("everything")) == {"everything", "tool", "zlib-fast"}


def make_client(archive: Path, root: Path) -> Client:
    """An apt that knows the debs in the directory ``archive``."""
    words = ["dpkg-scanpackages", "--multiversion", "."]
    listed = subprocess.run(words, cwd=archive, check=True, capture_output=True)
    (archive / "Packages").write_bytes(listed.stdout)
    client = Client(root, [f"deb [trusted=yes] file:{archive} ./"])
    client.update()
    return client


def test_the_version_of_the_own_architecture_is_locked_to() -> None:
    builds = (text("foo", "2.0-1", "amd64"), text("foo", "2.0-1+b1", "i386"))
    assert locked("foo", *builds, architecture="amd64") == "foo (= 2.0-1-r468~lucid)"
    assert locked("foo", *builds, architecture="i386") == "foo (= 2.0-1+b1-r468~lucid)"
    assert locked("foo:i386", *builds) == "foo:i386 (= 2.0-1+b1-r468~lucid)"
    either = "foo (= 2.0-1+b1-r468~lucid) | foo (= 2.0-1-r468~lucid)"
    assert locked("foo", *builds, architecture="all") == either
    assert locked("foo:any", *builds) == either.replace("foo", "foo:any")


def test_a_package_of_another_architecture_only_is_locked_to_all_the_same() -> None:
    assert locked("foo", text("foo", "2.0", "i386")) == "foo (= 2.0-r468~lucid)"
    assert locked("foo", text("foo", "2.0", "all")) == "foo (= 2.0-r468~lucid)"


def test_an_unmet_dependency_stays_unmet_and_is_told() -> None:
    user = Control(text("user", "1", Depends="foo (<= 1.0), foo (>= 3)", Suggests="foo (>> 2.0-0~lucid)"))
    members = [lock.describe_member(control, RULE) for control in (user, Control(FOO))]
    result = lock.stamp_control(user, members[0], release=ReleaseSet(members), rule=RULE, fields={})
    assert Control(result.text).get("Depends") == "foo (<= 1.0), foo (>= 3)"
    assert Control(result.text).get("Suggests") == "foo (>> 2.0-r468~lucid)"
    assert result.unsatisfied == [
        ("Depends", "foo (<= 1.0)"),
        ("Depends", "foo (>= 3)"),
        ("Suggests", "foo (>> 2.0-0~lucid)"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("foo", "foo"),
        ("foo (<< 1.2)", "foo (<< 1.2)"),
        ("foo (<< 2.0-0~lucid)", "foo (<< 2.0-0~lucid)"),
        ("foo (<= 2.0-0~lucid)", "foo (<= 2.0-r468~lucid)"),
        ("foo (>> 2.0-0~lucid)", "foo (>> 2.0-r468~lucid)"),
        ("foo (= 2.0-0~lucid)", "foo (= 2.0-r468~lucid)"),
        ("foo (<< 2.0-1)", "foo (<< 2.0-1-r468~lucid)"),
        ("bar (<< 5), foo (<= 2.0-0~lucid), baz", "bar (<< 5), foo (<= 2.0-r468~lucid), baz"),
    ],
)
@pytest.mark.parametrize("field", KEPT_FIELDS)
def test_what_a_field_says_of_the_set_stays_as_true_as_it_was(before: str, after: str, field: str) -> None:
    assert locked(before, FOO, field=field) == after


numbers = st.builds(
    lambda epoch, upstream, revision: epoch + upstream + revision,
    st.sampled_from(["", "", "1:"]),
    st.sampled_from(["1.0", "1.0~rc1", "1.0+dfsg", "1.0a", "1.1", "2"]),
    st.sampled_from(["", "-0~lucid", "-0", "-1", "-1+b1", "-1ubuntu1", "-1~bpo1", "-r468~lucid", "-r5"]),
)


@given(numbers, numbers, st.sampled_from(OPERATORS), st.sampled_from([RULE, Rule("5", "x", "{upstream}-{release}")]))
@settings(max_examples=500, deadline=None)
def test_no_relation_changes_its_truth(version: str, bound: str, operator: str, rule: Rule) -> None:
    before = satisfies(version, operator, bound)
    try:
        control, _foo = stamped(
            text("user", "1", Breaks=f"foo ({operator} {bound})", Depends=f"foo ({operator} {bound})"),
            text("foo", version),
            rule=rule,
        )
    except ValueError:
        assert operator == "="
        return
    for field in ("Breaks", "Depends"):
        (relation,) = read_relations(control, field)
        assert relation.accepts(rule.apply(version)) == before
    assert not before or control.get("Depends") == f"foo (= {rule.apply(version)})"


def test_a_bound_that_is_the_stamped_version_by_chance_is_refused() -> None:
    assert locked("foo (= 2.0-r468~lucid)", FOO, field="Breaks") == "foo (= 2.0-r468~lucid-r468~lucid)"
    with pytest.raises(ValueError, match=r"its Breaks has 'foo \(= 2.0-r5\)', which no version can express"):
        stamped(text("user", "1", Breaks="foo (= 2.0-r5)"), FOO, rule=Rule("r5", "x", "{upstream}-{release}"))


def test_fields_keep_their_order_and_their_text() -> None:
    before = (
        "\nPackage:  user \nversion: 1.0-0~lucid\nX-Odd:\t a  b \nArchitecture: all\n"
        "Maintainer: J\udce4rg <a@b>\nDepends:  foo (>= 1),\n\tbar\nDescription: x\n  indented\n .\n\n"
    )
    (control, _foo) = stamped(before, FOO, fields={"WG-rosdistro": "cturtle"})
    assert str(control) == (
        "\nPackage:  user \nSource: user (1.0-0~lucid)\nversion: 1.0-r468~lucid\nX-Odd:\t a  b \nArchitecture: all\n"
        "Maintainer: J\udce4rg <a@b>\nDepends:  foo (= 2.0-r468~lucid),\n\tbar\nWG-rosdistro: cturtle\n"
        "Description: x\n  indented\n .\n\n"
    )
    assert encode_control(str(control)).count(b"J\xe4rg") == 1


def test_blanks_before_a_colon_go() -> None:
    before = "Package\t: user\nVersion : 1.0\nArchitecture: all\nDepends : foo\nDescription: x\n"
    (control, _foo) = stamped(before, FOO)
    assert str(control) == (
        "Package: user\nSource: user (1.0)\nVersion: 1.0-r468~lucid\nArchitecture: all\n"
        "Depends: foo (= 2.0-r468~lucid)\nDescription: x\n"
    )
    with pytest.raises(ValueError, match="has the field Version twice"):
        stamped("Package: a\nVersion : 1\nVersion: 1\nArchitecture: all\n")


def test_a_marker_that_is_there_is_replaced_in_its_place() -> None:
    (control,) = stamped(text("a", "1", WG_rosdistro="old", Section="x"), fields={"wg-ROSdistro": "new"})
    assert "WG-rosdistro: new\nSection: x\n" in str(control)


@pytest.mark.parametrize(
    ("source", "after"),
    [("", "user (1.0-0~lucid)"), ("src", "src (1.0-0~lucid)"), ("src (0.9-1)", "src (0.9-1)")],
)
def test_the_source_keeps_the_version_that_it_was_built_from(source: str, after: str) -> None:
    fields = {"Source": source} if source else {}
    assert stamped(text("user", "1.0-0~lucid", **fields))[0].get("Source") == after


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("Package: a\nVersion: 1\nArchitecture: all", "the last line of its control file is not ended"),
        ("Package: a\nversion: 1\nVersion: 1\nArchitecture: all\n", "has the field Version twice"),
        ("Package: a\nVersion: 1\n\nArchitecture: all\n", "has more than one paragraph"),
        (" x\nPackage: a\n", "line 1 of its control file continues no field"),
        ("Package: a\n \nVersion: 1\n", "line 2 of its control file continues no field or is blank"),
        ("Package: a\nVersion\n", "line 2 of its control file is not a field"),
        ("Package: a\n-x: 1\n", "line 2 of its control file is not a field"),
        ("#Package: a\n", "line 1 of its control file is not a field"),
        ("Package: a\r\nVersion: 1\r\n", "its control file has lines that end in CR LF, as on Windows; they must end"),
        ("Package: a\rVersion: 1\n", "has a control character"),
        ("Package: a\0\n", "has a control character"),
        ("", "the last line of its control file is not ended"),
        ("\n\n", "has no Package"),
        ("Package:\nVersion: 1\nArchitecture: all\n", "has no Package"),
        ("Package: a\nArchitecture: all\n", "has no Version"),
        ("Package: a\nVersion: 1\n", "has no Architecture"),
        ("Package: a b\nVersion: 1\nArchitecture: all\n", "the package name 'a b' is not allowed"),
        ("Package: ../a\nVersion: 1\nArchitecture: all\n", "the package name '../a' is not allowed"),
        ("Package: a\nVersion: 1_0\nArchitecture: all\n", "the version '1_0' has a character that is not allowed"),
        ("Package: a\nVersion: 1/../../x\nArchitecture: all\n", "has a character that is not allowed"),
        ("Package: a\nVersion: 1\nArchitecture: ../x\n", "the architecture name '../x' is not allowed"),
        (text("a", "1", Depends="foo,"), "its Depends has '', which is not a relation"),
        (text("a", "1", Depends="foo (>= 1_0)"), "its Depends has 'foo (>= 1_0)', which is not a relation"),
        (text("a", "1", Breaks="a | b"), "its Breaks has alternatives, which dpkg does not allow there"),
        (text("a", "1", Depends="\n foo"), "its Depends begins on the line after, which dpkg does not take"),
        (text("a", "1", Essential="maybe"), "its Essential is 'maybe' and not yes or no"),
        ("Package: a\nVersion: 1\nArchitecture: a\n b\n", "the architecture name 'a b' is not allowed"),
        ("Package: a\nVersion: 1\n 2\nArchitecture: all\n", "the version '1 2' has a character that is not allowed"),
        (text("a", "1", Source="b\n c"), "its Source 'b c' is not a source"),
        (text("a", "1", Depends="b\n c"), "its Depends has 'b c', which is not a relation"),
        (text("a", "1", Essential="x\n y"), "its Essential is 'x y' and not yes or no"),
        (text("a", "1", Priority="very\n optional"), "its Priority is 'very optional' and not one word"),
        (text("a", "1", Revision="2"), "has the field Revision, which a deb must not have"),
        ("Package: a\nVersion:\n 1\nArchitecture: all\n", "has no Version"),
        (text("a", "1", Breaks="foo [amd64]"), "its Breaks has 'foo [amd64]', which is not a relation"),
        (text("a", "1", Suggests="foo (=> 1)"), "its Suggests has 'foo (=> 1)', which is not a relation"),
        (
            text("a", "1", Provides="foo (>= 1)"),
            "its Provides has 'foo (>= 1)', which is not an exact version, and apt ignores",
        ),
        (text("a", "1", Source="b [x]"), "its Source 'b [x]' is not a source"),
    ],
)
def test_what_dpkg_would_not_take_is_refused_in_one_sentence(broken: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared below
        stamped(broken)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


names = st.sampled_from(["foo", "bar", "libc6", "abi", "user"])
atoms = st.builds(
    lambda name, qualifier, demand: name + qualifier + demand,
    names,
    st.sampled_from(["", "", ":any", ":i386"]),
    st.sampled_from(["", " (>= 1)", "(<<3)", " ( = 2.0-0~lucid )", " (>> 2.0-0~lucid)"]),
)
groups = st.lists(st.lists(atoms, min_size=1, max_size=3).map(" | ".join), min_size=1, max_size=4).map(", ".join)


@given(groups)
@settings(max_examples=300, deadline=None)
def test_the_set_satisfies_a_stamped_dependency_exactly_when_it_did_before(depends: str) -> None:
    others = (FOO, text("bar", "3", "i386", Provides="abi (= 2.0-0~lucid)"))
    before, after = Control(text("user", "1", Depends=depends)), None
    parsed = [Control(control) for control in (*others, str(before))]
    members = [lock.describe_member(control, RULE) for control in parsed]
    (after, *_rest) = stamped(str(before), *others)
    known = {member.package: (member.version, member.stamped) for member in members} | {
        name: (old, new) for member in members for name, old, new in member.provides
    }
    assert {group_truth(before, known, 0)} == {group_truth(after, known, 1)}


def group_truth(control: Control, known: Mapping[str, tuple[str, str]], which: int) -> frozenset[bool]:
    """Which truths the groups of Depends have, of the packages of the set only."""
    truths = set()
    for group in (control.get("Depends") or "").split(","):
        found = [read_relations(Control(f"Depends: {one}\n"), "Depends")[0] for one in group.split("|")]
        truths.add(any(one.name in known and one.accepts(known[one.name][which]) for one in found))
    return frozenset(truths)
