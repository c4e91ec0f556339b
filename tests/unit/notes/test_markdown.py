# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes in Markdown as a plain text and as HTML."""

from __future__ import annotations

import re

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.markdown import render_html, render_text
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# A\n## B\n### C\nd", "A\n=\n\nB\n-\n\nC\n\nd\n"),
        ("a\nb  \nc", "a b\nc\n"),
        ("* a\n* b\n  * c\n\nd", "* a\n* b\n  * c\n\nd\n"),
        ("3. a\n4. b", "3. a\n4. b\n"),
        ("* a\n\n  b\n* c", "* a\n\n  b\n\n* c\n"),
        ("> a\n>\n> b", "> a\n>\n> b\n"),
        ("```\n a  b\n```", "   a  b\n"),
        ("[a](http://x/) <http://y/> `c` **d**", "a <http://x/> http://y/ c d\n"),
        ("| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | |", "* 1\n  b: 2\n* 3\n"),
        ("<code>a&#96;b</code> <script>", "a`b <script>\n"),
        ("", "\n"),
    ],
)
def test_a_text_is_as_a_person_would_type_it(text: str, shown: str) -> None:
    assert render_text(text) == shown


def test_lines_are_wrapped_where_words_allow_it() -> None:
    said = render_text(f"* {'word ' * 40}\n  * {'x' * 100} end\n")
    lines = said.splitlines()
    assert all(len(line) <= 76 for line in lines if "xxx" not in line)
    assert "  * " + "x" * 100 in lines
    assert lines[1].startswith("  word")


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=60)
def test_no_text_acts_in_html_and_none_is_refused(text: str) -> None:
    page = render_html(text, lower=1, highest=3)
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", page))
    allowed = "a blockquote br code em h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul"
    assert tags <= set(allowed.split())
    assert not re.search(r"href=\"\s*(javascript|data|vbscript|file):", page, re.IGNORECASE)
    assert render_text(text).endswith("\n")


def test_headings_go_where_the_page_has_room_for_them() -> None:
    assert render_html("# a\n###### b") == "<h1>a</h1>\n<h6>b</h6>\n"
    assert render_html("# a\n## b\n###### c", lower=1, highest=3) == "<h3>a</h3>\n<h3>b</h3>\n<h6>c</h6>\n"
