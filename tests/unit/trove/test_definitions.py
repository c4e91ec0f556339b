"""Definitions are published with their sources pinned, and never over somebody else's work."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.definitions import (
    Pin,
    pinned_tree,
    publish,
    write_pins,
)
from hypothesis import given
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
    return publish(
        pinned_tree(definitions, pins), repository, branch="master", message="Publish\n", person=WHO, **options
    )


def test_only_the_values_of_url_and_ref_change():
    pins = [*PINS, Pin("bases:bookworm-build-x86_32-*", "bases:bookworm-build-x86_32-123.tar.gz", "b" * 64)]
    expected = ELEMENT.replace("ref: '0000'", f"ref: {COMMIT}").replace(
        "build-x86_32-000.tar.gz\n      ref: old", f"build-x86_32-123.tar.gz\n      ref: {'b' * 64}"
    )
    assert write_pins(ELEMENT, pins) == expected
    assert write_pins(expected, pins) == expected


@given(st.from_regex(r"[0-9a-f]{40}|[0-9]{40}|[0-9]{20}e[0-9]{19}", fullmatch=True))
def test_a_ref_is_read_back_as_text(ref):
    text = write_pins(ELEMENT, [Pin("trove:*", "trove:delta/tree.git", ref)])
    assert yaml.safe_load(text)["sources"][0]["ref"] == ref


@given(st.text(), st.text())
def test_a_text_without_the_pinned_source_stays_as_it_is(text, more):
    whole = f"{text}\nurl: other:thing\nref: x\n{more}"
    assert write_pins(whole, [Pin("trove:nowhere.git", "trove:x", "y")]) == whole


def test_a_source_in_a_list_item_of_its_own_line_is_pinned():
    text = "sources:\n- url: trove:delta/tree.git\n  ref: x\n"
    assert write_pins(text, PINS) == f"sources:\n- url: trove:delta/tree.git\n  ref: {COMMIT}\n"


def test_a_source_without_a_ref_is_named():
    text = "sources:\n- kind: git\n  url: trove:delta/tree.git\n- kind: git\n  url: x\n  ref: y\n"
    with pytest.raises(SlipwayError, match=r"Could not pin the source trove:delta/tree\.git: no ref follows its url\."):
        write_pins(text, PINS)


def test_a_directory_without_definitions_is_refused(tmp_path):
    with pytest.raises(SlipwayError, match=r"there is no project\.conf"):
        pinned_tree(tmp_path, PINS)


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
