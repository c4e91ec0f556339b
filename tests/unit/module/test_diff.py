"""What ``--diff`` shows: names that are added, and texts before and after."""

from __future__ import annotations

import base64
import json

import pytest
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


def seal(payload: bytes, sig: str) -> str:
    said = {"payload": base64.b64encode(payload).decode(), "payloadType": "application/json"}
    return json.dumps({**said, "signatures": [{"keyid": "A" * 40, "sig": sig}]}) + "\n"


def test_of_signed_files_what_they_hold_is_shown_and_that_they_are_signed_anew():
    (shown,) = diff_texts({"latest.json": (seal(b'{"serial": 1}', "abc"), seal(b'{"serial": 2}', "abd"))})
    before, after = shown["before"].splitlines(), shown["after"].splitlines()
    assert before[:-1] == ["{", '  "serial": 1', "}"]
    assert after[:-1] == ["{", '  "serial": 2', "}"]
    assert before[-1].startswith(f"signed by {'A' * 40} (signature ")
    assert before[-1] != after[-1]


@pytest.mark.parametrize(
    "text",
    [
        '{"payloadType": 1}\n',
        seal(b"no JSON", "abc"),
        '["payloadType"]\n',
        '{"payload": "e30=", "payloadType": "", "signatures": [{"sig": 1, "keyid": ""}]}',
        "[" * 100_000 + '"payloadType"',
    ],
)
def test_what_is_no_envelope_is_shown_as_it_is(text: str):
    assert diff_texts({"a": ("", text)})[0]["after"] == text
