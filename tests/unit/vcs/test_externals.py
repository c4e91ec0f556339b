"""Externals are read as Subversion reads them, and nothing of them changes but what names another version."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.externals import (
    Base,
    StackTags,
    parse_line,
    read_stacks,
    resolve_url,
    split_words,
    update_externals,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.properties import (
    update_remote,
    update_working_copy,
)
from hypothesis import given
from hypothesis import strategies as st
from vcs import Stack, call, make_stack

BASE = Base("https://h/svn/all/trunk", "https://h/svn")
NAV = {
    "dev": "https://h/svn/nav/trunk",
    "distro-tag": "https://h/svn/nav/tags/cturtle",
    "release-tag": "https://h/svn/nav/tags/nav-1.2",
    "anon-dev": "http://anon/nav/trunk",
    "anon-release-tag": "http://anon/nav/tags/nav-1.2",
}
STACKS = [StackTags("nav", "1.2", NAV)]
WANTED = "https://h/svn/nav/tags/nav-1.2"


def update(line: str, stacks: list[StackTags] = STACKS) -> str:
    return update_externals(line, BASE, stacks).text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nav https://h/svn/nav/trunk", f"nav {WANTED}"),
        ("nav https://h/svn/nav/tags/cturtle", f"nav {WANTED}"),
        ("nav https://h/svn/nav/tags/nav-1.10", f"nav {WANTED}"),
        ("nav -r7 https://h/svn/nav/trunk", f"nav {WANTED}"),
        ("nav -r 7 https://h/svn/nav/trunk", f"nav {WANTED}"),
        ("https://h/svn/nav/trunk nav", f"{WANTED} nav"),
        ("-r7 https://h/svn/nav/trunk@5 nav", f"{WANTED} nav"),
        ("-r HEAD \t https://h/svn/nav/trunk nav", f"{WANTED} nav"),
        ("https://h/svn/nav/trunk@{2010-01-01} nav", f"{WANTED} nav"),
        ("https://h/svn/nav/trunk@ nav", f"{WANTED} nav"),
        ("  \thttps://h/svn/nav/trunk/  nav \t", f"  \t{WANTED}  nav \t"),
        ("https://h/svn/nav/trunk/sub/dir nav", f"{WANTED}/sub/dir nav"),
        ("HTTPS://H:443/svn//nav/tr%75nk nav", f"{WANTED} nav"),
        ("^/nav/trunk nav", "^/nav/tags/nav-1.2 nav"),
        ("//h/svn/nav/trunk nav", "//h/svn/nav/tags/nav-1.2 nav"),
        ("/svn/nav/trunk nav", "/svn/nav/tags/nav-1.2 nav"),
        ("../../nav/trunk nav", "../../nav/tags/nav-1.2 nav"),
        ("^/../svn/nav/trunk nav", "^/nav/tags/nav-1.2 nav"),
        ('^/nav/trunk "my nav"', '^/nav/tags/nav-1.2 "my nav"'),
        ('"^/nav/trunk" my\\ nav', "^/nav/tags/nav-1.2 my\\ nav"),
        ("'my nav' 'https://h/svn/nav/trunk'", f"'my nav' {WANTED}"),
        ("http://anon/nav/trunk nav", "http://anon/nav/tags/nav-1.2 nav"),
        ("http://anon/nav/tags/nav-0.9/x nav", "http://anon/nav/tags/nav-1.2/x nav"),
    ],
)
def test_an_external_of_a_stack_is_pointed_to_its_release(before: str, after: str) -> None:
    assert update(before) == after
    assert update(after) == after


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "# nav https://h/svn/nav/trunk",
        f"-r7 {WANTED}@9 nav",
        f"nav  -r7\t{WANTED}",
        "other https://h/svn/navigation/trunk",
        "other https://h/svn/nav/trunk2",
        "other https://h/svn/nav/tags/nav-latest",
        "other https://elsewhere/svn/nav/trunk",
        "other https://h/svn/nav/trunk@7",
        "https://h/svn/nav/tags other",
    ],
)
def test_what_is_right_or_of_no_stack_stays(line: str) -> None:
    text = f"# top\n{line}\n"
    assert update(text) == text


def test_every_other_byte_of_many_lines_stays() -> None:
    text = "# Größe\r\n\r\nnav https://h/svn/nav/trunk\r\n  x  https://x/y \n\nhttps://h/svn/nav/trunk@3 z"
    found = update_externals(text, BASE, STACKS)
    assert found.text == f"# Größe\r\n\r\nnav {WANTED}\r\n  x  https://x/y \n\n{WANTED} z"
    assert [(each.stack, each.target, each.after) for each in found.changes] == [
        ("nav", "nav", WANTED),
        ("nav", "z", WANTED),
    ]
    assert found.others == ["x"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nav", "'nav' is not a URL and a directory"),
        ("a b c https://x/y", "is not a URL and a directory"),
        ("https://x/y https://x/z", "has two URLs"),
        ("-rx https://x/y a", "'x' is not a revision"),
        ("-r", "'' is not a revision"),
        ("https://x/y@z a", "'z' behind the @ of 'https://x/y@z' is not a revision"),
        ("https://x/y ../a", "'../a' is not a directory below"),
        ("https://x/y /a", "'/a' is not a directory below"),
        ("relative/url a", "'relative/url' cannot be used"),
        ("svn+evil://x/y a", "svn\\+evil:// is not among"),
        ("svn+ssh://-oProxyCommand=x/y a", "it names no machine"),
    ],
)
def test_what_subversion_would_refuse_is_refused_with_its_line(line: str, fault: str) -> None:
    with pytest.raises(SlipwayError, match=f"line 2: .*{fault}"):
        update(f"# top\n{line}\n")


def test_of_several_stacks_it_is_that_with_the_longest_root() -> None:
    inner = {"dev": "https://h/svn/nav/trunk/inner", "release-tag": "https://h/svn/nav/tags/inner-3"}
    stacks = [*STACKS, StackTags("inner", "3", inner)]
    assert update("a https://h/svn/nav/trunk/inner/x", stacks) == "a https://h/svn/nav/tags/inner-3/x"
    a = StackTags("a", "1", {"release-tag": "https://h/t/a-1"})
    dashed = StackTags("a-1", "2", {"release-tag": "https://h/t/a-1-2"})
    assert update("x https://h/t/a-1-1.5", [a, dashed]) == "x https://h/t/a-1-2"
    with pytest.raises(SlipwayError, match="belongs to b and nav alike"):
        update("nav https://h/svn/nav/trunk", [*STACKS, StackTags("b", "1.2", {**NAV, "release-tag": "https://h/b"})])


@pytest.mark.parametrize(
    ("release", "others", "strangers"),
    [
        ("https://h/t/nav-1.2/nav-1.2", ["https://h/t/nav-3/nav-3/x"], ["https://h/t/nav-3/nav-4"]),
        ("https://h/t/v1.2", ["https://h/t/v0.9.1"], ["https://h/t/vx"]),
        ("https://h/1.2.1/1.2", ["https://h/1.2.1/1.3"], ["https://h/1.3.1/1.2", "https://h/1.3.1/1.3"]),
        ("https://h/t/stable", [], ["https://h/t/stable2", "https://h/t/1.3"]),
    ],
)
def test_a_release_of_any_version_is_where_the_rule_would_have_it(
    release: str, others: list[str], strangers: list[str]
) -> None:
    stacks = [StackTags("nav", "1.2", {"release-tag": release})]
    for url in others:
        assert update_externals(f"a {url}", BASE, stacks).changes, url
    for url in [release, *strangers]:
        assert not update_externals(f"a {url}", BASE, stacks).changes, url


def test_stacks_of_a_distro_file_are_those_with_versions_in_subversion() -> None:
    given = {
        "nav": {"version": "1.2", "kind": "svn", "values": NAV},
        "unreleased": {"version": None, "values": NAV},
        "git": {"version": "1", "values": {"uri": "x"}},
        "none": {"version": "1", "values": None},
    }
    assert [stack.name for stack in read_stacks(given)] == ["nav"]
    with pytest.raises(SlipwayError, match=r"nav\.dev: 'ext::x' cannot be used: .*\n.*other: it is not a mapping"):
        read_stacks({"nav": {"version": "1", "values": {"dev": "ext::x"}}, "other": 3})


@pytest.mark.parametrize("url", ["https://me:secret@h/x", "https://me:secret@[h/x", "https://me:secret@h\u2100/x"])
def test_a_password_is_refused_and_not_told(url: str) -> None:
    for use in (
        lambda: read_stacks({"nav": {"version": "1", "values": {"dev": url}}}),
        lambda: update(f"{url} a\n"),
    ):
        with pytest.raises(
            SlipwayError, match=r"'https://(h|\[h).* cannot be used: it (holds a password|is no address)"
        ) as caught:
            use()
        assert "secret" not in str(caught.value)


LETTERS = st.text(alphabet=string.ascii_letters + " \t\"'\\#-@/.:r7^", max_size=40)


@given(LETTERS)
def test_words_stand_where_they_say_and_miss_nothing_but_blanks(line: str) -> None:
    words = list(split_words(line))
    at = 0
    for word in words:
        assert line[at : word.start].strip(" \t") == ""
        assert word.start < word.end
        at = word.end
    assert line[at:].strip(" \t") == ""


@given(st.lists(LETTERS, max_size=5))
def test_no_text_changes_without_a_stack_and_none_breaks_the_reader(lines: list[str]) -> None:
    text = "\n".join(lines)
    findings: list[str] = []
    try:
        after = update_externals(text, BASE, []).text
    except SlipwayError as error:
        after, findings = text, error.findings
    assert after == text
    assert all(finding.startswith("line ") for finding in findings)


# With Subversion itself

LINES = [
    "a {root}/nav/trunk",
    "-r3 {root}/nav/trunk@3 b",
    "^/nav/trunk 'c d'",
    "../../nav/trunk e\\ f",
    "g -r 3 {root}/nav/trunk",
    '"^/nav/trunk/scripts" h',
    "# i",
]


@pytest.fixture
def site(tmp_path: Path) -> Stack:
    """A stack with a release, and a tree of all stacks whose externals name its trunk."""
    stack = make_stack("svn", tmp_path / "stack")
    revision = stack.commit("one\n")
    root = stack.uri.removesuffix("/nav/trunk")
    stack.tag(stack.values["release-tag"], revision)
    call("svn", "mkdir", "-q", "--parents", "-m", "x", f"{root}/all/trunk")
    (tmp_path / "value").write_text("\n".join(LINES).format(root=root) + "\n")
    call("svnmucc", "-m", "x", "propsetf", "svn:externals", tmp_path / "value", f"{root}/all/trunk")
    stack.values["all"] = f"{root}/all/trunk"
    return stack


def read_property(where: object) -> str:
    return call("svn", "propget", "svn:externals", where)


def test_subversion_itself_reads_each_line_as_we_do(site: Stack, tmp_path: Path) -> None:
    copy, root = tmp_path / "copy", site.uri.removesuffix("/nav/trunk")
    call("svn", "checkout", "-q", site.values["all"], copy)
    base = Base(site.values["all"], root)
    for line in (line.format(root=root) for line in LINES):
        external = parse_line(line)
        if external is not None:
            said = call("svn", "info", "--show-item", "url", copy / external.target)
            assert resolve_url(external.url.text, base, peg=external.new_form) == said
    stacks = read_stacks({"nav": {"version": "1.0", "values": site.values}})
    update_remote(site.values["all"], stacks, message="Update")
    call("svn", "update", "-q", copy)
    for target in ("a", "b", "c d", "e f", "g", "h"):
        assert call("svn", "info", "--show-item", "url", copy / target).startswith(site.values["release-tag"])


def test_a_repository_is_updated_by_one_commit_and_once(site: Stack) -> None:
    stacks, url = read_stacks({"nav": {"version": "1.0", "values": site.values}}), site.values["all"]
    before = read_property(url)
    would = update_remote(url, stacks, message="Update", write=False)
    assert (would.changed, would.commit, read_property(url)) == (True, None, before)
    done = update_remote(url, stacks, message="Update")
    assert read_property(url) == done.update.text.strip()
    assert done.commit == call("svn", "info", "--show-item", "last-changed-revision", url)
    again = update_remote(url, stacks, message="Update")
    assert (again.changed, again.commit) == (False, None)


def test_a_working_copy_is_changed_and_committed_when_asked(site: Stack, tmp_path: Path) -> None:
    stacks = read_stacks({"nav": {"version": "1.0", "values": site.values}})
    url, copy = site.values["all"], tmp_path / "c@py"
    call("svn", "checkout", "-q", "--ignore-externals", url, copy)
    before = read_property(url)
    assert update_working_copy(copy, stacks, write=False).changed
    assert read_property(f"{copy}@") == before
    assert update_working_copy(copy, stacks).changed
    assert not update_working_copy(copy, stacks).changed
    assert "nav-1.0" in read_property(f"{copy}@")
    assert read_property(url) == before
    call("svn", "propset", "-q", "mine", "x", f"{copy}@")
    with pytest.raises(SlipwayError, match="c@py: mine of it was changed as well. Commit or revert that"):
        update_working_copy(copy, stacks, message="Update")
    call("svn", "propdel", "-q", "mine", f"{copy}@")
    assert update_working_copy(copy, stacks, message="Update", write=False).changed
    done = update_working_copy(copy, stacks, message="Update")
    assert done.commit == call("svn", "info", "--show-item", "last-changed-revision", url)
    assert read_property(url) == read_property(f"{copy}@")
    assert not update_working_copy(copy, stacks, message="Update").changed


def test_a_directory_without_the_property_stays(site: Stack) -> None:
    done = update_remote(site.uri, read_stacks({"nav": {"version": "1.0", "values": site.values}}), message="x")
    assert (done.changed, done.before, done.update.text) == (False, "", "")
    with pytest.raises(SlipwayError, match="there is nothing. Correct the URL"):
        update_remote(f"{site.uri}/gone", [], message="x")
    with pytest.raises(SlipwayError, match="svn\\+evil:// is not among"):
        update_remote("svn+evil://x/y", [], message="x")
