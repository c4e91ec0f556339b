"""Definitions reach another machine as they were."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.archive import pack_tree, unpack_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import FILE, LINK, PROGRAM, Entry
from hypothesis import given
from hypothesis import strategies as st

NAME = st.text("ab.é-", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
PATH = st.lists(NAME, min_size=1, max_size=3).map(lambda parts: "/".join(parts).encode())
ENTRY = st.one_of(
    st.builds(Entry, st.sampled_from([FILE, PROGRAM]), st.binary(max_size=50)),
    st.builds(Entry, st.just(LINK), PATH),
)


@given(tree=st.dictionaries(PATH, ENTRY, max_size=6))
def test_what_is_packed_is_unpacked(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "a.tar.gz"
    path.write_bytes(pack_tree(tree))
    assert unpack_tree(path) == tree


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(pack_tree({b"a": Entry(FILE, b"x" * 1000)})[:60])
    with pytest.raises(SlipwayError, match=r"Could not read the files in .*a\.tar\.gz"):
        unpack_tree(tmp_path / "a.tar.gz")
