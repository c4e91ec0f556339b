# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Control YAML is written the same each time, and read with every fault at once."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.controlfile import (
    check_control,
    format_control,
    name_control_files,
    name_release,
    read_control_file,
)
from hypothesis import given
from hypothesis import strategies as st

MD5, SHA256 = "12345678901234567890123456789012", "1" * 62 + "e1"
MAPPING: dict[str, Any] = {
    "format": 1,
    "kind": "ros",
    "stack": "common_msgs",
    "version": "1.10",
    "package": "common-msgs",
    "tarball": "common_msgs-1.10.tar.bz2",
    "size": 1739,
    "md5sum": MD5,
    "sha256": SHA256,
    "homepage": "http://ros.org/wiki/common_msgs",
    "maintainer": "Tully Foote/tfoote@willowgarage.com",
    "contact": "ros@example.org",
    "priority": "optional",
    "description-brief": "common_msgs",
    "description-full": "Messages: that #are\n\n* used\n* widely",
    "depends": ["ros"],
    "rosdeps": {"bookworm": ["build-essential", "foo (= 1.2)"], "lucid": []},
    "packages": ["nav_msgs"],
    "source": {"kind": "svn", "uri": "https://example.org/svn", "revision": "100"},
}
#: As the first tools wrote it.
ORIGINAL = rf"""
depends: [ros]
description-brief: Messages that are widely used by other ROS packages.
description-full: " common_msgs contains messages.\n \n And more."
homepage: http://ros.org/wiki/common_msgs
maintainer: Tully Foote/tfoote@willowgarage.com
md5sum: {"ab" * 16}
package: common-msgs
priority: optional
rosdeps:
  karmic: [libc6, build-essential, cmake, python-yaml, subversion]
  lucid: [libc6, build-essential, cmake, python-yaml, subversion, 'libfoo=1.2']
stack: common_msgs
version: 1.2.3
"""


def read_or_explain(data: bytes) -> Any:
    """What is read, or why it is not."""
    try:
        return read(data).mapping
    except SlipwayError as error:
        return str(error)


def read(text: str | bytes) -> Any:
    return read_control_file(text if isinstance(text, bytes) else text.encode(), on="x.yaml")


def test_the_keys_have_one_order_and_the_same_bytes_each_time() -> None:
    data = format_control(MAPPING)
    assert format_control(dict(reversed(MAPPING.items()))) == data
    assert [line.split(":")[0] for line in data.decode().splitlines() if line[:1].isalpha()] == list(MAPPING)
    assert b'version: "1.10"\n' in data
    assert f'md5sum: "{MD5}"\n'.encode() in data


def test_other_readers_of_yaml_find_texts_where_numbers_could_be() -> None:
    found = yaml.safe_load(format_control(MAPPING))
    assert found == MAPPING
    assert (type(found["version"]), type(found["md5sum"]), type(found["source"]["revision"])) == (str, str, str)


def test_what_is_written_is_read() -> None:
    found = read(format_control(MAPPING))
    assert (found.mapping, found.remarks) == (MAPPING, [])
    assert found.files == [{"name": "common_msgs-1.10.tar.bz2", "size": 1739, "sha256": SHA256, "md5sum": MD5}]
    assert check_control(MAPPING, on="x").mapping == MAPPING


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp", "Cn"]), min_size=1)
LINES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@given(LINES.filter(lambda text: len(text) <= 60), st.lists(LINES, min_size=1, max_size=4).map("\n\n".join), LINES)
def test_any_words_come_back(brief: str, full: str, maintainer: str) -> None:
    wanted = {**MAPPING, "description-brief": brief, "description-full": full, "maintainer": maintainer}
    data = format_control(wanted)
    assert read(data).mapping == wanted
    assert format_control(read(data).mapping) == data


def test_blanks_at_the_beginning_of_lines_are_kept_where_we_wrote_them() -> None:
    wanted = {**MAPPING, "description-full": " verbatim\n   more\n\n x"}
    assert read(format_control(wanted)).mapping == wanted


def test_a_file_of_the_first_tools_is_read_with_a_remark() -> None:
    found = read(ORIGINAL)
    assert found.mapping["description-full"] == "common_msgs contains messages.\n\nAnd more."
    assert found.mapping["rosdeps"]["lucid"][-3:] == ["libfoo (= 1.2)", "python-yaml", "subversion"]
    assert (found.mapping["kind"], found.mapping["tarball"]) == ("ros", "common_msgs-1.2.3.tar.bz2")
    assert found.mapping["packages"] == []
    assert found.remarks == ["it has no digest of its tarball but an MD5, which whoever wants to can forge"]
    assert read(format_control(found.mapping)).mapping == found.mapping


DSC = {
    **{key: value for key, value in MAPPING.items() if key not in {"tarball", "size", "md5sum", "sha256"}},
    "kind": "dsc",
    "stack": "hello",
    "package": "libhello",
    "version": "1:2.3-4",
    "depends": [],
    "dsc": "libhello_2.3-4.dsc",
    "files": [
        {"name": "libhello_2.3-4.dsc", "size": 5, "sha256": SHA256},
        {"name": "libhello_2.3.orig.tar.gz", "size": 6, "sha256": "a" * 64},
    ],
}


def test_a_debian_source_has_files_in_place_of_a_tarball_and_its_whole_version() -> None:
    found = read(format_control(DSC))
    assert found.mapping == DSC
    assert found.files == DSC["files"]
    assert name_release("hello", "1:2.3-4") == "hello-2.3-4"
    assert name_control_files("hello", "1:2.3-4") == ("hello-2.3-4.yaml", "hello-2.3-4.tar.yaml")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"format": 2}, "line 1: format: it is '2', and this version knows 1"),
    ({"kind": "rpm"}, "kind: it is 'rpm', not ros or debian or dsc"),
    ({"stack": "../x"}, "stack: '../x' cannot name a stack"),
    ({"stack": ["a"]}, "stack: it is a list, not text"),
    ({"version": "1.0_2"}, "version: the version '1.0_2' has a character that is not allowed"),
    ({"version": ""}, "version: the version '' is empty"),
    ({"package": "Common"}, "package: 'Common' cannot name a Debian package"),
    ({"package": "-x"}, "package: '-x' cannot name a Debian package"),
    ({"package": "other"}, "package: it is 'other' and not the stack's name with dashes, 'common-msgs'"),
    ({"tarball": "../x.tar.bz2"}, "tarball: '../x.tar.bz2' is not usable as the name of a release file"),
    ({"size": "many"}, "size: 'many' is no number of bytes"),
    ({"size": -1}, "size: '-1' is no number of bytes"),
    ({"md5sum": "abc"}, "md5sum: 'abc' is no digest"),
    ({"sha256": SHA256.upper()}, f"sha256: '{SHA256.upper()}' is no digest"),
    ({"md5sum": None, "sha256": None}, "it has neither sha256 nor md5sum"),
    ({"homepage": "http://x y"}, "homepage: 'http://x y' is no address"),
    ({"maintainer": "\x1b[31m"}, "maintainer: it has a control character"),
    ({"maintainer": " "}, "maintainer: it names nobody"),
    ({"priority": "highest"}, "priority: it is 'highest', not required, important, standard, optional, extra"),
    ({"description-brief": "x" * 61}, "description-brief: it has 61 characters, and at most 60 may be"),
    ({"description-full": ["x"]}, "description-full: it is a list, not text"),
    ({"depends": "ros"}, "depends: it is text, not a list"),
    ({"depends": ["ros", "ros"]}, "depends: ros is there twice"),
    ({"depends": ["a b"]}, "depends: 'a b' cannot name a stack"),
    ({"rosdeps": {}}, "rosdeps: it is no mapping of platforms to lists of packages, or there are none"),
    ({"rosdeps": {"lucid": "libc6"}}, "rosdeps: it is text, not a list"),
    ({"rosdeps": {"../x": []}}, "rosdeps: '../x' cannot name a platform"),
    ({"rosdeps": {"lucid": ["foo=1.*"]}}, "rosdeps: lucid: 'foo=1.*' has a *"),
    ({"rosdeps": {"lucid": [["a"]]}}, "rosdeps: lucid: '(a list)' is no relation"),
    ({"rosdeps": {"lucid": ["x\ny: z"]}}, "rosdeps: lucid: ': z' is no relation"),
    ({"packages": ["/etc"]}, "packages: '/etc' cannot name a package"),
    ({"source": "svn"}, "source: it is no mapping of texts"),
]


@pytest.mark.parametrize(("change", "said"), FAULTS)
def test_each_fault_is_a_sentence_with_its_key(change: dict[str, Any], said: str) -> None:
    mapping = {key: value for key, value in {**MAPPING, **change}.items() if value is not None}
    with pytest.raises(SlipwayError) as caught:
        read(yaml.safe_dump(mapping, sort_keys=False))
    assert said in str(caught.value)
    with pytest.raises(SlipwayError) as again:
        check_control(mapping, on="x")
    assert said.removeprefix("line 1: ") in str(again.value)


@pytest.mark.parametrize("key", ["stack", "version", "package", "maintainer", "depends", "rosdeps", "description-full"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(SlipwayError, match=f"it has no {key}"):
        read(format_control({name: value for name, value in MAPPING.items() if name != key}))


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    text = ORIGINAL.replace("depends: [ros]", "depends: [ros, 7 8]").replace("version: 1.2.3", "version: x")
    with pytest.raises(SlipwayError) as caught:
        read(text)
    assert caught.value.findings == [
        "line 14: version: the version 'x' does not begin with a digit",
        "line 2: depends: '7 8' cannot name a stack",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dsc": None}, "its files are not a .dsc, which dsc names"),
        ({"dsc": "other.dsc"}, "its files are not a .dsc, which dsc names"),
        ({"files": DSC["files"] * 2}, "its files are not a .dsc, which dsc names, and what that names, each once"),
        ({"files": [{"name": "../x.dsc", "size": 1, "sha256": SHA256}]}, "files: a file is a mapping of a good name"),
        ({"files": [{"name": "x.dsc", "size": 1}]}, "files: a file is a mapping of a good name"),
        ({"files": ["x"]}, "files: a file is a mapping of a good name"),
    ],
)
def test_files_of_a_debian_source_are_looked_at(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        read(format_control({**DSC, **change}))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("- a\n", "it is a list, not a mapping"),
        ("a: [", "it is not YAML"),
        (ORIGINAL + "---\nb: c\n", "it holds a second document"),
        (ORIGINAL + "stack: other\n", "line 15: the key 'stack' is given a second time"),
        ("!!python/object:os.system {}\n", "the tag tag:yaml.org,2002:python/object:os.system is not allowed"),
        ("x" * (1 << 20) + "x", "it is larger than 1 MiB"),
    ],
)
def test_what_is_no_control_yaml_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        read(text)
    assert said in str(caught.value)


def test_a_key_that_is_not_known_is_a_remark() -> None:
    assert read(ORIGINAL + "colour: red\n").remarks[0] == "the key 'colour' is not known and does not count"


@given(st.dictionaries(st.sampled_from(sorted(MAPPING)), st.recursive(st.text() | st.integers() | st.none(), st.lists)))
def test_whatever_a_key_holds_it_is_read_or_refused(changes: dict[str, Any]) -> None:
    with contextlib.suppress(SlipwayError):
        found = check_control({**MAPPING, **changes}, on="x").mapping
        data = format_control(found)
        assert yaml.safe_load(data) == found
        assert read_or_explain(data) == found
