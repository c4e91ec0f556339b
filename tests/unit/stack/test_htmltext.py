# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Descriptions in HTML become paragraphs that a Debian control file takes."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.htmltext import (
    convert_html,
    cut_line,
    shorten_brief,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain\n   text", "plain text"),
        ("one\n\n two\n \t\nthree", "one\n\ntwo\n\nthree"),
        ("<p>one <b>bold</b> <tt>code</tt></p><p>two</p>", "one bold code\n\ntwo"),
        ("a list: <ul><li>one</li><li>two\n words</li></ul> end", "a list:\n\n* one\n* two words\n\nend"),
        ("<ol><li><p>one</p></li><li><p>two</p></li></ol>", "* one\n* two"),
        ("a<br/>b<div>c</div>d", "a\n\nb\n\nc\n\nd"),
        ("x &lt; y &amp; z", "x < y & z"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
        ("<script>alert(1)</script><style>x</style>seen", "seen"),
        ('<a href="http://x/">here</a>', "here"),
        (".hidden\n\n... and more", "hidden\n\nand more"),
        ("bell \x07 and \x1b[31mred", "bell \ufffd and \ufffd[31mred"),
        ("<p>never closed", "never closed"),
        ("</p></ul>", ""),
        ("", ""),
    ],
)
def test_blocks_are_paragraphs_and_items_are_lines(markup: str, text: str) -> None:
    assert convert_html(markup) == text


@given(st.text() | st.from_regex(r"(</?(p|li|ul|b|br|script|pre)>|[a-z. \n&;<]){0,30}", fullmatch=True))
def test_whatever_comes_no_line_is_one_that_a_control_file_gives_a_meaning(markup: str) -> None:
    text = convert_html(markup)
    lines = text.split("\n")
    assert not [line for line in lines if line != line.strip() or line.startswith(".")]
    assert all(letter.isprintable() or letter == "\n" or ord(letter) > 127 for letter in text)
    assert "\n\n\n" not in text


def test_plain_text_stays_when_it_is_converted_again() -> None:
    once = convert_html("<p>one</p><ul><li>two</li><li>three</li></ul>")
    assert convert_html(once.split("\n\n")[0]) == "one"


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("Short.", "Short"),
        ("First sentence. And then a second one that makes all of it too long to be a brief.", "First sentence"),
        ("x" * 70, "x" * 60),
        ("word " * 20, ("word " * 12).strip()),
        ("", ""),
    ],
)
def test_a_brief_is_the_first_sentence_or_whole_words(text: str, brief: str) -> None:
    assert shorten_brief(text) == brief


@given(st.text())
def test_a_brief_is_never_too_long(text: str) -> None:
    assert len(shorten_brief(text)) <= 60
    assert len(cut_line(text)) <= 60
