# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts from outside, for the place that they go to: a terminal, a line, a mail, an HTML page, a wiki page.

Subjects of commits, names of authors and systems, answers of servers: whoever wrote them must not decide what the place
does with them. A plain text stays as it is.
"""

from __future__ import annotations

import html
import re
from unicodedata import category

#: What stands for a character that must not take effect.
REPLACEMENT = "\ufffd"
#: They turn the direction of the text around them, so that it reads as something else.
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: What has a meaning inside a line of Markdown; an underscore within a word has none.
MARKDOWN = re.compile(r"[\\`*\[\]]|(?<![^\W_])_|_(?![^\W_])")
HTML = re.compile(r"[<|]|&(?=#?\w+;)|~(?=~)")
#: What begins a heading, a list, a quotation or a rule where it begins a block.
BLOCK = re.compile(r"\A(?:[#+=:>-]|[0-9]{1,9}[.)])")
#: What has a meaning between backticks: for ikiwiki, or in a table.
CODE = re.compile(r"[`\[\]|\\<>&]")
#: They are no characters of XML, though they are neither controls nor halves of pairs.
NO_XML = re.compile("[\ufffe\uffff]")
#: What stands before a password in an address, and it; also where the address cannot be used.
_PASSWORD = re.compile(r"\A([^/?#]*//[^/?#:]*):[^/?#]*@")
#: The account in an address by http: tokens are given as passwords, and as names.
_ACCOUNT = re.compile(r"\A([^/?#]*https?://)[^/?#]*@", re.IGNORECASE)
_ACCOUNT_WITHIN = re.compile(r"(https?://)[^\s/?#\"'<>]*@", re.IGNORECASE)


def escape_terminal(text: str) -> str:
    """For a terminal: lines stay lines, and what would move the cursor or hide text is shown as an escape sequence."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n")
    return "".join(_show_code(letter) if _is_control(letter) and letter not in "\n\t" else letter for letter in lines)


def escape_message(text: str) -> str:
    """For whoever reads what a program says: as for a terminal, and without the accounts in addresses by http."""
    return redacted_text(escape_terminal(text))


def escape_line(text: str) -> str:
    """For one line of plain text: white space of any kind is one blank."""
    return " ".join(_replace_active(text).split())


def escape_mail(text: str) -> str:
    """For the body of a mail: nothing in it but lines of printable characters."""
    lines = text.replace("\r\n", "\n")
    if lines.replace("\n", "").isprintable():
        return lines
    return "".join(REPLACEMENT if _is_control(letter) and letter not in "\n\t" else letter for letter in lines)


def escape_html(text: str) -> str:
    """For an HTML page, between tags or as the value of an attribute in quotes."""
    return html.escape(_replace_active(text))


def escape_xml(text: str) -> str:
    """For one line of text in XML, or the value of an attribute there."""
    return NO_XML.sub(REPLACEMENT, escape_html(escape_line(text)))


def escape_markdown(text: str) -> str:
    """For one line of a wiki page in Markdown, also ikiwiki's: neither markup, nor HTML, nor a directive."""
    line = MARKDOWN.sub(r"\\\g<0>", escape_line(text))
    line = HTML.sub(lambda found: _make_entity(found[0]), line)
    return BLOCK.sub(lambda found: found[0][:-1] + _make_entity(found[0][-1]), line)


def escape_markdown_code(text: str) -> str:
    """For a name in a wiki page in Markdown that is set as code, also in a table."""
    line = escape_line(text)
    if not CODE.search(line):
        return f"`{line}`"
    shown = "".join(letter if letter.isalnum() or letter in " ." else _make_entity(letter) for letter in line)
    return f"<code>{shown}</code>"


def redacted(url: str) -> str:
    """``url`` without the secret that it may hold: a password, and by http also the name, which may be a token."""
    return _PASSWORD.sub(r"\1@", _ACCOUNT.sub(r"\1", url))


def redacted_text(text: str) -> str:
    """What a program said, without the accounts in its addresses by http."""
    return _ACCOUNT_WITHIN.sub(r"\1", text) if "@" in text else text


def _replace_active(text: str) -> str:
    """Most texts are printable throughout, which is seen at once."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_active(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    """Whether a character acts instead of being shown; half of a pair is none at all."""
    return category(letter) in {"Cc", "Cs", "Zl", "Zp"} or letter in BIDI


def _is_active(letter: str) -> bool:
    return _is_control(letter) and not letter.isspace()


def _show_code(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _make_entity(letter: str) -> str:
    return html.escape(letter) if letter in "&<>" else f"&#{ord(letter)};"
