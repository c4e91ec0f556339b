# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tags are releases that the distro file does not have."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.file import expand_rule, load_distro
from ansible_collections.slipway.release.plugins.module_utils.slipway.watch.tags import find_new_tags
from hypothesis import given
from hypothesis import strategies as st

DISTRO = """\
release: lucid
stacks:
  foo:
    version: {version}
    _rules: {{git: {{uri: /foo.git, dev-branch: main, distro-tag: lucid, release-tag: "{template}"}}}}
"""


def find(template: str, *names: str, version: str | None = None) -> list[tuple[str, str]]:
    distro = load_distro("lucid", text=DISTRO.format(template=template, version=version or "~"))
    refs = {f"refs/tags/{name}": f"{number:040x}" for number, name in enumerate(names)}
    found, _unclear = find_new_tags(refs, distro, "foo")
    assert all(refs[f"refs/tags/{each.tag}"] == each.object for each in found)
    return [(each.tag, each.version) for each in found]


@pytest.mark.parametrize(
    ("template", "tag", "version"),
    [
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2", "1.2"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2_rc1", "1.2~rc1"),
        ("debian/$STACK_VERSION", "debian/2%1.2-3", "2:1.2-3"),
        ("$RELEASE_NAME/$STACK_NAME/$STACK_VERSION", "lucid/foo/1.2", "1.2"),
        ("$STACK_VERSION/$STACK_NAME-$STACK_VERSION", "1.2/foo-1.2", "1.2"),
    ],
)
def test_a_tag_is_read_by_the_rule_of_its_stack(template: str, tag: str, version: str) -> None:
    assert find(template, tag) == [(tag, version)]


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("$STACK_NAME-$STACK_VERSION", "bar-1.2"),
        ("$STACK_NAME-$STACK_VERSION", "foo-latest"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2^{}"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2{{lookup('pipe','id')}}"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2\n"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2\x1b[2J"),
        ("$STACK_NAME-$STACK_VERSION", "foo-1.2-"),
        ("$STACK_NAME.$STACK_VERSION", "foo-1.2"),
        ("$STACK_VERSION/$STACK_NAME-$STACK_VERSION", "1.2/foo-1.3"),
        ("@$STACK_VERSION", "@1.2"),
        ("$STACK_NAME", "foo"),
    ],
)
def test_what_is_no_release_of_the_stack_is_left_alone(template: str, tag: str) -> None:
    assert find(template, tag) == []


def test_only_versions_above_that_of_the_distro_file_are_new_and_the_newest_is_first() -> None:
    tags = ("foo-1.2", "foo-1.10", "foo-1.9", "foo-1.10_rc1", "foo-0.9")
    assert [tag for tag, _ in find("$STACK_NAME-$STACK_VERSION", *tags, version="1.2")] == [
        "foo-1.10",
        "foo-1.10_rc1",
        "foo-1.9",
    ]
    assert len(find("$STACK_NAME-$STACK_VERSION", *tags)) == 5


def test_branches_are_no_tags() -> None:
    distro = load_distro("lucid", text=DISTRO.format(template="$STACK_NAME-$STACK_VERSION", version="~"))
    assert find_new_tags({"refs/heads/foo-1.2": "1" * 40, "HEAD": "1" * 40}, distro, "foo") == ([], [])


VERSIONS = st.from_regex(r"[0-9][a-z0-9.+]{0,4}(~[a-z0-9]{1,3})?", fullmatch=True)


@given(version=VERSIONS)
def test_a_rule_that_is_expanded_with_a_version_is_read_as_this_version(version: str) -> None:
    for template in ("$STACK_NAME-$STACK_VERSION", "$RELEASE_NAME/$STACK_VERSION", "v$STACK_VERSION-final"):
        tag = expand_rule(template, stack="foo", version=version.replace("~", "_"), release="lucid")
        assert tag is not None
        assert find(template, tag) == [(tag, version)]


def test_versions_are_in_dpkgs_order() -> None:
    versions = ["1.2", "1.2~rc1", "1.2+b1", "1.10", "1.2.1", "2:0.1", "1.2-1"]
    tags = [f"foo-{version.replace('~', '_').replace(':', '%')}" for version in versions]
    ordered = [version for _, version in find("$STACK_NAME-$STACK_VERSION", *tags)]
    assert len(ordered) == len(versions)
    for newer, older in itertools.pairwise(ordered):
        assert subprocess.run(["dpkg", "--compare-versions", newer, "gt", older]).returncode == 0
