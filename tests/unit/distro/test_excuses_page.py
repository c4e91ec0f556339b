# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import hashlib
import subprocess
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_page import (
    MARKS,
    MOST_FIRST,
    make_anchor,
    render_page,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_words import LEGEND
from excuses import COMMAND, NOW, archive, explain, stacks
from hypothesis import given
from hypothesis import strategies as st

VOID = {"meta", "br", "link"}
#: What is not a place on the page, but for logs.
OUTSIDE = {"excuses.json", "excuses.atom"}
PLACE = {"platform": "bookworm", "architecture": "i386"}
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</style></title>&amp;&lt;",
    "a\x00\x1b[2J\u202eb\ud800\n\x0cc",
)


class Page(HTMLParser):
    """What a reader's browser sees; a tag that is not closed where it must be is a failure."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _tag, attributes in self.tags if name in attributes]

    @property
    def whole(self) -> str:
        return " ".join(text for texts in self.texts.values() for text in texts)


def make_excuses(name: str = "simulator", text: str = "the reason", log: str = "https://logs.example.org/a") -> Any:
    """Every kind of excuse; the name of a stack, and texts, are as given."""
    return explain(
        stacks={**stacks(a="1.0", b="1.0", c="1.0", d="1.0", e="1.0", f=None), name: {"version": "2.0"}},
        shadow=archive({"a": "1.0", "d": "0.9"}, {"a": "1.0"}),
        fixed=archive({"a": "1.0"}, form="{}-r1~bookworm"),
        depends={name: ["b", "f"], "b": ["c"], "e": [name]},
        holds={"c": text},
        excludes=[
            {"stack": "d", "places": ["bookworm-i386"], "reason": text, "until": "2030-01-01"},
            {"stack": f"!{text}"},
        ],
        sources=[{"stack": "e", "platform": "bookworm", "state": "failed", "reason": text}],
        uninstallable=[{**PLACE, "package": "ros-d-a", "reason": text}],
        builds=[
            {
                **{**PLACE, "stack": name, "state": "failed", "log": log, "at": NOW},
                **{"stage": "build", "reason": text, "host": text, "seconds": {"build": 4503, "test": 1}},
                "reproduced": {"state": "different", "differ": {text: text}},
            }
        ],
    )


def run_tidy(page: str) -> str:
    """What the checker says of a page; nothing if it is in order."""
    words = ["tidy", "-errors", "-quiet", "-utf8"]
    done = subprocess.run(words, input=page.encode(), capture_output=True, check=False)
    return done.stderr.decode()


@pytest.mark.parametrize("text", ["the reason", *HOSTILE])
def test_a_page_is_in_order_whatever_is_told(text: str) -> None:
    assert run_tidy(render_page(make_excuses(text, text, text))) == ""


def test_the_checker_of_pages_finds_faults() -> None:
    assert "<b>" in run_tidy(render_page(make_excuses()).replace("<h1>", "<h1><b>"))


def test_a_page_of_nothing_is_in_order_and_says_so() -> None:
    page = render_page(explain(stacks={}))
    assert run_tidy(page).splitlines()[1:] == []
    assert "There are no stacks." in page
    assert "Nothing: no stack is blocked." in page


def test_a_page_needs_nothing_else_and_suits_screens_and_paper() -> None:
    text = render_page(make_excuses())
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert page.tags[0] == ("html", {"lang": "en"})
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert page.texts["title"] == page.texts["h1"] == ["What holds up d"]
    assert not {"img", "iframe", "form"} & {tag for tag, _attributes in page.tags}
    assert page.values("src") == []
    assert "@media print {" in text
    assert "url(" not in text
    assert all(attributes["scope"] in {"row", "col"} for tag, attributes in page.tags if tag == "th")


def test_the_only_script_sorts_tables_and_the_page_lets_no_other_run() -> None:
    page = Page(render_page(make_excuses(*HOSTILE[:2])))
    assert [tag for tag, _attributes in page.tags].count("script") == 1
    script = page.texts["script"][0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert page.values("content")[0] == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert [attributes["class"] for tag, attributes in page.tags if tag == "table"] == ["sortable"] * 3


@pytest.mark.parametrize("name", ["simulator", *HOSTILE])
def test_every_link_leads_to_a_place_that_is_there_once(name: str) -> None:
    page = Page(render_page(make_excuses(name)))
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    inside = {link[1:] for link in page.values("href") if link.startswith("#")}
    assert inside <= set(ids)
    assert {make_anchor(stack) for stack in ("a", "b", "c", "d", "e", "f", name)} <= set(ids)
    assert {link for link in page.values("href") if link[0] != "#"} == {"https://logs.example.org/a", *OUTSIDE}


def test_states_are_words_and_marks_not_only_colours() -> None:
    page = Page(render_page(make_excuses()))
    assert set(MARKS) == set(LEGEND["states"])
    cells = [text for text in page.texts["td"] if text[0] in MARKS.values() and text[1:2] == " "]
    assert len(cells) == 2 * 7
    assert all(cell.split()[1].rstrip(":") in MARKS for cell in cells)
    assert "✘ blocked: build-failed" in cells
    assert {f"{mark} {state}" for state, mark in MARKS.items()} <= set(page.texts["dt"])


def test_what_to_do_first_has_the_commands_and_goes_on_below() -> None:
    found = make_excuses()
    page = Page(render_page(found))
    assert page.texts["pre"][: len(found["first"])] == [entry["command"] for entry in found["first"]]
    assert page.texts["pre"][0] == COMMAND.format("c")
    many = render_page(explain(stacks=stacks(**{f"s{number}": "1.0" for number in range(MOST_FIRST + 2)})))
    assert "<p>2 further stacks below.</p>" in many


@pytest.mark.parametrize("log", ["javascript:alert(1)", "data:text/html,x", "/srv/logs/a.log", *HOSTILE])
def test_a_log_that_is_no_address_is_text(log: str) -> None:
    page = Page(render_page(make_excuses(log=log)))
    assert {link for link in page.values("href") if link[0] != "#"} == OUTSIDE
    assert any(part.strip() in page.whole for part in log.splitlines()[0].split("\x00"))


@given(st.text(max_size=60), st.text(max_size=60) | st.text("<>&\"'{}%#/;: a", max_size=60))
def test_words_from_outside_stay_words(name: str, text: str) -> None:
    """The tags of the page are those that it has with plain words, and its text has what was told."""
    plain, page = (
        Page(render_page(make_excuses(f"~{first}", second, second))) for first, second in (("n", "t"), (name, text))
    )
    hidden = {"id", "href"}  # they are made of digests of names that are no plain words

    def outline(page: Page) -> list[tuple[str, dict[str, str | None]]]:
        found = [(tag, {key: value for key, value in each.items() if key not in hidden}) for tag, each in page.tags]
        return sorted(found, key=repr)  # names are sorted

    if text.strip():
        assert outline(page) == outline(plain)
    assert all(
        link.startswith(("#stack", "#first", "#coverage", "#builds", "#details", "#legend", *OUTSIDE))
        for link in page.values("href")
    )
    if text.isalnum() and text.isprintable():
        assert f"The reason that was given: {text}." in page.whole


def test_thousands_of_stacks_make_a_page_that_a_phone_can_load() -> None:
    names = [f"stack_number_{number}" for number in range(2000)]
    text = render_page(
        explain(
            stacks=stacks(**dict.fromkeys(names, "1.0")),
            platforms=[{"name": name, "architectures": ["amd64", "i386"]} for name in ("bookworm", "trixie", "forky")],
            shadow=archive(dict.fromkeys(names[::2], "1.0")),
            depends={name: names[max(0, number - 5) : number : 3] for number, name in enumerate(names) if number % 50},
        )
    )
    assert len(text.encode()) < 3.5e6
    assert text.count("<section ") == 2000
