# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML of manifests is read within bounds, and refused in a sentence with its line."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.xmltext import NotXmlError, read_xml
from hypothesis import given
from hypothesis import strategies as st

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [
 <!ENTITY lol "lol">
 <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
]>
<stack>&lol2;</stack>
"""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (LAUGHS, "line 2: it declares a document type or entities"),
        (b'<!DOCTYPE s SYSTEM "file:///etc/passwd"><s/>', "line 1: it declares a document type or entities"),
        (b'<!DOCTYPE s [<!ENTITY x SYSTEM "http://x/">]><s>&x;</s>', "line 1: it declares a document type or entities"),
        (b"<s>\n&undeclared;</s>", "line 2: undefined entity"),
        (b"", "line 1: no element found"),
        (b"no xml", "line 1: syntax error"),
        (b"<s>\n<a>\n</s>", "line 3: mismatched tag"),
        (b"<s/><t/>", "line 1: junk after document element"),
        (b"<s>\xff</s>", "line 1: not well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><s/>', "unknown encoding"),
        (b"<s>" + b"<a>" * 70 + b"</a>" * 70 + b"</s>", "line 1: it is nested more than 64 levels deep"),
        (b"<s>" + b"<a/>\n" * 20_001 + b"</s>", "line 20000: it has more than 20000 elements"),
        (b"<s>" + b" " * (1 << 20) + b"</s>", "it is larger than 1 MiB"),
    ],
)
def test_what_a_manifest_may_not_be_is_refused_with_its_line(data: bytes, said: str) -> None:
    with pytest.raises(NotXmlError) as caught:
        read_xml(data)
    assert said in str(caught.value)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_a_text_is_what_was_written(text: str) -> None:
    root = read_xml(f"<s>{escape(text)}</s>".encode())
    assert root.text == " ".join(text.split())


def test_elements_know_their_lines_attributes_and_markup() -> None:
    root = read_xml(b'<s a="1">\n<b>x &amp; y</b>\n<b c="2"/><![CDATA[<p>z</p>]]></s>')
    assert (root.attributes, [(each.line, dict(each.attributes)) for each in root.find_all("b")]) == (
        {"a": "1"},
        [(2, {}), (3, {"c": "2"})],
    )
    assert root.find_text("b") == "x & y"
    assert root.markup == "\n<b>x & y</b>\n<b></b><p>z</p>"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_element_or_a_sentence(data: bytes) -> None:
    try:
        said = read_xml(data).name
    except NotXmlError as error:
        said = str(error)
    assert said
