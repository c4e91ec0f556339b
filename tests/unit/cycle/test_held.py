"""Held changes are data: read strictly, and taken out of their file with everything else as it was."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.cycle.held import (
    merge_lists,
    read_held_file,
    remove_held,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.held import Held, read_held

TEXT = b"""\
# The list.
- branch: a
  until: 26.40
# of b
- branch: b
  until: 26.50
  why: it needs a newer Morph
"""


def test_a_version_in_the_file_is_the_text_that_stands_there() -> None:
    assert read_held_file(TEXT, where="held.yml") == [Held("a", "26.40"), Held("b", "26.50", "it needs a newer Morph")]
    assert read_held_file(None, where="held.yml") == read_held_file(b"# none\n[]\n", where="held.yml") == []
    assert read_held_file(b"", where="held.yml") == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"- [\n", "held.yml"),
        (b"a: b\n", "held.yml: it is a mapping, not a list of branches"),
        (b"- a\n", "it is text, not a branch and the version it waits for"),
        (b"- {branch: a, until: 26.40, untill: 1}\n", "the key 'untill' is not known (did you mean until?)"),
        (b"- {branch: refs/heads/a, until: 26.40}\n", "held.yml[0].branch: it is 'refs/heads/a', not the name"),
        (b"- {branch: a..b, until: 26.40}\n", "held.yml[0].branch: it is 'a..b'"),
        (b"- {until: 26.40}\n", "held.yml[0].branch: it is missing"),
        (b"- {branch: a}\n", "held.yml[0].until: it is missing"),
        (b"- {branch: a, until: soon}\n", "held.yml[0].until: it is 'soon', not the version"),
        (b"- {branch: a, until: 26.40}\n- {branch: a, until: 26.41}\n", "held.yml[1].branch: a is named twice"),
    ],
)
def test_a_list_that_is_none_is_refused_in_a_sentence(data: bytes, fault: str) -> None:
    with pytest.raises(SlipwayError) as refused:
        read_held_file(data, where="held.yml")
    assert fault in str(refused.value)
    assert len(refused.value.findings) == 1


def test_a_number_in_the_policy_is_refused_since_it_may_have_lost_a_digit() -> None:
    entry: Any = {"branch": "a", "until": 26.4}
    assert read_held([entry], "held")[1] == [
        "held[0].until: 26.4 is a number, so what was written may be lost; quote it"
    ]


def test_lists_are_one_in_the_order_of_versions() -> None:
    first, second = [Held("b", "26.50"), Held("a", "26.100")], [Held("c", "26.9"), Held("b", "26.1")]
    assert merge_lists(first, second) == [Held("c", "26.9"), Held("b", "26.50"), Held("a", "26.100")]


def test_an_entry_is_taken_out_and_the_rest_stays() -> None:
    assert remove_held(TEXT, ["b"], where="h") == b"# The list.\n- branch: a\n  until: 26.40\n# of b\n"
    assert remove_held(TEXT, ["x"], where="h") == TEXT
    assert remove_held(TEXT, ["a", "b"], where="h") == b"# The list.\n[]\n"
    assert remove_held(b"[{branch: a, until: 26.40}, {branch: b, until: 26.41}]\n", ["a"], where="h") is None
