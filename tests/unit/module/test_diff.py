"""What ``--diff`` shows: names that are added, and texts before and after."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.module.diff import diff_added, diff_texts


def test_names_are_lines_where_nothing_was():
    assert diff_added(["a", "b"]) == {"before": "", "after": "a\nb\n"}
    assert diff_added([]) == {"before": "", "after": ""}


def test_texts_come_in_the_order_of_their_names():
    shown = diff_texts({"b": ("", "new\n"), "a": ("old\n", "")})
    assert shown == [
        {"before_header": "a", "after_header": "a", "before": "old\n", "after": ""},
        {"before_header": "b", "after_header": "b", "before": "", "after": "new\n"},
    ]
