"""Members of archives hold what is said of them, and the list of modes and owners is read as it is written."""

from __future__ import annotations

import contextlib
import io
import tarfile
from urllib.parse import quote

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.tar import (
    Ownership,
    make_member,
    read_permissions,
    write_permissions,
)
from hypothesis import given
from hypothesis import strategies as st

PATHS = st.lists(
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)
#: Names that are not UTF-8.
STRANGE = st.binary(min_size=1, max_size=3).map(lambda name: f"x{name.hex()}\udcff")
OWNED = st.builds(Ownership, st.integers(0, 0o7777), st.integers(0, 999_999_999), st.integers(0, 999_999_999))


@given(st.dictionaries(PATHS | STRANGE, OWNED, max_size=5))
def test_what_is_written_is_read_and_all_else_is_usual(owned):
    members = {
        name: make_member(name, mode=each.mode, mtime=1, owner=(each.uid, each.gid)) for name, each in owned.items()
    }
    read = read_permissions(write_permissions(members), where="x")
    assert read == {name: owned[name] for name in read}
    assert all((owned[name].uid, owned[name].gid) == (0, 0) for name in owned.keys() - read)
    assert {owned[name].mode for name in owned.keys() - read} <= {0o644, 0o755}


def test_links_have_no_modes():
    assert write_permissions({"a": make_member("a", kind=tarfile.SYMTYPE, mode=0o777, mtime=0, owner=(1, 1))}) == ""


def test_a_member_is_what_is_said_and_nothing_of_the_machine_or_the_moment():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="x:", format=tarfile.PAX_FORMAT) as tar:
        device = {"kind": tarfile.CHRTYPE, "device": (5, 1), "names": ("root", "tty")}
        tar.addfile(make_member("dev/console", mode=0o600, mtime=7, owner=(0, 5), **device))
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        (info,) = tar
    said = {name: value for name, value in info.get_info().items() if name != "chksum"}
    assert said == {
        **{"name": "dev/console", "mode": 0o600, "uid": 0, "gid": 5, "size": 0, "mtime": 7, "type": b"3"},
        **{"linkname": "", "uname": "root", "gname": "tty", "devmajor": 5, "devminor": 1},
    }


def test_permissions_of_what_a_system_does_not_have_are_passed_over():
    assert read_permissions("755 0 0 /not/here\n", where="x") == {"not/here": Ownership(0o755, 0, 0)}


@given(
    st.dictionaries(PATHS, st.tuples(st.integers(0, 0o7777), st.integers(0, 65535), st.integers(0, 65535)), max_size=5)
)
def test_permissions_of_any_name_can_be_written(given_):
    text = "".join(f"{mode:04o} {uid} {gid} /{quote(name)}\n" for name, (mode, uid, gid) in given_.items())
    assert read_permissions(text, where="x") == {name: Ownership(*owned) for name, owned in given_.items()}


@given(st.text())
def test_permissions_are_read_or_refused(text):
    with contextlib.suppress(SlipwayError):
        read_permissions(text, where="x")


def test_lines_that_are_no_permissions_are_all_named():
    with pytest.raises(SlipwayError) as caught:
        read_permissions("755 0 0 /bin\n888 0 0 /x\n755 0 0 a/../../x\nnonsense\n", where="/permissions")
    assert [finding.split(",")[0] for finding in caught.value.findings] == [
        "line 2 is '888 0 0 /x'",
        "line 3 is '755 0 0 a/../../x'",
        "line 4 is 'nonsense'",
    ]
