from __future__ import annotations

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway import yamltext
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.edit import VersionChange, set_version
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import read_distro
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from hypothesis import given
from hypothesis import strategies as st

RULES = "{dsc: {uri: http://x/$STACK_NAME.dsc}}"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers, since a host may have the slow one only."""
    if request.param == "SafeLoader":
        monkeypatch.delattr(yamltext.yaml, "CSafeLoader")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ros: {version: 1.2.0}", "ros: {version: 2.0-1}"),
        ("ros: {version: 1.2.0 , _rules: r}", "ros: {version: 2.0-1 , _rules: r}"),
        ("ros: {_rules: {git: {uri: git://x}},version: 1}", "ros: {_rules: {git: {uri: git://x}},version: 2.0-1}"),
        ('ros: {"version":"1.2.0"}', 'ros: {"version":"2.0-1"}'),
        ("ros: {version: '1.2.0'}  # why", "ros: {version: '2.0-1'}  # why"),
        ("ros:\n    version: 1.2.0  # a", "ros:\n    version: 2.0-1  # a"),
        (
            'ros:\n    _rules: r\n    # b\n    "version" : "1"\n',
            'ros:\n    _rules: r\n    # b\n    "version" : "2.0-1"\n',
        ),
        ("ros:\n    version:\n      1.2.0", "ros:\n    version:\n      2.0-1"),
        ("ros:\n    ? version\n    : 1.2.0", "ros:\n    ? version\n    : 2.0-1"),
        ("ros: {version: one\n    two}", "ros: {version: 2.0-1}"),
        ("ros:\n    version:", "ros:\n    version: 2.0-1"),
        ("ros:\n    version: # not yet\n    _rules: r", "ros:\n    version: 2.0-1 # not yet\n    _rules: r"),
        ("ros:\n    version: ~", "ros:\n    version: 2.0-1"),
        ("ros: {version: null, _rules: r}", "ros: {version: 2.0-1, _rules: r}"),
        ("ros: {version: , _rules: r}", "ros: {version: 2.0-1 , _rules: r}"),
        ("ros: {version}", "ros: {version: 2.0-1}"),
        ("ros: {}", "ros: {version: 2.0-1}"),
        ("ros: { }", "ros: {version: 2.0-1 }"),
        ("ros: {# c\n    }", "ros: {version: '2.0-1'# c\n    }"),
        ("ros: {_rules: r}", "ros: {version: 2.0-1, _rules: r}"),
        ("ros: { _rules: r }", "ros: { version: 2.0-1, _rules: r }"),
        ("ros: {\n    _rules: r\n  }", "ros: {version: 2.0-1,\n    _rules: r\n  }"),
        ("ros:", "ros: {version: 2.0-1}"),
        ("ros:   # not yet", "ros: {version: 2.0-1}   # not yet"),
        ("ros: ~", "ros: {version: 2.0-1}"),
        ("ros:\n    _rules: r", "ros:\n    version: 2.0-1\n    _rules: r"),
        ("ros: # a\n\n   # b\n    _rules: r", "ros: # a\n    version: 2.0-1\n\n   # b\n    _rules: r"),
        (f"ros: {{version: 1.2.0}} # {'x' * 5000}", f"ros: {{version: 2.0-1}} # {'x' * 5000}"),
        ("ros: {version: !!str 1, note: 😀é}", None),
        ("ros: {<<: {version: 1.2.0}, note: 😀é}", "ros: {<<: {version: 2.0-1}, note: 😀é}"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_the_version_changes(before: str, after: str | None, end: str) -> None:
    frame = "\ufeff# é 😀\nrelease: c\nstacks:\n  other: {{version: 1.2.0}}\n  {}\n  last: {{version: 1.2.0}}\n"
    text = frame.format(before).replace("\n", end)
    if after is None:
        with pytest.raises(SlipwayError, match="is shared through an anchor"):
            set_version(text, "ros", "2.0-1")
        return
    edited = set_version(text, "ros", "2.0-1")
    assert edited == frame.format(after).replace("\n", end)
    assert set_version(edited, "ros", "2.0-1") == edited


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ros:\t# a\n     _rules: r", "ros:\t# a\n     version: 2.0-1\n     _rules: r"),
        ("ros: {version: 1.2.0,\t_rules: r}\t# tabs", "ros: {version: 2.0-1,\t_rules: r}\t# tabs"),
        ("ros:\n    version:\t1.2.0\t# tabs", "ros:\n    version:\t2.0-1\t# tabs"),
    ],
)
@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML's own parser refuses these tabs")
def test_tabs_stay_where_they_are(before: str, after: str) -> None:
    assert set_version(f"stacks:\n  {before}\n", "ros", "2.0-1") == f"stacks:\n  {after}\n"


@pytest.mark.parametrize(
    ("version", "written"),
    [
        ("1.10", "'1.10'"),
        ("2010-11-01", "'2010-11-01'"),
        ("1:20", "'1:20'"),
        ("1e5", "1e5"),
        ("7", "'7'"),
        ("1:1.2-1", "1:1.2-1"),
        ("1.2~rc1+dfsg", "1.2~rc1+dfsg"),
    ],
)
def test_a_version_is_quoted_where_others_would_read_a_number_or_a_time(version: str, written: str) -> None:
    text = "release: c\nstacks:\n  ros: {version: 1.0.0}\n"
    edited = set_version(text, "ros", version)
    assert edited == text.replace("1.0.0", written)
    assert yaml.safe_load(edited)["stacks"]["ros"]["version"] == version


@pytest.mark.parametrize(
    ("stacks", "found"),
    [
        ("{base: {version: 1}}", "there is no such stack. Add it by hand, with the rules"),
        ("{ros: 1.0}", "it is text, not a mapping"),
        ("{ros: [a]}", "it is a list, not a mapping"),
        ("{ros: {version: [1]}}", "its version is a list, not text"),
        ("{ros: {version: 1}, ros: {version: 2}}", "line 2: the key 'ros' is given a second time"),
        ("{base: &b {version: 1}, ros: *b}", "what line 2 says is shared through an anchor, an alias or a merge key"),
        ("{base: {version: &v 1}, ros: {version: *v}}", "what line 2 says is shared"),
        ("{ros: {version: &v 1}}", "what line 2 says is shared"),
        ("{base: &b {version: 1}, ros: {<<: *b}}", "what line 2 says is shared"),
        ("{base: &b {}, ros: *b}", "what line 2 says is shared"),
        ("{base: &b , ros: *b}", "what line 2 says is shared"),
        ("{base: &b {ros: {version: 1}}, <<: *b}", "what line 2 says is shared"),
        ("{ros: {version: 1}", "it is not YAML"),
        ("*x", "the alias"),
        ("text", "there is no such stack"),
        (
            "\n  ros:\n    version: |\n      1\n  base: {}",
            "line 4 is written in a way in which it cannot be changed alone",
        ),
    ],
)
def test_what_cannot_be_edited_alone_is_refused_in_a_sentence(stacks: str, found: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        set_version(f"release: c\nstacks: {stacks}\n", "ros", "2.0")
    assert str(caught.value).startswith("Could not set the version of ros in the distro file: ")
    assert found in str(caught.value)


@pytest.mark.parametrize("stack", ["_rules", "", "absent", "ros\n"])
def test_only_a_stack_gets_a_version(stack: str) -> None:
    with pytest.raises(SlipwayError, match="there is no such stack"):
        set_version("stacks: {_rules: {version: 1}, ros: {}}", stack, "1.0")


@pytest.mark.parametrize("version", ["", "one", "1.0-", "1.0\n", "1 2", "1.0 # x", "{}", "1'"])
def test_a_version_that_dpkg_refuses_is_not_written(version: str) -> None:
    with pytest.raises(SlipwayError, match="Give a version that Debian's packages can have"):
        set_version("stacks: {ros: {version: 1}}", "ros", version)


TEXT = f"release: c\nstacks:\n  _rules: {RULES}\n  ros: {{version: 1.2}}\n  new: {{}}\n"


def test_a_lower_version_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(SlipwayError, match=r"1\.2~rc1 is lower than 1\.2, which it has now"):
        VersionChange("f", "ros", "1.2~rc1").apply(TEXT)
    assert "ros: {version: 1.2~rc1}" in VersionChange("f", "ros", "1.2~rc1", allow_downgrade=True).apply(TEXT)
    assert "ros: {version: '1:0.1'}" in VersionChange("f", "ros", "1:0.1").apply(TEXT)


def test_a_change_is_made_again_to_what_others_wrote_meanwhile() -> None:
    change = VersionChange("f", "ros", "1.3.0")
    change.apply(TEXT)
    assert change.apply(TEXT + "# new\n") == TEXT.replace("1.2", "1.3.0") + "# new\n"
    assert change.before == "1.2"
    assert change.apply(TEXT.replace("1.2", "1.3.0")) == TEXT.replace("1.2", "1.3.0")


def test_what_somebody_else_set_meanwhile_is_not_overwritten() -> None:
    change = VersionChange("f", "ros", "1.4.0")
    change.apply(TEXT)
    with pytest.raises(SlipwayError, match=r"somebody set it from 1\.2 to 1\.3 meanwhile"):
        change.apply(TEXT.replace("1.2", "1.3"))


def test_a_stack_without_sources_gets_no_version() -> None:
    with pytest.raises(SlipwayError, match=r"stacks\.ros: no rule says where its source is"):
        VersionChange("f", "ros", "1.0").apply("release: c\nstacks: {ros: {}}")


NAMES = ["ros", "common_msgs", "navigation", "new"]
COMMENTS = st.sampled_from(["", "", "  # note", " # version: 9", "\t# {ros: {version: 1}}", "   "])
VERSIONS = st.sampled_from(["1.2.0", "1.10", "0.1", "1:2.0-3", "2~rc1", "20101101", "1.2.0-1ubuntu2"])
QUOTES = st.sampled_from(["{}", "'{}'", '"{}"'])


@st.composite
def entries(draw: st.DrawFn, name: str, indent: str) -> str:
    """A stack as people write them."""
    version = draw(st.none() | VERSIONS)
    value = draw(st.sampled_from(["", "~", "null"])) if version is None else draw(QUOTES).format(version)
    pairs = []
    if draw(st.booleans()):
        pairs.append(("version", value))
    if draw(st.booleans()):
        pairs.insert(draw(st.integers(0, len(pairs))), ("_rules", "shared"))
    key = draw(st.sampled_from([name, f"'{name}'", f'"{name}"']))
    note = draw(COMMENTS)
    if not pairs:
        return f"{indent}{key}:{draw(st.sampled_from(['', ' ~', ' {}', ' {  }']))}{note}\n"
    if draw(st.booleans()):
        pad = draw(st.sampled_from(["", " ", f"\n{indent}    "]))
        inside = draw(st.sampled_from([", ", " , ", f",\n{indent}   "])).join(f"{k}: {v}" for k, v in pairs)
        return f"{indent}{key}: {{{pad}{inside}{pad}}}{note}\n"
    below = indent + draw(st.sampled_from([" ", "  ", "      "]))
    lines = [f"{indent}{key}:{note}\n"]
    for k, v in pairs:
        lines += draw(st.lists(st.sampled_from(["\n", f"{below}# above\n", "# at the margin\n"]), max_size=2))
        lines.append(f"{below}{k}: {v}{draw(COMMENTS)}\n")
    return "".join(lines)


@st.composite
def files(draw: st.DrawFn) -> str:
    indent = draw(st.sampled_from([" ", "  ", "    "]))
    head = draw(st.sampled_from(["", "# é 😀 comment\n", "---\n", "%YAML 1.1\n---\n", "\n\n"]))
    text = f"{head}release: c{draw(COMMENTS)}\nversion: r1\n_rules: {{shared: {RULES}}}\nstacks:{draw(COMMENTS)}\n"
    text += f"{indent}_rules: shared\n"
    for name in draw(st.permutations(NAMES)):
        text += draw(entries(name, indent)) + draw(st.sampled_from(["", "", "\n", f"{indent}# between\n"]))
    text += draw(st.sampled_from(["", "variants:\n- base: {stacks: [ros]}\n", "# the end", "...\n"]))
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def describe(text: str) -> dict[str, object]:
    found = read_distro(text.encode())
    assert found.faults == []
    return {**found.stacks, "": (found.name, found.version, found.variants)}


@given(files(), st.sampled_from(NAMES), VERSIONS)
def test_of_any_distro_file_all_but_one_version_stays(text: str, name: str, version: str) -> None:
    edited = set_version(text, name, version)
    before, after = describe(text), describe(edited)
    assert {**before, name: None} == {**after, name: None}
    assert read_distro(edited.encode()).released()[name] == version
    start = next((at for at, pair in enumerate(zip(text, edited, strict=False)) if pair[0] != pair[1]), len(text))
    rest = next(
        (at for at in range(min(len(text), len(edited)) - start) if text[-1 - at] != edited[-1 - at]),
        min(len(text), len(edited)) - start,
    )
    gone, came = text[start : len(text) - rest], edited[start : len(edited) - rest]
    assert "\n" not in gone
    assert "#" not in gone + came
    assert len(came) <= len(version) + len("{version: ''}, \r\n          ")
    assert set_version(edited, name, version) == edited


LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
FRAGMENTS = st.lists(
    st.sampled_from([*"{}[],:#&*!|>?'-\"%@ \t\n\r", "version", ": ", "1.2", "&a ", "*a", "\n  ", "\n    ", "- "]),
    max_size=12,
)


@given(FRAGMENTS.map("".join), st.sampled_from(["ros", "base"]))
def test_any_text_is_edited_right_or_refused(entry: str, name: str) -> None:
    text = f"stacks:\n  ros:{entry}\n  base: {{}}\nend: *a\n"
    for whole in (text, text.replace("*a", "a")):
        try:
            edited = set_version(whole, name, "1.0.1")
        except SlipwayError:
            continue
        before, after = (yaml.load(each, Loader=LOADER) for each in (whole, edited))  # noqa: S506  # text only
        assert after["stacks"][name]["version"] == "1.0.1"
        was = before["stacks"][name] or {}
        assert {**was, "version": None} == {**after["stacks"][name], "version": None}
        del before["stacks"][name], after["stacks"][name]
        assert before == after
