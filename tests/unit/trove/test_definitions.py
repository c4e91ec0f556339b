"""Definitions are published with their sources pinned, and never over somebody else's work."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import FILE, LINK, Entry
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.definitions import (
    Pin,
    pin_element,
    pin_tree,
    publish_definitions,
    read_pinned_tree,
)
from buildstream import _yaml as buildstream_yaml
from hypothesis import example, given
from hypothesis import strategies as st

WHO = Person("Slipway", "slipway@slipway.invalid", 1_700_000_000)
COMMIT = "a" * 40
ELEMENT = """\
# What tree is.
kind: make
sources:
- kind: git   # from the Trove
  url: trove:delta/tree.git
  track: master
  # pinned
  ref: '0000'
- kind: tar
  (?):
  - arch == "x86_64":
      url: bases:bookworm-build-x86_64-000.tar.gz
      ref: old
  - arch == "x86_32":
      url: bases:bookworm-build-x86_32-000.tar.gz
      ref: old
"""


def git(repository, *words):
    return subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def definitions(tmp_path):
    directory = tmp_path / "definitions"
    (directory / "elements").mkdir(parents=True)
    (directory / "project.conf").write_text("name: x\n")
    (directory / "elements" / "tree.bst").write_text(ELEMENT)
    return directory


PINS = [Pin("trove:delta/tree.git", "trove:delta/tree.git", COMMIT)]


def put(definitions, repository, pins=PINS, **options):
    return publish_definitions(
        read_pinned_tree(definitions, pins), repository, branch="master", message="Publish\n", person=WHO, **options
    )


def write(text, pins=PINS):
    return pin_element(text.encode(), pins, file="elements/x.bst").decode()


def test_only_the_values_of_url_and_ref_change():
    pins = [*PINS, Pin("bases:bookworm-build-x86_32-*", "bases:bookworm-build-x86_32-123.tar.gz", "b" * 64)]
    expected = ELEMENT.replace("ref: '0000'", f"ref: {COMMIT}").replace(
        "build-x86_32-000.tar.gz\n      ref: old", f"build-x86_32-123.tar.gz\n      ref: {'b' * 64}"
    )
    assert write(ELEMENT, pins) == expected
    assert write(expected, pins) == expected


@given(st.from_regex(r"[0-9a-f]{40}|[0-9]{40}|[0-9]{20}e[0-9]{19}", fullmatch=True))
def test_a_ref_is_read_back_as_text_and_quoted_only_where_it_must_be(ref):
    text = write(ELEMENT, [Pin("trove:*", "trove:delta/tree.git", ref)])
    assert yaml.safe_load(text)["sources"][0]["ref"] == ref
    assert (f"ref: '{ref}'\n" in text) == bool(re.fullmatch("[0-9]+(e[0-9]+)?", ref))


#: Where a source's url and ref can stand; the last ones want the url in quotes.
STYLES = [
    "- kind: git\n  url: {url}\n  ref: {ref}\n",
    "- url: {url}  # where it comes from\n  # and at what\n  kind: git\n  ref: {ref} # this\n",
    "- ref: {ref}\n  url: {url}\n  kind: git\n",
    "- 'url': {url}\n  \"ref\" : {ref}\n",
    "-\n  kind: git\n  ? url\n  : {url}\n  ref:   {ref}\n",
    '- kind: git\n  (?):\n  - arch == "x":\n      url: {url}\n      ref: {ref}\n',
    "- kind: git\n  url:\n    {url}\n  submodules: {{a: {{checkout: false}}}}\n  ref: {ref}\n",
    "- {{kind: git, url: {url}, ref: {ref}}}\n",
    "- {{kind: git, ref: {ref}, 'url': {url}}} # flow\n",
    "- {{\n    kind: git, # first\n    'url': {url},\n    ref:\n      {ref} }}\n",
]
SOURCES = st.tuples(
    st.sampled_from(STYLES),
    st.sampled_from(["trove:delta/tree.git", "trove:other", "https://example.org/x", "bases:é", "bases:it's # it"]),
    st.sampled_from(["{}", "'{}'", '"{}"']),
    st.sampled_from(["''", "'1'", "0" * 39 + "a", ""]),
)
PINNED = Pin("trove:*", "trove:pinned.git", "1" * 40)


def strip(text):
    return buildstream_yaml.load_data(text).strip_node_info()


@given(st.lists(SOURCES, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
@example([(STYLES[-3], "trove:x", "'{}'", "''")], "\n", False, False)
def test_sources_are_pinned_however_they_are_written(sources, end, marked, appended):
    before = after = "# ünits\nkind: make\nsources:\n" + ("  (>):\n" if appended else "")
    for style, url, quotes, ref in sources:
        flow = "{{" in style.partition("sub")[0]
        quotes = '"{}"' if "'" in url else "'{}'" if flow and quotes == "{}" else quotes
        lines = "".join(f"  {line}\n" for line in style.splitlines())
        old = lines.format(url=quotes.format(url), ref=ref)
        new = lines.format(url=f"'{PINNED.url}'" if flow else PINNED.url, ref=f"'{PINNED.ref}'")
        before += old
        after += new if url.startswith("trove:") else old
    mark = "\ufeff" * marked
    pinned_text = write(mark + before.replace("\n", end), [PINNED])
    assert strip(pinned_text.removeprefix(mark)) == strip(after)
    assert squeezed(pinned_text.split(end)) == squeezed((mark + after).split("\n"))


def squeezed(lines):
    return ["".join(line.split()) for line in lines]


@given(st.text(alphabet=st.characters(exclude_characters="\r\n#'\"", exclude_categories=["C"]), max_size=9))
def test_a_text_without_the_pinned_source_stays_as_it_is(text):
    whole = f"# {text}\nurl: other:thing\nref:   x\n"
    assert write(whole, [Pin("trove:nowhere.git", "trove:x", "y")]) == whole


@given(st.binary(max_size=60) | st.text(alphabet="urlef:{}[]'\"-&*!|> \n#trove", max_size=60).map(str.encode))
def test_what_is_no_yaml_is_refused_or_stays_what_it_was(data):
    with contextlib.suppress(SlipwayError):
        text = pin_element(data, [PINNED], file="x.bst")
        assert text == data or PINNED.ref.encode() in text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("- url: trove:x\n- ref: y\n", "line 2: trove:x: no ref stands beside its url"),
        ("- url: trove:x\n  ref: [y]\n", "line 2: trove:x: its ref is a list"),
        ("- url: trove:x\n  ref: y\n  (?):\n  - arch == 'x': {ref: z}\n", "a conditional gives it another ref"),
        ("- ref: y\n  (?):\n  - arch == 'x': {url: 'trove:x'}\n", "line 4: trove:x: no ref stands beside its url"),
        ("- &a {url: 'trove:x', ref: y}\n", "line 2: the anchor &a is not allowed here"),
        ("- url: trove:x\n  ref: |-\n    y\n  z: a\n", "would change something else"),
        ("- {url: 'trove:x', ref}\n", "would change something else"),
        ("- url: trove:x\n  ref: y\n  ref: z\n", "line 4: the key 'ref' is given a second time"),
        ("- {url: trove:x, ref: y}\n", "it is not YAML: line 2: found unexpected ':'"),
        ("- url: trove:x\n\tref: y\n", "it is not YAML: line "),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused(source, says):
    with pytest.raises(SlipwayError, match=rf"elements/x\.bst: .*{re.escape(says)}"):
        write(f"sources:\n{source}", [PINNED])


def files(**contents):
    return {b"project.conf": Entry(FILE, b"name: x\n")} | {
        name.replace("_", ".").encode(): Entry(FILE, text.encode()) for name, text in contents.items()
    }


def test_what_an_element_includes_is_pinned_too():
    source = "sources:\n- url: trove:x\n  ref: y\n"
    tree = files(a_bst="(@): b.yml\n", b_yml="(@):\n- ./c.yml\n- sub.bst:d.yml\n- a.bst\n", c_yml=source, e_yml=source)
    texts = {path: entry.content.decode() for path, entry in pin_tree(tree, [PINNED]).items()}
    assert texts[b"c.yml"] == f"sources:\n- url: {PINNED.url}\n  ref: '{PINNED.ref}'\n"
    assert texts[b"e.yml"] == source


@pytest.mark.parametrize("place", [{}, {b"b.yml": Entry(LINK, b"c.yml")}])
def test_a_file_that_is_included_and_not_there_is_named(place):
    with pytest.raises(SlipwayError, match=r"pin the sources of a\.bst: it includes b\.yml, which is not a file"):
        pin_tree(files(a_bst="sources: [{(@): b.yml}]\n") | place, [PINNED])


def test_refs_that_stand_elsewhere_are_not_pinned_in_vain():
    tree = files(a_bst="kind: stack\n") | {b"project.conf": Entry(FILE, b"name: x\nref-storage: project.refs\n")}
    with pytest.raises(SlipwayError, match=r"Set ref-storage to inline in project\.conf\."):
        pin_tree(tree, [PINNED])
    assert pin_tree(tree, []) == tree


def test_a_directory_without_definitions_is_refused(tmp_path):
    with pytest.raises(SlipwayError, match=r"there is no project\.conf"):
        read_pinned_tree(tmp_path, PINS)


def test_definitions_are_published_once_and_the_same_everywhere(tmp_path, definitions):
    first = put(definitions, tmp_path / "a.git")
    again = put(definitions, tmp_path / "a.git")
    other = put(definitions, tmp_path / "b.git")
    assert sorted(first.changed) == ["elements/tree.bst", "project.conf"]
    assert first.changed["project.conf"] == ("", "name: x\n")
    assert (again.commit, again.changed) == (first.commit, {})
    assert other.commit == first.commit
    assert f"ref: {COMMIT}" in git(tmp_path / "a.git", "show", "master:elements/tree.bst")


def test_check_mode_publishes_nothing(tmp_path, definitions):
    assert put(definitions, tmp_path / "a.git", write=False).commit is None
    assert not (tmp_path / "a.git").exists()
    first = put(definitions, tmp_path / "a.git")
    (definitions / "project.conf").write_text("name: y\n")
    would = put(definitions, tmp_path / "a.git", write=False)
    assert (would.commit, list(would.changed)) == (first.commit, ["project.conf"])
    assert git(tmp_path / "a.git", "rev-parse", "master") == first.commit


def test_a_change_is_a_commit_on_top_of_ours(tmp_path, definitions):
    first = put(definitions, tmp_path / "a.git")
    (definitions / "elements" / "new.bst").write_text("kind: stack\n")
    (definitions / "project.conf").unlink()
    (definitions / "project.conf").write_text("name: y\n")
    second = put(definitions, tmp_path / "a.git")
    assert sorted(second.changed) == ["elements/new.bst", "project.conf"]
    assert git(tmp_path / "a.git", "rev-parse", "master^") == first.commit
    assert second.foreign is None


def test_what_somebody_else_committed_is_never_overwritten(tmp_path, definitions):
    put(definitions, tmp_path / "a.git")
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", "-b", "master", str(tmp_path / "a.git"), str(work))
    (work / "mine.txt").write_text("mine\n")
    git(work, "add", ".")
    git(work, "-c", "user.name=User", "-c", "user.email=u@example.org", "commit", "-q", "-m", "Mine")
    git(work, "push", "-q")
    mine = git(work, "rev-parse", "HEAD")
    (definitions / "project.conf").write_text("name: y\n")
    left = put(definitions, tmp_path / "a.git")
    assert (left.commit, left.changed) == (mine, {})
    assert left.foreign == f"commit {mine[:7]} is by User <u@example.org>"
    assert git(tmp_path / "a.git", "rev-parse", "master") == mine


EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "definitions"


def test_every_source_of_the_example_is_pinned_or_made_by_the_provisioning():
    kinds = set()
    for element in EXAMPLES.glob("elements/**/*.bst"):
        for source in yaml.safe_load(element.read_text()).get("sources", []):
            alternatives = [value for choice in source.get("(?)", [{"": source}]) for value in choice.values()]
            for one in alternatives:
                if "url" not in one:
                    assert (EXAMPLES / source["path"]).exists()
                    continue
                alias, _, path = one["url"].partition(":")
                kinds.add(alias)
                assert len(one["ref"]) == {"trove": 40, "bases": 64}[alias], f"{element.name}: {path}"
    assert kinds == {"trove", "bases"}


def test_every_system_of_the_examples_cluster_says_its_architecture():
    cluster = yaml.safe_load((EXAMPLES / "clusters" / "release.morph").read_text())
    systems = [*cluster["systems"], *(nested for one in cluster["systems"] for nested in one.get("subsystems", []))]
    assert len(cluster["systems"]) == 3
    assert len(systems) > 3
    for system in systems:
        element = yaml.safe_load((EXAMPLES / "elements" / system["morph"]).read_text())
        assert system["morph"].endswith(f"-{element['public']['slipway']['arch']}.bst")
