# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody else wrote is shown as it is, and does nothing, wherever it goes to."""

from __future__ import annotations

import threading
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from unicodedata import category

import pytest
from ansible_collections.slipway.release.plugins.action import live
from ansible_collections.slipway.release.plugins.filter.redacted import redact
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import (
    BIDI,
    escape_html,
    escape_line,
    escape_mail,
    escape_markdown,
    escape_markdown_code,
    escape_terminal,
    redacted,
    redacted_text,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.statuspage import render_page, render_state
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

HOSTILE = [
    "<script>alert(1)</script>",
    "[[!meta redir=https://evil.example.org]]",
    "[[link]] and [click](javascript:alert(1)) and ![x](y)",
    "[ref]: https://evil.example.org",
    "# heading",
    "1. a list",
    "2) another",
    "- - -",
    "> quoted",
    "=== ~~struck~~ ~~~",
    "`code` ``more`` \\` \\",
    "*a* _b_ __init__ foo_bar_baz *",
    "&lt;b&gt; &#60;i&#62; Q&A a & b",
    "a | b || c",
    "<https://evil.example.org> <!-- hidden",
    "red \x1b[31mtext\x1b]0;title\x07",
    "two\nlines\r\n* and a third\x1e\x1f\x00",
    "\u202egnirts\u2066 \u2028 \ud800",
]
NAMES = ["minimal-system-x86_64", "genivi-baseline-system_x86_64-generic", "a.b~c+d:e", "Größe (neu)", ""]


class Rendered(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[object] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.attributes += attrs if isinstance(attrs, list) else []

    def handle_comment(self, _data: str) -> None:
        self.tags.append("comment")

    def handle_decl(self, _decl: str) -> None:
        self.tags.append("declaration")

    def handle_data(self, data: str) -> None:
        self.text += data


def render(page: str) -> Rendered:
    return Rendered(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(page))


def harmless(text: str) -> bool:
    return not any(letter in BIDI or (category(letter) in ("Cc", "Cs") and letter not in "\n\t") for letter in text)


TEXTS = st.text(max_size=60) | st.text(alphabet="[]()!<>*_`#&;|~\\-+=.:1ab \n/\x1b\u202e", max_size=40)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_lines_of_a_list_and_nothing_else(text: str) -> None:
    written = escape_markdown(text)
    page = render(f"* {written} (`abc`, {escape_markdown(text)})\n")
    assert page.tags == ["ul", "li", "code"]
    assert page.text.strip() == f"{escape_line(text)} (abc, {escape_line(text)})"
    assert "[[" not in written, "ikiwiki would find a link or a directive"


@given(TEXTS)
@example("a&#")
@example("1\\.")
def test_every_text_is_shown_in_a_wiki_page_as_it_is(text: str) -> None:
    written = escape_markdown(text)
    page = render(f"* x {written}\n* {written}\n\n{written}\n")
    assert set(page.tags) <= {"ul", "li", "p"}
    line = escape_line(text)
    assert page.text.split() == ["x", *line.split(), *line.split(), *line.split()]
    assert "[[" not in written
    assert "\n" not in written


@given(TEXTS)
def test_every_name_is_code_in_a_cell_of_its_own(text: str) -> None:
    written = escape_markdown_code(text)
    page = render(f"| name | size |\n| --- | --- |\n| {written} | 7 |\n")
    line = escape_line(text)
    assert page.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", *(["code"] if line else []), "td"]
    shown = page.text if line else page.text.replace("``", "")  # what stands for nothing
    assert shown.split() == ["name", "size", *line.split(), "7"]
    assert "[[" not in written


@pytest.mark.parametrize("text", NAMES)
def test_a_plain_name_stays_between_backticks(text: str) -> None:
    assert escape_markdown_code(text) == f"`{text}`"


@pytest.mark.parametrize(
    "text",
    ["Größe geändert", "Fix foo_bar (#12): a -> b, 100% of Q&A!", "ref v1.0~rc1, see https://example.org/a_b?c=d&e=f"],
)
def test_a_plain_subject_stays_as_it_is(text: str) -> None:
    assert escape_markdown(text) == escape_line(text) == escape_mail(text) == escape_terminal(text) == text


@given(TEXTS)
def test_html_shows_every_text_as_it_is_and_holds_no_controls(text: str) -> None:
    page = Rendered(f'<td class="{escape_html(text)}">{escape_html(text)}</td>')
    assert page.tags == ["td"]
    assert len(page.attributes) == 1
    assert escape_line(page.text) == escape_line(text)
    assert harmless(escape_line(page.text))


@given(TEXTS)
def test_mail_and_terminal_get_printable_lines(text: str) -> None:
    for made in (escape_mail(text), escape_terminal(text)):
        assert not {letter for letter in made if letter in BIDI or letter in "\x1b\r\x00\x7f\x9b\u2028\u0085"}
        made.encode()
        assert made.count("\n") <= text.count("\n")


def test_a_terminal_shows_what_would_have_acted_on_it() -> None:
    assert escape_terminal("a\x1b[2J\tb\n\u202ec\x9b") == "a\\x1b[2J\tb\n\\u202ec\\x9b"
    error = SlipwayError("read \x1b[8m", "the \x1b]0;x\x07", "\x1b[2J", do_next="Do.", findings=["\x1b[31m", "\r"])
    assert "\x1b" not in str(error)
    assert error.findings == ["\\x1b[31m", "\\r"]


def test_a_status_page_holds_no_markup_of_others() -> None:
    bad = "<script>x</script>\x1b\u202e"
    page = Rendered(render_page(bad, intro="", trouble=[bad], columns=["a"], rows=[[render_state(bad, bad)]]))
    assert "script" not in page.tags
    assert harmless(page.text)


def test_progress_of_a_module_is_shown_without_what_would_act_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(live.display, "display", lambda line, **_: shown.append(line))
    action = object.__new__(live.ActionModule)
    action._task = SimpleNamespace(get_name=lambda: "Build")
    monkeypatch.setattr(action, "_read_new", lambda _path, _offset: "built \x1b[2J\x1b]0;x\x07\n")
    ended = threading.Event()
    ended.set()
    action._follow("/p", 0, ended)
    assert shown[-1] == "    built \\x1b[2J\\x1b]0;x\\x07"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@trove.example.org/x", "https://trove.example.org/x"),
        ("https://secret@trove.example.org/x", "https://trove.example.org/x"),
        ("https://secret:x-oauth-basic@trove.example.org/x", "https://trove.example.org/x"),
        ("https://secret:@trove.example.org/x", "https://trove.example.org/x"),
        ("git+HTTPS://secret@trove.example.org/x", "git+HTTPS://trove.example.org/x"),
        ("http://se:c@ret@h:80/x@y:z?a@b#c@d", "http://h:80/x@y:z?a@b#c@d"),
        ("https://me:secret@[trove/x", "https://[trove/x"),
        ("ssh://git:secret@h/x", "ssh://git@h/x"),
        *(
            (url, url)
            for url in (
                *("/srv/trove/x.git", "https://h:80/x:y@z", "me@h:x/y:z@w", "file:///x:y@z", "git@h:x/y.git"),
                *("ssh://git@h:22/x", "svn+ssh://git@h/x", "rsync://me@h/x", "svn://me@h/x"),
            )
        ),
    ],
)
def test_an_address_is_shown_without_password_and_by_http_without_name(url: str, shown: str) -> None:
    assert redacted(url) == redacted(redacted(url)) == shown


@given(st.text(alphabet="ab:@/?#[] %\u2100", max_size=12), st.sampled_from(["http", "https", "git+https"]))
def test_no_account_of_an_address_by_http_is_shown(account: str, scheme: str) -> None:
    before = account.partition("/")[0].partition("?")[0].partition("#")[0]
    shown = redacted(f"{scheme}://{account}token@h/x")
    assert shown == f"{scheme}://h/x" or before != account


def test_what_programs_say_of_an_address_by_http_is_told_without_its_account() -> None:
    said = "unable to access 'https://token@h/x.git/': and git@h, https://h/@a, HTTP://a:b@h <https://c@h>"
    told = "unable to access 'https://h/x.git/': and git@h, https://h/@a, HTTP://h <https://h>"
    assert redacted_text(said) == told
    error = SlipwayError("read", "https://token@h/x", said, do_next="Look at https://token@h.", findings=[said])
    assert "token" not in str(error)
    assert error.came_back == error.findings[0] == told


def test_progress_tells_no_account_of_an_address_by_http(tmp_path: Path) -> None:
    Progress(tmp_path / "progress", total=1).step("https://token@h/x is right")
    assert (tmp_path / "progress").read_text().endswith(" 1/1 https://h/x is right\n")


def test_the_filter_redacts_each_address_in_a_value() -> None:
    value = [{"repository": "https://token@h/x", "lines": ["ssh://git:secret@h/x", 3, None]}]
    assert redact(value) == [{"repository": "https://h/x", "lines": ["ssh://git@h/x", 3, None]}]
